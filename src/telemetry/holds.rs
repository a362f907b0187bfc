//! The one line an operator gets when a hold begins, goes on or ends.

use crate::allowance::HoldNews;
use crate::policy::time::{Moment, seconds_up};

/// Writes down what happened to a hold on this upstream.
pub fn hold(upstream: &str, news: &HoldNews, now: Moment) {
    match news {
        HoldNews::Began(hold) => {
            let (cause, seconds) = (hold.cause.as_str(), seconds_up(now.until(hold.until)));
            tracing::warn!(upstream, cause, seconds, id = hold.id, "a hold begins");
        }
        HoldNews::WentOn(hold) => {
            let (cause, seconds) = (hold.cause.as_str(), seconds_up(now.until(hold.until)));
            let failures = hold.failures;
            let id = hold.id;
            tracing::warn!(
                upstream,
                cause,
                seconds,
                failures,
                id,
                "a hold goes on: its probe failed"
            );
        }
        HoldNews::Ended(hold) => {
            let cause = hold.cause.as_str();
            tracing::info!(upstream, cause, id = hold.id, "a hold has ended");
        }
    }
}
