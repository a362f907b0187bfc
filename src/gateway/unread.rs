//! An answer whose head is here and whose body is not: what the head says counts at once.

use std::pin::pin;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use http_body::Body;

use crate::allowance::{ConcurrencyPermit, Settlement, Slot};
use crate::dialect;
use crate::dialect::classify::{self};
use crate::dialect::hint;
use crate::outcome::{Answer, Class, Extent, Failure, Peek};
use crate::retry::decision::RetryReason;
use crate::upstream::Exchange;

use super::Gateway;
use super::body::{Peeked, RequestBody, peek};
use super::call::Call;
use super::record::BY_RATE_HEADERS;

/// The slot of an answer whose body is being read. Dropped before that has ended, because the
/// client left, it is settled by what the head alone says.
pub(super) struct Unread<'a, 'c, E: Exchange<RequestBody>> {
    pub(super) gateway: &'a Gateway<E>,
    pub(super) call: &'a Call<'c>,
    /// Until the body has been read.
    pub(super) open: Option<(Slot, Parts)>,
    pub(super) settlement: Settlement<'a>,
}

/// How long the head of a refusal without a stated wait is kept from deciding: bodies come with
/// their heads, or within a round trip.
const HEAD_ALONE: Duration = Duration::from_millis(100);

/// A body of which nothing has been read.
static UNREAD: LazyLock<Peek> = LazyLock::new(|| Peek { extent: Extent::Cut, ..Peek::default() });

impl<E: Exchange<RequestBody>> Unread<'_, '_, E> {
    /// Whether the head states a wait with its refusal: then it decides without its body.
    fn states_wait(&self) -> bool {
        let Some((_, parts)) = &self.open else { return false };
        hint::explicit(&parts.headers, self.gateway.clock.wall()).is_some()
    }

    /// Closes what the head by itself orders closed; the body can only refine it.
    fn close_by_head(&mut self) {
        let Self { gateway, call, open, settlement } = self;
        let Some((slot, parts)) = open else { return };
        let head = Answer { status: parts.status, headers: &parts.headers, body: &UNREAD };
        let ordered = classify::by_head(&call.policy.dialect, &head, gateway.clock.wall());
        if let Some((order, rule)) = &ordered {
            let chance = gateway.random.unit();
            let settlement = Settlement { order: Some(order), chance, ..*settlement };
            let aftermath = slot.hold_early(&settlement);
            gateway.tell_operator(call, &aftermath, (Some(rule), settlement.ended));
        }
    }

    /// Reads the body. A refusal with a stated wait closes its scope first, one without it when
    /// its body is late: nobody else is sent into it meanwhile.
    pub(super) async fn read<B>(&mut self, body: B, status: StatusCode) -> Peeked<B>
    where
        B: Body<Data = Bytes, Error = Failure> + Unpin,
    {
        let clock = self.gateway.clock;
        if !classify::refuses(status) {
            return peek(body, clock).await;
        }
        if self.states_wait() {
            self.close_by_head();
            return peek(body, clock).await;
        }
        let mut reading = pin!(peek(body, clock));
        tokio::select! {
            biased;
            peeked = &mut reading => return peeked,
            () = clock.sleep_until(clock.now().plus(HEAD_ALONE)) => {}
        }
        self.close_by_head();
        reading.await
    }
}

impl<E: Exchange<RequestBody>> Drop for Unread<'_, '_, E> {
    fn drop(&mut self) {
        let Some((slot, parts)) = self.open.take() else { return };
        let Self { gateway, call, settlement, .. } = self;
        let head = Answer { status: parts.status, headers: &parts.headers, body: &UNREAD };
        let wall = gateway.clock.wall();
        let standing = hint::standing(&parts.headers, || wall);
        let settlement = Settlement { standing: standing.as_ref(), ..*settlement };
        match dialect::understand(&call.policy.dialect, &head, wall).0 {
            Class::Success => drop(gateway.settle_success(call, slot, &parts, settlement)),
            Class::Trouble(trouble) => {
                let reason = RetryReason::Code(trouble.code);
                gateway.settle(call, slot, (&trouble, reason), settlement);
            }
        }
    }
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Settles the slot of an answer that was looked at and is a success.
    pub(super) fn settle_success(
        &self,
        call: &Call<'_>,
        slot: Slot,
        parts: &Parts,
        settlement: Settlement<'_>,
    ) -> ConcurrencyPermit {
        self.retry_budgets[call.upstream].succeeded();
        let pause = self.pause(parts.status, &parts.headers);
        let settlement = Settlement { order: pause.as_ref(), ..settlement };
        let (aftermath, seat) = slot.settle(&settlement);
        self.tell_operator(call, &aftermath, (Some(BY_RATE_HEADERS), settlement.ended));
        seat
    }
}
