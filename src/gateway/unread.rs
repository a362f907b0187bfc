//! An answer whose head is here and whose body is not: what the head says counts at once.

use std::sync::LazyLock;

use http::response::Parts;

use crate::allowance::{Settlement, Slot};
use crate::dialect;
use crate::policy::classify::{self, Class};
use crate::policy::outcome::{Answer, Extent, Peek};
use crate::policy::verdict::RetryReason;
use crate::upstream::Exchange;

use super::Gateway;
use super::body::RequestBody;
use super::call::Call;

/// The slot of an answer whose body is being read. Dropped before that has ended, because the
/// client left, it is settled by what the head alone says.
pub(super) struct Unread<'a, 'c, E: Exchange<RequestBody>> {
    pub(super) gateway: &'a Gateway<E>,
    pub(super) call: &'a Call<'c>,
    /// Until the body has been read.
    pub(super) open: Option<(Slot, Parts)>,
    pub(super) settlement: Settlement<'a>,
}

/// A body of which nothing has been read.
static UNREAD: LazyLock<Peek> = LazyLock::new(|| Peek { extent: Extent::Cut, ..Peek::default() });

impl<E: Exchange<RequestBody>> Unread<'_, '_, E> {
    /// Where the head says enough to close a scope, it does so now: the body may take its time.
    pub(super) fn close_by_head(&mut self) {
        let Self { gateway, call, open, settlement } = self;
        let Some((slot, parts)) = open else { return };
        let head = Answer { status: parts.status, headers: &parts.headers, body: &UNREAD };
        let order = classify::by_head(&call.policy.dialect, &head, gateway.clock.wall());
        if order.is_some() {
            let chance = gateway.random.unit();
            let settlement = Settlement { order: order.as_ref(), chance, ..*settlement };
            let aftermath = slot.close(&settlement);
            gateway.tell_operator(call, &aftermath, (None, settlement.over));
        }
    }
}

impl<E: Exchange<RequestBody>> Drop for Unread<'_, '_, E> {
    fn drop(&mut self) {
        let Some((slot, parts)) = self.open.take() else { return };
        let Self { gateway, call, settlement, .. } = self;
        let head = Answer { status: parts.status, headers: &parts.headers, body: &UNREAD };
        let wall = gateway.clock.wall();
        match dialect::understand(&call.policy.dialect, &head, wall).0 {
            Class::Success => drop(slot.settle(settlement)),
            Class::Trouble(trouble) => {
                let reason = RetryReason::Code(trouble.code);
                drop(gateway.settle(call, slot, (&trouble, reason), *settlement));
            }
        }
    }
}
