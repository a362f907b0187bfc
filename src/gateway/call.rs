//! One client request as served by us: who, where to, under which policy, and its story so far.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Version};

use crate::allowance::{Account, Asker, Fitness, PaidRetry, Want};
use crate::policy::client::{Identified, UnknownClient};
use crate::policy::headers::{self, Guarded, Outgoing, Survey, Trailers};
use crate::policy::problem::Code;
use crate::policy::replay::{Licence, Repeatability};
use crate::policy::route::{CallPath, Route};
use crate::policy::time::Moment;
use crate::policy::verdict::RetryReason;
use crate::upstream::RequestHead;

use super::body::{Intake, Replay, RequestBody};
use super::settings::{CallPolicy, ClientAddress, Repeat, Settings, Upstream};
use super::{Gateway, Peer};

/// One client request as served by us.
#[derive(Debug)]
pub(super) struct Call<'g> {
    pub(super) id: HeaderValue,
    pub(super) arrival: Moment,
    /// No attempt starts later.
    pub(super) deadline: Moment,
    /// The patience the client asked for and got.
    pub(super) wait_applied: Option<Duration>,
    pub(super) client: usize,
    pub(super) upstream: usize,
    pub(super) rules: &'g Upstream,
    pub(super) policy: &'g CallPolicy,
    /// The request as every attempt sends it.
    pub(super) request: RequestHead,
    pub(super) inbound: Inbound,
    pub(super) body: Replay,
    licence: Licence,
    survey: Survey,
    pub(super) account: Arc<Account>,
    pub(super) want: Want,
    pub(super) story: Story,
}

/// What is remembered of the request as it came in.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) target: PathAndQuery,
    /// The prefix of the target that led here.
    pub(super) prefix_bytes: usize,
    pub(super) host: Option<HeaderValue>,
}

/// What has happened to a call so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) attempts: u32,
    pub(super) waited: Duration,
    pub(super) upstream_time: Duration,
    /// When the latest exchange was over.
    pub(super) answered: Option<Moment>,
    pub(super) retried_because: Option<RetryReason>,
    /// The blind retry that is being paid for.
    pub(super) paid: Option<PaidRetry>,
}

/// A request that becomes no call, and what its client is told.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) id: HeaderValue,
    pub(super) code: Code,
    pub(super) detail: &'static str,
    pub(super) upstream: Option<usize>,
}

impl Inbound {
    /// The path behind the route's prefix.
    fn path(&self) -> CallPath<'_> {
        CallPath::new(self.target.path().get(self.prefix_bytes..).unwrap_or_default())
    }
}

impl Call<'_> {
    /// What the replay table has to know.
    pub(super) fn repeatability(&self) -> Repeatability<'_> {
        Repeatability {
            method: &self.request.method,
            licence: self.licence,
            body: self.body.state(),
        }
    }

    /// Whether its body is a stream of events or messages, which come when they happen.
    pub(super) fn sends_events(&self) -> bool {
        let kind = self.request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        kind.is_some_and(|kind| {
            let starts = |name: &[u8]| {
                kind.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name))
            };
            starts(b"text/event-stream") || starts(b"application/grpc")
        })
    }

    /// The request of the next attempt: the same as the one before, byte for byte, but that it is
    /// a span of its own in the client's trace.
    pub(super) fn next_request(
        &mut self,
        span_id: impl FnOnce() -> [u8; 8],
    ) -> (&RequestHead, RequestBody) {
        self.story.attempts += 1;
        self.survey.renew_traceparent(&mut self.request.headers, span_id);
        (&self.request, self.body.next_attempt())
    }
}

/// A request before it is a call, which takes out of it what it needs.
pub(super) struct Arrived<'a, B> {
    pub(super) request: &'a mut Request<B>,
    pub(super) peer: &'a Peer,
    pub(super) at: Moment,
}

impl<E> Gateway<E> {
    /// Identifies the client, finds the route and makes a call of the request.
    pub(super) fn begin<B: Into<Intake> + Default>(
        &self,
        arrived: Arrived<'_, B>,
    ) -> Result<Call<'_>, Turned> {
        let Arrived { request, peer, at } = arrived;
        let survey = Survey::of(request.headers());
        let own_id = survey.request_id(request.headers()).cloned();
        let id = own_id.unwrap_or_else(|| self.fresh_request_id());
        let turn = |code, detail, upstream| Turned { id: id.clone(), code, detail, upstream };
        let who = self.identify(request.headers()).map_err(|(code, why)| turn(code, why, None))?;
        let host = host(request.headers()).cloned();
        let found = self.find(host.as_ref(), request.uri().path_and_query().cloned());
        let (route, target) = found.map_err(|(code, why)| turn(code, why, None))?;
        let inbound = Inbound { host, target, prefix_bytes: route.prefix_bytes };
        let rules = &self.settings.upstreams[route.upstream];
        let path = inbound.path();
        let policy = rules.policy_for(request.method(), path);
        let checked = self.check(request.headers(), survey, policy);
        checked.map_err(|(code, why)| turn(code, why, Some(route.upstream)))?;
        let target = headers::target(&inbound.target, route.prefix_bytes, &rules.base_path);
        let target = target.map_err(|_fault| {
            turn(Code::InvalidRequest, "The path climbs out of its route.", Some(route.upstream))
        })?;
        let asked = survey.preferred_wait(request.headers()).map(|wait| wait.min(policy.wait_max));
        let deadline = at.plus(asked.unwrap_or(policy.wait));
        let intake = std::mem::take(request.body_mut()).into();
        let body = Replay::new(intake, policy.replay_body_max, &self.pool);
        let asker = Asker {
            priority: self.settings.clients.all()[who.client].priority,
            arrival: at,
            deadline,
            fit: fitness(&body),
        };
        let licence = licence(request.headers(), survey, policy);
        let account = self.accounts.account(route.upstream, request.headers());
        let want = self.accounts.want(route.upstream, request.method(), path, asker);
        let version = request.version();
        self.outgoing((request.headers_mut(), survey), (who, route, policy), (peer, version));
        Ok(Call {
            id,
            arrival: at,
            deadline,
            wait_applied: asked,
            client: who.client,
            upstream: route.upstream,
            rules,
            policy,
            licence,
            survey,
            account,
            want,
            request: RequestHead {
                method: std::mem::take(request.method_mut()),
                target,
                headers: std::mem::take(request.headers_mut()),
            },
            inbound,
            body,
            story: Story::default(),
        })
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Identified, (Code, &'static str)> {
        self.settings.clients.identify(headers).map_err(|unknown| {
            let why = match unknown {
                UnknownClient::NoKey => "This gateway asks its clients for a key.",
                UnknownClient::WrongKey => "The key is none of this gateway's clients'.",
            };
            (Code::Unauthenticated, why)
        })
    }

    fn find(
        &self,
        host: Option<&HeaderValue>,
        target: Option<PathAndQuery>,
    ) -> Result<(Route, PathAndQuery), (Code, &'static str)> {
        let routes = &self.settings.routes;
        let host = host.filter(|_| routes.by_host()).and_then(|host| host.to_str().ok());
        let target = target.filter(|target| target.path() != "*");
        let target = target.ok_or((Code::RouteNotFound, "No route is for the whole server."))?;
        match routes.find(host, target.path()) {
            Some(route) => Ok((route, target)),
            None if routes.serves_host(host) => {
                Err((Code::RouteNotFound, "No route of this gateway matches the path."))
            }
            None => Err((Code::Misdirected, "No route of this gateway is for this host.")),
        }
    }

    fn check(
        &self,
        headers: &HeaderMap,
        survey: Survey,
        policy: &CallPolicy,
    ) -> Result<(), (Code, &'static str)> {
        if survey.looped(headers, self.via.pseudonym()) {
            return Err((Code::LoopDetected, "The request has passed this gateway before."));
        }
        let missing = policy.require.iter().any(|name| !headers.contains_key(name));
        if missing {
            return Err((
                Code::Unauthenticated,
                "A header that this route requires is missing; nothing was sent.",
            ));
        }
        Ok(())
    }

    fn outgoing(
        &self,
        (headers, survey): (&mut HeaderMap, Survey),
        (who, route, policy): (Identified, Route, &CallPolicy),
        (peer, version): (&Peer, Version),
    ) {
        let rules = &self.settings.upstreams[route.upstream];
        let credential = rules.credential.as_ref();
        let outgoing = Outgoing {
            guarded: &self.guarded[route.upstream],
            key: who.key,
            credential: credential.map(|credential| (&credential.header, &credential.value)),
            peer: match policy.client_address {
                ClientAddress::Send => Some(peer.address().ip()),
                ClientAddress::Drop => None,
            },
            trailers: Trailers::Pass,
            via: self.via.value(version),
        };
        headers::outgoing(headers, survey, &outgoing);
    }
}

/// The headers of an upstream's calls that are not a client's to set: those that decisions rest
/// on, the key's and the credential's.
pub(super) fn guarded(settings: &Settings, rules: &Upstream) -> Guarded {
    use crate::allowance::AccountRule;
    let account = match &rules.account {
        AccountRule::Header(name) => Some(name.clone()),
        AccountRule::Upstream | AccountRule::Named(_) => None,
    };
    let policies = std::iter::once(&rules.policy).chain(rules.routes.iter().map(|(_, it)| it));
    let keys = policies.map(|policy| policy.idempotency_header.clone());
    let credential = rules.credential.as_ref().map(|credential| credential.header.clone());
    let key_header = settings.clients.key_header().clone();
    Guarded::new(key_header, credential, account.into_iter().chain(keys).collect())
}

/// It stays among the headers: the back door has its own, and writes that in its place.
fn host(headers: &HeaderMap) -> Option<&HeaderValue> {
    // Nearly always it is the first: that is found sooner than a name is hashed.
    headers.iter().find(|(name, _)| *name == HOST).map(|(_, host)| host)
}

fn licence(headers: &HeaderMap, survey: Survey, policy: &CallPolicy) -> Licence {
    if survey.has_idempotency_key(headers, &policy.idempotency_header) {
        return Licence::Keyed;
    }
    match policy.repeat {
        Repeat::Declared => Licence::Declared,
        Repeat::ByMethod => Licence::None,
    }
}

fn fitness(body: &Replay) -> Fitness {
    if body.outlasts_an_attempt() { Fitness::Replayable } else { Fitness::OnlyOnce }
}
