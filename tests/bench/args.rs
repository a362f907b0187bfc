//! The command line of the benchmark and of the processes that it starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::error::MeasureError;

/// Measures evenkeel beside a raw relay and the peers found on PATH and in EVENKEEL_BENCH_PEERS.
#[derive(Parser, Debug)]
#[command(name = "cargo bench --bench table --")]
pub(crate) struct Args {
    /// Number of rounds; each measures every contender once.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds of load for each contender in each round.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// One short round with small bodies: shows whether everything works; the figures mean nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Fail if a target is missed.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Only these rows.
    #[arg(long, value_name = "ROW", value_delimiter = ',',
          value_parser = ["pass", "error", "tls", "h2-upstream", "h2-client", "latency", "memory", "start", "size", "decisions"])]
    only: Vec<String>,
    /// Only these contenders; the floor is always included.
    #[arg(long, value_name = "NAME", value_delimiter = ',',
          value_parser = ["floor", "direct", "evenkeel", "baseline", "nginx", "haproxy", "envoy", "traefik", "caddy"])]
    contenders: Vec<String>,
    /// An earlier build of evenkeel to compare with in the same run.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// The core of the upstream and the load generator.
    #[arg(long, default_value_t = 0)]
    pub(crate) generator_core: usize,
    /// The core of the proxy.
    #[arg(long, default_value_t = 1)]
    pub(crate) proxy_core: usize,
    /// Passed by cargo; ignored.
    #[arg(long, hide = true)]
    bench: bool,

    /// What this process does; without a role it runs the benchmark.
    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,
    #[arg(long, hide = true)]
    listen: Option<SocketAddr>,
    #[arg(long, hide = true)]
    target: Option<SocketAddr>,
    #[arg(long, hide = true, default_value = "/")]
    pub(crate) path: String,
    /// Concurrent requests; over HTTP/1.1 each has its own connection.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    #[arg(long, hide = true)]
    pub(crate) rate: Option<f64>,
    #[arg(long, hide = true, default_value = ".")]
    pub(crate) folder: PathBuf,
}

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
    pub(crate) fn selects_row(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }

    pub(crate) fn selects_program(&self, program: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|name| name == program)
    }

    pub(crate) fn selects_everything(&self) -> bool {
        self.only.is_empty() && self.contenders.is_empty()
    }

    pub(crate) fn listen(&self) -> Result<SocketAddr, MeasureError> {
        self.listen.ok_or_else(|| MeasureError::new("this role needs --listen"))
    }

    pub(crate) fn target(&self) -> Result<SocketAddr, MeasureError> {
        self.target.ok_or_else(|| MeasureError::new("this role needs --target"))
    }
}
