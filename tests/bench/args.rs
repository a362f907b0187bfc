//! The command line. Refuses a role without what the role needs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::unmeasured::Unmeasured;

/// Measures evenkeel beside a raw relay and the peers found on PATH and in EVENKEEL_BENCH_PEERS.
#[derive(Parser, Debug)]
#[command(name = "cargo bench --bench table --")]
pub(crate) struct Args {
    /// Rounds; each measures every contender once.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds a contender is under load in each round.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// One short round and small bodies: shows that everything works, not what it costs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Fail when a target of the issue is missed.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Only these rows.
    #[arg(long, value_name = "ROW", value_delimiter = ',',
          value_parser = ["pass", "error", "tls", "h2-upstream", "h2-client", "latency", "memory", "start", "size", "decisions"])]
    only: Vec<String>,
    /// Only these contenders; the floor is always there.
    #[arg(long, value_name = "NAME", value_delimiter = ',',
          value_parser = ["floor", "direct", "evenkeel", "baseline", "nginx", "haproxy", "envoy", "traefik", "caddy"])]
    contenders: Vec<String>,
    /// An earlier build of evenkeel to measure beside this one, for before and after in one run.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// The core of the upstream and the generator.
    #[arg(long, default_value_t = 0)]
    pub(crate) generator_core: usize,
    /// The core of the proxy.
    #[arg(long, default_value_t = 1)]
    pub(crate) proxy_core: usize,
    /// Given by cargo; means nothing.
    #[arg(long, hide = true)]
    bench: bool,

    /// Which part this process plays; none measures.
    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,
    #[arg(long, hide = true)]
    listen: Option<SocketAddr>,
    #[arg(long, hide = true)]
    target: Option<SocketAddr>,
    #[arg(long, hide = true, default_value = "/")]
    pub(crate) path: String,
    /// Requests under way at once, each on a connection of its own over HTTP/1.1.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    #[arg(long, hide = true)]
    pub(crate) rate: Option<f64>,
    #[arg(long, hide = true, default_value = ".")]
    pub(crate) folder: PathBuf,
}

/// The parts that processes of this program play.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    Floor,
    Upstream,
    UpstreamTls,
    UpstreamHttp2,
    Load,
    LoadHttp2,
    Idle,
}

impl Args {
    /// Whether a row was asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }

    /// Whether a contender was asked for.
    pub(crate) fn wants_program(&self, program: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|name| name == program)
    }

    /// Whether no row and no contender was left out.
    pub(crate) fn asks_for_everything(&self) -> bool {
        self.only.is_empty() && self.contenders.is_empty()
    }

    /// Where a role listens.
    pub(crate) fn listen(&self) -> Result<SocketAddr, Unmeasured> {
        self.listen.ok_or_else(|| Unmeasured::because("this role needs --listen"))
    }

    /// Where a role sends.
    pub(crate) fn target(&self) -> Result<SocketAddr, Unmeasured> {
        self.target.ok_or_else(|| Unmeasured::because("this role needs --target"))
    }
}
