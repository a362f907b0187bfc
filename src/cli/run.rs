//! `evenkeel run`: serves in the foreground until a stop signal.
//!
//! The main thread is the control thread, with signals, drain and the admin listener. Calls are
//! served by worker threads, each with a [`Gateway`] of its own. Daemonising, pid files and working
//! directories are left to the service manager.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::files;
use super::source::{ConfigSource, EXIT_CONFIG, report};
use crate::admin::{AdminListener, AdminState, ReleaseResult};
use crate::allowance::Accounts;
use crate::clock::Clock;
use crate::config::{Environment, Flags, LoadRequest, Loaded, Settings, load};
use crate::gateway::{Drain, Gateway, RequestBody, Shared};
use crate::random::Random;
use crate::server::{
    self, Listeners, ShutdownOutcome, StopRequests, StopSignals, WorkerConfig, Workers,
};
use crate::telemetry::{Log, Metrics, UpstreamLabels};
use crate::upstream::{self, Upstreams};

#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    source: ConfigSource,
    /// The only upstream, under the route `/`, instead of a configuration file.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    upstream: Option<String>,
    /// The rate limit of that upstream, like 10/s or 1000/h.
    #[arg(long, value_name = "N/WINDOW", requires = "upstream")]
    limit: Option<String>,
    /// The dialect that reads the errors of that upstream.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    dialect: Option<String>,
    /// The address for clients.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The address of the admin listener: health, metrics, status.
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

/// Runs until stopped. An error at the start is printed to `err`.
pub fn run(args: &RunArgs, err: &mut dyn Write) -> ExitCode {
    let clock = Clock::start();
    let loaded = match load(&args.request(), &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return report(&diagnostics, err),
    };
    let _log = match Log::start(&loaded.settings.telemetry, clock) {
        Ok(log) => log,
        Err(error) => return report_error(err, &error, ExitCode::from(EXIT_CONFIG)),
    };
    let ended = control_runtime().and_then(|runtime| runtime.block_on(serve(loaded, clock)));
    match ended {
        Ok(ShutdownOutcome::Drained) => ExitCode::SUCCESS,
        Ok(
            ShutdownOutcome::GraceExpired
            | ShutdownOutcome::Forced
            | ShutdownOutcome::WorkersFailed,
        ) => ExitCode::FAILURE,
        Err(error) => report_error(err, &error, ExitCode::FAILURE),
    }
}

pub(super) fn report_error(err: &mut dyn Write, error: &dyn Display, code: ExitCode) -> ExitCode {
    // If stderr is closed, the exit code still shows the failure.
    let _ = writeln!(err, "error: {error}");
    code
}

pub(super) fn control_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(loaded: Loaded, clock: Clock) -> io::Result<ShutdownOutcome> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "evenkeel starts");
    for line in loaded.settings.summary() {
        tracing::info!("upstream {line}");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(shortage) = files::too_few(files::raise(), &loaded.settings) {
        tracing::warn!("{shortage}");
    }
    let mut signals = StopSignals::listen()?;
    let mut running = RunningGateway::start(loaded, clock).await?;
    running.ready().await;
    let (address, admin) = (running.address(), running.admin_address());
    tracing::info!(%address, %admin, workers = running.config.settings.workers, "ready");
    let outcome = running.serve_until(&mut signals).await;
    tracing::info!(how = outcome.as_str(), "stopped");
    Ok(outcome)
}

pub(super) struct RunningGateway {
    workers: Workers,
    /// Bound at the start and served from [`ready`](Self::ready) on.
    admin: Option<AdminListener>,
    address: SocketAddr,
    admin_address: SocketAddr,
    config: WorkerConfig,
    accounts: Arc<Accounts>,
}

/// How often the wall clock is looked at where calendar periods are counted. Between two looks it
/// may have been set by more than the guard around a boundary, so this is no longer than that.
const WALL_CLOCK_INTERVAL: Duration = Duration::from_secs(1);

impl RunningGateway {
    /// Binds all listeners and starts the workers; to be called on the control thread's runtime.
    pub(super) async fn start(loaded: Loaded, clock: Clock) -> io::Result<Self> {
        let settings = loaded.settings;
        let drain = Drain::new(clock);
        let listeners = Listeners::bind(settings.server.address, settings.server.workers);
        let listeners = listeners.map_err(|error| io::Error::other(error.to_string()))?;
        let (server_settings, admin_settings) = (settings.server.clone(), settings.admin.clone());
        let factory = GatewayFactory::new(settings, clock, &drain);
        let accounts = Arc::clone(&factory.shared.accounts);
        let (viewed, holds) = (Arc::clone(&accounts), Arc::clone(&accounts));
        let state = AdminState {
            clock,
            drain: drain.clone(),
            upstreams: factory.upstreams.iter().map(|it| Arc::clone(&it.name)).collect(),
            accounts: Arc::new(move || viewed.view()),
            release: Arc::new(move |id| match holds.release_hold(id) {
                true => ReleaseResult::Released,
                false => ReleaseResult::UnknownHold,
            }),
            metrics: Arc::clone(&factory.metrics),
        };
        let admin = AdminListener::bind(&admin_settings, state).await?;
        let (address, admin_address) = (listeners.address(), admin.address());
        let config = WorkerConfig { settings: server_settings, clock, drain };
        let workers = server::start(listeners, &config, move |worker| factory.gateway(worker))?;
        Ok(Self { workers, admin: Some(admin), address, admin_address, config, accounts })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Waits until all workers accept calls, then serves the admin listener.
    pub(super) async fn ready(&mut self) {
        self.workers.ready().await;
        if let Some(admin) = self.admin.take() {
            tokio::spawn(async move { match admin.serve().await {} });
        }
        if self.accounts.count_by_calendar() {
            let (accounts, clock) = (Arc::clone(&self.accounts), self.config.clock);
            tokio::spawn(async move {
                loop {
                    clock.sleep_until(clock.now().plus(WALL_CLOCK_INTERVAL)).await;
                    accounts.follow_wall_clock();
                }
            });
        }
    }

    /// Serves until `stop` requests the end, then drains.
    pub(super) async fn serve_until(&mut self, stop: &mut impl StopRequests) -> ShutdownOutcome {
        let WorkerConfig { settings, clock, drain } = &self.config;
        let shutdown = settings.shutdown;
        server::serve_until_stopped(&mut self.workers, stop, shutdown, *clock, drain).await
    }
}

/// Builds each worker's gateway from what the workers share.
struct GatewayFactory {
    shared: Shared,
    metrics: Arc<Metrics>,
    upstreams: Vec<upstream::Settings>,
    upstreams_shared: Arc<upstream::Shared>,
    clock: Clock,
}

impl GatewayFactory {
    fn new(settings: Settings, clock: Clock, drain: &Drain) -> Self {
        let Settings { server, gateway, upstreams, telemetry, .. } = settings;
        let entries = gateway.routes.entries();
        let path_of = |number: usize| -> Arc<str> {
            let entry = entries.iter().find(|entry| entry.upstream == number);
            let prefix = entry.map(|entry| &*entry.prefix).filter(|prefix| !prefix.is_empty());
            prefix.unwrap_or("/").into()
        };
        let labels = upstreams.iter().enumerate().map(|(number, upstream)| UpstreamLabels {
            name: Arc::clone(&upstream.name),
            address: Arc::clone(&upstream.origin.host),
            port: upstream.origin.port,
            route: path_of(number),
        });
        let labels = labels.collect();
        let clients = gateway.clients.all().iter();
        let clients = clients.map(|client| Arc::clone(&client.name)).collect();
        Self {
            shared: Shared::new(Arc::new(gateway), telemetry.access, drain.clone(), clock),
            metrics: Arc::new(Metrics::new(labels, clients, server.workers)),
            upstreams_shared: upstream::Shared::new(&upstreams),
            upstreams,
            clock,
        }
    }

    /// The gateway of one worker; to be called on the worker's thread.
    fn gateway(&self, worker: usize) -> Gateway<Upstreams<RequestBody>> {
        let exchange =
            Upstreams::new(&self.upstreams, Arc::clone(&self.upstreams_shared), self.clock);
        Gateway::new(&self.shared, self.metrics.shard(worker), exchange, Random::from_entropy())
    }
}
