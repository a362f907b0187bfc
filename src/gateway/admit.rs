//! Admission: a slot at once, a slot after waiting, or a refusal. [`allowance`](crate::allowance)
//! decides the order of waiting calls.
//!
//! While a call waits, its request body is read into the replay buffer, and a drain interrupts it
//! in time for a response. The server notices a client that leaves and drops the call; only a
//! request body that breaks off is noticed here.

use std::sync::Arc;
use std::time::Duration;

use crate::allowance::{
    Admission, Bottleneck, BottleneckKind, Refusal, RefusalReason, Scheduling, Settlement, Slot,
    Waiting,
};
use crate::telemetry::{LimitOf, SlotResult};
use crate::time::Moment;
use crate::upstream::Exchange;

use super::body::RequestBody;
use super::call::{Call, CallHistory};
use super::result::Interruption;
use super::state::{BoxFuture, Gateway};

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Applies the client's own limit, once per call and before the account's queue.
    pub(super) async fn admit_client(&self, call: &mut Call<'_>) -> Result<(), Interruption> {
        let scheduling = Scheduling {
            of: call.slot_request.of,
            priority: call.slot_request.priority,
            arrival: call.arrival,
            deadline: call.deadline,
            probe_fitness: call.slot_request.probe_fitness,
        };
        let Some((account, request)) = self.accounts.client_limit(call.client, scheduling) else {
            return Ok(());
        };
        let admission = account.acquire(request, self.attempt_start(call));
        let admitted = match self.slot_or_wait(admission, LimitOf::Client, call) {
            Ok(slot) => Ok(slot),
            Err(wait) => wait.await,
        };
        let slot = admitted.map_err(|interruption| match interruption {
            Interruption::Refused(refusal) => Interruption::ClientLimited(refusal),
            Interruption::ClientLimited(_)
            | Interruption::CostExceeded(_)
            | Interruption::Draining
            | Interruption::ClientBodyBroken
            | Interruption::ClientBodyStalled => interruption,
        })?;
        let now = self.clock.now();
        // Our own limit needs no word from a vendor: the call counts from now on.
        slot.settle(&Settlement::answered(now, now));
        Ok(())
    }

    /// A slot of everything that the next attempt needs.
    pub(super) async fn admit(&self, call: &mut Call<'_>) -> Result<Slot, Interruption> {
        let admission = call.account.acquire(call.slot_request, self.attempt_start(call));
        let slot = match self.slot_or_wait(admission, LimitOf::Upstream, call) {
            Ok(slot) => slot,
            Err(wait) => wait.await?,
        };
        call.slot_request.attempt_began();
        if slot.would_have_waited() {
            self.shard.slot_requested(
                call.upstream,
                LimitOf::Upstream,
                SlotResult::WouldWait,
                None,
            );
        }
        Ok(slot)
    }

    /// The present moment. Before the first wait it is taken to be the call's arrival, which saves
    /// a clock read.
    pub(super) fn attempt_start(&self, call: &Call<'_>) -> Moment {
        let CallHistory { attempts, waited, buffering, .. } = &call.history;
        let just_arrived = *attempts == 0 && waited.is_zero() && buffering.is_zero();
        if just_arrived { call.arrival } else { self.clock.now() }
    }

    /// A slot if there is one now, else the future that waits for it. Not an `async fn`, so that
    /// the future of a call that need not wait has no room for a place in the queue.
    fn slot_or_wait<'a>(
        &'a self,
        admission: Admission,
        limit_of: LimitOf,
        call: &'a mut Call<'_>,
    ) -> Result<Slot, BoxFuture<'a, Result<Slot, Interruption>>> {
        match admission {
            Admission::Granted(slot) => {
                self.shard.slot_requested(call.upstream, limit_of, SlotResult::Immediate, None);
                Ok(slot)
            }
            Admission::Refused(refusal) => {
                let blocked_by = self.blocked_by(&refusal, limit_of, call);
                let waited = Some((blocked_by.kind, Duration::ZERO));
                self.shard.slot_requested(call.upstream, limit_of, SlotResult::Refused, waited);
                Err(Box::pin(std::future::ready(Err(Interruption::Refused(refusal)))))
            }
            Admission::Queued(waiting) => Err(self.wait_for_slot(waiting, limit_of, call)),
        }
    }

    #[cold]
    fn wait_for_slot<'a>(
        &'a self,
        waiting: Waiting,
        limit_of: LimitOf,
        call: &'a mut Call<'_>,
    ) -> BoxFuture<'a, Result<Slot, Interruption>> {
        Box::pin(async move {
            let began = self.clock.now();
            let mut awaited = waiting.bottleneck().clone();
            if limit_of == LimitOf::Client {
                awaited.kind = BottleneckKind::Client;
            }
            let client_broke = async {
                call.body.fill().await;
                if !call.body.client_broke() {
                    std::future::pending::<()>().await;
                }
            };
            let result = tokio::select! {
                biased;
                // First, because a call whose client has left must not take a slot.
                () = client_broke => Err(Interruption::ClientBodyBroken),
                granted = waiting => granted.map_err(Interruption::Refused),
                () = self.drain.cutoff() => Err(Interruption::Draining),
            };
            let overtaken = match &result {
                Ok(slot) => slot.overtaken(),
                Err(interruption) => interruption.refusal().and_then(|it| it.overtaken),
            };
            if let Some(kind) = overtaken {
                awaited = Bottleneck { kind, name: self.client_name(call) };
            }
            let waited = self.clock.now().since(began);
            call.history.waited += waited;
            let admitted = match &result {
                Ok(_) => SlotResult::Queued,
                Err(
                    Interruption::Refused(_)
                    | Interruption::ClientLimited(_)
                    | Interruption::CostExceeded(_),
                ) => SlotResult::Refused,
                Err(
                    Interruption::Draining
                    | Interruption::ClientBodyBroken
                    | Interruption::ClientBodyStalled,
                ) => SlotResult::ClientLeft,
            };
            self.shard.slot_requested(
                call.upstream,
                limit_of,
                admitted,
                Some((awaited.kind, waited)),
            );
            let longest = call.history.longest_wait.as_ref();
            if longest.is_none_or(|(longest, _)| *longest <= waited) {
                call.history.longest_wait = Some((waited, awaited));
            }
            result
        })
    }

    /// What a refused call would have needed a slot of.
    pub(super) fn blocked_by(
        &self,
        refusal: &Refusal,
        limit_of: LimitOf,
        call: &Call<'_>,
    ) -> Bottleneck {
        if let Some(kind) = refusal.overtaken {
            return Bottleneck { kind, name: self.client_name(call) };
        }
        let upstream = || Arc::clone(&call.settings.name);
        match &refusal.reason {
            RefusalReason::QueueFull => {
                Bottleneck { kind: BottleneckKind::Queue, name: upstream() }
            }
            RefusalReason::ClientQueueFull => {
                Bottleneck { kind: BottleneckKind::ClientQueue, name: self.client_name(call) }
            }
            RefusalReason::Paused { name, .. } => {
                Bottleneck { kind: BottleneckKind::Paused, name: Arc::clone(name) }
            }
            RefusalReason::Held { cause, .. } => {
                Bottleneck { kind: BottleneckKind::Hold(*cause), name: upstream() }
            }
            RefusalReason::Exhausted { bottleneck } => match limit_of {
                LimitOf::Client => {
                    Bottleneck { kind: BottleneckKind::Client, ..bottleneck.clone() }
                }
                LimitOf::Upstream => bottleneck.clone(),
            },
        }
    }

    fn client_name(&self, call: &Call<'_>) -> Arc<str> {
        Arc::clone(&self.settings.clients.all()[call.client].name)
    }
}
