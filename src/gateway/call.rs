//! One client request as served by us: who, where to, under which policy, and its story so far.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};

use crate::allowance::{Account, AccountRule, Asker, Awaited, Fitness, SlotRequest};
use crate::headers::{self, Guarded, Outgoing, Rewrite, Survey, Trailers, Unclear};
use crate::outcome::{Code, Failure};
use crate::retry::decision::RetryReason;
use crate::retry::replay::{Licence, Repeatability};
use crate::routing::authority;
use crate::routing::client::{Identified, UnknownClient};
use crate::routing::method::CallMethod;
use crate::routing::route::{AbsoluteForm, CallPath, Matcher, Route};
use crate::time::Moment;
use crate::upstream::{OriginalHead, RequestHead, Spelling};

use super::body::{BodyRecord, IncomingBody, Replay, RequestBody};
use super::settings::{CallPolicy, ClientAddress, Policies, Redirects, Repeat, Settings, Upstream};
use super::{ClientConnection, Gateway};

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
    /// Sends in total, the first included.
    pub(super) attempts_max: u32,
    /// The request as every attempt sends it.
    pub(super) request: RequestHead,
    pub(super) inbound: Inbound,
    pub(super) body: Replay,
    licence: Licence,
    /// The methods that the request names beside its own.
    overrides: Vec<Box<str>>,
    survey: Survey,
    pub(super) account: Arc<Account>,
    pub(super) want: SlotRequest,
    pub(super) story: CallHistory,
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
pub(super) struct CallHistory {
    pub(super) attempts: u32,
    pub(super) waited: Duration,
    /// How long the client took to send a body that was read first.
    pub(super) received: Duration,
    pub(super) upstream_time: Duration,
    /// The head of the latest answer as HTTP/1.1 brought it.
    pub(super) answer_head: Option<OriginalHead>,
    /// When the latest exchange was over.
    pub(super) answered: Option<Moment>,
    pub(super) retried_because: Option<RetryReason>,
    /// Retries after a hold that the probe of another call opened.
    pub(super) hold_retries: u32,
    /// How the exchange broke that the latest retry was to repair.
    pub(super) failure: Option<Box<Failure>>,
    /// What it waited for the longest, and how long.
    pub(super) awaited: Option<(Duration, Awaited)>,
    /// The account and the trace, kept because the request's headers are given away later.
    pub(super) identity: Option<Box<Identity>>,
}

/// What the log says of a call besides its request: the vendor's account and the trace.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Identity {
    pub(in crate::gateway) account: Option<Box<str>>,
    pub(in crate::gateway) trace_id: Option<Box<str>>,
}

/// Characters of an account that the log shows; the value is a client's to choose.
const ACCOUNT_CHARS_MAX: usize = 64;

impl Identity {
    /// As the request has it.
    pub(super) fn of(call: &Call<'_>) -> Self {
        let headers = &call.request.headers;
        let shown = |value: &HeaderValue| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.trim().chars().take(ACCOUNT_CHARS_MAX).collect::<String>().into()
        };
        let account = match &call.rules.account {
            AccountRule::Upstream => None,
            AccountRule::Named(name) => Some((**name).into()),
            AccountRule::Header(header) => headers.get(header).map(shown),
        };
        Self { account, trace_id: headers::trace_id(headers).map(Into::into) }
    }
}

/// A request that becomes no call, and what its client is told.
#[derive(Debug)]
pub(super) struct Rejection {
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

    fn rewrite<'a>(&'a self, rules: &'a Upstream) -> Rewrite<'a> {
        Rewrite {
            origin: &rules.origin,
            base_path: &rules.base_path,
            scheme: "http",
            authority: self.host.as_ref(),
            prefix: &self.target.as_str()[..self.prefix_bytes],
        }
    }
}

impl Call<'_> {
    /// The method by which the call may be repeated: one that is overridden promises nothing.
    pub(super) const fn promised_method(&self) -> &Method {
        if self.overrides.is_empty() { &self.request.method } else { &Method::POST }
    }

    /// Where the upstream's URLs and paths are to the client.
    pub(super) fn rewrite(&self) -> Rewrite<'_> {
        self.inbound.rewrite(self.rules)
    }

    /// What the replay table has to know.
    pub(super) fn repeatability(&self) -> Repeatability<'_> {
        Repeatability {
            method: self.promised_method(),
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

    /// The client took so long to send its body: only now the call could begin to wait.
    pub(super) fn wait_for_body(&mut self, took: Duration) {
        self.story.received = took;
        self.deadline = self.deadline.plus(took);
        self.want.deadline = self.deadline;
    }

    /// Begins another attempt, whose body this is. Its request is the same as the one before, byte
    /// for byte, but that it is a span of its own in the client's trace.
    pub(super) fn next_attempt(&mut self, span_id: impl FnOnce() -> [u8; 8]) -> RequestBody {
        self.story.attempts += 1;
        self.survey.renew_traceparent(&mut self.request.headers, span_id);
        self.body.next_attempt()
    }
}

/// A request before it is a call, which takes out of it what it needs.
pub(super) struct Arrived<'a, B> {
    pub(super) request: &'a mut Request<B>,
    pub(super) original_head: Option<OriginalHead>,
    pub(super) peer: &'a ClientConnection,
    pub(super) at: Moment,
}

impl<E> Gateway<E> {
    /// Identifies the client, finds the route and makes a call of the request.
    pub(super) fn begin<B: Into<IncomingBody> + Default>(
        &self,
        Arrived { request, original_head, peer, at }: Arrived<'_, B>,
    ) -> Result<Call<'_>, Rejection> {
        let survey = Survey::of(request.headers());
        let own_id = survey.request_id(request.headers()).cloned();
        let id = own_id.unwrap_or_else(|| self.fresh_request_id());
        let turn = |code, detail, upstream| Rejection { id: id.clone(), code, detail, upstream };
        if CallMethod::from(request.method()).may_echo() {
            return Err(turn(Code::MethodNotAllowed, ECHO_REFUSED, None));
        }
        let who = self.identify(request.headers()).map_err(|(code, why)| turn(code, why, None))?;
        let inbound = self.find(request, peer);
        let (upstream, inbound) = inbound.map_err(|(code, why)| turn(code, why, None))?;
        let refused = |(code, why)| turn(code, why, Some(upstream));
        let (rules, path) = (&self.settings.upstreams[upstream], inbound.path());
        let sent = std::mem::take(request.method_mut());
        let overrides = survey.overrides(&sent, request.headers(), inbound.target.query());
        let method = CallMethod::new(&sent, &overrides);
        self.check(request.headers(), survey, (rules, method, path)).map_err(refused)?;
        let target = headers::target(&inbound.target, inbound.prefix_bytes, &rules.base_path)
            .map_err(|_fault| refused((Code::InvalidRequest, CLIMBS_OUT)))?;
        let Policies { applied: policy, certain } = rules.policies_for(method, path);
        let asked = survey.preferred_wait(request.headers());
        let asked = asked.map(|wait| wait.min(policy.wait_max).min(certain.wait_max));
        let deadline = at.plus(asked.unwrap_or_else(|| policy.wait.min(certain.wait)));
        let intake = std::mem::take(request.body_mut()).into();
        let replay_bytes_max = policy.replay_body_max.min(certain.replay_body_max);
        let body = Replay::new(intake, replay_bytes_max, (&self.pool, &self.guarded[upstream]));
        let asker = Asker {
            priority: self.settings.clients.all()[who.client].priority,
            arrival: at,
            deadline,
            fit: fitness(&body),
        };
        let licence = licence(request.headers(), survey, certain);
        let account = self.accounts.account(upstream, request.headers());
        let want = self.accounts.want(upstream, method, path, asker);
        if survey.has_destination() && policy.redirects == Redirects::Rewrite {
            let led = headers::lead_forward(request.headers_mut(), &inbound.rewrite(rules));
            led.map_err(|_out| refused((Code::InvalidRequest, OUT_OF_ROUTE)))?;
        }
        let version = request.version();
        let crossing = (who, upstream, certain.client_address);
        self.outgoing((request.headers_mut(), survey), crossing, (peer, version));
        if sent == Method::OPTIONS {
            headers::count_hop(request.headers_mut());
        }
        Ok(Call {
            id,
            arrival: at,
            deadline,
            wait_applied: asked,
            client: who.client,
            upstream,
            rules,
            policy,
            attempts_max: policy.attempts.min(certain.attempts),
            licence,
            overrides,
            survey,
            account,
            want,
            request: RequestHead {
                method: sent,
                target,
                headers: std::mem::take(request.headers_mut()),
                client: peer.id(),
                spelling: spelling(original_head, rules),
            },
            inbound,
            body,
            story: CallHistory::default(),
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

    /// The upstream of a request, and what has to be remembered of the request.
    fn find<B>(
        &self,
        request: &Request<B>,
        peer: &ClientConnection,
    ) -> Result<(usize, Inbound), (Code, &'static str)> {
        let routes = &self.settings.routes;
        let host = host(request.headers()).cloned();
        let named = host.as_ref().and_then(|host| host.to_str().ok());
        let target = request.uri().path_and_query().filter(|target| target.path() != "*");
        let target = target.ok_or((Code::RouteNotFound, "No route is for the whole server."))?;
        let asked = named.filter(|_| routes.by_host());
        let Some(Route { upstream, prefix_bytes }) = routes.find(asked, target.path()) else {
            return Err(if routes.serves_host(asked) {
                (Code::RouteNotFound, "No route of this gateway matches the path.")
            } else {
                (Code::Misdirected, "No route of this gateway is for this host.")
            });
        };
        let absolute = request.extensions().get::<AbsoluteForm>().is_some();
        if absolute && !named.is_some_and(|named| self.answers_for(named, upstream, peer)) {
            return Err((Code::Misdirected, FOREIGN_HOST));
        }
        let inbound = Inbound { target: target.clone(), prefix_bytes, host };
        let path = inbound.path();
        if self.elsewhere[upstream].iter().any(|other| other.possibly(&Method::GET, path)) {
            return Err((Code::InvalidRequest, OTHER_ROUTE));
        }
        Ok((upstream, inbound))
    }

    /// Whether a request that names its host in the target may mean this upstream by it.
    fn answers_for(&self, named: &str, upstream: usize, peer: &ClientConnection) -> bool {
        let origin = &self.settings.upstreams[upstream].origin;
        let (scheme, there) = origin.split_once("://").unwrap_or(("", origin));
        let standard = if scheme == "https" { 443 } else { 80 };
        let (port, asked) = (authority::port(there, standard), authority::port(named, 80));
        // `http://api.vendor.example` also means a vendor that is reached over TLS.
        let same_port = asked == port || (asked == Some(80) && port == Some(standard));
        (authority::same_host(named, there) && same_port)
            || self.settings.routes.names_host(named, upstream)
            || peer.is_local_authority(named)
    }

    fn check(
        &self,
        headers: &HeaderMap,
        survey: Survey,
        (rules, method, path): (&Upstream, CallMethod<'_>, CallPath<'_>),
    ) -> Result<(), (Code, &'static str)> {
        if method.may_echo() {
            return Err((Code::MethodNotAllowed, ECHO_REFUSED));
        }
        if survey.looped(headers, self.via.pseudonym()) {
            return Err((Code::LoopDetected, "The request has passed this gateway before."));
        }
        let unclear = |unclear: Unclear| (Code::InvalidRequest, unclear.remedy());
        for name in rules.required(method, path) {
            if headers::decisive_value(headers, name).map_err(unclear)?.is_none() {
                return Err((
                    Code::Unauthenticated,
                    "A header that this route requires is missing; nothing was sent.",
                ));
            }
        }
        if let AccountRule::Header(name) = &rules.account {
            headers::account_value(headers, name).map_err(unclear)?;
        }
        Ok(())
    }

    /// What is recorded of a body that breaks off; most bodies are here as a whole and need none.
    pub(super) fn body_record<'a>(
        &'a self,
        call: &'a Call<'_>,
        status: StatusCode,
    ) -> impl FnOnce() -> BodyRecord + 'a {
        move || BodyRecord {
            redactor: call.rules.credential.as_ref().map(|_| Arc::clone(&self.redactor)),
            settings: Arc::clone(&self.settings),
            shard: Arc::clone(&self.shard),
            access: self.access,
            client: call.client,
            upstream: call.upstream,
            method: call.request.method.clone(),
            target: call.inbound.target.clone(),
            status,
            request_id: call.id.clone(),
            arrival: call.arrival,
            identity: Identity::of(call),
        }
    }

    fn outgoing(
        &self,
        (headers, survey): (&mut HeaderMap, Survey),
        (who, upstream, client_address): (Identified, usize, ClientAddress),
        (peer, version): (&ClientConnection, Version),
    ) {
        let credential = self.settings.upstreams[upstream].credential.as_ref();
        let outgoing = Outgoing {
            guarded: &self.guarded[upstream],
            key: who.key,
            credential: credential.map(|credential| (&credential.header, &credential.value)),
            peer: match client_address {
                ClientAddress::Send => Some(peer.address().ip()),
                ClientAddress::Drop => None,
            },
            trailers: Trailers::Pass,
            via: self.via.value(version),
        };
        headers::outgoing(headers, survey, &outgoing);
    }
}

const FOREIGN_HOST: &str = "The target names a host that is neither this gateway's, the route's nor \
                            the upstream's; this gateway is no open proxy.";
const OTHER_ROUTE: &str = "The path may be read as one of another route; spell it plainly.";
const CLIMBS_OUT: &str = "The path climbs out of its route.";
const OUT_OF_ROUTE: &str = "The Destination header leads out of the request's route.";

/// The headers of an upstream's calls that are not a client's to set: those that decisions rest
/// on, the key's and the credential's.
pub(super) fn guarded(settings: &Settings, rules: &Upstream) -> Arc<Guarded> {
    let account = match &rules.account {
        AccountRule::Header(name) => Some(name.clone()),
        AccountRule::Upstream | AccountRule::Named(_) => None,
    };
    let policies = std::iter::once(&rules.policy).chain(rules.routes.iter().map(|(_, it)| it));
    let keys =
        policies.flat_map(|policy| policy.require.iter().chain([&policy.idempotency_header]));
    let credential = rules.credential.as_ref().map(|credential| credential.header.clone());
    let key_header = settings.clients.key_header().clone();
    let relied = account.into_iter().chain(keys.cloned()).collect();
    Arc::new(Guarded::new(key_header, credential, relied))
}

/// How header lines are written: as the client or the configuration wrote them.
fn spelling(received: Option<OriginalHead>, rules: &Upstream) -> Spelling {
    let configured = rules.credential.as_ref().map(|it| Arc::clone(&it.written));
    Spelling { received, configured }
}

const ECHO_REFUSED: &str = "TRACE is not sent on: its answer repeats the request, and with it \
                            credentials that are not the client's to see.";

/// The paths behind an upstream's prefix that a longer prefix leads to another upstream of the same
/// vendor, where they have another policy: no spelling may lead them here.
pub(super) fn elsewhere(settings: &Settings, upstream: usize) -> Vec<Matcher> {
    let here = &settings.upstreams[upstream];
    let entries = settings.routes.entries();
    let own = entries.iter().filter(|entry| entry.upstream == upstream);
    let pairs = own.flat_map(|own| entries.iter().map(move |other| (own, other)));
    let nested = pairs.filter_map(|(own, other)| {
        let there = &settings.upstreams[other.upstream];
        let rest = other.prefix.strip_prefix(&*own.prefix).filter(|rest| rest.starts_with('/'))?;
        let same_place = there.origin == here.origin
            && own.host == other.host
            && there.base_path.strip_prefix(&*here.base_path) == Some(rest);
        same_place.then(|| [rest, "/**"].concat())
    });
    nested.map(|path| Matcher { methods: None, path: path.parse().ok() }).collect()
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
