//! One client request as the gateway serves it: the data that all stages share.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};

use crate::allowance::{Account, AccountRule, Bottleneck, SlotRequest, TightestAllowance};
use crate::headers::{
    self, AskedErrors, CallHeaders, RateLimit, RequestScan, ResponseScan, Rewrite, Timing,
};
use crate::outcome::{Code, Failure};
use crate::retry::client::ClientRetries;
use crate::retry::decision::RetryReason;
use crate::retry::replay::{RepeatPermission, Repeatability};
use crate::routing::route::CallPath;
use crate::time::Moment;
use crate::upstream::{OriginalHead, RequestHead};

use super::body::{CallIdentity, ReplayBody, RequestBody};
use super::settings::{CallPolicy, Redirects, Upstream};

#[derive(Debug)]
pub(super) struct Call<'g> {
    pub(super) id: HeaderValue,
    pub(super) arrival: Moment,
    /// No attempt starts later.
    pub(super) deadline: Moment,
    /// The patience that the client asked for and got.
    pub(super) wait_applied: Option<Duration>,
    /// An index into the clients of the settings.
    pub(super) client: usize,
    /// An index into the upstreams of the settings.
    pub(super) upstream: usize,
    pub(super) settings: &'g Upstream,
    pub(super) policy: &'g CallPolicy,
    /// In total, the first included.
    pub(super) attempts_max: u32,
    /// By its policy; the client may have a setting of its own.
    pub(super) client_retries: ClientRetries,
    /// As every attempt sends it.
    pub(super) request: RequestHead,
    /// In which shape the client wants its errors.
    pub(super) errors_asked: Option<AskedErrors>,
    pub(super) client_url: ClientUrl,
    pub(super) body: ReplayBody,
    pub(super) permission: RepeatPermission,
    /// The methods by which headers or query override the request's own.
    pub(super) overrides: Vec<Box<str>>,
    pub(super) scan: RequestScan,
    pub(super) account: Arc<Account>,
    pub(super) slot_request: SlotRequest,
    pub(super) history: CallHistory,
}

/// The URL as the client requested it.
#[derive(Debug)]
pub(super) struct ClientUrl {
    pub(super) target: PathAndQuery,
    /// The length of the route's prefix in the target.
    pub(super) prefix_bytes: usize,
    pub(super) host: Option<HeaderValue>,
}

/// What has happened to a call so far.
#[derive(Debug, Default)]
pub(super) struct CallHistory {
    pub(super) attempts: u32,
    pub(super) waited: Duration,
    /// How long it took to buffer the request's body.
    pub(super) buffering: Duration,
    pub(super) upstream_time: Duration,
    /// The head of the latest response as HTTP/1.1 brought it.
    pub(super) response_head: Option<OriginalHead>,
    /// When the latest exchange ended.
    pub(super) exchanged_at: Option<Moment>,
    pub(super) retried_because: Option<RetryReason>,
    /// Retries after a hold that the probe of another call ended.
    pub(super) hold_retries: u32,
    /// The failure that the latest retry was to repair.
    pub(super) failure: Option<Box<Failure>>,
    pub(super) longest_wait: Option<(Duration, Bottleneck)>,
    /// Kept for the log, because the request's headers are given up before the call is recorded.
    pub(super) identity: Option<Box<CallIdentity>>,
}

/// A request that is answered before it becomes a call.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) id: HeaderValue,
    pub(super) reason: Reason,
    pub(super) upstream: Option<usize>,
}

/// Why a request is rejected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reason {
    pub(super) code: Code,
    pub(super) detail: &'static str,
}

impl ClientUrl {
    /// The path after the route's prefix.
    pub(super) fn path(&self) -> CallPath<'_> {
        CallPath::new(self.target.path().get(self.prefix_bytes..).unwrap_or_default())
    }

    /// The target that is sent to the upstream.
    pub(super) fn upstream_target(&self, upstream: &Upstream) -> Result<PathAndQuery, Reason> {
        let target = headers::target(&self.target, self.prefix_bytes, &upstream.base_path);
        target.map_err(|_fault| PATH_LEAVES_ROUTE)
    }

    pub(super) fn rewrite<'a>(&'a self, upstream: &'a Upstream) -> Rewrite<'a> {
        Rewrite {
            origin: &upstream.origin,
            base_path: &upstream.base_path,
            scheme: "http",
            authority: self.host.as_ref(),
            prefix: &self.target.as_str()[..self.prefix_bytes],
        }
    }
}

impl Call<'_> {
    /// The method that decides whether the call may be repeated. With an override, the vendor may
    /// perform another method than the request's own, so nothing is assumed of it.
    pub(super) const fn effective_method(&self) -> &Method {
        if self.overrides.is_empty() { &self.request.method } else { &Method::POST }
    }

    /// How references to the upstream are mapped back to URLs of the client, if they are.
    pub(super) fn redirects(&self) -> Option<Rewrite<'_>> {
        match self.policy.redirects {
            Redirects::Rewrite => Some(self.client_url.rewrite(self.settings)),
            Redirects::Pass => None,
        }
    }

    pub(super) fn repeatability(&self) -> Repeatability<'_> {
        Repeatability {
            method: self.effective_method(),
            permission: self.permission,
            body: self.body.state(),
        }
    }

    /// Whether the request's media type begins like this.
    pub(super) fn has_media_type(&self, prefix: &str) -> bool {
        let media_type = self.request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let start = media_type.and_then(|media_type| media_type.get(..prefix.len()));
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    }

    /// Whether the request is one to a token endpoint of OAuth, by its form.
    pub(super) fn asks_for_token(&self) -> bool {
        self.has_media_type("application/x-www-form-urlencoded")
            && self.body.kept().split(|byte| *byte == b'&').any(|it| it.starts_with(b"grant_type="))
    }

    /// How long the body of a response with such a head may be silent.
    pub(super) fn response_idle_timeout(&self, scan: ResponseScan) -> Duration {
        /// Events come when something happens.
        const EVENT_STREAM: Duration = Duration::from_secs(5 * 60);
        let configured = self.policy.idle_timeout;
        if scan.is_event_stream() { configured.max(EVENT_STREAM) } else { configured }
    }

    /// Begins the next attempt and returns its body. Its request equals the one before byte for
    /// byte, except that each attempt is a span of its own in the client's trace.
    pub(super) fn next_attempt(&mut self, span_id: impl FnOnce() -> [u8; 8]) -> RequestBody {
        self.history.attempts += 1;
        self.scan.renew_traceparent(&mut self.request.headers, span_id);
        self.body.next_attempt()
    }

    pub(super) fn identity(&self) -> CallIdentity {
        /// Characters of the account in the log; a client chooses the value.
        const ACCOUNT_CHARS_MAX: usize = 64;
        let headers = &self.request.headers;
        let account = match &self.settings.account {
            AccountRule::Upstream => None,
            AccountRule::Named(name) => Some((**name).into()),
            AccountRule::Header(header) => headers.get(header).map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes());
                text.trim().chars().take(ACCOUNT_CHARS_MAX).collect::<String>().into()
            }),
        };
        CallIdentity { account, trace_id: headers::trace_id(headers).map(Into::into) }
    }
}

/// The headers that describe the call, on its response.
pub(super) fn call_headers<'a>(
    call: &'a Call<'_>,
    tightest: Option<&'a TightestAllowance>,
) -> CallHeaders<'a> {
    let timing = Timing { wait: call.history.waited, upstream: call.history.upstream_time };
    CallHeaders {
        request_id: &call.id,
        attempts: call.history.attempts,
        wait_applied: call.wait_applied,
        timing: call.policy.expose.server_timing.then_some(timing),
        rate_limit: tightest.map(|tightest| RateLimit {
            name: &tightest.name,
            limit: tightest.limit,
            window: tightest.window,
            remaining: tightest.remaining,
            reset: tightest.reset,
        }),
    }
}

const PATH_LEAVES_ROUTE: Reason = Reason {
    code: Code::InvalidRequest,
    detail: "The path has dot segments that lead out of its route.",
};
