//! What all rows use: the upstreams, the load generator, the cores and the parameters of the run.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::args::Args;
use crate::certificates::Certificates;
use crate::contenders::{
    ClientProtocol, Contender, Environment, Protocols, Running, UpstreamProtocol, start, wait,
};
use crate::error::MeasureError;
use crate::load::LoadReport;
use crate::process::{Placement, Process, free_address};

/// How much is measured for a figure.
pub(crate) struct RunParameters {
    pub(crate) rounds: usize,
    pub(crate) sample: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    pub(crate) idle_clients: usize,
    pub(crate) large_body_bytes: u64,
    pub(crate) starts: usize,
}

impl RunParameters {
    fn new(args: &Args) -> Self {
        if args.quick {
            return Self {
                rounds: 1,
                sample: Duration::from_millis(500),
                warm_up: Duration::from_millis(200),
                connections: args.connections,
                idle_clients: 100,
                large_body_bytes: 64 << 20,
                starts: 3,
            };
        }
        let sample = Duration::from_secs_f64(args.seconds);
        Self {
            rounds: args.rounds.max(1),
            sample,
            warm_up: sample / 3,
            connections: args.connections,
            idle_clients: 1_000,
            large_body_bytes: 1 << 30,
            starts: 10,
        }
    }
}

/// Dropping it stops the upstreams and deletes the folder.
pub(crate) struct Setup {
    pub(crate) parameters: RunParameters,
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

impl Setup {
    /// Generates certificates and starts the upstreams.
    pub(crate) fn new(args: &Args) -> Result<Self, MeasureError> {
        let folder = TempDir::with_prefix("evenkeel-bench-")?;
        let certificates = Certificates::generate(folder.path())?;
        let placement = Placement::Core(args.generator_core);
        Ok(Self {
            parameters: RunParameters::new(args),
            certificates,
            generator_core: args.generator_core,
            proxy_core: args.proxy_core,
            plain: Upstream::start("upstream", folder.path(), placement)?,
            tls: Upstream::start("upstream-tls", folder.path(), placement)?,
            http2: Upstream::start("upstream-http2", folder.path(), placement)?,
            folder,
        })
    }

    /// The first lines of the output.
    pub(crate) fn description(&self) -> String {
        let RunParameters { rounds, sample, connections, .. } = &self.parameters;
        let (generator, proxy, seconds) =
            (self.generator_core, self.proxy_core, sample.as_secs_f64());
        let loadavg = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = loadavg.split(' ').next().unwrap_or("unknown");
        // Other programs also cost cache misses, so the load matters even if they use another core.
        format!(
            "Upstream and generator on core {generator}, the proxy alone on core {proxy}; {connections} keep-alive \
             connections; {rounds} interleaved rounds of {seconds} s. Cells: median (min–max); ratios are taken \
             within a round, the floor of that round is 1.00. Load average before the run: {load}; above some 0.2 \
             the figures are noisy.\n"
        )
    }

    fn upstream(&self, protocol: UpstreamProtocol) -> SocketAddr {
        match protocol {
            UpstreamProtocol::Http1 => self.plain.address,
            UpstreamProtocol::Tls => self.tls.address,
            UpstreamProtocol::Http2 => self.http2.address,
        }
    }

    /// Starts a contender on the proxy's core.
    pub(crate) fn start(
        &self,
        contender: &Contender,
        protocols: Protocols,
    ) -> Result<Running, MeasureError> {
        self.start_at(Placement::Core(self.proxy_core), contender, protocols)
    }

    /// Starts a contender on any core, as a user would.
    pub(crate) fn start_on_any_core(&self, contender: &Contender) -> Result<Running, MeasureError> {
        self.start_at(Placement::AnyCore, contender, Protocols::HTTP1)
    }

    fn start_at(
        &self,
        placement: Placement,
        contender: &Contender,
        protocols: Protocols,
    ) -> Result<Running, MeasureError> {
        let authority = &self.certificates.authority;
        let environment = Environment { folder: self.folder.path(), authority, placement };
        start(contender, environment, self.upstream(protocols.upstream), protocols)
    }

    /// Runs the load generator in the closed loop.
    pub(crate) fn load(
        &self,
        target: SocketAddr,
        path: &str,
        client: ClientProtocol,
        duration: Duration,
    ) -> Result<LoadReport, MeasureError> {
        let role = match client {
            ClientProtocol::Http1 => "load",
            ClientProtocol::Http2 => "load-http2",
        };
        self.generate(role, &["--target", &target.to_string(), "--path", path], duration)
    }

    /// Runs the load generator in the open loop, with `rate` requests per second.
    pub(crate) fn load_at(
        &self,
        target: SocketAddr,
        rate: f64,
    ) -> Result<LoadReport, MeasureError> {
        let (target, rate) = (target.to_string(), rate.to_string());
        self.generate("load", &["--target", &target, "--rate", &rate], self.parameters.sample)
    }

    fn generate(
        &self,
        role: &str,
        arguments: &[&str],
        duration: Duration,
    ) -> Result<LoadReport, MeasureError> {
        let (seconds, connections) =
            (duration.as_secs_f64().to_string(), self.parameters.connections.to_string());
        let mut command = own_command(role)?;
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        command.extend(["--seconds".into(), seconds, "--connections".into(), connections]);
        let line =
            Process::start_piped(&command, Placement::Core(self.generator_core))?.read_line()?;
        let report: LoadReport = serde_json::from_str(&line)
            .map_err(|_| MeasureError::new("the load generator ended without a report"))?;
        if report.requests == 0 {
            return Err(MeasureError::new("no request was answered"));
        }
        Ok(report)
    }

    /// Starts a process with idle clients and waits until each has been answered once.
    pub(crate) fn open_idle_clients(&self, target: SocketAddr) -> Result<Process, MeasureError> {
        let mut command = own_command("idle")?;
        let clients = self.parameters.idle_clients.to_string();
        command.extend(["--target".into(), target.to_string(), "--connections".into(), clients]);
        let mut process = Process::start_piped(&command, Placement::Core(self.generator_core))?;
        if process.read_line()?.trim() == crate::idle_clients::ALL_ANSWERED {
            return Ok(process);
        }
        Err(MeasureError::new("some idle clients were not answered"))
    }
}

impl Upstream {
    fn start(role: &str, folder: &Path, placement: Placement) -> Result<Self, MeasureError> {
        let address = free_address()?;
        let mut command = own_command(role)?;
        command.extend([
            "--listen".into(),
            address.to_string(),
            "--folder".into(),
            folder.display().to_string(),
        ]);
        let log = folder.join(format!("{role}.log"));
        let mut process = Process::start(&command, placement, &log)?;
        wait(&mut process, &log, || TcpStream::connect(address).is_ok())?;
        Ok(Self { address, _process: process })
    }
}

/// The command line of this program in another role.
fn own_command(role: &str) -> Result<Vec<String>, MeasureError> {
    let program = std::env::current_exe()?.display().to_string();
    Ok(vec![program, "--role".into(), role.into()])
}
