//! The response: the vendor's own with its headers put right, or the problem that describes what
//! went wrong. What a problem says is decided by [`problem`](crate::problem).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body::Body;

use crate::allowance::{
    Bottleneck, BottleneckKind, CostExceeded, Refusal, RefusalReason, TightestAllowance,
};
use crate::headers::names::PROXY_STATUS;
use crate::headers::{self, CallHeaders, ResponsePolicy, Trailers};
use crate::outcome::{Basis, Code, FailureKind, Processing, Source, StoppedBy, Wait};
use crate::problem::{
    CallContext, Cleaner, CredentialOwner, Occurrence, Problem, ProxyError, gateway_problem,
    problem_headers, proxy_status, upstream_problem,
};
use crate::telemetry::LimitOf;
use crate::upstream::{Exchange, Interim};

use super::body::{RequestBody, ResponseBody};
use super::call::{Call, Rejection, call_headers};
use super::connection::ClientConnection;
use super::error_response::{repeat_for_stripe, written};
use super::record::CallEnd;
use super::result::{CallResult, FailedAttempt, Interruption};
use super::shape::{OwnShape, ShapeContext};
use super::state::Gateway;

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// The response to a call, which is recorded.
    pub(super) fn respond(
        &self,
        call: &Call<'_>,
        result: CallResult<E::Body>,
    ) -> Response<ResponseBody<E::Body>> {
        let (mut response, scan) = match result {
            CallResult::Response(response, scan) => (response, scan),
            CallResult::Failed(failed, stopped_by) => {
                return self.respond_failed(call, *failed, stopped_by);
            }
            CallResult::Interrupted(interruption) => {
                return self.respond_interrupted(call, &interruption);
            }
        };
        let version = response.version();
        // In HTTP/1.1 no trailers follow a body whose length is known.
        let sized = response.body().size_hint().exact().is_some();
        let bare = version != Version::HTTP_2 && sized;
        let tightest = self.tightest_allowance(call);
        let incoming = ResponsePolicy {
            via: self.via.value(version),
            redirects: call.redirects(),
            trailers: if bare { Trailers::Drop } else { Trailers::Pass },
            call: call_headers(call, tightest.as_ref()),
        };
        headers::filter_response(response.headers_mut(), scan, &incoming);
        if call.settings.credential.is_some() {
            self.redactor.redact_passing(response.headers_mut());
            self.drop_secret_phrase(&mut response);
        }
        let (status, vendor_status) = (response.status(), Some(response.status()));
        self.record(call, &CallEnd { status, vendor_status, ..CallEnd::default() });
        response
    }

    /// The problem of a request that did not become a call.
    #[cold]
    pub(super) fn reject(
        &self,
        rejection: &Rejection,
        context: ShapeContext<'_>,
    ) -> Response<ResponseBody<E::Body>> {
        let Rejection { id, reason, upstream } = rejection;
        let call = CallContext {
            request_id: id.to_str().ok(),
            upstream: upstream.map(|number| &*self.settings.upstreams[number].name),
            ..CallContext::default()
        };
        let occurrence = Occurrence {
            source: (reason.code != Code::LoopDetected).then_some(Source::Client),
            detail: Some(Cow::Borrowed(reason.detail)),
            hold_cause: None,
        };
        let problem = gateway_problem(reason.code, &call, &occurrence);
        self.shard.problem(*upstream, problem.code, problem.source);
        let (code, request_id) = (problem.code.as_str(), problem.request_id.as_deref());
        tracing::info!(code, detail = reason.detail, request_id, "request rejected");
        let mut headers = problem_headers(&problem, None, Cleaner::default());
        let own = ProxyError::refused(problem.code, Some(reason.detail.into()));
        headers.insert(PROXY_STATUS, proxy_status(self.via.pseudonym(), Some(&own), None, None));
        if problem.code == Code::MethodNotAllowed {
            headers.insert(ALLOW, METHODS_ALLOWED);
        }
        headers::add_call_headers(&mut headers, &headers_without_call(id));
        written(&problem, headers, context.own())
    }

    /// The gateway's own response to an OPTIONS request that must not be forwarded.
    #[cold]
    pub(super) fn answer_options(&self, request: &HeaderMap) -> Response<ResponseBody<E::Body>> {
        let id = headers::request_id(request).cloned().unwrap_or_else(|| self.new_request_id());
        let mut response = Response::new(ResponseBody::Whole(None));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, METHODS_ALLOWED);
        headers::add_call_headers(response.headers_mut(), &headers_without_call(&id));
        response
    }

    /// Passes on the vendor's 1xx responses, except `100 Continue`, which the server sends itself.
    #[cold]
    pub(super) fn pass_interim(
        &self,
        call: &Call<'_>,
        client: &ClientConnection,
        interim: Vec<Interim>,
    ) {
        for mut interim in interim {
            if interim.status != StatusCode::CONTINUE {
                let via = self.via.value(Version::HTTP_11);
                headers::filter_error_response(
                    &mut interim.headers,
                    via,
                    call.redirects().as_ref(),
                );
                if call.settings.credential.is_some() {
                    self.redactor.redact_passing(&mut interim.headers);
                }
                client.push_interim(interim);
            }
        }
    }

    #[cold]
    fn respond_failed(
        &self,
        call: &Call<'_>,
        mut failed: FailedAttempt<E::Body>,
        stopped_by: StoppedBy,
    ) -> Response<ResponseBody<E::Body>> {
        let (mut parts, facts) = failed.response.take().unzip();
        if let Some(parts) = &mut parts {
            let via = self.via.value(parts.version);
            headers::filter_error_response(&mut parts.headers, via, call.redirects().as_ref());
        }
        let vendor_status = parts.as_ref().map(|parts| parts.status);
        let outcome_unknown = failed.classification.processing == Processing::Unknown
            && !call.effective_method().is_safe();
        let context = CallContext {
            stopped_by: Some(stopped_by),
            outcome_unknown,
            retries_exhausted: retries_exhausted(call, failed.settled.failed_probes),
            retry_after: self.retry_after(&failed),
            vendor_status,
            ..self.call_context(call)
        };
        let mut problem = upstream_problem(&failed.classification, facts, &context);
        let failure = failed.failure.as_ref();
        if failure.is_some_and(|failure| failure.kind == FailureKind::HeadTooLarge) {
            problem.set_detail(HEAD_TOO_LARGE.into());
        }
        let end = CallEnd {
            vendor_status,
            rule: Some(&failed.classification.rule),
            failure,
            ..CallEnd::default()
        };
        let kept = failed.kept.take().zip(parts.as_mut());
        if let Some(body) = kept.and_then(|(kept, parts)| self.vendor_body(call, parts, kept))
            && let Some(parts) = parts.take()
        {
            return self.respond_vendor(call, &problem, end, Response::from_parts(parts, body));
        }
        self.respond_problem(call, problem, end, parts.as_ref().map(|parts| &parts.headers))
    }

    #[cold]
    fn respond_interrupted(
        &self,
        call: &Call<'_>,
        interruption: &Interruption,
    ) -> Response<ResponseBody<E::Body>> {
        let blocked_by = match interruption {
            Interruption::Refused(refusal) => {
                Some(self.blocked_by(refusal, LimitOf::Upstream, call))
            }
            Interruption::ClientLimited(refusal) => {
                Some(self.blocked_by(refusal, LimitOf::Client, call))
            }
            Interruption::CostExceeded(exceeded) => Some(Bottleneck {
                kind: BottleneckKind::Allowance,
                name: Arc::clone(&exceeded.allowance),
            }),
            Interruption::Draining
            | Interruption::ClientBodyBroken
            | Interruption::ClientBodyStalled => None,
        };
        let (source, detail) = match interruption {
            Interruption::ClientBodyBroken => (Some(Source::Client), Some(BODY_BROKE.into())),
            Interruption::ClientBodyStalled => (Some(Source::Client), Some(BODY_STALLED.into())),
            Interruption::CostExceeded(CostExceeded { allowance, cost, limit }) => {
                let detail = format!(
                    "The call costs {cost} units of the allowance `{allowance}`, which never grants \
                     more than {limit}."
                );
                (None, Some(detail.into()))
            }
            Interruption::Refused(_) | Interruption::ClientLimited(_) | Interruption::Draining => {
                (None, blocked_by.as_ref().and_then(exhausted_detail))
            }
        };
        let context = self.call_context(call);
        let refusal = interruption.refusal();
        let (hold_cause, failed_probes, support) = match refusal.map(|refusal| &refusal.reason) {
            Some(RefusalReason::Held { cause, failed_probes }) => {
                (Some(*cause), *failed_probes, call.policy.dialect.support_under(*cause))
            }
            Some(
                RefusalReason::QueueFull
                | RefusalReason::ClientQueueFull
                | RefusalReason::Paused { .. }
                | RefusalReason::Exhausted { .. },
            )
            | None => (None, 0, context.support),
        };
        let retry_after = match interruption {
            Interruption::Draining => Some(DRAINING_RETRY),
            Interruption::Refused(_)
            | Interruption::ClientLimited(_)
            | Interruption::CostExceeded(_)
            | Interruption::ClientBodyBroken
            | Interruption::ClientBodyStalled => refusal.and_then(Refusal::known_wait),
        };
        let retry_after = retry_after.map(estimate);
        let retries_exhausted = retries_exhausted(call, failed_probes);
        let context = CallContext { retry_after, retries_exhausted, support, ..context };
        let occurrence = Occurrence { source, detail, hold_cause };
        let problem = gateway_problem(interruption.code(), &context, &occurrence);
        let end = CallEnd { blocked_by: blocked_by.as_ref(), ..CallEnd::default() };
        self.respond_problem(call, problem, end, None)
    }

    /// The response that carries a problem; `end` is completed from it and recorded.
    fn respond_problem(
        &self,
        call: &Call<'_>,
        mut problem: Problem,
        end: CallEnd<'_>,
        vendor_headers: Option<&HeaderMap>,
    ) -> Response<ResponseBody<E::Body>> {
        if call.asks_for_token() {
            problem.write_oauth_error();
        }
        let problem = &problem;
        self.shard.problem(Some(call.upstream), problem.code, problem.source);
        let mut headers = problem_headers(problem, vendor_headers, Cleaner::new(&self.redactor));
        repeat_for_stripe(&mut headers, &call.request.headers);
        let upstream = (problem.source != Source::Client).then_some(&*call.settings.name);
        let error = match end.failure {
            Some(failure) => ProxyError::failed(problem.code, failure),
            None => {
                let details = end.blocked_by.map(|blocked_by| blocked_by.to_string().into());
                ProxyError::refused(problem.code, details)
            }
        };
        let name = self.via.pseudonym();
        let status = proxy_status(name, Some(&error), upstream, end.vendor_status);
        // Appended, because a gateway nearer to the vendor may have its own member first.
        headers.append(PROXY_STATUS, status);
        let tightest = self.tightest_allowance(call);
        headers::add_call_headers(&mut headers, &call_headers(call, tightest.as_ref()));
        let shape = match self.shape_context(call).own() {
            // Libraries of OAuth know one shape only.
            OwnShape::Template(_) if call.asks_for_token() => OwnShape::Problem,
            shape @ (OwnShape::Problem | OwnShape::Template(_) | OwnShape::Grpc(_)) => shape,
        };
        let response = written(problem, headers, shape);
        self.record(call, &CallEnd { status: response.status(), problem: Some(problem), ..end });
        response
    }

    fn call_context<'a>(&'a self, call: &'a Call<'_>) -> CallContext<'a> {
        let dialect = &call.policy.dialect;
        CallContext {
            request_id: call.id.to_str().ok(),
            attempts: call.history.attempts,
            waited: call.history.waited,
            credential: match call.settings.credential {
                Some(_) => CredentialOwner::Gateway,
                None => CredentialOwner::Client,
            },
            upstream: Some(&call.settings.name),
            documentation: dialect.documentation.as_deref(),
            support: dialect.support.as_ref(),
            status: call.policy.status,
            cleaner: Cleaner::new(&self.redactor),
            ..CallContext::default()
        }
    }

    /// When the account expects that a failed call may be sent: the end of the hold that stands
    /// now, or of the allowance's exhaustion.
    fn retry_after(&self, failed: &FailedAttempt<E::Body>) -> Option<Wait> {
        let (now, settled) = (self.clock.now(), &failed.settled);
        let held = settled.held_until.map(|until| Wait {
            span: now.until(until),
            basis: settled.basis.unwrap_or(Basis::Estimate),
        });
        let release = settled.slot_free_at.map(|at| estimate(now.until(at)));
        match (held, release) {
            (Some(held), Some(release)) if held.span < release.span => Some(release),
            (Some(held), _) => Some(held),
            (None, release) => release,
        }
    }

    pub(super) fn tightest_allowance(&self, call: &Call<'_>) -> Option<TightestAllowance> {
        call.policy
            .expose
            .rate_limit
            .then(|| call.account.tightest_allowance(&call.slot_request))
            .flatten()
    }
}

/// The methods that every server knows, except TRACE and CONNECT, which are refused. Other methods
/// are forwarded too.
const METHODS_ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Names the limit as ours: the vendor did nothing wrong, and may have carried out the request.
const HEAD_TOO_LARGE: &str = "The upstream responded, but the head of its response is larger than \
                              this gateway accepts. The operator can raise `head.max` or \
                              `head.headers`.";
const BODY_BROKE: &str = "The request body broke off before it was complete.";
const BODY_STALLED: &str = "The request body stopped arriving, or arrived too slowly.";

/// Until then a load balancer has found another replica, or this one is back.
const DRAINING_RETRY: Duration = Duration::from_secs(1);

fn exhausted_detail(blocked_by: &Bottleneck) -> Option<Cow<'static, str>> {
    let name = &blocked_by.name;
    let limit = match blocked_by.kind {
        BottleneckKind::Allowance => "slot of the allowance",
        BottleneckKind::Concurrency => "concurrency slot of the allowance",
        BottleneckKind::Client => "slot of the limit of the client",
        BottleneckKind::Share => "slot beyond the share of the client",
        BottleneckKind::Priority => "slot for the priority of the client",
        BottleneckKind::ClientQueue => {
            let most = format!("As many calls of the client `{name}` wait as one client may have.");
            return Some(most.into());
        }
        BottleneckKind::Pace => {
            let detail = format!(
                "What is left of `{name}` is spread over time, and the next turn comes later than \
                 this call may wait."
            );
            return Some(detail.into());
        }
        BottleneckKind::Record => {
            let detail = format!(
                "What is used of `{name}` cannot be recorded in its directory or store, so that \
                 nothing more is granted. The gateway's log says why."
            );
            return Some(detail.into());
        }
        BottleneckKind::Paused => {
            let paused = format!("The gateway's operator has paused requests that need `{name}`.");
            return Some(paused.into());
        }
        BottleneckKind::Hold(_) | BottleneckKind::Queue => return None,
    };
    Some(format!("No {limit} `{name}` is free within the time this call may wait.").into())
}

/// A wait of at least a second, because "now" would invite a loop.
fn estimate(span: Duration) -> Wait {
    Wait { span: span.max(Duration::from_secs(1)), basis: Basis::Estimate }
}

/// Whether "a few retries" (D36) are used up: this call's attempts, or the probes of the hold that
/// answers it.
const fn retries_exhausted(call: &Call<'_>, failed_probes: u32) -> bool {
    let spent = call.attempts_max <= call.history.attempts;
    let probed = call.attempts_max <= failed_probes.saturating_add(1);
    spent || (probed && 0 < failed_probes)
}

pub(super) const fn headers_without_call(request_id: &HeaderValue) -> CallHeaders<'_> {
    CallHeaders { request_id, attempts: 0, wait_applied: None, timing: None, rate_limit: None }
}
