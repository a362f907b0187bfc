//! What every row needs: the upstreams, the generator, the cores, the run's folder and its effort.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::args::Args;
use crate::certificates::Certificates;
use crate::contender::{ClientWire, Contender, Ground, Running, Wire, start, wait};
use crate::load::Report;
use crate::process::{Place, Process, free_address};
use crate::unmeasured::Unmeasured;

/// How much is done for a figure.
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) span: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    pub(crate) idle_clients: usize,
    pub(crate) large_body_bytes: u64,
    pub(crate) starts: usize,
}

impl Effort {
    fn asked(args: &Args) -> Self {
        let connections = args.connections;
        if args.quick {
            let span = Duration::from_millis(500);
            let warm_up = Duration::from_millis(200);
            let (idle_clients, large_body_bytes) = (100, 64 << 20);
            return Self {
                rounds: 1,
                span,
                warm_up,
                connections,
                idle_clients,
                large_body_bytes,
                starts: 3,
            };
        }
        let (rounds, span) = (args.rounds.max(1), Duration::from_secs_f64(args.seconds));
        let (idle_clients, large_body_bytes) = (1_000, 1 << 30);
        Self {
            rounds,
            span,
            warm_up: span / 3,
            connections,
            idle_clients,
            large_body_bytes,
            starts: 10,
        }
    }
}

/// Upstreams, cores and folder; the upstreams end with it.
pub(crate) struct Stage {
    pub(crate) effort: Effort,
    folder: TempDir,
    certificates: Certificates,
    generator_core: usize,
    pub(crate) proxy_core: usize,
    plain: Upstream,
    tls: Upstream,
    http2: Upstream,
}

struct Upstream {
    address: SocketAddr,
    _process: Process,
}

impl Stage {
    /// Makes certificates and starts the upstreams.
    pub(crate) fn set(args: &Args) -> Result<Self, Unmeasured> {
        let folder = TempDir::with_prefix("evenkeel-bench-")?;
        let certificates = Certificates::write(folder.path())?;
        let place = Place::Core(args.generator_core);
        Ok(Self {
            effort: Effort::asked(args),
            certificates,
            generator_core: args.generator_core,
            proxy_core: args.proxy_core,
            plain: Upstream::start("upstream", folder.path(), place)?,
            tls: Upstream::start("upstream-tls", folder.path(), place)?,
            http2: Upstream::start("upstream-http2", folder.path(), place)?,
            folder,
        })
    }

    /// The circumstances in a sentence.
    pub(crate) fn method(&self) -> String {
        let Effort { rounds, span, connections, .. } = &self.effort;
        let (generator, proxy, seconds) =
            (self.generator_core, self.proxy_core, span.as_secs_f64());
        format!(
            "Upstream and generator on core {generator}, the proxy alone on core {proxy}; {connections} keep-alive \
             connections; {rounds} interleaved rounds of {seconds} s. Cells: median (min–max); ratios are taken \
             within a round, the floor of that round is 1.00. {}\n",
            quietness()
        )
    }

    /// Where an upstream of this kind listens.
    pub(crate) fn upstream(&self, wire: Wire) -> SocketAddr {
        match wire {
            Wire::Http1 => self.plain.address,
            Wire::Tls => self.tls.address,
            Wire::Http2 => self.http2.address,
        }
    }

    /// Starts a contender on the proxy's core.
    pub(crate) fn start(
        &self,
        contender: &Contender,
        wires: (Wire, ClientWire),
    ) -> Result<Running, Unmeasured> {
        self.start_at(Place::Core(self.proxy_core), contender, wires)
    }

    /// Starts a contender as a user would.
    pub(crate) fn start_anywhere(&self, contender: &Contender) -> Result<Running, Unmeasured> {
        self.start_at(Place::Anywhere, contender, (Wire::Http1, ClientWire::Http1))
    }

    fn start_at(
        &self,
        place: Place,
        contender: &Contender,
        wires: (Wire, ClientWire),
    ) -> Result<Running, Unmeasured> {
        let authority = &self.certificates.authority;
        let ground = Ground { folder: self.folder.path(), authority, place };
        start(contender, ground, self.upstream(wires.0), wires)
    }

    /// One run of the generator in the closed loop.
    pub(crate) fn load(
        &self,
        target: SocketAddr,
        path: &str,
        client: ClientWire,
        span: Duration,
    ) -> Result<Report, Unmeasured> {
        let role = match client {
            ClientWire::Http1 => "load",
            ClientWire::Http2 => "load-http2",
        };
        self.generate(role, &["--target", &target.to_string(), "--path", path], span)
    }

    /// One run of the generator at so many requests a second.
    pub(crate) fn load_at(&self, target: SocketAddr, rate: f64) -> Result<Report, Unmeasured> {
        let (target, rate) = (target.to_string(), rate.to_string());
        self.generate("load", &["--target", &target, "--rate", &rate], self.effort.span)
    }

    fn generate(&self, role: &str, words: &[&str], span: Duration) -> Result<Report, Unmeasured> {
        let (seconds, connections) =
            (span.as_secs_f64().to_string(), self.effort.connections.to_string());
        let mut command = own(role)?;
        command.extend(words.iter().map(|word| (*word).to_owned()));
        command.extend(["--seconds".into(), seconds, "--connections".into(), connections]);
        let line = Process::start_piped(&command, Place::Core(self.generator_core))?.line()?;
        let report: Report = serde_json::from_str(&line)
            .map_err(|_| Unmeasured::because("the generator broke off"))?;
        if report.requests == 0 {
            return Err(Unmeasured::because("no request was answered"));
        }
        Ok(report)
    }

    /// Opens idle clients and returns the process that holds them, once all have been answered.
    pub(crate) fn rest_clients(&self, target: SocketAddr) -> Result<Process, Unmeasured> {
        let mut command = own("idle")?;
        let clients = self.effort.idle_clients.to_string();
        command.extend(["--target".into(), target.to_string(), "--connections".into(), clients]);
        let mut process = Process::start_piped(&command, Place::Core(self.generator_core))?;
        if process.line()?.trim() == crate::idle::AT_REST {
            return Ok(process);
        }
        Err(Unmeasured::because("not every idle client was answered"))
    }
}

impl Upstream {
    fn start(role: &str, folder: &Path, place: Place) -> Result<Self, Unmeasured> {
        let address = free_address()?;
        let mut command = own(role)?;
        command.extend([
            "--listen".into(),
            address.to_string(),
            "--folder".into(),
            folder.display().to_string(),
        ]);
        let log = folder.join(format!("{role}.log"));
        let mut process = Process::start(&command, place, &log)?;
        wait(&mut process, &log, || TcpStream::connect(address).is_ok())?;
        Ok(Self { address, _process: process })
    }
}

/// This program in another role.
fn own(role: &str) -> Result<Vec<String>, Unmeasured> {
    let program = std::env::current_exe()?.display().to_string();
    Ok(vec![program, "--role".into(), role.into()])
}

/// Whether other programs were running; they cost caches even where they cost no time.
fn quietness() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().unwrap_or("unknown");
    format!("Load average before the run: {load}; above some 0.2 the figures are noisy.")
}
