//! The record of a call: its metrics, its log line where one is wanted, and a log line for each
//! hold that begins, continues or ends.

use std::sync::Arc;

use http::StatusCode;

use crate::allowance::{Bottleneck, SettleOutcome};
use crate::outcome::Failure;
use crate::problem::Problem;
use crate::telemetry::{self, CallRecord, CallSummary, EndedCall};
use crate::time::Moment;

use super::body::{CallIdentity, ResponseContext};
use super::call::{Call, CallHistory};
use super::state::Gateway;

/// How a call ended, for metrics and log.
#[derive(Clone, Copy, Default)]
pub(super) struct CallEnd<'a> {
    pub(super) status: StatusCode,
    pub(super) problem: Option<&'a Problem>,
    pub(super) vendor_status: Option<StatusCode>,
    /// The dialect's rule that classified the last attempt.
    pub(super) rule: Option<&'a str>,
    /// How the last exchange broke.
    pub(super) failure: Option<&'a Failure>,
    /// What the call was refused a slot of.
    pub(super) blocked_by: Option<&'a Bottleneck>,
}

impl<E> Gateway<E> {
    pub(super) fn record(&self, call: &Call<'_>, end: &CallEnd<'_>) {
        // A response that passes ended with its head, which came just now: no clock read.
        let passed = if end.problem.is_none() { call.history.exchanged_at } else { None };
        let total = passed.unwrap_or_else(|| self.clock.now()).since(call.arrival);
        let (status, code) = (end.status, end.problem.map(|problem| problem.code));
        let method = &call.request.method;
        let ended = EndedCall { client: call.client, method, status, code, took: total };
        self.shard.call_ended(call.upstream, &ended);
        let CallHistory { attempts, waited, .. } = call.history;
        let summary = CallSummary { code, attempts, waited, total };
        telemetry::log_call(self.access, &summary, || {
            let kept = call.history.identity.as_deref();
            let identity = kept.map_or_else(|| call.identity(), CallIdentity::clone);
            self.call_record(call, end, summary, identity)
        });
    }

    #[cold]
    fn call_record<'a>(
        &'a self,
        call: &'a Call<'_>,
        end: &CallEnd<'a>,
        summary: CallSummary,
        identity: CallIdentity,
    ) -> CallRecord<'a> {
        let problem = end.problem;
        let longest_wait = call.history.longest_wait.as_ref().map(|(_, awaited)| awaited);
        let retry_after = problem.and_then(|problem| problem.retry_after);
        CallRecord {
            summary,
            request_id: call.id.to_str().unwrap_or_default(),
            client: &self.settings.clients.all()[call.client].name,
            upstream: &call.settings.name,
            method: &call.request.method,
            path: call.client_url.target.path(),
            status: end.status,
            source: problem.map(|problem| problem.source),
            upstream_time: call.history.upstream_time,
            rule: end.rule,
            stopped_by: problem.and_then(|problem| problem.stopped_by),
            retry_after: retry_after.map(|wait| wait.seconds),
            vendor_status: end.vendor_status,
            retried_because: call.history.retried_because,
            account: identity.account,
            trace_id: identity.trace_id,
            failure: end.failure.or(call.history.failure.as_deref()),
            awaited: end.blocked_by.or(longest_wait),
        }
    }

    /// Keeps what the log says of the request's headers, if the call will be logged: the headers
    /// are given up before the call is recorded.
    pub(super) fn keep_identity_if_logged(&self, call: &mut Call<'_>, now: Moment) {
        let CallHistory { attempts, waited, .. } = call.history;
        let summary = CallSummary { code: None, attempts, waited, total: now.since(call.arrival) };
        if summary.is_logged(self.access) {
            call.history.identity = Some(Box::new(call.identity()));
        }
    }

    /// Logs a line for each hold that began, continued or ended, with the dialect's rule that
    /// ordered it.
    pub(super) fn log_holds(
        &self,
        call: &Call<'_>,
        settled: &SettleOutcome,
        rule: Option<&str>,
        now: Moment,
    ) {
        for change in &settled.hold_changes {
            telemetry::log_hold((&call.settings.name, call.account.key()), change, rule, now);
        }
    }

    /// What a response whose body streams keeps of its call.
    pub(super) fn response_context(&self, call: &Call<'_>, status: StatusCode) -> ResponseContext {
        ResponseContext {
            redactor: call.settings.credential.as_ref().map(|_| Arc::clone(&self.redactor)),
            settings: Arc::clone(&self.settings),
            shard: Arc::clone(&self.shard),
            access: self.access,
            client: call.client,
            upstream: call.upstream,
            method: call.request.method.clone(),
            target: call.client_url.target.clone(),
            status,
            request_id: call.id.clone(),
            arrival: call.arrival,
            identity: call.identity(),
        }
    }
}
