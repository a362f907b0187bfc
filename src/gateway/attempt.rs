//! The attempt loop: the only loop in the program that sends.
//!
//! It exchanges, classifies, decides, waits, or returns. What an outcome means is decided by
//! [`dialect`], and whether to send again by [`retry`](crate::retry).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};

use http::Response;

use crate::allowance::{Settlement, Slot};
use crate::dialect;
use crate::headers::ResponseScan;
use crate::outcome::{Advice, Failure, Remedy, StoppedBy};
use crate::retry::client::{CallSeries, ClientRetries};
use crate::retry::decision::{BudgetCharge, RetryContext, RetryReason, Verdict, decide};
use crate::time::Moment;
use crate::upstream::{Exchange, Progress};

use super::body::RequestBody;
use super::call::Call;
use super::connection::ClientConnection;
use super::result::{CallResult, FailedAttempt, Interruption};
use super::settings::Inspect;
use super::settle::blind_failure;
use super::state::{BoxFuture, Gateway};
use super::timeouts::{AttemptTimeouts, ExchangeGuard, due_with_guard};
use super::upload::UploadMonitor;

/// A retry that has been decided.
#[derive(Clone, Copy, Debug)]
struct Retry {
    /// Our own wait ends; `None` where only the queue makes the call wait.
    not_before: Option<Moment>,
    payment: Payment,
    reason: RetryReason,
}

/// Whether the retry budget has paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payment {
    /// It has, or owes nothing.
    Settled,
    /// It pays when the wait is over: by then other calls have shown whether the upstream is alive.
    Due,
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Sends the call until there is a result for the client.
    pub(super) async fn attempts(
        &self,
        call: &mut Call<'_>,
        client: &ClientConnection,
    ) -> CallResult<E::Body> {
        loop {
            let mut slot = match self.admit(call).await {
                Ok(slot) => slot,
                Err(interruption) => return CallResult::Interrupted(interruption),
            };
            let sent = self.attempt_start(call);
            let exchanged = self.send(call, client, &mut slot, sent).await;
            let over = self.clock.now();
            call.history.upstream_time += over.since(sent);
            call.history.exchanged_at = Some(over);
            let mut settlement = Settlement::answered(sent, over);
            if let Ok(response) = &exchanged {
                settlement.used = self.used_costs(call, response.headers());
            }
            let only_errors = call.policy.inspect == Inspect::Errors;
            let classifying = match exchanged {
                Ok(response) if only_errors && response.status().as_u16() < 400 => {
                    let scan = ResponseScan::of(response.headers());
                    if !scan.has_grpc_status() || !dialect::is_grpc_error(response.headers()) {
                        return self.pass(call, slot, (response, scan), settlement);
                    }
                    self.classify(call, slot, Ok(response), settlement)
                }
                exchanged => self.classify(call, slot, exchanged, settlement),
            };
            // Awaited only here, where `exchanged` is gone, so that the future of a call need not
            // reserve room for it.
            let mut failed = match classifying.await {
                Ok(result) => return result,
                Err(failed) => failed,
            };
            let retry = match self.decide(call, &failed) {
                Ok(retry) => retry,
                Err(stopped_by) => return self.give_up(call, failed, stopped_by),
            };
            failed.release_body();
            if let Err(interruption) = self.wait_for_retry(call, retry).await {
                return CallResult::Interrupted(interruption);
            }
            if retry.payment == Payment::Due && !self.pay_retry(call, self.clock.now()) {
                return self.give_up(call, failed, StoppedBy::Budget);
            }
            self.shard.retried(call.upstream, retry.reason);
            call.history.retried_because = Some(retry.reason);
        }
    }

    /// One exchange, from the first byte of the request to the head of the response or a failure,
    /// under the timeouts of its phases.
    async fn send(
        &self,
        call: &mut Call<'_>,
        client: &ClientConnection,
        slot: &mut Slot,
        sent: Moment,
    ) -> Result<Response<E::Body>, Failure> {
        let mut upload = UploadMonitor::new(call, sent);
        let body = call.next_attempt(|| self.random.bytes8());
        let timeouts = AttemptTimeouts::new(call.policy, slot);
        let progress = Progress::starting_at(sent).with_start_by(slot.start_by());
        let exchange = self.exchange.exchange(call.upstream, &call.request, body, &progress);
        let mut exchange = pin!(exchange);
        let mut guard =
            ExchangeGuard { gateway: self, call, slot, progress: &progress, over: false };
        let mut due = upload.earliest(timeouts.earliest(sent));
        let mut timer = None;
        let result = poll_fn(|cx| {
            loop {
                let polled = exchange.as_mut().poll(cx);
                let interim = progress.take_interim();
                if !interim.is_empty() {
                    self.pass_interim(call, client, interim);
                }
                if polled.is_ready() {
                    return polled;
                }
                due = due_with_guard(due, guard.slot, &progress);
                let timer = timer.get_or_insert_with(|| client.timer.take(self.clock, due));
                ready!(timer.poll(due, cx));
                let now = self.clock.now();
                let next = timeouts.check(&progress, guard.slot, now);
                match next.and_then(|next| upload.check(&progress, next, now)) {
                    Ok(next) => due = next,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        })
        .await;
        guard.over = true;
        drop(guard);
        call.history.response_head = progress.take_head();
        result
    }

    /// Whether the call is sent again, from when on, and who pays for it.
    #[cold]
    fn decide(
        &self,
        call: &mut Call<'_>,
        failed: &FailedAttempt<E::Body>,
    ) -> Result<Retry, StoppedBy> {
        let FailedAttempt { classification, settled, was_probe, failure, response, .. } = failed;
        let advice = response.as_ref().and_then(|(parts, _)| Advice::of(&parts.headers));
        let client_retries = match failure {
            // The HTTP library of a client would send again what its connection failed to take.
            Some(failure) if failure.is_of_connection() => ClientRetries::No,
            Some(_) | None => {
                self.settings.client_retries[call.client].unwrap_or(call.client_retries)
            }
        };
        let now = self.clock.now();
        let context = RetryContext {
            call: call.repeatability(),
            attempts: call.history.attempts,
            attempts_max: call.attempts_max,
            series: CallSeries::of(&call.request.headers, advice, client_retries),
            backoff: call.policy.backoff,
            chance: self.random.unit(),
            now,
            deadline: call.deadline,
            held_until: settled
                .held_until
                .map(|until| settled.slot_free_at.unwrap_or(until).max(until)),
            hold_retries: if *was_probe { 0 } else { call.history.hold_retries },
        };
        let (not_before, charge) = match decide(classification, &context) {
            Verdict::Stop(stopped_by) => return Err(stopped_by),
            Verdict::Retry { not_before, charge } => (not_before, charge),
        };
        let payment = match (charge, classification.remedy) {
            (BudgetCharge::IfCovered, _) if *was_probe => Payment::Settled,
            (BudgetCharge::IfCovered, _) => {
                // What the budget cannot pay is sent in the slow start after a hold.
                if !self.pay_retry(call, now) {
                    call.slot_request.join_slow_start();
                }
                Payment::Settled
            }
            (BudgetCharge::Required, Remedy::Backoff) => Payment::Due,
            (BudgetCharge::Required, _) if self.pay_retry(call, now) => Payment::Settled,
            (BudgetCharge::Required, _) => return Err(StoppedBy::Budget),
        };
        let waits_for_hold = classification.hold.is_some() && !was_probe;
        call.history.hold_retries += u32::from(waits_for_hold);
        call.history.failure = failed.failure.clone().map(Box::new);
        // A call under a hold waits in the queue, which wakes only the hold's probe.
        let not_before = (now < not_before).then_some(not_before);
        Ok(Retry { not_before, payment, reason: failed.retry_reason() })
    }

    fn pay_retry(&self, call: &Call<'_>, now: Moment) -> bool {
        self.retry_budgets[call.upstream].withdraw(call.policy.budget_percent, now)
    }

    /// Waits without a slot until the retry may start.
    #[cold]
    fn wait_for_retry<'a>(
        &'a self,
        call: &'a mut Call<'_>,
        retry: Retry,
    ) -> BoxFuture<'a, Result<(), Interruption>> {
        Box::pin(async move {
            let Some(until) = retry.not_before else { return Ok(()) };
            let began = self.clock.now();
            let waited = tokio::select! {
                () = self.clock.sleep_until(until) => Ok(()),
                () = self.drain.cutoff() => Err(Interruption::Draining),
            };
            call.history.waited += self.clock.now().since(began);
            waited
        })
    }

    #[cold]
    fn give_up(
        &self,
        call: &Call<'_>,
        failed: Box<FailedAttempt<E::Body>>,
        stopped_by: StoppedBy,
    ) -> CallResult<E::Body> {
        self.shard.not_retried(call.upstream, stopped_by);
        if let Some(failure) = blind_failure(&failed.classification, failed.failure.as_ref()) {
            let chance = self.random.unit();
            let outage = call.account.call_failed(&call.slot_request, failure, chance);
            self.log_holds(call, &outage, None, self.clock.now());
        }
        CallResult::Failed(failed, stopped_by)
    }
}
