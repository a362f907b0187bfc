//! The programs that are compared, and how each is started in front of an upstream.
//! Nothing is installed: a peer that is not found is left out of the table.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::configs;
use crate::http1;
use crate::measure::now;
use crate::process::{Place, Process, free_address};
use crate::unmeasured::Unmeasured;

/// How long a program may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile; well below the times that are measured.
const READY_EVERY: Duration = Duration::from_micros(500);

/// One program of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Floor,
    Direct,
    Evenkeel,
    /// An earlier build of evenkeel, given by `--baseline`.
    Baseline,
    Nginx,
    Haproxy,
    Envoy,
    Traefik,
    Caddy,
}

impl Program {
    /// What it is compared with.
    pub(crate) const PEERS: [Self; 5] =
        [Self::Nginx, Self::Haproxy, Self::Envoy, Self::Traefik, Self::Caddy];

    /// Its name in the table and on the command line.
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

    /// Whether its listener can be asked over HTTP/1.1 too; nginx before 1.25 serves one of them.
    pub(crate) fn hears_http1(self, client: ClientWire) -> bool {
        client == ClientWire::Http1 || self != Self::Nginx
    }

    fn version_argument(self) -> &'static str {
        match self {
            Self::Nginx | Self::Haproxy => "-v",
            Self::Traefik | Self::Caddy => "version",
            Self::Floor | Self::Direct | Self::Evenkeel | Self::Baseline | Self::Envoy => {
                "--version"
            }
        }
    }
}

/// A program that was found.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) binary: PathBuf,
}

impl Contender {
    /// The first line in which the program tells its version.
    pub(crate) fn version(&self) -> String {
        let said = Command::new(&self.binary).arg(self.program.version_argument()).output();
        let Ok(said) = said else { return "does not run".into() };
        let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        let line =
            text.lines().map(str::trim).find(|line| line.contains(|c: char| c.is_ascii_digit()));
        line.unwrap_or("says no version").to_owned()
    }
}

/// The peers on PATH and in the folders of `EVENKEEL_BENCH_PEERS`.
pub(crate) fn peers_found() -> Vec<Contender> {
    let folders = folders();
    let find = |program: Program| {
        let binary =
            folders.iter().map(|folder| folder.join(program.name())).find(|file| file.is_file())?;
        Some(Contender { program, binary })
    };
    Program::PEERS.into_iter().filter_map(find).collect()
}

#[expect(clippy::disallowed_methods, reason = "where the peers are is the environment's to say")]
fn folders() -> Vec<PathBuf> {
    let lists = [std::env::var_os("EVENKEEL_BENCH_PEERS"), std::env::var_os("PATH")];
    let mut folders: Vec<PathBuf> =
        lists.iter().flatten().flat_map(std::env::split_paths).collect();
    folders.extend(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    folders
}

/// How the upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Http1,
    Tls,
    Http2,
}

/// How the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientWire {
    Http1,
    Http2,
}

/// Where a program has to stand: between which wires, listening where.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) wire: Wire,
    pub(crate) client: ClientWire,
    /// A folder of the program's own.
    pub(crate) folder: PathBuf,
    /// The authority that signed the upstream's certificate.
    pub(crate) authority: PathBuf,
}

/// What every site has in common: the run's folder and the proxy's core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) authority: &'a Path,
    pub(crate) place: Place,
}

/// A program that answers.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where the generator sends.
    pub(crate) address: SocketAddr,
    /// The process; none for `direct`.
    pub(crate) process: Option<Process>,
    /// From spawning to the first good answer.
    pub(crate) ready_after: Duration,
}

/// Starts a contender and waits until it answers.
pub(crate) fn start(
    contender: &Contender,
    ground: Ground<'_>,
    upstream: SocketAddr,
    (wire, client): (Wire, ClientWire),
) -> Result<Running, Unmeasured> {
    if contender.program == Program::Direct {
        return Ok(Running { address: upstream, process: None, ready_after: Duration::ZERO });
    }
    let listen = free_address()?;
    let folder = ground.folder.join(format!("{}-{}", contender.program.name(), listen.port()));
    fs::create_dir_all(&folder)?;
    let authority = ground.authority.to_owned();
    let site = Site { listen, admin: free_address()?, upstream, wire, client, folder, authority };
    let command = configs::command(contender, &site)?;
    let log = site.folder.join("log");
    let start = now();
    let mut process = Process::start(&command, ground.place, &log)?;
    wait(&mut process, &log, || answers(contender.program, &site))?;
    Ok(Running { address: listen, process: Some(process), ready_after: start.elapsed() })
}

/// Waits until `ready`, as long as the process lives and time allows.
pub(crate) fn wait(
    process: &mut Process,
    log: &Path,
    ready: impl Fn() -> bool,
) -> Result<(), Unmeasured> {
    let start = now();
    while !ready() {
        process.still_runs(log).map_err(|why| Unmeasured::because(format!("not ready: {why}")))?;
        if start.elapsed() > READY_WITHIN {
            return Err(Unmeasured::because(format!(
                "not ready within {} s",
                READY_WITHIN.as_secs()
            )));
        }
        std::thread::sleep(READY_EVERY);
    }
    Ok(())
}

/// Evenkeel says itself when it is ready; a peer is when a call through it succeeds.
fn answers(program: Program, site: &Site) -> bool {
    let ok = |address, path| http1::ask(address, path).is_ok_and(|answer| answer.status == 200);
    if matches!(program, Program::Evenkeel | Program::Baseline) {
        return ok(site.admin, "/readyz");
    }
    if program.hears_http1(site.client) {
        ok(site.listen, "/")
    } else {
        TcpStream::connect(site.listen).is_ok()
    }
}
