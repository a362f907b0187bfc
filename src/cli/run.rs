//! `evenkeel run`: serves in the foreground until a stop signal.
//!
//! The main thread is the control thread, with signals, drain and the admin listener. Calls are
//! served by worker threads, each with a [`CurrentGateway`] of its own. Daemonising, pid files and
//! working directories are left to the service manager.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files;
use super::generation::{Generation, WorkerGateway};
use super::reload::{Fixed, Reloader, Running, Source};
use super::source::{ConfigSource, EXIT_CONFIG, report};
use super::state::{RunningKeeper, StateKeeper};
use super::watch::Watch;
use crate::admin::{AdminListener, AdminState};
use crate::clock::Clock;
use crate::config::{Environment, Flags, LoadRequest, Loaded, Settings, load};
use crate::gateway::{CurrentGateway, Drain};
use crate::server::{
    self, Listeners, ShutdownOutcome, StopRequests, StopSignals, WorkerConfig, Workers,
};
use crate::telemetry::Log;

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
    let clock = Clock::start_with_past();
    let (request, environment) = (args.request(), Environment::of_process());
    let loaded = match load(&request, &environment) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return report(&diagnostics, err),
    };
    let log = match Log::start(&loaded.settings.telemetry, clock) {
        Ok(log) => log,
        Err(error) => return report_error(err, &error, ExitCode::from(EXIT_CONFIG)),
    };
    let keeper = match StateKeeper::open(&loaded.settings, clock) {
        Ok(keeper) => keeper,
        Err(error) => return report_error(err, &error, ExitCode::from(EXIT_CONFIG)),
    };
    let source = Source { request, environment, level: Some(log.level()) };
    let serve =
        |runtime: tokio::runtime::Runtime| runtime.block_on(serve(loaded, source, clock, keeper));
    let ended = control_runtime().and_then(serve);
    match ended {
        Ok(ShutdownOutcome::Drained) => ExitCode::SUCCESS,
        Ok(
            ShutdownOutcome::GraceExpired
            | ShutdownOutcome::Forced
            | ShutdownOutcome::WorkersFailed,
        ) => ExitCode::FAILURE,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            report_error(err, &error, ExitCode::from(EXIT_CONFIG))
        }
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

async fn serve(
    loaded: Loaded,
    source: Source,
    clock: Clock,
    keeper: Option<StateKeeper>,
) -> io::Result<ShutdownOutcome> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "evenkeel starts");
    for line in loaded.settings.summary() {
        tracing::info!("upstream {line}");
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if forgets_windows(&loaded.settings) {
        tracing::warn!("{NOTHING_IS_RECORDED}");
    }
    if let Some(shortage) = files::too_few(files::raise(), &loaded.settings) {
        tracing::warn!("{shortage}");
    }
    let mut signals = StopSignals::listen()?;
    let hangup = signal(SignalKind::hangup())?;
    let mut running = RunningGateway::start(loaded, source, clock, keeper).await?;
    running.ready().await;
    tokio::spawn(reload_when_due(Arc::clone(&running.reloader), hangup, clock));
    let (address, admin) = (running.address(), running.admin_address());
    tracing::info!(%address, %admin, workers = running.config.settings.workers, "ready");
    let outcome = running.serve_until(&mut signals).await;
    tracing::info!(how = outcome.as_str(), "stopped");
    Ok(outcome)
}

/// What is said where a restart would grant long windows once more.
const NOTHING_IS_RECORDED: &str = "there are allowances of a minute or more and no `state.dir` or \
    `store`: a restart forgets what was spent of them";

fn forgets_windows(settings: &Settings) -> bool {
    const MINUTE: Duration = Duration::from_secs(60);
    let mut allowances = settings.gateway.upstreams.iter().flat_map(|it| &it.allowances);
    let is_kept = settings.state.is_some() || settings.store.is_some();
    !is_kept && allowances.any(|allowance| allowance.is_recorded(MINUTE))
}

/// How often files are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Reloads at each SIGHUP, and when a file has changed.
async fn reload_when_due(reloader: Arc<Reloader>, mut hangup: Signal, clock: Clock) {
    loop {
        let cause = tokio::select! {
            _ = hangup.recv() => Some("signal"),
            () = clock.sleep_until(clock.now().plus(WATCH_INTERVAL)) => {
                reloader.has_changed().then_some("changed file")
            }
        };
        if let Some(cause) = cause {
            // The outcome has been logged.
            let _ = reloader.reload(cause);
        }
    }
}

pub(super) struct RunningGateway {
    workers: Workers,
    /// Bound at the start and served from [`ready`](Self::ready) on.
    admin: Option<AdminListener>,
    address: SocketAddr,
    admin_address: SocketAddr,
    config: WorkerConfig,
    reloader: Arc<Reloader>,
    keeper: Option<RunningKeeper>,
}

/// How often the wall clock is looked at where calendar periods are counted. Between two looks it
/// may have been set by more than the guard around a boundary, so this is no longer than that.
const WALL_CLOCK_INTERVAL: Duration = Duration::from_secs(1);

impl RunningGateway {
    /// Binds all listeners and starts the workers; to be called on the control thread's runtime.
    pub(super) async fn start(
        loaded: Loaded,
        source: Source,
        clock: Clock,
        mut keeper: Option<StateKeeper>,
    ) -> io::Result<Self> {
        let Loaded { settings, files, .. } = loaded;
        let drain = Drain::new(clock);
        let listeners = Listeners::bind(settings.server.address, settings.server.workers);
        let listeners = listeners.map_err(|error| io::Error::other(error.to_string()))?;
        let fixed = Fixed {
            server: settings.server.clone(),
            admin: settings.admin.clone(),
            format: settings.telemetry.format,
            state: settings.state.clone(),
            store: settings.store.clone(),
        };
        let store = keeper.as_ref().map(StateKeeper::store);
        let generation = Generation::new(settings, clock, &drain, store);
        if let Some(keeper) = &mut keeper {
            let begun = keeper.begin(generation.accounts()).await;
            let invalid = |error: Box<dyn std::error::Error>| {
                io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
            };
            begun.map_err(invalid)?;
        }
        generation.metrics().reloads().loaded(clock.wall());
        let gateways: Vec<WorkerGateway> = (0..fixed.server.workers)
            .map(|worker| Arc::new(CurrentGateway::new(generation.gateway(worker))))
            .collect();
        // The listener's requests reload by way of the reloader, which needs the listener's state.
        let reloads = Arc::new(OnceLock::<Weak<Reloader>>::new());
        let reload = Arc::clone(&reloads);
        let state = AdminState {
            tokens: fixed.admin.tokens.clone(),
            reload: Arc::new(move || match reload.get().and_then(Weak::upgrade) {
                Some(reloader) => reloader.reload("admin API"),
                None => Ok(Vec::new()),
            }),
            ..AdminState::new(clock, drain.clone(), Arc::clone(generation.metrics()))
        };
        let state = Arc::new(ArcSwap::from_pointee(generation.admin_state(state)));
        let admin = AdminListener::bind(&fixed.admin, Arc::clone(&state)).await?;
        let (address, admin_address) = (listeners.address(), admin.address());
        let config = WorkerConfig { settings: fixed.server.clone(), clock, drain };
        let handlers = gateways.clone();
        let workers =
            server::start(listeners, &config, move |worker| Arc::clone(&handlers[worker]))?;
        let watch = Watch::new(&files);
        let running = Running { generation, gateways, admin: state, fixed, watch };
        let reloader = Arc::new(Reloader::new(running, source, clock));
        // It is set only here.
        let _ = reloads.set(Arc::downgrade(&reloader));
        let keeper = keeper.map(|keeper| keeper.start(&reloader));
        Ok(Self { workers, admin: Some(admin), address, admin_address, config, reloader, keeper })
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
        let (reloader, clock) = (Arc::clone(&self.reloader), self.config.clock);
        tokio::spawn(async move {
            loop {
                clock.sleep_until(clock.now().plus(WALL_CLOCK_INTERVAL)).await;
                reloader.follow_wall_clock();
            }
        });
    }

    /// Serves until `stop` requests the end, then drains.
    pub(super) async fn serve_until(&mut self, stop: &mut impl StopRequests) -> ShutdownOutcome {
        let WorkerConfig { settings, clock, drain } = &self.config;
        let shutdown = settings.shutdown;
        let outcome =
            server::serve_until_stopped(&mut self.workers, stop, shutdown, *clock, drain).await;
        if let Some(keeper) = self.keeper.take() {
            keeper.finish(&self.reloader).await;
        }
        outcome
    }
}
