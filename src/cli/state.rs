//! What keeps the state of accounts besides memory: opened before the start, run as a task while
//! the program serves, and finished when it stops.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::reload::Reloader;
use crate::allowance::{AccountStore, Accounts, Recorder, RedisStore, Sharing, UpstreamAllowances};
use crate::clock::Clock;
use crate::config::Settings;
use crate::gateway;
use crate::random::Random;

pub(super) enum StateKeeper {
    Recorder(Box<Recorder>),
    Sharing(Box<Sharing<RedisStore>>, Vec<UpstreamAllowances>),
}

impl StateKeeper {
    /// # Errors
    /// The state directory or the store cannot be used as configured.
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Option<Self>, Box<dyn Error>> {
        let upstreams = gateway::upstream_rules(&settings.gateway);
        if let Some(store) = &settings.store {
            let store = Arc::new(store.clone());
            let redis = RedisStore::new(Arc::clone(&store), clock)
                .map_err(|error| format!("`store.redis.url` cannot be used: {error}"))?;
            let random = Random::from_entropy();
            let replica = u128::from_be_bytes(random.bytes16());
            let chance = Box::new(move || random.unit());
            let sharing = Sharing::new(redis, store, clock, (replica, chance));
            return Ok(Some(Self::Sharing(Box::new(sharing), upstreams)));
        }
        let Some(state) = &settings.state else { return Ok(None) };
        let recorder = Recorder::open(state, &upstreams, clock)?;
        Ok(Some(Self::Recorder(Box::new(recorder))))
    }

    /// What accounts need of it.
    pub(super) fn store(&self) -> AccountStore {
        match self {
            Self::Recorder(recorder) => AccountStore::Journal(recorder.records()),
            Self::Sharing(sharing, _) => AccountStore::Shared(sharing.accounts()),
        }
    }

    /// Before any call is served.
    ///
    /// # Errors
    /// The state directory cannot be written, or the store cannot be used as it is.
    pub(super) async fn begin(&mut self, accounts: &Accounts) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Recorder(recorder) => Ok(recorder.begin(accounts).await?),
            Self::Sharing(sharing, upstreams) => Ok(Box::pin(sharing.begin(upstreams)).await?),
        }
    }

    pub(super) fn start(self, reloader: &Arc<Reloader>) -> RunningKeeper {
        let (stop, stopped) = oneshot::channel();
        let reloader = Arc::clone(reloader);
        let task = match self {
            Self::Recorder(recorder) => tokio::spawn(async move {
                let recorder = recorder.run(move || reloader.accounts(), stopped).await;
                Some(recorder)
            }),
            Self::Sharing(sharing, _) => tokio::spawn(async move {
                // An error means that the sender is gone, which is a stop too.
                sharing.run(async { drop(stopped.await) }).await;
                None
            }),
        };
        RunningKeeper { task, stop }
    }
}

/// The task that keeps the state, and what stops it.
pub(super) struct RunningKeeper {
    task: JoinHandle<Option<Recorder>>,
    stop: oneshot::Sender<()>,
}

impl RunningKeeper {
    pub(super) async fn finish(self, reloader: &Reloader) {
        // If the task has ended, there is nothing to stop.
        let _ = self.stop.send(());
        match self.task.await {
            Ok(Some(mut recorder)) => recorder.finish(&reloader.accounts()).await,
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the last state of allowances is not kept"),
        }
    }
}
