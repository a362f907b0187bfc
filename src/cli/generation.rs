//! Everything that the workers get from one configuration, built at the start and by each reload.

use std::sync::Arc;

use crate::admin::{AdminState, ReleaseResult};
use crate::allowance::{AccountStore, Accounts, ScopesExhausted};
use crate::clock::Clock;
use crate::config::Settings;
use crate::gateway::{self, CurrentGateway, Drain, Gateway, RequestBody, Shared};
use crate::random::Random;
use crate::telemetry::{Metrics, UpstreamLabels};
use crate::upstream::{self, Upstreams};

/// The gateway of one worker, which a reload exchanges.
pub(super) type WorkerGateway = Arc<CurrentGateway<Upstreams<RequestBody>>>;

/// What one configuration consists of while it is in force.
pub(super) struct Generation {
    shared: Shared,
    metrics: Arc<Metrics>,
    upstreams: Vec<upstream::Settings>,
    connections: Arc<upstream::Shared>,
}

impl Generation {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        drain: &Drain,
        store: Option<AccountStore>,
    ) -> Self {
        let Settings { server, gateway, upstreams, telemetry, .. } = settings;
        let (labels, clients) = (labels(&gateway, &upstreams), client_names(&gateway));
        Self {
            shared: Shared::new(Arc::new(gateway), telemetry.access, drain.clone(), clock, store),
            metrics: Arc::new(Metrics::new(labels, clients, server.workers)),
            connections: upstream::Shared::new(&upstreams),
            upstreams,
        }
    }

    /// That of a changed configuration. Accounts, connections and counters live on.
    ///
    /// # Errors
    /// An account has no room for its new allowances. Then nothing has changed.
    pub(super) fn renewed(&self, settings: Settings) -> Result<Self, ScopesExhausted> {
        let Settings { gateway, upstreams, telemetry, .. } = settings;
        let (labels, clients) = (labels(&gateway, &upstreams), client_names(&gateway));
        Ok(Self {
            shared: self.shared.renewed(Arc::new(gateway), telemetry.access)?,
            metrics: Arc::new(self.metrics.renewed(labels, clients)),
            connections: self.connections.renewed(&upstreams),
            upstreams,
        })
    }

    /// The gateway of a worker, with connections of its own.
    pub(super) fn gateway(&self, worker: usize) -> Gateway<Upstreams<RequestBody>> {
        let connections = Arc::clone(&self.connections);
        let exchange = Upstreams::new(&self.upstreams, connections, self.shared.clock);
        self.gateway_with(worker, exchange)
    }

    /// The gateway that follows another one of the same worker and keeps its connections.
    pub(super) fn gateway_after(
        &self,
        worker: usize,
        before: &Gateway<Upstreams<RequestBody>>,
    ) -> Gateway<Upstreams<RequestBody>> {
        let former = before.exchange();
        let exchange = former.renewed(&self.upstreams, &self.connections, self.shared.clock);
        self.gateway_with(worker, exchange)
    }

    fn gateway_with(
        &self,
        worker: usize,
        exchange: Upstreams<RequestBody>,
    ) -> Gateway<Upstreams<RequestBody>> {
        Gateway::new(&self.shared, self.metrics.shard(worker), exchange, Random::from_entropy())
    }

    pub(super) const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(super) const fn accounts(&self) -> &Arc<Accounts> {
        &self.shared.accounts
    }

    /// What the admin listener shows of it; `base` has what does not depend on the configuration.
    pub(super) fn admin_state(&self, base: AdminState) -> AdminState {
        let (accounts, holds) = (Arc::clone(&self.shared.accounts), &self.shared.accounts);
        let (holds, levers) = (Arc::clone(holds), Arc::clone(&self.shared.accounts));
        let page = Arc::clone(&self.shared.accounts);
        AdminState {
            upstreams: self.upstreams.iter().map(|it| Arc::clone(&it.name)).collect(),
            accounts: Arc::new(move || accounts.view()),
            page: Arc::new(move |wanted| page.page(wanted)),
            release: Arc::new(move |id| match holds.release_hold(id) {
                true => ReleaseResult::Released,
                false => ReleaseResult::UnknownHold,
            }),
            levers: Arc::new(move |order| levers.pull_lever(order)),
            metrics: Arc::clone(&self.metrics),
            ..base
        }
    }
}

fn labels(gateway: &gateway::Settings, upstreams: &[upstream::Settings]) -> Vec<UpstreamLabels> {
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
    labels.collect()
}

fn client_names(gateway: &gateway::Settings) -> Vec<Arc<str>> {
    gateway.clients.all().iter().map(|client| Arc::clone(&client.name)).collect()
}
