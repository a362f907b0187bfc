//! What would follow if the vendor answered the request so: what the response means and why, the
//! hold that it places, and whether the request is sent again.

use std::time::Duration;

use http::Method;

use super::format;
use super::report::{Explained, ExplainedResponse};
use super::rows::Rows;
use crate::allowance::Allowance;
use crate::cli::capture::{Capture, Why};
use crate::dialect;
use crate::gateway::{ErrorShape, Inspect};
use crate::outcome::{
    Advice, Basis, Classification, HOLD_MIN, HoldOrder, HoldScope, Remedy, StoppedBy, Wait,
};
use crate::problem::{CallContext, CredentialOwner, upstream_problem};
use crate::retry::client::CallSeries;
use crate::retry::decision::{RetryContext, Verdict, decide};
use crate::retry::replay::{BodyState, Repeatability};
use crate::time::Moment;

impl Explained<'_> {
    pub(super) fn response(&self, rows: &mut Rows, response: &ExplainedResponse) {
        let ExplainedResponse { capture, at } = response;
        let status = capture.status;
        if status.is_success() && self.policy.inspect == Inspect::Errors {
            let text = format!("{status}, passes unread; `inspect_success: true` reads it");
            return rows.push_from("response", text, self.layered("inspect_success"));
        }
        let (head, body) = (capture.head(), Some(capture.body.clone()));
        let dialect = &self.policy.dialect;
        let Some((classification, facts)) = dialect::understand(dialect, head, body, *at) else {
            return rows.push("response", format!("{status}, is no error and passes unchanged"));
        };
        let verdict = decide(&classification, &self.retry_context(&classification, capture));
        let stopped_by = match verdict {
            Verdict::Stop(why) => Some(why),
            Verdict::Retry { .. } => None,
        };
        let call = CallContext {
            vendor_status: Some(status),
            status: self.policy.status,
            credential: match self.upstream.credential {
                Some(_) => CredentialOwner::Gateway,
                None => CredentialOwner::Client,
            },
            stopped_by,
            ..CallContext::default()
        };
        let why = Why::new(dialect, &classification, &facts);
        let problem = upstream_problem(&classification, Some(facts), &call);
        let code = problem.code.as_str();
        let text = match self.shape().0 {
            ErrorShape::Problem => {
                format!("{status}, becomes {code} with status {}", problem.status.as_u16())
            }
            ErrorShape::Vendor => format!("{status}, passes as it is; its meaning is {code}"),
        };
        rows.push("response", text);
        // The dialect has a row of its own.
        for (name, value) in why.rows().into_iter().skip(1) {
            rows.push("why", format!("{name:<10}{value}"));
        }
        rows.push(
            "then",
            match &classification.hold {
                Some(order) => self.hold(order),
                None => "nothing is held".to_owned(),
            },
        );
        rows.push("then", self.sequel(&classification, stopped_by));
    }

    /// The first attempt of a call whose body is kept has just been answered.
    fn retry_context(
        &self,
        classification: &Classification,
        capture: &Capture,
    ) -> RetryContext<'_> {
        let held = classification.hold.as_ref().filter(|order| self.is_held_by(order));
        RetryContext {
            call: Repeatability {
                method: if self.overrides.is_empty() {
                    &self.request.method
                } else {
                    &Method::POST
                },
                permission: self.permission(),
                body: BodyState::Replayable,
            },
            attempts: 1,
            attempts_max: self.policy.attempts,
            series: CallSeries::of(
                &self.request.headers,
                Advice::of(&capture.headers),
                self.client_retries,
            ),
            backoff: self.policy.backoff,
            chance: 0.0,
            now: Moment::START,
            deadline: Moment::START.plus(self.patience()),
            held_until: held.map(|order| Moment::START.plus(held_at_least(order))),
            hold_retries: 0,
        }
    }

    /// Whether the hold keeps this call waiting too. Exempt ones wait for holds on the upstream.
    fn is_held_by(&self, order: &HoldOrder) -> bool {
        let head = self.head();
        let counted =
            |allowance: &Allowance| allowance.exempts(head).is_none() && allowance.may_count(head);
        match order.scope {
            HoldScope::Upstream => true,
            HoldScope::Allowance | HoldScope::Window(_) => {
                let allowances = &self.upstream.allowances;
                allowances.is_empty() || allowances.iter().any(counted)
            }
        }
    }

    fn hold(&self, order: &HoldOrder) -> String {
        let scope = match order.scope {
            HoldScope::Upstream => "the upstream",
            HoldScope::Allowance | HoldScope::Window(_) if self.upstream.allowances.is_empty() => {
                "every call that is not exempt"
            }
            HoldScope::Allowance | HoldScope::Window(_) => "the allowance",
        };
        let length = format::span(held_at_least(order));
        let length = match order.length {
            Some(_) => format!("for {length}"),
            None => format!("for {length}, longer each time that its probe fails"),
        };
        let pace = format::pace(order.slow_sixteenths);
        let pace = pace.map(|pace| format!(", then goes at {pace}")).unwrap_or_default();
        format!("{scope} is held {length} ({}){pace}", order.cause.as_str())
    }

    fn sequel(&self, classification: &Classification, stopped_by: Option<StoppedBy>) -> String {
        let attempts = self.policy.attempts;
        let patience = format::span(self.patience());
        let why = match stopped_by {
            None => {
                let when = match (classification.remedy, &classification.hold) {
                    (Remedy::After(wait), _) => format!("after {}", format::span(wait)),
                    (Remedy::Hold, Some(order)) => {
                        format!("after {}", format::span(held_at_least(order)))
                    }
                    (Remedy::Hold, None) => "at once".to_owned(),
                    (Remedy::Backoff | Remedy::Final, _) => {
                        let most = format::span(self.policy.backoff.wait(1, 1.0));
                        format!("after a backoff of up to {most}, if the budget allows")
                    }
                };
                return format!("sent again {when}; {attempts} attempts in total");
            }
            Some(StoppedBy::Final) => "the same request would be answered the same".to_owned(),
            Some(StoppedBy::Method) => {
                let header = &self.policy.idempotency.header;
                format!(
                    "it may have been carried out; send {header}, or declare the route repeatable"
                )
            }
            Some(StoppedBy::Attempts) => format!("{attempts} attempts are all that a call makes"),
            Some(StoppedBy::Patience) => {
                format!("the wait is longer than its patience of {patience}")
            }
            Some(StoppedBy::Client) => "the client makes its own retries".to_owned(),
            Some(StoppedBy::Body) => "its body cannot be sent again".to_owned(),
            Some(StoppedBy::Budget) => "the retry budget is spent".to_owned(),
        };
        format!("not sent again: {why}")
    }
}

/// How long a hold lasts at least; one whose length nobody states doubles from there. Only a length
/// written in a dialect may be below a second.
fn held_at_least(order: &HoldOrder) -> Duration {
    let length = order.length.map_or(Duration::ZERO, |wait| wait.span).max(order.at_least);
    match order.length {
        Some(Wait { span, basis: Basis::Dialect }) if !span.is_zero() => length,
        Some(_) | None => length.max(HOLD_MIN),
    }
}
