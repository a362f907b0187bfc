//! Errors that a vendor reports with a status of success, on routes that opted in.
//!
//! `declared` finds where a body declares itself to be an error, by the `names` of its members, and
//! `object` tells an error's members from those of a result, and `text` reads what is no object;
//! this file says what the error means.

mod declaration;
mod declared;
mod names;
mod object;
mod text;

use http::StatusCode;

use super::{Signs, codes, matched, sentence};
use crate::dialect::classify::draft::{Action, Draft};
use crate::dialect::classify::evidence::Evidence;
use crate::dialect::classify::status::{self, THROTTLE};
use crate::outcome::{Code, Processing};
use declaration::Strength;

pub(super) fn guess<'m>(evidence: &Evidence<'_>) -> Option<Draft<'m>> {
    if !evidence.head.status.is_success() {
        return None;
    }
    let declared = declared::of(evidence)?;
    let signs = Signs::of(evidence);
    if let Some(status) = declared.status {
        return Some(by_status(&signs, status).by(declared.sign));
    }
    let input = || {
        let sign = matched(&sentence::INVALID_INPUT, &signs.sentence)?;
        Some(Draft::new(Code::InvalidRequest, Processing::Processed, Action::Final).by(sign))
    };
    match declared.strength {
        // That nothing was found is a result where nothing else makes it an error.
        Strength::Worded => meaning(&signs).filter(|draft| draft.code != Code::NotFound),
        Strength::Coded => meaning(&signs).or_else(input),
        Strength::Certain => Some(meaning(&signs).unwrap_or_else(|| {
            // A stated wait asks for fewer calls, whatever the reason.
            let (code, action) = if signs.asks_to_return() {
                (Code::RateLimited, Action::HoldOnly(THROTTLE))
            } else {
                (Code::InvalidRequest, Action::Final)
            };
            Draft::new(code, Processing::Processed, action).by(declared.sign)
        })),
    }
}

/// What the words mean, without the help of a status.
fn meaning<'m>(signs: &Signs<'_>) -> Option<Draft<'m>> {
    let processed = Processing::Processed;
    let ends = |code, sign| Draft::new(code, processed, Action::Final).by(sign);
    // A repetition may win what a body reports as trouble of the moment.
    let again = |code, sign| Draft::new(code, Processing::Unknown, Action::Retry(None)).by(sign);
    if let Some(sign) = signs.quota() {
        return Some(ends(Code::QuotaExhausted, sign));
    }
    // As an error, a code that only names a limit says that it was exceeded.
    let limit = || signs.code_of_limit(&codes::LIMIT);
    if let Some(sign) = signs.says_throttled().or_else(limit) {
        return Some(Draft::new(Code::RateLimited, processed, Action::HoldOnly(THROTTLE)).by(sign));
    }
    let quota = signs.code(&codes::QUOTA_EXCEEDED);
    if let Some(sign) = quota.or_else(|| matched(&sentence::QUOTA_EXCEEDED, &signs.claims)) {
        return Some(ends(Code::QuotaExhausted, sign));
    }
    if let Some(sign) = signs.lock() {
        return Some(again(Code::TransientConflict, sign));
    }
    if let Some(sign) = signs.in_maintenance() {
        return Some(again(Code::UpstreamMaintenance, sign));
    }
    let refused = signs.bad_credential().or_else(|| signs.code(&codes::UNAUTHORIZED));
    if let Some(sign) = refused {
        return Some(ends(Code::Unauthenticated, sign));
    }
    let text = &signs.sentence;
    let missing = signs.code(&codes::NOT_FOUND).or_else(|| matched(&sentence::NOT_FOUND, text));
    if let Some(sign) = missing {
        return Some(ends(Code::NotFound, sign));
    }
    let forbidden = signs.code(&codes::FORBIDDEN).or_else(|| matched(&sentence::FORBIDDEN, text));
    if let Some(sign) = forbidden {
        return Some(ends(Code::Forbidden, sign));
    }
    let trouble = signs.code(&codes::OVERLOADED);
    let trouble = trouble.or_else(|| matched(&sentence::OVERLOADED, text));
    let trouble = trouble.or_else(|| matched(&sentence::VENDOR_FAULT, text));
    trouble.map(|sign| again(Code::UpstreamError, sign))
}

/// What the status means that a body declares, where its words say nothing of a rate, a lock,
/// maintenance or a credential.
fn by_status<'m>(signs: &Signs<'_>, status: StatusCode) -> Draft<'m> {
    let plain = [Code::NotFound, Code::UpstreamError, Code::Forbidden];
    let worded = meaning(signs).filter(|draft| !plain.contains(&draft.code));
    worded.unwrap_or_else(|| status::of_status(status, None).within_success())
}
