//! An answer whose head is here and whose body is not: what the head says counts at once.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http_body::Body;

use crate::allowance::{ConcurrencyPermit, Settlement, Slot};
use crate::dialect::{self, HeadDecides};
use crate::outcome::{Failure, ResponseHead};
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

impl<E: Exchange<RequestBody>> Unread<'_, '_, E> {
    /// When the head decides without its body.
    fn head_decides(&self) -> HeadDecides {
        let Some((_, parts)) = &self.open else { return HeadDecides::Never };
        dialect::head_decides(head_of(parts), self.gateway.clock.wall())
    }

    /// Closes what the head by itself orders closed; the body can only refine it.
    fn close_by_head(&mut self) {
        let Self { gateway, call, open, settlement } = self;
        let Some((slot, parts)) = open else { return };
        let wall = gateway.clock.wall();
        let classified = dialect::classify_head(&call.policy.dialect, head_of(parts), wall);
        let Some(trouble) = classified.filter(|it| it.hold.is_some()) else { return };
        let chance = gateway.random.unit();
        let settlement = Settlement { order: trouble.hold.as_ref(), chance, ..*settlement };
        let aftermath = slot.hold_early(&settlement);
        gateway.tell_operator(call, &aftermath, (Some(&trouble.rule), settlement.ended));
    }

    /// Reads the body. A refusal with a stated wait closes its scope first, one without it when
    /// its body is late: nobody else is sent into it meanwhile.
    pub(super) async fn read<B>(&mut self, body: B) -> Peeked<B>
    where
        B: Body<Data = Bytes, Error = Failure> + Unpin,
    {
        let clock = self.gateway.clock;
        match self.head_decides() {
            HeadDecides::Never => return peek(body, clock).await,
            HeadDecides::AtOnce => {
                self.close_by_head();
                return peek(body, clock).await;
            }
            HeadDecides::IfBodyIsLate => {}
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
        let wall = gateway.clock.wall();
        match dialect::classify_head(&call.policy.dialect, head_of(&parts), wall) {
            None => drop(gateway.settle_success(call, slot, &parts, *settlement)),
            Some(trouble) => {
                let reason = RetryReason::Code(trouble.code);
                gateway.settle(call, slot, (&trouble, reason), *settlement);
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
        let said = dialect::standing(head_of(parts), self.clock.wall());
        let pause = said.as_ref().and_then(|said| said.pause.as_ref());
        let settlement = Settlement { order: pause, standing: said.as_ref(), ..settlement };
        let (aftermath, seat) = slot.settle(&settlement);
        self.tell_operator(call, &aftermath, (Some(BY_RATE_HEADERS), settlement.ended));
        seat
    }
}

const fn head_of(parts: &Parts) -> ResponseHead<'_> {
    ResponseHead { status: parts.status, headers: &parts.headers }
}
