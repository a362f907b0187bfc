//! Responses of a token endpoint to a device that polls (RFC 8628 §3.5).
//!
//! The client polls, so its call is not sent again by us; and that one device polls too fast says
//! nothing of the others.

use std::time::Duration;

use serde_json::Value;

use super::draft::{Action, Draft};
use super::evidence::Evidence;
use crate::dialect::hint::{HintSource, WAIT_MAX, WaitHint};
use crate::outcome::{Code, Processing, Sign};

pub(super) fn guess<'m>(evidence: &Evidence<'_>) -> Option<Draft<'m>> {
    if evidence.status() != 400 {
        return None;
    }
    let error = evidence.document.tree.get("error")?.as_str()?;
    matches!(error, "authorization_pending" | "slow_down").then(|| {
        let draft = Draft::new(Code::InvalidRequest, Processing::Processed, Action::Retry(None));
        Draft { rule: "auto", ..draft.by(Sign::Code(error.into())) }
    })
}

/// The interval beside it, before which the device must not poll again.
pub(super) fn interval(evidence: &Evidence<'_>) -> Option<(WaitHint, String)> {
    guess(evidence)?;
    let interval = evidence.document.tree.get("interval").and_then(Value::as_u64)?;
    let span = Duration::from_secs(interval);
    let stated = !span.is_zero() && span <= WAIT_MAX;
    stated.then(|| (WaitHint { span, source: HintSource::Body }, "member /interval".to_owned()))
}
