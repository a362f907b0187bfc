//! What the result of an exchange means, for the account at once and for the call in return.
//!
//! Most responses are successes by their status and pass without being read. Any other is read up
//! to a cap and classified by its dialect. Its slot is settled on every path, with what the head
//! says if the client leaves while the body is being read.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body;

use crate::allowance::{AttemptEnd, Settlement, Slot};
use crate::dialect::{self, HeadDecides};
use crate::headers::ResponseScan;
use crate::outcome::{Failure, FailureKind, ResponseHead};
use crate::telemetry::{self, AttemptResult};
use crate::upstream::Exchange;

use super::body::{Extent, IdleTimer, Metered, PeekedBody, RequestBody, ResponseBody, peek};
use super::call::Call;
use super::result::{CallResult, FailedAttempt, Interruption};
use super::settings::ErrorShape;
use super::settle::{attempt_end, blind_failure};
use super::state::{BoxFuture, Gateway};

/// How long the body of a refusal may be late before the head alone places a hold. Bodies come
/// with their heads, or within a round trip.
const BODY_GRACE: Duration = Duration::from_millis(100);

/// What the client gets, or an attempt that may be followed by another.
type Classified<B> = Result<CallResult<B>, Box<FailedAttempt<B>>>;

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Passes a response that is not inspected.
    pub(super) fn pass(
        &self,
        call: &mut Call<'_>,
        slot: Slot,
        (response, scan): (Response<E::Body>, ResponseScan),
        settlement: Settlement<'_>,
    ) -> CallResult<E::Body> {
        self.keep_identity_if_logged(call, settlement.ended);
        self.count_response(call, response.status(), &settlement);
        let head = ResponseHead { status: response.status(), headers: response.headers() };
        let has_standing = scan.has_rate_limit();
        let standing = has_standing.then(|| dialect::standing(head, self.clock.wall())).flatten();
        let permit = self.settle_success(call, slot, standing.as_ref(), settlement);
        let idle = IdleTimer::new(self.clock, call.response_idle_timeout(scan));
        let status = response.status();
        let context = || self.response_context(call, status);
        let tap = self.usage_tap(call, response.headers(), &permit);
        let metered = Metered { permit, tap };
        let response = response.map(|body| ResponseBody::of_vendor(body, idle, metered, context));
        // Only now, because the context names the account of the request's headers.
        self.exchange.recycle_headers(call.upstream, &mut call.request.headers);
        CallResult::Response(response, scan)
    }

    fn count_response(&self, call: &Call<'_>, status: StatusCode, settlement: &Settlement<'_>) {
        let took = settlement.ended.since(settlement.sent);
        let method = &call.request.method;
        self.shard.attempt_ended(call.upstream, method, AttemptResult::Status(status), took);
    }

    /// Classifies a response that may be an error, or a failure.
    #[cold]
    pub(super) fn classify<'a>(
        &'a self,
        call: &'a Call<'_>,
        slot: Slot,
        exchanged: Result<Response<E::Body>, Failure>,
        settlement: Settlement<'a>,
    ) -> BoxFuture<'a, Classified<E::Body>> {
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
    ) -> Classified<E::Body> {
        let end = attempt_end(&failure);
        let stalled = failure.kind == FailureKind::IdleTimeout && call.body.awaits_client();
        let broke = call.body.client_broke().then_some(Interruption::ClientBodyBroken);
        let caused_by_client = broke.or(stalled.then_some(Interruption::ClientBodyStalled));
        if let Some(interruption) = caused_by_client {
            // As if the client had left: once sent, the attempt counts, and a probe has failed.
            match end {
                AttemptEnd::NotSent => slot.cancel(),
                AttemptEnd::Answered | AttemptEnd::Unanswered | AttemptEnd::Refused => {
                    self.abandon(call, &mut slot)
                }
            }
            return Ok(CallResult::Interrupted(interruption));
        }
        let took = settlement.ended.since(settlement.sent);
        let (method, attempted) = (&call.request.method, AttemptResult::Failure(failure.kind));
        self.shard.attempt_ended(call.upstream, method, attempted, took);
        tracing::debug!(upstream = %call.settings.name, %failure, "exchange failed");
        if failure.kind == FailureKind::LocalResources {
            telemetry::log_resource_shortage(&failure, settlement.ended);
        }
        let classification = dialect::classify_failure(&call.policy.dialect, &failure);
        let blind_failure = blind_failure(&classification, Some(&failure));
        let settlement = Settlement { end, blind_failure, ..settlement };
        let was_probe = slot.is_probe();
        let (settled, _permit) = self.settle_failed(call, slot, &classification, settlement);
        Err(Box::new(FailedAttempt {
            classification,
            response: None,
            kept: None,
            failure: Some(failure),
            settled,
            was_probe,
        }))
    }

    /// Reads the body of a response that may be an error, up to a cap and for a moment.
    async fn inspect(
        &self,
        call: &Call<'_>,
        slot: Slot,
        response: Response<E::Body>,
        settlement: Settlement<'_>,
    ) -> Classified<E::Body> {
        let (parts, body) = response.into_parts();
        let was_probe = slot.is_probe();
        let open = Some((slot, parts));
        let mut inspection = Inspection { gateway: self, call, open, settlement };
        let peeked = inspection.read(body).await;
        let (slot, parts) = inspection.open.take().expect("only this line takes it");
        let body = (peeked.extent == Extent::Whole).then(|| peeked.bytes());
        let (head, wall) = (head_of(&parts), self.clock.wall());
        let Some((classification, facts)) =
            dialect::understand(&call.policy.dialect, head, body, wall)
        else {
            let standing = dialect::standing(head, wall);
            let permit = self.settle_success(call, slot, standing.as_ref(), settlement);
            let scan = ResponseScan::of(&parts.headers);
            let idle = IdleTimer::new(self.clock, call.response_idle_timeout(scan));
            let context = self.response_context(call, parts.status);
            let (read, rest) = peeked.into_frames();
            let tap = self.usage_tap(call, &parts.headers, &permit);
            let metered = Metered { permit, tap };
            let body = ResponseBody::resumed(read, rest, idle, metered, context);
            return Ok(CallResult::Response(Response::from_parts(parts, body), scan));
        };
        let (upstream, rule) = (&call.settings.name, &classification.rule);
        tracing::debug!(
            %upstream,
            %rule,
            evidence = %self.redactor.redact(&classification.sign.to_string()),
            "error classified"
        );
        if !facts.recognised {
            self.shard.unrecognised(call.upstream);
        }
        let blind_failure = blind_failure(&classification, None);
        let settlement = Settlement { blind_failure, ..settlement };
        let (settled, mut permit) = self.settle_failed(call, slot, &classification, settlement);
        let passes = self.shape_context(call).shape() == ErrorShape::Vendor
            || dialect::is_grpc_error(&parts.headers);
        let kept = if passes {
            peeked.keep(permit)
        } else {
            if peeked.extent == Extent::Whole {
                permit.body_ended();
            }
            None
        };
        let (response, failure) = (Some((parts, facts)), None);
        Err(Box::new(FailedAttempt { classification, response, kept, failure, settled, was_probe }))
    }
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
    async fn read<B>(&mut self, body: B) -> PeekedBody<B>
    where
        B: Body<Data = Bytes, Error = Failure> + Unpin,
    {
        let clock = self.gateway.clock;
        match self.head_decides() {
            HeadDecides::Never => return peek(body, clock).await,
            HeadDecides::AtOnce => {
                self.hold_by_head();
                return peek(body, clock).await;
            }
            HeadDecides::IfBodyIsLate => {}
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

    fn head_decides(&self) -> HeadDecides {
        let Some((_, parts)) = &self.open else { return HeadDecides::Never };
        dialect::head_decides(head_of(parts), self.gateway.clock.wall())
    }

    /// Places the hold that the head alone orders; the body can only refine it.
    fn hold_by_head(&mut self) {
        let Self { gateway, call, open, settlement } = self;
        let Some((slot, parts)) = open else { return };
        let wall = gateway.clock.wall();
        let classified = dialect::classify_head(&call.policy.dialect, head_of(parts), wall);
        let Some(classification) = classified.filter(|it| it.hold.is_some()) else { return };
        let (order, chance) = (classification.hold.as_ref(), gateway.random.unit());
        let settled = slot.hold_early(&Settlement { order, chance, ..*settlement });
        gateway.log_holds(call, &settled, Some(&classification.rule), settlement.ended);
    }
}

impl<E: Exchange<RequestBody>> Drop for Inspection<'_, '_, E> {
    fn drop(&mut self) {
        let Some((slot, parts)) = self.open.take() else { return };
        let Self { gateway, call, settlement, .. } = self;
        let (head, wall) = (head_of(&parts), gateway.clock.wall());
        if let Some(classification) = dialect::classify_head(&call.policy.dialect, head, wall) {
            let blind_failure = blind_failure(&classification, None);
            let settlement = Settlement { blind_failure, ..*settlement };
            gateway.settle_failed(call, slot, &classification, settlement);
        } else {
            let standing = dialect::standing(head, wall);
            gateway.settle_success(call, slot, standing.as_ref(), *settlement);
        }
    }
}

const fn head_of(parts: &Parts) -> ResponseHead<'_> {
    ResponseHead { status: parts.status, headers: &parts.headers }
}
