//! The lines an operator gets when a hold begins, goes on or ends: one for each scope.

use std::time::Duration;

use crate::allowance::{HoldEvent, HoldNews};
use crate::policy::time::Moment;

/// Writes down what happened to a hold on a scope of this upstream and account, and which rule of
/// the dialect said so, where one did.
pub fn hold((upstream, account): (&str, &str), news: &HoldNews, rule: Option<&str>, now: Moment) {
    let HoldNews { event, hold, scope } = news;
    let scope = &**scope;
    let account = Some(account).filter(|account| !account.is_empty());
    let (cause, seconds) = (hold.cause.as_str(), tenths(now.until(hold.until)));
    let (id, failures) = (hold.id, hold.failures);
    match event {
        HoldEvent::Began => {
            tracing::warn!(upstream, scope, account, cause, rule, seconds, id, "a hold begins");
        }
        HoldEvent::WentOn => {
            tracing::warn!(
                upstream,
                scope,
                account,
                cause,
                rule,
                seconds,
                failures,
                id,
                "a hold goes on: its probe failed"
            );
        }
        HoldEvent::Ended => {
            tracing::info!(upstream, scope, account, cause, id, "a hold has ended");
        }
    }
}

/// Seconds to a tenth, as people read them.
fn tenths(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}
