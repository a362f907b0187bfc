//! The answer: the vendor's own with its headers put right, or the one problem that says what went
//! wrong.
//!
//! Refuses to decide anything: what a problem says is `policy::normalise`'s.

use std::borrow::Cow;
use std::time::Duration;

use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use crate::allowance::{Awaited, Barrier, Refusal, RefusalReason};
use crate::headers::{self, AnswerSurvey, Incoming, Notes, RateLimit, Rewrite, Timing, Trailers};
use crate::outcome::{Basis, Code, FailureKind, Processing, Source, Wait};
use crate::problem::Problem;
use crate::problem::normalise::{
    self, CallFacts, Effect, Presenter, ProxyError, Remark, Retries, Scrub, problem_headers,
    proxy_status,
};
use crate::telemetry::LimitOf;
use crate::upstream::{Exchange, Interim};

use super::admit::{Stop, refused_by};
use super::attempt::{Finish, Troubled};
use super::body::{RequestBody, ResponseBody};
use super::call::{Call, Rejection};
use super::record::{Ending, Why};
use super::settings::Redirects;
use super::{ClientConnection, Gateway};

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// The answer to a call, recorded.
    pub(super) fn respond(
        &self,
        call: &Call<'_>,
        finish: Finish<E::Body>,
    ) -> Response<ResponseBody<E::Body>> {
        match finish {
            Finish::Passed(mut response, survey) => {
                self.pass_on(call, &mut response, survey);
                response
            }
            Finish::Troubled(mut troubled) => self.tell_trouble(call, &mut troubled),
            Finish::Stopped(stop) => self.tell_stop(call, &stop),
        }
    }

    /// A problem for a request that became no call.
    #[cold]
    pub(super) fn turn_away(&self, turned: &Rejection) -> Response<ResponseBody<E::Body>> {
        let facts = CallFacts {
            request_id: turned.id.to_str().ok(),
            upstream: turned.upstream.map(|number| &*self.settings.upstreams[number].name),
            ..CallFacts::default()
        };
        let remark = Remark {
            source: (turned.code != Code::LoopDetected).then_some(Source::Client),
            detail: Some(Cow::Borrowed(turned.detail)),
            cause: None,
        };
        let problem = normalise::own_problem(turned.code, &facts, &remark);
        self.shard.problem(turned.upstream, problem.code, problem.source);
        let (code, request_id) = (problem.code.as_str(), problem.request_id.as_deref());
        tracing::info!(code, detail = turned.detail, request_id, "request turned away");
        let mut headers = problem_headers(&problem, None, Scrub::default());
        let own = ProxyError::own(problem.code, Some(turned.detail.into()));
        headers.insert(PROXY_STATUS, proxy_status(self.via.pseudonym(), Some(&own), None, None));
        if problem.code == Code::MethodNotAllowed {
            headers.insert(ALLOW, METHODS_ALLOWED);
        }
        headers::annotate(&mut headers, &uncalled(&turned.id));
        problem_response(&problem, headers)
    }

    /// What the gateway says of itself: the answer to an OPTIONS request that may go no further.
    #[cold]
    pub(super) fn answer_options(&self, asked: &HeaderMap) -> Response<ResponseBody<E::Body>> {
        let id = headers::request_id(asked).cloned().unwrap_or_else(|| self.fresh_request_id());
        let mut response = Response::new(ResponseBody::Whole(None));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, METHODS_ALLOWED);
        headers::annotate(response.headers_mut(), &uncalled(&id));
        response
    }

    /// Passes on what the vendor said before its answer. `100 Continue` is ours to say.
    #[cold]
    pub(super) fn pass_interim(
        &self,
        call: &Call<'_>,
        peer: &ClientConnection,
        interim: Vec<Interim>,
    ) {
        for mut interim in interim {
            if interim.status != StatusCode::CONTINUE {
                let via = self.via.value(Version::HTTP_11);
                headers::incoming_bare(&mut interim.headers, via, redirects(call).as_ref());
                if call.rules.credential.is_some() {
                    self.redactor.redact_passing(&mut interim.headers);
                }
                peer.push_interim(interim);
            }
        }
    }

    fn pass_on<B: Body>(&self, call: &Call<'_>, response: &mut Response<B>, survey: AnswerSurvey) {
        let version = response.version();
        let binding = self.binding(call);
        let incoming = Incoming {
            via: self.via.value(version),
            redirects: if survey.has_reference() { redirects(call) } else { None },
            trailers: trailers(version, response.body()),
            notes: notes(call, binding.as_ref()),
        };
        headers::incoming(response.headers_mut(), survey, &incoming);
        if call.rules.credential.is_some() {
            self.redactor.redact_passing(response.headers_mut());
            let phrase = response.extensions().get::<ReasonPhrase>();
            if phrase.is_some_and(|phrase| self.redactor.finds(phrase.as_bytes())) {
                response.extensions_mut().remove::<ReasonPhrase>();
            }
        }
        let status = response.status();
        let vendor_status = Some(status);
        self.record(call, &Ending { status, vendor_status, ..Ending::default() });
    }

    #[cold]
    fn tell_trouble(
        &self,
        call: &Call<'_>,
        troubled: &mut Troubled,
    ) -> Response<ResponseBody<E::Body>> {
        self.relay_headers(call, troubled);
        let answer = troubled.answer.as_ref();
        let vendor_status = answer.map(|(parts, _)| parts.status);
        let facts = CallFacts {
            stopped_by: Some(troubled.stopped_by),
            effect: effect(call, troubled),
            retries: retries(call, troubled.aftermath.failures),
            retry_after: reckoned(troubled),
            vendor_status,
            ..self.facts(call)
        };
        let reading = answer.map(|(_, reading)| reading);
        let mut problem = normalise::upstream_problem(&troubled.trouble, reading, &facts);
        let vendor_headers = answer.map(|(parts, _)| &parts.headers);
        if troubled.failure.as_ref().is_some_and(|it| it.kind == FailureKind::HeadTooLarge) {
            problem.detail = HEAD_TOO_LARGE.into();
        }
        let rule = Some(&*troubled.trouble.rule);
        let why = Why { rule, failure: troubled.failure.as_ref(), awaited: None };
        self.tell(call, &problem, (vendor_headers, vendor_status), why)
    }

    #[cold]
    fn tell_stop(&self, call: &Call<'_>, stop: &Stop) -> Response<ResponseBody<E::Body>> {
        let told = Told::of(stop, call);
        let facts = self.facts(call);
        let about_hold = told.remark.cause.map(|cause| call.policy.dialect.support_under(cause));
        let facts = CallFacts {
            retry_after: told.retry_after,
            retries: retries(call, told.failures),
            support: about_hold.unwrap_or(facts.support),
            ..facts
        };
        let problem = normalise::own_problem(told.code, &facts, &told.remark);
        let awaited = awaited(stop, call);
        let why = Why { awaited: awaited.as_ref(), ..Why::default() };
        self.tell(call, &problem, (None, None), why)
    }

    fn tell(
        &self,
        call: &Call<'_>,
        problem: &Problem,
        (vendor, received): (Option<&HeaderMap>, Option<StatusCode>),
        why: Why<'_>,
    ) -> Response<ResponseBody<E::Body>> {
        self.shard.problem(Some(call.upstream), problem.code, problem.source);
        let mut headers = problem_headers(problem, vendor, self.scrub());
        let upstream = (problem.source != Source::Client).then_some(&*call.rules.name);
        let error = match why.failure {
            Some(failure) => ProxyError::broken(problem.code, failure),
            None => ProxyError::own(problem.code, why.awaited.map(|it| it.to_string().into())),
        };
        let status = proxy_status(self.via.pseudonym(), Some(&error), upstream, received);
        // A gateway nearer to the vendor has said its part already: ours comes after it.
        headers.append(PROXY_STATUS, status);
        let binding = self.binding(call);
        headers::annotate(&mut headers, &notes(call, binding.as_ref()));
        let ending =
            Ending { status: problem.status, problem: Some(problem), why, vendor_status: received };
        self.record(call, &ending);
        problem_response(problem, headers)
    }

    /// Turns the headers of the vendor's answer into those that may stand beside a problem.
    fn relay_headers(&self, call: &Call<'_>, troubled: &mut Troubled) {
        let Some((parts, _)) = &mut troubled.answer else { return };
        let rewrite = match call.policy.redirects {
            Redirects::Rewrite => Some(call.rewrite()),
            Redirects::Pass => None,
        };
        let via = self.via.value(parts.version);
        headers::incoming_bare(&mut parts.headers, via, rewrite.as_ref());
    }

    fn scrub(&self) -> Scrub<'_> {
        Scrub::of(&self.redactor)
    }

    fn facts<'a>(&'a self, call: &'a Call<'_>) -> CallFacts<'a> {
        let dialect = &call.policy.dialect;
        CallFacts {
            request_id: call.id.to_str().ok(),
            attempts: call.story.attempts,
            waited: call.story.waited,
            credential: match call.rules.credential {
                Some(_) => Presenter::Gateway,
                None => Presenter::Client,
            },
            upstream: Some(&call.rules.name),
            documentation: dialect.documentation.as_deref(),
            support: dialect.support.as_ref(),
            status: call.policy.status,
            scrub: self.scrub(),
            ..CallFacts::default()
        }
    }

    fn binding(&self, call: &Call<'_>) -> Option<crate::allowance::Binding> {
        call.policy.expose.rate_limit.then(|| call.account.binding(&call.want)).flatten()
    }
}

/// The methods with a meaning everywhere, less those that are refused: TRACE and CONNECT. Others
/// are sent on as they are.
const METHODS_ALLOWED: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// What is said of a request that became no call.
const fn uncalled(request_id: &HeaderValue) -> Notes<'_> {
    Notes { request_id, attempts: 0, wait_applied: None, timing: None, rate_limit: None }
}

/// Names the limit as ours: the vendor did nothing wrong, and may have carried out the request.
const HEAD_TOO_LARGE: &str = "The vendor answered, but the head of its answer is larger than this \
                              gateway reads. Its operator can raise `head.max` or `head.headers`.";

const PROXY_STATUS: http::HeaderName = http::HeaderName::from_static("proxy-status");

/// What a client is told when its call was stopped by us.
struct Told {
    code: Code,
    retry_after: Option<Wait>,
    failures: u32,
    remark: Remark<'static>,
}

/// What a call was refused a slot of, if it was.
fn awaited(stop: &Stop, call: &Call<'_>) -> Option<Awaited> {
    match stop {
        Stop::Refused(refusal) => Some(refused_by(refusal, LimitOf::Upstream, call)),
        Stop::ClientLimited(refusal) => Some(refused_by(refusal, LimitOf::Client, call)),
        Stop::Draining | Stop::ClientLeft | Stop::ClientStalled => None,
    }
}

impl Told {
    fn of(stop: &Stop, call: &Call<'_>) -> Self {
        let told = Self::plainly(stop);
        let sentence = awaited(stop, call).and_then(|awaited| {
            let what = match awaited.what {
                Barrier::Allowance => "slot of the allowance",
                Barrier::Concurrency => "place of the allowance",
                Barrier::Client => "slot of the limit of the client",
                Barrier::Pace | Barrier::Hold(_) | Barrier::Queue => return None,
            };
            let name = awaited.name;
            Some(format!("No {what} `{name}` is free within the time this call may wait."))
        });
        let detail = sentence.map(Cow::Owned).or(told.remark.detail.clone());
        Self { remark: Remark { detail, ..told.remark }, ..told }
    }

    fn plainly(stop: &Stop) -> Self {
        match stop {
            Stop::Refused(refusal) => Self::refused(refusal, Code::AllowanceExhausted),
            Stop::ClientLimited(refusal) => Self::refused(refusal, Code::ClientLimited),
            Stop::Draining => Self {
                retry_after: Some(estimate(DRAINING_RETRY)),
                ..Self::plain(Code::Draining, None)
            },
            Stop::ClientStalled => {
                let detail = "The request's body stopped coming, or came too slowly.";
                Self {
                    remark: Remark { source: Some(Source::Client), ..remark(Some(detail)) },
                    ..Self::plain(Code::RequestTimeout, None)
                }
            }
            Stop::ClientLeft => {
                let detail = "The request's body broke off before it was complete.";
                Self {
                    remark: Remark { source: Some(Source::Client), ..remark(Some(detail)) },
                    ..Self::plain(Code::InvalidRequest, None)
                }
            }
        }
    }

    fn refused(refusal: &Refusal, exhausted: Code) -> Self {
        let retry_after = Some(estimate(refusal.retry_after));
        let told = match &refusal.reason {
            RefusalReason::QueueFull => Self::plain(Code::QueueFull, None),
            RefusalReason::Exhausted { .. } => Self::plain(exhausted, None),
            RefusalReason::Held { cause, failures } => {
                let mut told = Self::plain(Code::UpstreamHeld, None);
                told.remark.cause = Some(*cause);
                Self { failures: *failures, ..told }
            }
        };
        Self { retry_after, ..told }
    }

    const fn plain(code: Code, detail: Option<&'static str>) -> Self {
        Self { code, retry_after: None, failures: 0, remark: remark(detail) }
    }
}

/// By then a balancer has found another replica, or this one is back.
const DRAINING_RETRY: Duration = Duration::from_secs(1);

const fn remark(detail: Option<&'static str>) -> Remark<'static> {
    Remark {
        source: None,
        detail: match detail {
            Some(detail) => Some(Cow::Borrowed(detail)),
            None => None,
        },
        cause: None,
    }
}

/// An honest estimate is at least a second: "now" would invite a loop.
fn estimate(span: Duration) -> Wait {
    Wait { span: span.max(Duration::from_secs(1)), basis: Basis::Estimate }
}

/// Where an answer that leads to the vendor leads instead.
fn redirects<'a>(call: &'a Call<'_>) -> Option<Rewrite<'a>> {
    match call.policy.redirects {
        Redirects::Rewrite => Some(call.rewrite()),
        Redirects::Pass => None,
    }
}

/// In HTTP/1.1 no trailers follow a body whose length is known.
fn trailers<B: Body>(version: Version, body: &B) -> Trailers {
    let sized = version != Version::HTTP_2 && body.size_hint().exact().is_some();
    if sized { Trailers::Drop } else { Trailers::Pass }
}

/// Whether it is known what the request did.
fn effect(call: &Call<'_>, troubled: &Troubled) -> Effect {
    let unknown = troubled.trouble.processing == Processing::Unknown;
    if unknown && !call.promised_method().is_safe() { Effect::Unknown } else { Effect::Known }
}

/// "A few retries are used up": this call's attempts, or the probes of the hold that answers it.
const fn retries(call: &Call<'_>, failures: u32) -> Retries {
    let spent = call.attempts_max <= call.story.attempts;
    let probed = call.attempts_max <= failures.saturating_add(1);
    if spent || (probed && 0 < failures) { Retries::UsedUp } else { Retries::Left }
}

/// What the vault reckons: the end of the hold that now stands, or of the allowance's exhaustion.
fn reckoned(troubled: &Troubled) -> Option<Wait> {
    let aftermath = &troubled.aftermath;
    let held = aftermath.held_until.map(|until| Wait {
        span: troubled.at.until(until),
        basis: aftermath.basis.unwrap_or(Basis::Estimate),
    });
    let release = aftermath.release.map(|at| estimate(troubled.at.until(at)));
    match (held, release) {
        (Some(held), Some(release)) if held.span < release.span => Some(release),
        (Some(held), _) => Some(held),
        (None, release) => release,
    }
}

fn notes<'a>(call: &'a Call<'_>, binding: Option<&'a crate::allowance::Binding>) -> Notes<'a> {
    let timing = Timing { wait: call.story.waited, upstream: call.story.upstream_time };
    Notes {
        request_id: &call.id,
        attempts: call.story.attempts,
        wait_applied: call.wait_applied,
        timing: call.policy.expose.server_timing.then_some(timing),
        rate_limit: binding.map(|binding| RateLimit {
            name: &binding.name,
            limit: binding.limit,
            window: binding.window,
            remaining: binding.remaining,
            reset: binding.reset,
        }),
    }
}

fn problem_response<B>(problem: &Problem, headers: HeaderMap) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::Whole(Some(problem.to_bytes())));
    *response.status_mut() = problem.status;
    *response.headers_mut() = headers;
    response
}
