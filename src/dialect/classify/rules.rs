//! The rules of a dialect: whether one applies, and what it makes of an outcome.

use serde_json::Value;

use super::draft::{Action, Draft, at_most_unknown};
use super::evidence::Evidence;
use super::status;
use crate::dialect::definition::{Place, Replay, Retry, Rule, When};
use crate::dialect::document::pointer;
use crate::outcome::{Delivery, Failure, Processing, Sign};

/// Whether every condition that is given holds for a response.
pub(super) fn matches(when: &When, evidence: &Evidence<'_>) -> bool {
    let Evidence { head, facts, .. } = evidence;
    let status = evidence.status();
    let by_status = when.status.is_empty()
        || when.status.iter().any(|(first, last)| (*first..=*last).contains(&status));
    let by_header = || {
        when.header.iter().all(|(name, wanted)| {
            head.headers.get_all(name).iter().any(|value| {
                let matches = |wanted: &regex::Regex| {
                    value.to_str().is_ok_and(|value| wanted.is_match(value))
                };
                wanted.as_ref().is_none_or(matches)
            })
        })
    };
    let by_code = || {
        when.code.is_empty() || facts.code.as_deref().is_some_and(|code| contains(&when.code, code))
    };
    when.failure.is_empty()
        && by_status
        && by_header()
        && by_code()
        && when.body.iter().all(|(place, wanted)| holds(place, wanted, evidence))
        && when.text.as_ref().is_none_or(|wanted| wanted.is_match(evidence.text()))
}

/// Whether a place holds one of some texts.
fn holds(place: &Place, wanted: &[Box<str>], evidence: &Evidence<'_>) -> bool {
    match place {
        Place::Pointer(pointer) => match pointer::at(&evidence.document.tree, pointer) {
            Some(Value::String(text)) => contains(wanted, text),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                contains(wanted, &value.to_string())
            }
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        },
        Place::Header(name) => {
            let mut values = evidence.head.headers.get_all(name).iter();
            values.any(|value| value.to_str().is_ok_and(|value| contains(wanted, value)))
        }
        Place::Text => contains(wanted, evidence.text()),
    }
}

fn contains(wanted: &[Box<str>], found: &str) -> bool {
    wanted.iter().any(|candidate| **candidate == *found)
}

/// `by_status` is the status's own row of the replay table.
pub(super) fn of_response(rule: &Rule, by_status: Processing) -> Draft<'_> {
    let action = action(rule);
    let processing = match (rule.replay, action) {
        (Replay::AnyMethod, _) | (Replay::ByTable, Action::Hold(_)) => Processing::NotProcessed,
        // `retry` beside a 4xx says that a repetition helps, not that it is safe for any method.
        (Replay::ByTable, Action::Retry(_)) => at_most_unknown(by_status),
        (Replay::ByTable, Action::Final | Action::HoldOnly(_)) => by_status,
    };
    draft(rule, action, processing)
}

pub(super) fn of_failure<'a>(rule: &'a Rule, failure: &Failure) -> Draft<'a> {
    let processing = match rule.replay {
        Replay::AnyMethod if failure.delivery == Delivery::Uncertain => Processing::NotProcessed,
        Replay::AnyMethod | Replay::ByTable => status::processing_of(failure.delivery),
    };
    draft(rule, action(rule), processing)
}

fn draft(rule: &Rule, action: Action, processing: Processing) -> Draft<'_> {
    let support = rule.support.as_ref();
    let (code, status, sign) = (rule.code, rule.status, Sign::Rule);
    Draft { code, rule: &rule.name, sign, processing, action, status, support }
}

const fn action(rule: &Rule) -> Action {
    match (rule.hold, rule.retry, rule.replay) {
        (Some(hold), _, _) => Action::Hold(hold),
        (None, Some(Retry { after }), _) => Action::Retry(after),
        (None, None, Replay::AnyMethod) => Action::Retry(None),
        (None, None, Replay::ByTable) => Action::Final,
    }
}
