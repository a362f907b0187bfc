//! What the gateways of all workers share, and what the gateway of one worker consists of.

use std::pin::Pin;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::HeaderValue;

use crate::allowance::{
    AccountStore, Accounts, Allowance, ClientAllowance, ScopesExhausted, UpstreamAllowances,
};
use crate::clock::Clock;
use crate::headers::{self, ProtectedHeaders, Via};
use crate::problem::Redactor;
use crate::random::Random;
use crate::routing::route::Matcher;
use crate::telemetry::{Access, Shard};

use super::body::ReplayPool;
use super::drain::Drain;
use super::retry_budget::SharedRetryBudget;
use super::settings::{Settings, Upstream};

/// A future on the heap: most calls never need it, so it does not enlarge the future of every
/// call.
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the gateways of all workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub settings: Arc<Settings>,
    pub accounts: Arc<Accounts>,
    /// By upstream.
    pub(super) retry_budgets: Arc<[Arc<SharedRetryBudget>]>,
    /// Removes the credentials that we inject from everything a client reads.
    pub redactor: Arc<Redactor>,
    pub pool: Arc<ReplayPool>,
    pub drain: Drain,
    /// Random per process; recognises a request that has passed this gateway before.
    pub instance: [u8; 4],
    /// Which calls are logged.
    pub access: Access,
    pub clock: Clock,
}

impl Shared {
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        access: Access,
        drain: Drain,
        clock: Clock,
        store: Option<AccountStore>,
    ) -> Self {
        let (upstreams, clients) = (upstream_rules(&settings), client_rules(&settings));
        let max = settings.accounts_max;
        let accounts = Accounts::with_store(&upstreams, &clients, max, clock, store);
        let [a, b, c, d, ..] = Random::from_entropy().bytes16();
        Self {
            accounts: Arc::new(accounts),
            retry_budgets: upstreams.iter().map(|_| Arc::default()).collect(),
            redactor: Arc::new(redactor(&settings)),
            pool: Arc::new(ReplayPool::new(settings.replay_bytes_max)),
            settings,
            drain,
            instance: [a, b, c, d],
            access,
            clock,
        }
    }

    /// The same under a changed configuration. Accounts, retry budgets and the replay pool live on.
    ///
    /// # Errors
    /// An account has no room for its new allowances. Then nothing has changed.
    pub fn renewed(
        &self,
        settings: Arc<Settings>,
        access: Access,
    ) -> Result<Self, ScopesExhausted> {
        let (upstreams, clients) = (upstream_rules(&settings), client_rules(&settings));
        let accounts = self.accounts.renewed(&upstreams, &clients, settings.accounts_max)?;
        let budget = |upstream: &Upstream| {
            let place = self.settings.upstreams.iter().position(|it| it.name == upstream.name);
            place.map(|place| Arc::clone(&self.retry_budgets[place])).unwrap_or_default()
        };
        // Buffers of calls under way stay in the pool from which they were taken.
        let pool = match self.settings.replay_bytes_max == settings.replay_bytes_max {
            true => Arc::clone(&self.pool),
            false => Arc::new(ReplayPool::new(settings.replay_bytes_max)),
        };
        Ok(Self {
            pool,
            accounts: Arc::new(accounts),
            retry_budgets: settings.upstreams.iter().map(budget).collect(),
            redactor: Arc::new(redactor(&settings)),
            settings,
            access,
            ..self.clone()
        })
    }
}

/// What the accounts of the upstreams have to keep.
#[must_use]
pub fn upstream_rules(settings: &Settings) -> Vec<UpstreamAllowances> {
    let policies = settings.upstreams.iter().flat_map(Upstream::policies);
    let longest_attempt = policies.map(|policy| policy.attempt_timeout).max().unwrap_or_default();
    let timed = |allowance: &Allowance| Allowance { longest_attempt, ..allowance.clone() };
    let rules = |upstream: &Upstream| UpstreamAllowances {
        name: Arc::clone(&upstream.name),
        url: [&*upstream.origin, &*upstream.base_path].concat().into(),
        account: upstream.account.clone(),
        allowances: upstream.allowances.iter().map(timed).collect(),
        queue: upstream.queue,
    };
    settings.upstreams.iter().map(rules).collect()
}

fn client_rules(settings: &Settings) -> Vec<ClientAllowance> {
    let clients = settings.clients.all().iter().zip(&settings.client_limits);
    let rules = clients.map(|(client, limit)| ClientAllowance {
        name: Arc::clone(&client.name),
        limit: limit.clone(),
    });
    rules.collect()
}

fn redactor(settings: &Settings) -> Redactor {
    let credentials = settings.upstreams.iter().filter_map(|it| it.credential.as_ref());
    Redactor::new(credentials.map(|credential| credential.value.as_bytes()))
}

/// The gateway of one worker; `E` sends its requests.
#[derive(Debug)]
pub struct Gateway<E> {
    pub(super) settings: Arc<Settings>,
    pub(super) accounts: Arc<Accounts>,
    /// By upstream.
    pub(super) retry_budgets: Arc<[Arc<SharedRetryBudget>]>,
    pub(super) exchange: E,
    pub(super) shard: Arc<Shard>,
    pub(super) pool: Arc<ReplayPool>,
    pub(super) drain: Drain,
    pub(super) via: Via,
    /// By upstream: [`Settings::protected_headers`].
    pub(super) protected_headers: Vec<Arc<ProtectedHeaders>>,
    /// By upstream: [`Settings::nested_routes`].
    pub(super) nested_routes: Vec<Vec<Matcher>>,
    pub(super) redactor: Arc<Redactor>,
    pub(super) access: Access,
    pub(super) random: Random,
    pub(super) clock: Clock,
}

impl<E> Gateway<E> {
    #[must_use]
    pub fn new(shared: &Shared, shard: Arc<Shard>, exchange: E, random: Random) -> Self {
        let Shared {
            settings,
            accounts,
            retry_budgets,
            redactor,
            pool,
            drain,
            instance,
            access,
            clock,
        } = shared.clone();
        let upstreams = &settings.upstreams;
        Self {
            via: Via::new(&settings.via, instance),
            protected_headers: upstreams.iter().map(|it| settings.protected_headers(it)).collect(),
            nested_routes: (0..upstreams.len()).map(|it| settings.nested_routes(it)).collect(),
            redactor,
            settings,
            accounts,
            retry_budgets,
            exchange,
            shard,
            pool,
            drain,
            access,
            random,
            clock,
        }
    }

    pub const fn exchange(&self) -> &E {
        &self.exchange
    }

    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// This worker's part of the metrics.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    pub(super) fn new_request_id(&self) -> HeaderValue {
        let wall = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        headers::fresh_request_id(millis, self.random.bytes10())
    }
}
