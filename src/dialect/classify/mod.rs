//! Response head, document and facts → what a response means; and the same for a failure.
//!
//! In order of precedence: a problem relayed from another gateway of ours, the dialect's rules
//! (`rules`), the usual signs where the dialect guesses (`signs`), the status (`status`). Whether a
//! call is sent again is decided in `retry`, which also knows the call.

mod draft;
mod evidence;
mod polling;
mod rules;
mod signs;
mod status;

use std::time::SystemTime;

use super::definition::Dialect;
use super::hint::{self, ResetHeaders};
use crate::outcome::{
    Advice, Basis, Classification, Code, Failure, HoldScope, Processing, Remedy, ResponseHead, Sign,
};
use draft::{Action, Draft};

pub(super) use evidence::Evidence;

/// When the head of a response decides without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadDecides {
    AtOnce,
    /// The body may state the wait, so it gets a moment to arrive.
    IfBodyIsLate,
    Never,
}

/// When the head of a response may place a hold before its body is read: where the status refuses
/// the rate, or every call.
#[must_use]
pub(super) fn head_decides(head: ResponseHead<'_>, wall: SystemTime) -> HeadDecides {
    match head.status.as_u16() {
        429 | 503 | 529 if hint::wait_header(head.headers, wall).is_some() => HeadDecides::AtOnce,
        429 | 503 | 529 => HeadDecides::IfBodyIsLate,
        _ => HeadDecides::Never,
    }
}

/// What a failure means. It has no response, so only the dialect's rules and the kind count.
#[must_use]
pub fn classify_failure(dialect: &Dialect, failure: &Failure) -> Classification {
    let rule = dialect.rules.iter().find(|rule| rule.when.failure.contains(&failure.kind));
    let draft = match rule {
        Some(rule) => rules::of_failure(rule, failure),
        None => status::of_failure(failure),
    };
    draft.finish(dialect, None)
}

/// What a response means; `None` for a success. The method plays no part: the replay table in
/// `retry` takes it into account.
pub(super) fn classify_response(
    dialect: &Dialect,
    evidence: &Evidence<'_>,
) -> Option<Classification> {
    let Evidence { head, document, wall, .. } = *evidence;
    let mut draft = draft(dialect, evidence)?;
    let advice = Advice::of(head.headers);
    // A dialect's own rules know better than the header. That a retry helps does not make it safe:
    // `processing` stays as it is.
    if dialect.guesses && advice == Some(Advice::Retry) && draft.is_final() {
        draft.action = Action::Retry(None);
    }
    let reset_headers = draft.reset_headers();
    let wait = match reset_headers {
        ResetHeaders::Ignored if draft.is_final() => {
            evidence.retry_after.map(|hint| (hint, format!("header {}", hint.header())))
        }
        ResetHeaders::Ignored | ResetHeaders::StateWaits => {
            let text = evidence.statements();
            hint::wait(head.headers, &document.tree, &text, reset_headers, wall)
        }
    };
    let polled = || polling::interval(evidence).filter(|_| dialect.guesses);
    let wait = wait.or_else(polled);
    // A used-up quota closes the allowance until the moment that the vendor states. Without one,
    // waiting does not help.
    if draft.code == Code::QuotaExhausted && draft.is_final() && wait.is_some() {
        draft = draft.helped_by(Action::Hold(status::THROTTLE));
    }
    let (wait, place) = wait.unzip();
    let mut classification = draft.finish(dialect, wait);
    let stated = classification.wait.is_some_and(|wait| wait.basis == Basis::Upstream);
    classification.wait_place = place.filter(|_| stated).map(String::into_boxed_str);
    classification.standing = hint::standing(head, wall);
    if advice == Some(Advice::Stop) {
        classification.remedy = Remedy::Final;
    }
    if reset_headers == ResetHeaders::StateWaits {
        classification.learned = hint::learned(evidence.text());
        if let (Some(learned), Some(hold)) = (classification.learned, &mut classification.hold)
            && hold.scope == HoldScope::Allowance
        {
            hold.scope = HoldScope::Window(learned.window);
        }
    }
    Some(classification)
}

fn draft<'a>(dialect: &'a Dialect, evidence: &Evidence<'_>) -> Option<Draft<'a>> {
    let by_status = status::processing(evidence.head.status, evidence.retry_after);
    if let Some(relayed) = evidence.facts.relayed.as_deref() {
        let processing = if relayed.outcome_unknown { Processing::Unknown } else { by_status };
        return Some(status::of_code(relayed.code, processing).by(Sign::Relayed));
    }
    if let Some(rule) = dialect.rules.iter().find(|rule| rules::matches(&rule.when, evidence)) {
        return Some(rules::of_response(rule, by_status));
    }
    let guess = || polling::guess(evidence).or_else(|| signs::guess(evidence, by_status));
    let guessed = dialect.guesses.then(guess).flatten();
    guessed.or_else(|| status::of_response(evidence))
}
