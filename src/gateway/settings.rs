//! The settings of the gateway: clients, routes, and upstreams with the policies of their calls.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::allowance::{AccountRule, Allowance, QueueBounds};
use crate::dialect::Dialect;
use crate::headers::ProtectedHeaders;
use crate::problem::StatusPolicy;
use crate::retry::backoff::Backoff;
use crate::retry::client::ClientRetries;
use crate::routing::client::Clients;
use crate::routing::method::CallMethod;
use crate::routing::route::{CallPath, Matcher, Routes};

#[derive(Debug)]
pub struct Settings {
    pub clients: Clients,
    /// By client number; charged once per call.
    pub client_limits: Vec<Option<Allowance>>,
    /// By client number: the shape of its errors, if it has one of its own.
    pub client_errors: Vec<Option<ErrorShape>>,
    /// By client number: whether it retries by itself; `None` leaves that to the call's policy.
    pub client_retries: Vec<Option<ClientRetries>>,
    pub routes: Routes,
    /// Routes and metrics refer to an upstream by its index here.
    pub upstreams: Vec<Upstream>,
    /// The bytes of all replay buffers together.
    pub replay_bytes_max: usize,
    /// Accounts tracked at the same time, over all upstreams.
    pub accounts_max: usize,
    /// Our pseudonym in `Via` and `Proxy-Status`.
    pub via: Arc<str>,
}

#[derive(Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    /// Scheme and authority, to recognise a `Location` that points there.
    pub origin: Box<str>,
    /// Replaces the route's prefix; has no trailing slash.
    pub base_path: Box<str>,
    pub account: AccountRule,
    pub allowances: Vec<Allowance>,
    /// Calls that may wait for a slot at the same time.
    pub queue: QueueBounds,
    /// Sent instead of the client's.
    pub credential: Option<Credential>,
    /// The first matcher that matches a call sets its policy.
    pub routes: Vec<(Matcher, CallPolicy)>,
    /// The policy of every other call.
    pub policy: CallPolicy,
}

impl Settings {
    /// The headers of an upstream's calls that a client can neither set nor remove: the client's
    /// key, the injected credential, and those that decisions depend on.
    pub(super) fn protected_headers(&self, upstream: &Upstream) -> Arc<ProtectedHeaders> {
        let account = match &upstream.account {
            AccountRule::Header(name) => Some(name.clone()),
            AccountRule::Upstream | AccountRule::Named(_) => None,
        };
        let policies = upstream.routes.iter().map(|(_, policy)| policy).chain([&upstream.policy]);
        let decisive =
            policies.flat_map(|policy| policy.require.iter().chain([&policy.idempotency.header]));
        let matchers = upstream.allowances.iter().flat_map(|it| it.counts.iter().chain(&it.exempt));
        let matched = matchers.flat_map(|it| it.headers.iter().map(|header| &header.name));
        let decisive = decisive.chain(matched);
        let credential = upstream.credential.as_ref().map(|credential| credential.header.clone());
        let key_header = self.clients.key_header().clone();
        let decisive = account.into_iter().chain(decisive.cloned()).collect();
        Arc::new(ProtectedHeaders::new(key_header, credential, decisive))
    }

    /// The paths below an upstream's prefix that a longer prefix routes to another upstream of the
    /// same vendor, which has another policy. A spelling of such a path that only the vendor
    /// understands must not get past that policy.
    pub(super) fn nested_routes(&self, upstream: usize) -> Vec<Matcher> {
        let here = &self.upstreams[upstream];
        let entries = self.routes.entries();
        let own = entries.iter().filter(|entry| entry.upstream == upstream);
        let pairs = own.flat_map(|own| entries.iter().map(move |other| (own, other)));
        let nested = pairs.filter_map(|(own, other)| {
            let there = &self.upstreams[other.upstream];
            let rest = other.prefix.strip_prefix(&*own.prefix);
            let rest = rest.filter(|rest| rest.starts_with('/'))?;
            let same_place = there.origin == here.origin
                && own.host == other.host
                && there.base_path.strip_prefix(&*here.base_path) == Some(rest);
            same_place.then(|| [rest, "/**"].concat())
        });
        nested.map(|path| Matcher { methods: None, path: path.parse().ok() }).collect()
    }
}

impl Upstream {
    /// The policies of all its calls.
    pub fn policies(&self) -> impl Iterator<Item = &CallPolicy> {
        self.routes.iter().map(|(_, policy)| policy).chain([&self.policy])
    }

    /// The policies of a call, by its method and the path after the route's prefix.
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

    /// The headers without which a call is refused: those of every route that its vendor may take
    /// it for.
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

/// The policies of one call. They differ only if a vendor may read its method or path in another
/// way than it is written.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// The policy of the first route that may match: timeouts, dialect, and which responses are
    /// inspected.
    pub applied: &'a CallPolicy,
    /// The policy that applies however the vendor reads the call; it bounds everything that would
    /// loosen a limit.
    pub certain: &'a CallPolicy,
}

/// A credential that the gateway injects. Its value is marked sensitive, so it is never printed.
#[derive(Clone, Debug)]
pub struct Credential {
    pub header: HeaderName,
    /// The header's name as the configuration spells it.
    pub written: Arc<str>,
    pub value: HeaderValue,
}

/// The policy of the calls that match one route.
#[derive(Clone, Debug)]
pub struct CallPolicy {
    /// From the last byte of the request to the head of the response.
    pub attempt_timeout: Duration,
    /// Between two pieces of a body, in either direction.
    pub idle_timeout: Duration,
    /// Bytes per second that a client must send of a request body while the call holds a slot.
    pub request_rate: u64,
    /// The patience of a call that asks for none.
    pub wait: Duration,
    pub wait_max: Duration,
    /// In total, the first included.
    pub attempts: u32,
    pub backoff: Backoff,
    /// Blind retries as a percentage of calls.
    pub budget_percent: u32,
    /// Bytes of a request body that are kept for another attempt.
    pub replay_body_max: usize,
    pub client_retries: ClientRetries,
    pub idempotency: Idempotency,
    pub status: StatusPolicy,
    pub errors: ErrorShape,
    /// The shapes that a request may ask for; `None`: problems, and what is configured.
    pub errors_allowed: Option<AllowedShapes>,
    pub redirects: Redirects,
    pub client_address: ClientAddress,
    pub repeat: Repeat,
    pub inspect: Inspect,
    /// Headers without which a call is refused (D24).
    pub require: Vec<HeaderName>,
    pub expose: Expose,
    /// Contains the route's own rules, before the others.
    pub dialect: Arc<Dialect>,
}

/// In which shape a client gets errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorShape {
    /// The documented one, for the vendor's errors and the gateway's own.
    #[default]
    Problem,
    /// As the vendor sends them; the gateway's own by the template of the dialect.
    Vendor,
}

/// The shapes that a request may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowedShapes {
    problem: bool,
    vendor: bool,
}

impl AllowedShapes {
    #[must_use]
    pub const fn contains(self, shape: ErrorShape) -> bool {
        match shape {
            ErrorShape::Problem => self.problem,
            ErrorShape::Vendor => self.vendor,
        }
    }
}

impl FromIterator<ErrorShape> for AllowedShapes {
    fn from_iter<I: IntoIterator<Item = ErrorShape>>(shapes: I) -> Self {
        let mut allowed = Self::default();
        for shape in shapes {
            match shape {
                ErrorShape::Problem => allowed.problem = true,
                ErrorShape::Vendor => allowed.vendor = true,
            }
        }
        allowed
    }
}

/// The key by which a vendor recognises a request that it has served already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// A request with this header is safe to repeat.
    pub header: HeaderName,
    pub add: AddKey,
}

/// Whether requests that are not safe to repeat get an idempotency key of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddKey {
    #[default]
    Never,
    /// Where the client sent none.
    IfAbsent,
}

/// What happens to `Location` and the like that point to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// They are mapped back to the URL at which the client reached us.
    #[default]
    Rewrite,
    Pass,
}

/// Whether the vendor learns the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddress {
    #[default]
    Drop,
    /// In `Forwarded` and `X-Forwarded-For`.
    Send,
}

/// Whether an operation may be performed twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    #[default]
    ByMethod,
    /// The operator declares the operation repeatable.
    Declared,
}

/// Which responses are inspected for errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inspect {
    /// Those with status 400 and above.
    #[default]
    Errors,
    /// All: the vendor reports failures with a status of success (W35).
    SuccessToo,
}

/// Which informative headers are added to responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expose {
    /// `Server-Timing: wait;dur=…, upstream;dur=…`.
    pub server_timing: bool,
    /// `RateLimit` and `RateLimit-Policy` of the allowance with the least left.
    pub rate_limit: bool,
}
