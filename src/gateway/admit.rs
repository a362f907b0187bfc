//! Admission: a slot now, a slot after waiting, or the reason why not.
//!
//! While a call waits, its body is read into its replay buffer up to the bound, and a drain cuts it
//! in time. A client that leaves is seen by the front door, which drops the call; only a body that
//! breaks off is seen here. Refuses to decide who goes first.

use std::sync::Arc;
use std::time::Duration;

use crate::allowance::{
    Admission, Bottleneck, BottleneckKind, Grant, Refusal, RefusalReason, Scheduling, Slot, Waiting,
};
use crate::retry::decision::RetryReason;
use crate::telemetry::{LimitOf, SlotResult};
use crate::time::Moment;
use crate::upstream::Exchange;

use super::body::RequestBody;
use super::call::{Call, CallHistory};
use super::{BoxFuture, Gateway};

/// Why a call does not start, or not start again.
#[derive(Debug)]
pub(super) enum Stop {
    /// The vendor's allowance, a hold or the queue.
    Refused(Refusal),
    /// The client's own limit.
    ClientLimited(Refusal),
    /// The program is stopping.
    Draining,
    /// The client went away; nobody reads the answer.
    ClientLeft,
    /// The client stopped sending its request's body.
    ClientStalled,
}

/// When a call is sent again, and what that costs then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    /// Not before this moment.
    pub(super) at: Option<Moment>,
    pub(super) payment: Payment,
    pub(super) reason: RetryReason,
}

/// Whether a retry is still to be paid when its wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payment {
    Settled,
    /// After our own short wait: by then others have shown whether the upstream lives.
    Due,
}

/// Why a call that was to be sent again is not.
#[derive(Debug)]
pub(super) enum Ended {
    Stopped(Stop),
    Unpaid,
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// The client's own limit; charged once a call, before the account's queue.
    pub(super) async fn admit_client(&self, call: &mut Call<'_>) -> Result<(), Stop> {
        let scheduling = Scheduling {
            priority: call.want.priority,
            arrival: call.arrival,
            deadline: call.deadline,
            probe_fitness: call.want.probe_fitness,
        };
        let Some((account, want)) = self.accounts.client_limit(call.client, scheduling) else {
            return Ok(());
        };
        let admission = account.acquire(want, self.moment_of(call));
        let admitted = match self.admitted(admission, LimitOf::Client, call) {
            Ok(slot) => Ok(slot),
            Err(later) => later.await,
        };
        let slot = admitted.map_err(|stop| match stop {
            Stop::Refused(refusal) => Stop::ClientLimited(refusal),
            Stop::ClientLimited(_) | Stop::Draining | Stop::ClientLeft | Stop::ClientStalled => {
                stop
            }
        })?;
        let now = self.clock.now();
        // What we impose ourselves is counted here and now: there is no vendor to hear from.
        slot.settle(&crate::allowance::Settlement::answered(now, now));
        Ok(())
    }

    /// A slot of everything the next attempt needs.
    pub(super) async fn admit(&self, call: &mut Call<'_>) -> Result<Slot, Stop> {
        let admission = call.account.acquire(call.want, self.moment_of(call));
        let slot = match self.admitted(admission, LimitOf::Upstream, call) {
            Ok(slot) => slot,
            Err(later) => later.await?,
        };
        call.want.leave_slow_start();
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

    pub(super) fn pay(&self, call: &Call<'_>, now: Moment) -> bool {
        self.retry_budgets[call.upstream].withdraw(call.policy.budget_percent, now)
    }

    /// Pays the retry of a call that a hold makes wait; one that cannot be paid waits for the ramp.
    pub(super) fn pay_after_hold(&self, call: &mut Call<'_>, now: Moment) -> Payment {
        if !self.pay(call, now) {
            call.want.join_slow_start();
        }
        Payment::Settled
    }

    /// Waits until a retry may start, and pays for it where that is due.
    #[cold]
    pub(super) fn prepare<'a>(
        &'a self,
        call: &'a mut Call<'_>,
        again: Again,
    ) -> BoxFuture<'a, Result<(), Ended>> {
        Box::pin(async move {
            if let Some(at) = again.at {
                self.rest(call, at).await.map_err(Ended::Stopped)?;
            }
            if again.payment == Payment::Due && !self.pay(call, self.clock.now()) {
                return Err(Ended::Unpaid);
            }
            self.shard.retried(call.upstream, again.reason);
            call.story.retried_because = Some(again.reason);
            Ok(())
        })
    }

    /// Lets a moment pass without a slot: the backoff before a blind retry.
    async fn rest(&self, call: &mut Call<'_>, until: Moment) -> Result<(), Stop> {
        let began = self.clock.now();
        let rested = tokio::select! {
            () = self.clock.sleep_until(until) => Ok(()),
            () = self.drain.cut() => Err(Stop::Draining),
        };
        call.story.waited += self.clock.now().since(began);
        rested
    }

    /// Now: as long as nothing has waited or been sent, the moment the call arrived, which is one
    /// look at the clock less.
    pub(super) fn moment_of(&self, call: &Call<'_>) -> Moment {
        let CallHistory { attempts, waited, received, .. } = &call.story;
        let fresh = *attempts == 0 && waited.is_zero() && received.is_zero();
        if fresh { call.arrival } else { self.clock.now() }
    }

    /// A slot at once, or what it takes to know whether there will be one.
    fn admitted<'a>(
        &'a self,
        admission: Admission,
        of: LimitOf,
        call: &'a mut Call<'_>,
    ) -> Result<Slot, BoxFuture<'a, Result<Slot, Stop>>> {
        match admission {
            Admission::Granted(slot) => {
                self.shard.slot_requested(call.upstream, of, SlotResult::Immediate, None);
                Ok(slot)
            }
            Admission::Refused(refusal) => {
                let what = refused_by(&refusal, of, call).kind;
                let waited = Some((what, Duration::ZERO));
                self.shard.slot_requested(call.upstream, of, SlotResult::Refused, waited);
                Err(Box::pin(std::future::ready(Err(Stop::Refused(refusal)))))
            }
            Admission::Queued(waiting) => Err(self.wait((waiting, of), call)),
        }
    }

    #[cold]
    fn wait<'a>(
        &'a self,
        waiting: (Waiting, LimitOf),
        call: &'a mut Call<'_>,
    ) -> BoxFuture<'a, Result<Slot, Stop>> {
        Box::pin(self.turn(waiting, call))
    }

    async fn turn(
        &self,
        (waiting, of): (Waiting, LimitOf),
        call: &mut Call<'_>,
    ) -> Result<Slot, Stop> {
        let began = self.clock.now();
        let awaited = waiting.bottleneck().clone();
        let mut turn = std::pin::pin!(waiting);
        let broken = async {
            call.body.fill().await;
            if !call.body.client_broke() {
                std::future::pending::<()>().await;
            }
        };
        let outcome = tokio::select! {
            biased;
            // First: a call whose client has left must not take the slot that is free now.
            () = broken => Err(Stop::ClientLeft),
            turn = &mut turn => turn.map_err(Stop::Refused),
            () = self.drain.cut() => Err(Stop::Draining),
        };
        let waited = self.clock.now().since(began);
        call.story.waited += waited;
        let awaited = match of {
            LimitOf::Upstream => awaited,
            LimitOf::Client => Bottleneck { kind: BottleneckKind::Client, ..awaited },
        };
        self.shard.slot_requested(call.upstream, of, how(&outcome), Some((awaited.kind, waited)));
        if call.story.awaited.as_ref().is_none_or(|(longest, _)| *longest <= waited) {
            call.story.awaited = Some((waited, awaited));
        }
        outcome
    }
}

/// What there was no slot of.
pub(super) fn refused_by(refusal: &Refusal, of: LimitOf, call: &Call<'_>) -> Bottleneck {
    let upstream = || Arc::clone(&call.rules.name);
    match &refusal.reason {
        RefusalReason::QueueFull => Bottleneck { kind: BottleneckKind::Queue, name: upstream() },
        RefusalReason::Held { cause, .. } => {
            Bottleneck { kind: BottleneckKind::Hold(*cause), name: upstream() }
        }
        RefusalReason::Exhausted { allowance } => {
            let configured = call.rules.allowances.iter().find(|it| it.name == *allowance);
            let what = match (of, configured.map(|allowance| &allowance.grant)) {
                (LimitOf::Client, _) => BottleneckKind::Client,
                (LimitOf::Upstream, Some(Grant::Window { .. })) => BottleneckKind::Allowance,
                (LimitOf::Upstream, Some(Grant::Concurrency { .. })) => BottleneckKind::Concurrency,
                (LimitOf::Upstream, None) => BottleneckKind::Pace,
            };
            Bottleneck { kind: what, name: Arc::clone(allowance) }
        }
    }
}

const fn how(outcome: &Result<Slot, Stop>) -> SlotResult {
    match outcome {
        Ok(_) => SlotResult::Queued,
        Err(Stop::Refused(_) | Stop::ClientLimited(_)) => SlotResult::Refused,
        Err(Stop::Draining | Stop::ClientLeft | Stop::ClientStalled) => SlotResult::ClientLeft,
    }
}
