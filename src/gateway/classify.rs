//! What the result of an exchange means, for the account at once and for the call in return.
//!
//! Most responses are successes by their status and pass without being read. Any other is read up
//! to a cap and classified by its dialect. Its slot is settled on every path, with what the head
//! says if the client leaves while the body is being read.

use std::pin::pin;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use crate::allowance::{AttemptEnd, Settlement, Slot};
use crate::dialect;
use crate::dialect::classify::{self};
use crate::dialect::hint;
use crate::headers::AnswerSurvey;
use crate::outcome::{Answer, Class, Extent, Failure, FailureKind, HoldOrder, Peek, Standing};
use crate::telemetry::{self, Attempted};
use crate::upstream::Exchange;

use super::body::{IdleTimer, PeekedBody, RequestBody, ResponseBody, peek};
use super::call::Call;
use super::result::{CallResult, FailedAttempt, Interruption};
use super::settle::{attempt_end, blind};
use super::state::{BoxFuture, Gateway};

/// How long the body of a refusal may be late before the head alone places a hold. Bodies come
/// with their heads, or within a round trip.
const BODY_GRACE: Duration = Duration::from_millis(100);

/// A body of which nothing has been read.
static UNREAD: LazyLock<Peek> = LazyLock::new(|| Peek { extent: Extent::Cut, ..Peek::default() });

/// What the head of a success says about limits, and the pause it asks for.
type Said = (Option<Standing>, Option<HoldOrder>);

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Passes a response that is not inspected.
    pub(super) fn pass(
        &self,
        call: &mut Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        settlement: Settlement<'_>,
    ) -> CallResult<E::Body> {
        self.keep_identity_if_logged(call, settlement.over);
        self.count_response(call, response.status(), &settlement);
        let survey = AnswerSurvey::of(response.headers());
        let said =
            survey.speaks_of_rates().then(|| self.said(response.status(), response.headers()));
        let permit = self.settle_success(call, slot, said.as_ref(), settlement);
        let idle = IdleTimer::new(self.clock, call.response_idle_timeout(survey));
        let status = response.status();
        let context = || self.response_context(call, status);
        let response = response.map(|body| ResponseBody::of_vendor(body, idle, permit, context));
        // Only now the request's header map is free, because the context names the account.
        self.exchange.reuse(call.upstream, &mut call.request.headers);
        CallResult::Response(response, survey)
    }

    fn said(&self, status: StatusCode, headers: &HeaderMap) -> Said {
        let wall = self.clock.wall();
        (hint::standing(headers, || wall), hint::pause(status, headers, wall).map(classify::pause))
    }

    fn count_response(&self, call: &Call<'_>, status: StatusCode, settlement: &Settlement<'_>) {
        let took = settlement.over.since(settlement.sent);
        let method = &call.request.method;
        self.shard.attempted(call.upstream, method, Attempted::Status(status), took);
    }

    /// Classifies a response that may be an error, or a failure.
    #[cold]
    pub(super) fn classify<'a>(
        &'a self,
        call: &'a Call<'_>,
        slot: Slot,
        exchanged: Result<Response<E::Body>, Failure>,
        settlement: Settlement<'a>,
    ) -> BoxFuture<'a, Result<CallResult<E::Body>, Box<FailedAttempt>>> {
        Box::pin(async move {
            match exchanged {
                Ok(response) => {
                    self.count_response(call, response.status(), &settlement);
                    self.inspect(call, slot, response, settlement).await
                }
                Err(failure) => self.classify_failure(call, slot, failure, settlement),
            }
        })
    }

    fn classify_failure(
        &self,
        call: &Call<'_>,
        mut slot: Slot,
        failure: Failure,
        settlement: Settlement<'_>,
    ) -> Result<CallResult<E::Body>, Box<FailedAttempt>> {
        let fate = attempt_end(&failure);
        if let Some(interruption) = caused_by_client(call, &failure) {
            // As if the client had left: once sent, the attempt counts, and a probe has failed.
            match fate {
                AttemptEnd::NotSent => slot.cancel(),
                AttemptEnd::Answered | AttemptEnd::Unanswered | AttemptEnd::Refused => {
                    self.abandon(call, &mut slot)
                }
            }
            return Ok(CallResult::Interrupted(interruption));
        }
        let took = settlement.over.since(settlement.sent);
        let (method, attempted) = (&call.request.method, Attempted::Failure(failure.kind));
        self.shard.attempted(call.upstream, method, attempted, took);
        tracing::debug!(upstream = %call.settings.name, %failure, "exchange failed");
        if failure.kind == FailureKind::LocalResources {
            telemetry::shortage(&failure, settlement.over);
        }
        let classification = dialect::for_failure(&call.policy.dialect, &failure);
        let blind = blind(&classification, Some(&failure));
        let settlement = Settlement { fate, blind, ..settlement };
        let was_probe = slot.is_probe();
        let (settled, _permit) = self.settle_failed(call, slot, &classification, settlement);
        let failure = Some(failure);
        Err(Box::new(FailedAttempt { classification, response: None, failure, settled, was_probe }))
    }

    /// Reads the body of a response that may be an error, up to a cap and for a moment.
    async fn inspect(
        &self,
        call: &Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        settlement: Settlement<'_>,
    ) -> Result<CallResult<E::Body>, Box<FailedAttempt>> {
        let (parts, body) = response.into_parts();
        let (was_probe, status) = (slot.is_probe(), parts.status);
        let open = Some((slot, parts));
        let mut inspection = Inspection { gateway: self, call, open, settlement };
        let peeked = inspection.read(body, status).await;
        let (slot, parts) = inspection.open.take().expect("only this line takes it");
        let seen = dialect::decode::peek(peeked.bytes(), peeked.extent, &parts.headers);
        let answer = Answer { status: parts.status, headers: &parts.headers, body: &seen };
        let wall = self.clock.wall();
        let (class, facts) = dialect::understand(&call.policy.dialect, &answer, wall);
        let classification = match class {
            Class::Success => {
                let said = self.said(parts.status, &parts.headers);
                let permit = self.settle_success(call, slot, Some(&said), settlement);
                let survey = AnswerSurvey::of(&parts.headers);
                let idle = IdleTimer::new(self.clock, call.response_idle_timeout(survey));
                let context = self.response_context(call, parts.status);
                let (read, rest) = peeked.into_frames();
                let body = ResponseBody::resumed(read, rest, idle, permit, context);
                return Ok(CallResult::Response(Response::from_parts(parts, body), survey));
            }
            Class::Trouble(classification) => *classification,
        };
        if !facts.recognised {
            self.shard.unrecognised(call.upstream);
        }
        let standing = hint::standing(&parts.headers, || wall);
        let blind = blind(&classification, None);
        let settlement = Settlement { said: standing.as_ref(), blind, ..settlement };
        let (settled, mut permit) = self.settle_failed(call, slot, &classification, settlement);
        if peeked.extent == Extent::Whole {
            permit.end();
        }
        let (response, failure) = (Some((parts, facts)), None);
        Err(Box::new(FailedAttempt { classification, response, failure, settled, was_probe }))
    }
}

/// Whether an exchange failed because of the client's request body.
fn caused_by_client(call: &Call<'_>, failure: &Failure) -> Option<Interruption> {
    if call.body.client_broke() {
        return Some(Interruption::ClientBodyBroken);
    }
    let stalled = failure.kind == FailureKind::IdleTimeout && call.body.awaits_client();
    stalled.then_some(Interruption::ClientBodyStalled)
}

/// The slot of a response whose body is being read. Dropped before the body has ended, because
/// the client left, it settles the slot with what the head alone says.
struct Inspection<'a, 'c, E: Exchange<RequestBody>> {
    gateway: &'a Gateway<E>,
    call: &'a Call<'c>,
    /// Present until the body has been read.
    open: Option<(Slot, Parts)>,
    settlement: Settlement<'a>,
}

impl<E: Exchange<RequestBody>> Inspection<'_, '_, E> {
    /// Reads the body. A refusal that states a wait in its head places a hold first, one without
    /// it when its body is late, so that no other call is sent into it meanwhile.
    async fn read<B>(&mut self, body: B, status: StatusCode) -> PeekedBody<B>
    where
        B: Body<Data = Bytes, Error = Failure> + Unpin,
    {
        let clock = self.gateway.clock;
        if !classify::refuses(status) {
            return peek(body, clock).await;
        }
        if self.states_wait() {
            self.hold_by_head();
            return peek(body, clock).await;
        }
        let mut reading = pin!(peek(body, clock));
        tokio::select! {
            biased;
            peeked = &mut reading => return peeked,
            () = clock.sleep_until(clock.now().plus(BODY_GRACE)) => {}
        }
        self.hold_by_head();
        reading.await
    }

    fn states_wait(&self) -> bool {
        let Some((_, parts)) = &self.open else { return false };
        hint::explicit(&parts.headers, self.gateway.clock.wall()).is_some()
    }

    /// Places the hold that the head alone orders; the body can only refine it.
    fn hold_by_head(&mut self) {
        let Self { gateway, call, open, settlement } = self;
        let Some((slot, parts)) = open else { return };
        let head = Answer { status: parts.status, headers: &parts.headers, body: &UNREAD };
        let ordered = classify::by_head(&call.policy.dialect, &head, gateway.clock.wall());
        if let Some((order, rule)) = &ordered {
            let chance = gateway.random.unit();
            let settled = slot.close(&Settlement { order: Some(order), chance, ..*settlement });
            gateway.log_holds(call, &settled, Some(rule), settlement.over);
        }
    }
}

impl<E: Exchange<RequestBody>> Drop for Inspection<'_, '_, E> {
    fn drop(&mut self) {
        let Some((slot, parts)) = self.open.take() else { return };
        let Self { gateway, call, settlement, .. } = self;
        let head = Answer { status: parts.status, headers: &parts.headers, body: &UNREAD };
        let wall = gateway.clock.wall();
        match dialect::understand(&call.policy.dialect, &head, wall).0 {
            Class::Success => {
                let said = gateway.said(parts.status, &parts.headers);
                drop(gateway.settle_success(call, slot, Some(&said), *settlement));
            }
            Class::Trouble(classification) => {
                let standing = hint::standing(&parts.headers, || wall);
                let blind = blind(&classification, None);
                let settlement = Settlement { said: standing.as_ref(), blind, ..*settlement };
                gateway.settle_failed(call, slot, &classification, settlement);
            }
        }
    }
}
