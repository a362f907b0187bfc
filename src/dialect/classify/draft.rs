//! What an outcome means before its wait hints are read.
//!
//! The draft exists because the hints depend on it (a reset header states a wait only for a
//! throttled call), while the remedy and the hold of the classification depend on the hints.

use std::time::Duration;

use http::StatusCode;

use crate::dialect::definition::{Dialect, HoldRule, RuleScope};
use crate::dialect::hint::{ResetHeaders, WaitHint};
use crate::outcome::{
    Basis, Classification, Code, HoldCause, HoldOrder, HoldScope, Processing, Remedy, Sign,
    Support, Wait,
};

#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub(super) code: Code,
    pub(super) rule: &'a str,
    pub(super) sign: Sign,
    pub(super) processing: Processing,
    pub(super) action: Action,
    pub(super) status: Option<StatusCode>,
    pub(super) support: Option<&'a Support>,
}

#[derive(Clone, Copy)]
pub(super) enum Action {
    Final,
    /// Sending again may help, after this wait or our own backoff.
    Retry(Option<Duration>),
    /// A hold, then the request is sent again.
    Hold(HoldRule),
    /// A hold, but this request is not sent again.
    HoldOnly(HoldRule),
}

impl<'a> Draft<'a> {
    /// A draft that no rule of a dialect made.
    pub(super) const fn new(code: Code, processing: Processing, action: Action) -> Self {
        let sign = Sign::Status;
        Self { code, rule: "general", sign, processing, action, status: None, support: None }
    }

    /// The same, decided by a sign of the response.
    pub(super) fn by(self, sign: Sign) -> Self {
        Self { sign, ..self }
    }

    pub(super) const fn is_final(&self) -> bool {
        matches!(self.action, Action::Final)
    }

    /// The same, where sending again is said to help after all. Whether that is safe remains a
    /// question of the method.
    pub(super) fn helped_by(self, action: Action) -> Self {
        Self { action, processing: at_most_unknown(self.processing), ..self }
    }

    /// The same inside a success: the request was processed, and only a hold follows.
    pub(super) fn within_success(self) -> Self {
        let (processing, action) = match self.action {
            Action::Hold(hold) | Action::HoldOnly(hold) => {
                (Processing::Processed, Action::HoldOnly(hold))
            }
            Action::Retry(after) => (Processing::Unknown, Action::Retry(after)),
            Action::Final => (Processing::Processed, Action::Final),
        };
        Self { processing, action, ..self }
    }

    /// A reset header states a wait only where the vendor refused too many calls.
    pub(super) fn reset_headers(&self) -> ResetHeaders {
        let throttles = match self.action {
            Action::Hold(hold) | Action::HoldOnly(hold) => hold.cause == HoldCause::Throttle,
            Action::Final | Action::Retry(_) => false,
        };
        let refused = matches!(self.code, Code::RateLimited | Code::QuotaExhausted);
        if throttles || refused { ResetHeaders::StateWaits } else { ResetHeaders::Ignored }
    }

    /// The classification with the wait that the response states.
    pub(super) fn finish(self, dialect: &Dialect, hint: Option<WaitHint>) -> Classification {
        let stated = hint.map(|hint| Wait { span: hint.span, basis: Basis::Upstream });
        let (remedy, hold, wait) = match self.action {
            Action::Final => (Remedy::Final, None, stated),
            Action::Retry(after) => {
                let wait = stated.or(after.map(documented));
                (wait.map_or(Remedy::Backoff, |wait| Remedy::After(wait.span)), None, wait)
            }
            Action::Hold(rule) => {
                let (hold, wait) = order(rule, stated);
                (Remedy::Hold, Some(hold), wait)
            }
            Action::HoldOnly(rule) => {
                let (hold, wait) = order(rule, stated);
                (Remedy::Final, Some(hold), wait)
            }
        };
        Classification {
            code: self.code,
            rule: self.rule.into(),
            sign: self.sign,
            processing: self.processing,
            remedy,
            hold,
            wait,
            wait_place: None,
            learned: None,
            standing: None,
            support: self.support.or(dialect.support.as_ref()).cloned(),
            status: self.status,
        }
    }
}

/// Where a repetition is said to help, the request is not certain to have been processed.
pub(super) const fn at_most_unknown(processing: Processing) -> Processing {
    match processing {
        Processing::Processed => Processing::Unknown,
        Processing::NotSent | Processing::NotProcessed | Processing::Unknown => processing,
    }
}

const fn documented(span: Duration) -> Wait {
    Wait { span, basis: Basis::Dialect }
}

/// The hold that a rule orders, and the wait to report: never less than `at_least`.
fn order(rule: HoldRule, stated: Option<Wait>) -> (HoldOrder, Option<Wait>) {
    let length = stated.or(rule.length.map(documented));
    let order = HoldOrder {
        scope: match rule.scope {
            RuleScope::Allowance => HoldScope::Allowance,
            RuleScope::Upstream => HoldScope::Upstream,
        },
        cause: rule.cause,
        length,
        at_least: rule.at_least,
        slow_sixteenths: rule.slow_sixteenths,
    };
    let floor = (!rule.at_least.is_zero()).then_some(documented(rule.at_least));
    let wait = match (length, floor) {
        (Some(length), Some(floor)) if length.span < floor.span => Some(floor),
        (length, floor) => length.or(floor),
    };
    (order, wait)
}
