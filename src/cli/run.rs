//! `evenkeel run`: the gateway, in the foreground, until it is told to stop.
//!
//! The control thread is this one: signals, drain and the admin listener. Calls are served by
//! worker threads, each with a gateway of its own out of the workshop below. Refuses to fork,
//! to write pid files and to change directories.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::files;
use super::source::{ConfigSource, EXIT_CONFIG, report};
use crate::admin::{AdminListener, AdminState, ReleaseResult};
use crate::clock::Clock;
use crate::config::{Environment, Flags, LoadRequest, Loaded, Settings, load};
use crate::gateway::{Drain, Gateway, RequestBody, Shared};
use crate::problem;
use crate::random::Random;
use crate::routing::route::Entry;
use crate::server::{self, Door, Ended, House, StopRequests, StopSignals, Workers};
use crate::telemetry::{Log, Metrics, UpstreamLabels};
use crate::upstream::{self, Upstreams};

/// The gateway: from a configuration, or from flags alone.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    source: ConfigSource,
    /// Instead of a file: the one upstream, under the route `/`.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    upstream: Option<String>,
    /// What that upstream grants, like 10/s or 1000/h.
    #[arg(long, value_name = "N/WINDOW", requires = "upstream")]
    limit: Option<String>,
    /// How that upstream speaks when something is wrong.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    dialect: Option<String>,
    /// Where clients are served.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where operators look in: health, metrics, status.
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

impl RunArgs {
    fn request(&self) -> LoadRequest {
        let flags = Flags {
            upstream: self.upstream.clone(),
            limit: self.limit.clone(),
            dialect: self.dialect.clone(),
            listen: self.listen.clone(),
            admin: self.admin.clone(),
        };
        LoadRequest { flags, ..self.source.request() }
    }
}

/// Runs until stopped; what keeps it from starting is said on `err`.
pub fn run(args: &RunArgs, err: &mut dyn Write) -> ExitCode {
    let clock = Clock::start();
    let loaded = match load(&args.request(), &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(faults) => return report(&faults, err),
    };
    let _log = match Log::start(&loaded.settings.telemetry, clock) {
        Ok(log) => log,
        Err(fault) => return say(err, &fault, ExitCode::from(EXIT_CONFIG)),
    };
    let ended = control_runtime().and_then(|runtime| runtime.block_on(serve(loaded, clock)));
    match ended {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::GraceOver | Ended::AtOnce | Ended::Broken) => ExitCode::FAILURE,
        Err(error) => say(err, &error, ExitCode::FAILURE),
    }
}

pub(super) fn say(err: &mut dyn Write, what: &dyn std::fmt::Display, code: ExitCode) -> ExitCode {
    // Where stderr is closed, the exit code must do.
    let _ = writeln!(err, "error: {what}");
    code
}

pub(super) fn control_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Opens everything, says so, and serves until stopped.
async fn serve(loaded: Loaded, clock: Clock) -> io::Result<Ended> {
    announce(&loaded);
    if let Some(shortage) = files::too_few(files::raise(), &loaded.settings) {
        tracing::warn!("{shortage}");
    }
    let mut signals = StopSignals::listen()?;
    let mut running = Running::open(loaded, clock).await?;
    running.ready().await;
    let (address, admin) = (running.address(), running.operators());
    tracing::info!(%address, %admin, workers = running.workers_started(), "ready");
    let ended = running.serve_until(&mut signals).await;
    tracing::info!(how = ended.as_str(), "stopped");
    Ok(ended)
}

/// A gateway with all its doors open.
pub(super) struct Running {
    workers: Workers,
    window: Option<AdminListener>,
    addresses: (SocketAddr, SocketAddr),
    house: House,
}

impl Running {
    /// Opens the doors; on the control thread's runtime.
    pub(super) async fn open(loaded: Loaded, clock: Clock) -> io::Result<Self> {
        let settings = loaded.settings;
        let drain = Drain::new(clock);
        let door = Door::open(settings.server.address, settings.server.workers);
        let door = door.map_err(|fault| io::Error::other(fault.to_string()))?;
        let (front, admin) = (settings.server.clone(), settings.admin.clone());
        let workshop = workshop(settings, clock, &drain);
        let window = AdminListener::bind(&admin, workshop.window()).await?;
        let addresses = (door.address(), window.address());
        let house = House { settings: front, clock, drain };
        let workers = server::start(door, &house, move |worker| workshop.gateway(worker))?;
        Ok(Self { workers, window: Some(window), addresses, house })
    }

    /// Where clients are served.
    pub(super) const fn address(&self) -> SocketAddr {
        self.addresses.0
    }

    /// Where operators look in.
    pub(super) const fn operators(&self) -> SocketAddr {
        self.addresses.1
    }

    const fn workers_started(&self) -> usize {
        self.house.settings.workers
    }

    /// Ends when calls are served.
    pub(super) async fn ready(&mut self) {
        self.workers.ready().await;
        if let Some(window) = self.window.take() {
            tokio::spawn(async move { match window.serve().await {} });
        }
    }

    /// Serves until `stop` says so.
    pub(super) async fn serve_until(&mut self, stop: &mut impl StopRequests) -> Ended {
        let House { settings, clock, drain } = &self.house;
        let how = settings.shutdown;
        server::serve_until_stopped(&mut self.workers, stop, how, (*clock, drain)).await
    }
}

/// The first lines of the log: what is served, and what deserves a word.
fn announce(loaded: &Loaded) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "evenkeel starts");
    for line in loaded.settings.summary() {
        tracing::info!("upstream {line}");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// Builds the gateways of all workers, and the window on them, out of what they share.
struct Workshop {
    shared: Shared,
    metrics: Arc<Metrics>,
    upstreams: Vec<upstream::Settings>,
    ways_out: Arc<upstream::Shared>,
    clock: Clock,
}

fn workshop(settings: Settings, clock: Clock, drain: &Drain) -> Workshop {
    let Settings { server, gateway, upstreams, telemetry, .. } = settings;
    let entries = gateway.routes.entries();
    let labels = upstreams.iter().enumerate().map(|(number, upstream)| UpstreamLabels {
        name: Arc::clone(&upstream.name),
        address: Arc::clone(&upstream.origin.host),
        port: upstream.origin.port,
        route: entries.iter().find(|entry| entry.upstream == number).map_or("/".into(), path),
    });
    let labels = labels.collect();
    let clients = gateway.clients.all().iter().map(|client| Arc::clone(&client.name)).collect();
    Workshop {
        shared: Shared::new(Arc::new(gateway), telemetry.access, drain.clone(), clock),
        metrics: Arc::new(Metrics::new(labels, clients, server.workers)),
        ways_out: upstream::Shared::new(&upstreams),
        upstreams,
        clock,
    }
}

/// The path of a route, as the configuration has it.
fn path(entry: &Entry) -> Arc<str> {
    if entry.prefix.is_empty() { "/".into() } else { (*entry.prefix).into() }
}

impl Workshop {
    /// The gateway of one worker; to be called on its thread.
    fn gateway(&self, worker: usize) -> Gateway<Upstreams<RequestBody>> {
        let exchange = Upstreams::new(&self.upstreams, Arc::clone(&self.ways_out), self.clock);
        Gateway::new(&self.shared, self.metrics.shard(worker), exchange, Random::from_entropy())
    }

    fn window(&self) -> AdminState {
        let (accounts, holds) =
            (Arc::clone(&self.shared.accounts), Arc::clone(&self.shared.accounts));
        let release = move |id| match holds.release_hold(id) {
            true => ReleaseResult::Released,
            false => ReleaseResult::UnknownHold,
        };
        AdminState {
            clock: self.clock,
            drain: self.shared.drain.clone(),
            upstreams: self.upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect(),
            accounts: Arc::new(move || accounts.view()),
            release: Arc::new(release),
            metrics: Arc::clone(&self.metrics),
            problem_schema: Arc::new(problem::schema),
        }
    }
}
