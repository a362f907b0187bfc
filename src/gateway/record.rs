//! The record of a call: one for the metrics, a line in the log where it is wanted, and a line for
//! each hold that it began, prolonged or ended.

use http::StatusCode;

use crate::allowance::{Bottleneck, SettleOutcome, Slot};
use crate::outcome::Failure;
use crate::problem::Problem;
use crate::telemetry::{self, CallRecord, CallSummary, EndedCall};
use crate::time::Moment;
use crate::upstream::Exchange;

use super::Gateway;
use super::body::RequestBody;
use super::call::{Call, CallHistory, Identity};

/// What a call's record says besides the call: what the client got, and why.
#[derive(Default)]
pub(super) struct Ending<'a> {
    pub(super) status: StatusCode,
    pub(super) problem: Option<&'a Problem>,
    pub(super) why: Why<'a>,
    pub(super) vendor_status: Option<StatusCode>,
}

/// Why a client is told what it is told.
#[derive(Clone, Copy, Default)]
pub(super) struct Why<'a> {
    /// The dialect's rule that said what the answer meant.
    pub(super) rule: Option<&'a str>,
    /// How the last exchange broke.
    pub(super) failure: Option<&'a Failure>,
    /// What there was no slot of.
    pub(super) awaited: Option<&'a Bottleneck>,
}

/// What the log names in place of a rule where a vendor that serves says in its headers that
/// nothing remains, or asks for a pause.
pub(super) const BY_RATE_HEADERS: &str = "rate headers";

impl<E: Exchange<RequestBody>> Gateway<E> {
    pub(super) fn record(&self, call: &Call<'_>, ending: &Ending<'_>) {
        // An answer that passes is told of the moment its head came, which was just now.
        let passed = if ending.problem.is_none() { call.story.answered } else { None };
        let total = passed.unwrap_or_else(|| self.clock.now()).since(call.arrival);
        let code = ending.problem.map(|problem| problem.code);
        let method = &call.request.method;
        let ended =
            EndedCall { client: call.client, method, status: ending.status, code, took: total };
        self.shard.call_ended(call.upstream, &ended);
        let CallHistory { attempts, waited, .. } = call.story;
        let summary = CallSummary { code, attempts, waited, total };
        telemetry::log_call(self.access, &summary, || {
            let identity = match &call.story.identity {
                Some(known) => (known.account.clone(), known.trace_id.clone()),
                None => {
                    let Identity { account, trace_id } = Identity::of(call);
                    (account, trace_id)
                }
            };
            self.full_record(call, ending, summary, identity)
        });
    }

    /// An exchange was given up; the hold whose probe it was may go on for that.
    #[cold]
    pub(super) fn abandon(&self, call: &Call<'_>, slot: &mut Slot) {
        let aftermath = slot.abandon();
        self.tell_operator(call, &aftermath, (None, self.clock.now()));
    }

    /// One line for each scope whose hold begins, goes on or ends, with the rule that said so.
    pub(super) fn tell_operator(
        &self,
        call: &Call<'_>,
        aftermath: &SettleOutcome,
        (rule, now): (Option<&str>, Moment),
    ) {
        for news in &aftermath.hold_changes {
            telemetry::log_hold((&call.rules.name, call.account.key()), news, rule, now);
        }
    }

    /// The request's headers are given away with the answer; what the log says of them is kept
    /// before, of the few calls that will have a line.
    pub(super) fn remember_if_noteworthy(&self, call: &mut Call<'_>, now: Moment) {
        let CallHistory { attempts, waited, .. } = call.story;
        let summary = CallSummary { code: None, attempts, waited, total: now.since(call.arrival) };
        if summary.is_logged(self.access) {
            call.story.identity = Some(Box::new(Identity::of(call)));
        }
    }

    #[cold]
    fn full_record<'a>(
        &'a self,
        call: &'a Call<'_>,
        ending: &Ending<'a>,
        summary: CallSummary,
        (account, trace_id): (Option<Box<str>>, Option<Box<str>>),
    ) -> CallRecord<'a> {
        let of_retry = call.story.failure.as_deref();
        let waited = call.story.awaited.as_ref().map(|(_, awaited)| awaited);
        CallRecord {
            summary,
            account,
            trace_id,
            failure: ending.why.failure.or(of_retry),
            awaited: ending.why.awaited.or(waited),
            request_id: call.id.to_str().unwrap_or_default(),
            client: &self.settings.clients.all()[call.client].name,
            upstream: &call.rules.name,
            method: &call.request.method,
            path: call.inbound.target.path(),
            status: ending.status,
            source: ending.problem.map(|problem| problem.source),
            upstream_time: call.story.upstream_time,
            rule: ending.why.rule,
            stopped_by: ending.problem.and_then(|problem| problem.stopped_by),
            retry_after: ending
                .problem
                .and_then(|problem| problem.retry_after)
                .map(|wait| wait.seconds),
            vendor_status: ending.vendor_status,
            retried_because: call.story.retried_because,
        }
    }
}
