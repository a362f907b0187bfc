//! Reload: puts a changed configuration into force while calls are served, or keeps the old one.
//!
//! Everything is read and checked first, so that a mistake changes nothing. Calls under way end
//! with the settings they began with. What only a restart can change keeps its value, and a warning
//! names the key, because refusing the rest would not make a restart less necessary.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::generation::{Generation, WorkerGateway};
use super::watch::Watch;
use crate::admin::{AdminState, ReloadError};
use crate::allowance::{Accounts, StateSettings, StoreSettings};
use crate::clock::Clock;
use crate::config::{Environment, LoadRequest, Loaded, Settings, load};
use crate::telemetry::{Format, LevelHandle};
use crate::{admin, server};

/// The running program, as far as a reload changes it. Used on the control thread.
pub(super) struct Reloader {
    request: LoadRequest,
    environment: Environment,
    clock: Clock,
    gateways: Vec<WorkerGateway>,
    admin: Arc<ArcSwap<AdminState>>,
    level: Option<LevelHandle>,
    fixed: Fixed,
    state: Mutex<State>,
}

struct State {
    generation: Generation,
    watch: Watch,
}

/// What only a restart changes.
pub(super) struct Fixed {
    pub(super) server: server::Settings,
    pub(super) admin: admin::Settings,
    pub(super) format: Format,
    pub(super) state: Option<StateSettings>,
    pub(super) store: Option<StoreSettings>,
}

/// What a program under way is made of, for its reloads.
pub(super) struct Running {
    pub(super) generation: Generation,
    pub(super) gateways: Vec<WorkerGateway>,
    pub(super) admin: Arc<ArcSwap<AdminState>>,
    pub(super) fixed: Fixed,
    pub(super) watch: Watch,
}

/// Where the configuration comes from, and the log whose level it sets.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) request: LoadRequest,
    pub(super) environment: Environment,
    pub(super) level: Option<LevelHandle>,
}

impl Reloader {
    pub(super) fn new(running: Running, source: Source, clock: Clock) -> Self {
        let Running { generation, gateways, admin, fixed, watch } = running;
        let Source { request, environment, level } = source;
        let state = Mutex::new(State { generation, watch });
        Self { request, environment, clock, gateways, admin, level, fixed, state }
    }

    /// Whether a file of the configuration has changed and has been left alone since.
    pub(super) fn has_changed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).watch.has_changed()
    }

    /// The accounts that are in force.
    pub(super) fn accounts(&self) -> Arc<Accounts> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(state.generation.accounts())
    }

    /// Tells the accounts when the wall clock was set, if any of them counts by the calendar.
    pub(super) fn follow_wall_clock(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = state.generation.accounts();
        if accounts.count_by_calendar() {
            accounts.follow_wall_clock();
        }
    }

    /// Loads the configuration again and puts it into force. Returns what is worth a warning.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays in force.
    pub(super) fn reload(&self, cause: &str) -> Result<Vec<String>, Vec<ReloadError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.load(&mut state).and_then(|loaded| self.apply(&mut state, loaded));
        let reloads = state.generation.metrics().reloads();
        match &result {
            Ok(warnings) => {
                reloads.applied(self.clock.wall());
                tracing::info!(cause, "configuration reloaded");
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            Err(errors) => {
                reloads.refused();
                tracing::error!(
                    cause,
                    errors = errors.len(),
                    "reload refused: the configuration is faulty, and the former one stays in force"
                );
                errors
                    .iter()
                    .for_each(|error| tracing::error!(code = error.code, "{}", error.text));
            }
        }
        result
    }

    fn load(&self, state: &mut State) -> Result<Loaded, Vec<ReloadError>> {
        if self.request.files.iter().any(|file| file.as_os_str() == "-") {
            let text = "the configuration was read from standard input, which cannot be read \
                        again: restart to change it";
            return Err(vec![ReloadError { code: "file", text: text.to_owned() }]);
        }
        state.watch.note_reading();
        let loaded = load(&self.request, &self.environment);
        let files = match &loaded {
            Ok(loaded) => &loaded.files,
            Err(diagnostics) => diagnostics.files(),
        };
        state.watch.now_reads(files);
        loaded.map_err(|diagnostics| {
            let error = |(code, text)| ReloadError { code, text };
            diagnostics.lines().into_iter().map(error).collect()
        })
    }

    fn apply(&self, state: &mut State, loaded: Loaded) -> Result<Vec<String>, Vec<ReloadError>> {
        let Loaded { settings, mut warnings, .. } = loaded;
        warnings.extend(self.fixed.changed(&settings).into_iter().map(|key| {
            format!("{key}: a change takes effect at the next restart; the rest is in force")
        }));
        let (level, tokens) = (settings.telemetry.level.clone(), settings.admin.tokens.clone());
        let generation = state.generation.renewed(settings);
        let generation = generation
            .map_err(|error| vec![ReloadError { code: "scopes", text: error.to_string() }])?;
        for (worker, gateway) in self.gateways.iter().enumerate() {
            gateway.replace(generation.gateway_after(worker, &gateway.get()));
        }
        let base = AdminState { tokens, ..AdminState::clone(&self.admin.load()) };
        self.admin.store(Arc::new(generation.admin_state(base)));
        if let Some(Err(error)) = self.level.as_ref().map(|handle| handle.set(&level)) {
            warnings.push(error.to_string());
        }
        state.generation = generation;
        Ok(warnings)
    }
}

impl Fixed {
    /// The keys whose values have changed and keep their effect until a restart.
    fn changed(&self, settings: &Settings) -> Vec<&'static str> {
        let (here, there) = (&self.server, &settings.server);
        let (stop, later) = (here.shutdown, there.shutdown);
        let rows = [
            ("listen.address", here.address != there.address),
            ("listen.workers", here.workers != there.workers),
            ("listen.head.max", here.head_bytes_max != there.head_bytes_max),
            ("listen.head.headers", here.headers_max != there.headers_max),
            ("listen.head.target", here.target_bytes_max != there.target_bytes_max),
            ("listen.head.timeout", here.head_timeout != there.head_timeout),
            ("listen.idle", here.idle_timeout != there.idle_timeout),
            ("listen.connections.max", here.connections_max != there.connections_max),
            ("listen.connections.streams", here.streams_max != there.streams_max),
            ("admin.address", self.admin.address != settings.admin.address),
            ("telemetry.log.format", self.format != settings.telemetry.format),
            ("state", self.state != settings.state),
            ("store", self.store != settings.store),
            ("shutdown.delay", stop.delay != later.delay),
            ("shutdown.grace", stop.grace != later.grace),
        ];
        rows.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}
