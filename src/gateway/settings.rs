//! What the workshop must know: every client, every route, every upstream and its policies.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::allowance::{AccountRule, Allowance};
use crate::dialect::Dialect;
use crate::problem::StatusPolicy;
use crate::retry::backoff::Backoff;
use crate::routing::client::Clients;
use crate::routing::method::CallMethod;
use crate::routing::route::{CallPath, Matcher, Routes};

/// Everything the life of a call depends on; swapped whole.
#[derive(Debug)]
pub struct Settings {
    /// Who may call.
    pub clients: Clients,
    /// The limit of each client, by its number; charged once a call.
    pub client_limits: Vec<Option<Allowance>>,
    /// Which upstream a request goes to.
    pub routes: Routes,
    /// The upstreams; routes and metrics name them by their place here.
    pub upstreams: Vec<Upstream>,
    /// Bytes of all replay buffers together.
    pub replay_bytes_max: usize,
    /// Accounts told apart at the same time, over all upstreams.
    pub accounts_max: usize,
    /// The name we carry in `Via` and `Proxy-Status`.
    pub via: Arc<str>,
}

/// One upstream as the workshop sees it.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Scheme and authority, to recognise a `Location` that points there.
    pub origin: Box<str>,
    /// The path that takes the place of the route's prefix; without a trailing slash.
    pub base_path: Box<str>,
    /// Whom the vendor counts.
    pub account: AccountRule,
    /// What the vendor grants.
    pub allowances: Vec<Allowance>,
    /// Places in the waiting room.
    pub queue_max: usize,
    /// The credential we send instead of the client's.
    pub credential: Option<Credential>,
    /// The policies of calls that match; the first match wins.
    pub routes: Vec<(Matcher, CallPolicy)>,
    /// The policy of every other call.
    pub policy: CallPolicy,
}

impl Upstream {
    /// The policies of a call: its method and the path behind the prefix decide.
    #[must_use]
    pub fn policies_for<'m>(
        &self,
        method: impl Into<CallMethod<'m>>,
        path: CallPath<'_>,
    ) -> Policies<'_> {
        let method = method.into();
        let mut routes = self.routes.iter();
        if let Some((_, policy)) = routes.find(|(matcher, _)| matcher.must_match(method, path)) {
            return Policies { applied: policy, certain: policy };
        }
        let likely = self.routes.iter().find(|(matcher, _)| matcher.may_match(method, path));
        let applied = likely.map_or(&self.policy, |(_, policy)| policy);
        Policies { applied, certain: &self.policy }
    }

    /// The headers without which a call is refused: those of every route that it may be meant
    /// for.
    pub fn required<'a>(
        &'a self,
        method: CallMethod<'a>,
        path: CallPath<'a>,
    ) -> impl Iterator<Item = &'a HeaderName> {
        let demanding = self.routes.iter().filter(|(_, policy)| !policy.require.is_empty());
        let meant = demanding.filter(move |(matcher, _)| matcher.may_match(method, path));
        meant.flat_map(|(_, policy)| &policy.require)
    }
}

/// The policies of one call. They differ only where a vendor may read its method or path
/// differently than it is spelled.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// The policy of the first route that the call may be meant for: timeouts, dialect, and which
    /// answers are looked at.
    pub applied: &'a CallPolicy,
    /// The policy that applies beyond doubt: nothing relaxes more than it does.
    pub certain: &'a CallPolicy,
}

/// A credential that the gateway injects; the value is marked sensitive and never printed.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The header that carries it.
    pub header: HeaderName,
    /// The header's name as the configuration writes it.
    pub written: Arc<str>,
    /// Its value.
    pub value: HeaderValue,
}

/// How one kind of call is treated.
#[derive(Clone, Debug)]
pub struct CallPolicy {
    /// From request sent to the answer's head.
    pub attempt_timeout: Duration,
    /// Between two pieces of a body, either way.
    pub idle_timeout: Duration,
    /// Bytes a second that a client must send of its request's body while that holds a place.
    pub request_rate: u64,
    /// The patience of a call that does not ask.
    pub wait: Duration,
    /// The most patience a call may ask for.
    pub wait_max: Duration,
    /// Sends in total, the first included.
    pub attempts: u32,
    /// The wait we choose ourselves.
    pub backoff: Backoff,
    /// Blind retries as a share of calls, in per cent.
    pub budget_percent: u32,
    /// Bytes of a body that are kept for another attempt.
    pub replay_body_max: usize,
    /// The header that makes a request safe to repeat.
    pub idempotency_header: HeaderName,
    /// Which status a problem has.
    pub status: StatusPolicy,
    /// What happens to references under the upstream's URL.
    pub redirects: Redirects,
    /// Whether the vendor learns the client's address.
    pub client_address: ClientAddress,
    /// Whether the operation may be performed twice.
    pub repeat: Repeat,
    /// Which answers are looked at.
    pub inspect: Inspect,
    /// Headers without which a call is refused here (D24).
    pub require: Vec<HeaderName>,
    /// Which informative headers are added to answers.
    pub expose: Expose,
    /// The dialect, its route's own rules first.
    pub dialect: Arc<Dialect>,
}

/// What happens to references under the upstream's URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// It is mapped back to where the client reached us.
    #[default]
    Rewrite,
    /// It stays as it is.
    Pass,
}

/// Whether the vendor learns the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddress {
    /// It does not: partner addresses are nobody's business.
    #[default]
    Drop,
    /// `Forwarded` and `X-Forwarded-For` say it.
    Send,
}

/// Whether an operation may be performed twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// As its method says.
    #[default]
    ByMethod,
    /// The operator declared it repeatable.
    Declared,
}

/// Which answers are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inspect {
    /// Those whose status says error.
    #[default]
    Errors,
    /// Successes too: the vendor hides failures in them (W35).
    SuccessToo,
}

/// Which informative headers are added to answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expose {
    /// `Server-Timing: wait;dur=…, upstream;dur=…`.
    pub server_timing: bool,
    /// `RateLimit` and `RateLimit-Policy` of the allowance that binds.
    pub rate_limit: bool,
}
