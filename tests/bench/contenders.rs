//! The programs that are compared, and how each is started in front of an upstream. Nothing is
//! installed: a peer that is not found is left out of the table.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::configs;
use crate::error::MeasureError;
use crate::http1;
use crate::measure::now;
use crate::process::{Placement, Process, free_address};

const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often readiness is checked; far below the times that are measured.
const READY_EVERY: Duration = Duration::from_micros(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Floor,
    Direct,
    Evenkeel,
    /// An earlier build of evenkeel, given with `--baseline`.
    Baseline,
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
    Caddy,
}

impl Program {
    pub(crate) const PEERS: [Self; 5] =
        [Self::Nginx, Self::Haproxy, Self::Envoy, Self::Traefik, Self::Caddy];

    /// The name in the table and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Direct => "direct",
            Self::Evenkeel => "evenkeel",
            Self::Baseline => "baseline",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
        }
    }

    /// Whether its listener also accepts HTTP/1.1; nginx before 1.25 serves only one protocol.
    pub(crate) fn accepts_http1(self, client: ClientProtocol) -> bool {
        client == ClientProtocol::Http1 || self != Self::Nginx
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) binary: PathBuf,
}

impl Contender {
    /// The first line with a digit that the program prints when asked for its version.
    pub(crate) fn version(&self) -> String {
        let argument = match self.program {
            Program::Nginx | Program::Haproxy => "-v",
            Program::Traefik | Program::Caddy => "version",
            Program::Floor
            | Program::Direct
            | Program::Evenkeel
            | Program::Baseline
            | Program::Envoy => "--version",
        };
        let output = Command::new(&self.binary).arg(argument).output();
        let Ok(output) = output else { return "cannot be run".into() };
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let line =
            text.lines().map(str::trim).find(|line| line.contains(|c: char| c.is_ascii_digit()));
        line.unwrap_or("prints no version").to_owned()
    }
}

/// The peers on PATH and in the folders of `EVENKEEL_BENCH_PEERS`.
#[expect(clippy::disallowed_methods, reason = "the peers' folders come from the environment")]
pub(crate) fn peers_found() -> Vec<Contender> {
    let lists = [std::env::var_os("EVENKEEL_BENCH_PEERS"), std::env::var_os("PATH")];
    let mut folders: Vec<PathBuf> =
        lists.iter().flatten().flat_map(std::env::split_paths).collect();
    folders.extend(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    let find = |program: Program| {
        let binary =
            folders.iter().map(|folder| folder.join(program.name())).find(|file| file.is_file())?;
        Some(Contender { program, binary })
    };
    Program::PEERS.into_iter().filter_map(find).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamProtocol {
    Http1,
    Tls,
    Http2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientProtocol {
    Http1,
    Http2,
}

/// The protocols on both sides of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocols {
    pub(crate) client: ClientProtocol,
    pub(crate) upstream: UpstreamProtocol,
}

impl Protocols {
    pub(crate) const HTTP1: Self =
        Self { client: ClientProtocol::Http1, upstream: UpstreamProtocol::Http1 };
}

/// The part of a proxy's configuration that differs between runs.
#[derive(Clone, Debug)]
pub(crate) struct ProxyConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) protocols: Protocols,
    /// For the program's own files.
    pub(crate) folder: PathBuf,
    /// The certificate of the authority that signed the upstream's.
    pub(crate) authority: PathBuf,
}

/// What all proxies of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) authority: &'a Path,
    pub(crate) placement: Placement,
}

/// A contender that is ready.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where the load generator sends requests.
    pub(crate) address: SocketAddr,
    /// `None` for `direct`.
    pub(crate) process: Option<Process>,
    /// From the start of the process to the first good answer.
    pub(crate) ready_after: Duration,
}

/// Starts a contender and waits until it is ready.
pub(crate) fn start(
    contender: &Contender,
    environment: Environment<'_>,
    upstream: SocketAddr,
    protocols: Protocols,
) -> Result<Running, MeasureError> {
    if contender.program == Program::Direct {
        return Ok(Running { address: upstream, process: None, ready_after: Duration::ZERO });
    }
    let listen = free_address()?;
    let folder = environment.folder.join(format!("{}-{}", contender.program.name(), listen.port()));
    fs::create_dir_all(&folder)?;
    let authority = environment.authority.to_owned();
    let admin = free_address()?;
    let config = ProxyConfig { listen, admin, upstream, protocols, folder, authority };
    let command = configs::command(contender, &config)?;
    let log = config.folder.join("log");
    let start = now();
    let mut process = Process::start(&command, environment.placement, &log)?;
    wait(&mut process, &log, || is_ready(contender.program, &config))?;
    Ok(Running { address: listen, process: Some(process), ready_after: start.elapsed() })
}

/// Waits until `ready` returns true; fails if the process ends or takes too long.
pub(crate) fn wait(
    process: &mut Process,
    log: &Path,
    ready: impl Fn() -> bool,
) -> Result<(), MeasureError> {
    let start = now();
    while !ready() {
        process
            .check_running(log)
            .map_err(|error| MeasureError::new(format!("not ready: {error}")))?;
        if start.elapsed() > READY_WITHIN {
            return Err(MeasureError::new(format!(
                "not ready within {} s",
                READY_WITHIN.as_secs()
            )));
        }
        std::thread::sleep(READY_EVERY);
    }
    Ok(())
}

/// Evenkeel reports readiness itself; a peer is ready when a request through it succeeds.
fn is_ready(program: Program, config: &ProxyConfig) -> bool {
    let ok = |address, path| http1::fetch(address, path).is_ok_and(|answer| answer.status == 200);
    if matches!(program, Program::Evenkeel | Program::Baseline) {
        return ok(config.admin, "/readyz");
    }
    if program.accepts_http1(config.protocols.client) {
        ok(config.listen, "/")
    } else {
        TcpStream::connect(config.listen).is_ok()
    }
}
