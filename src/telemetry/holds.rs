//! The lines an operator gets when a hold begins, goes on or ends: one for each scope.

use std::time::Duration;

use crate::allowance::{HoldChange, HoldChangeKind};
use crate::time::Moment;

/// Writes down what happened to a hold on a scope of this upstream and account, and which rule of
/// the dialect said so, where one did.
pub fn hold((upstream, account): (&str, &str), news: &HoldChange, rule: Option<&str>, now: Moment) {
    let HoldChange { kind, hold, scope } = news;
    let scope = &**scope;
    let account = Some(account).filter(|account| !account.is_empty());
    let (cause, seconds) = (hold.cause.as_str(), tenths(now.until(hold.until)));
    let (id, failures) = (hold.id, hold.failed_probes);
    match kind {
        HoldChangeKind::Began => {
            tracing::warn!(upstream, scope, account, cause, rule, seconds, id, "a hold begins");
        }
        HoldChangeKind::Prolonged => {
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
        HoldChangeKind::Ended => {
            tracing::info!(upstream, scope, account, cause, id, "a hold has ended");
        }
    }
}

/// Seconds to a tenth, as people read them.
fn tenths(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::super::log::tests::captured;
    use super::*;
    use crate::allowance::{Hold, ProbeState};
    use crate::outcome::{Basis, HoldCause};

    #[test]
    fn each_event_has_scope_account_rule_and_what_is_left() {
        let hold = Hold {
            id: 7,
            cause: HoldCause::Throttle,
            until: Moment::from_millis(12_340),
            length: Duration::from_secs(10),
            basis: Basis::Upstream,
            failed_probes: 2,
            probe: ProbeState::Due,
        };
        let rows = [
            (HoldChangeKind::Began, "WARN", "a hold begins"),
            (HoldChangeKind::Prolonged, "WARN", "a hold goes on: its probe failed"),
            (HoldChangeKind::Ended, "INFO", "a hold has ended"),
        ];
        for (kind, level, message) in rows {
            let news = HoldChange { kind, hold, scope: "hour".into() };
            let line = captured(|| {
                super::hold(("payco", "acme"), &news, Some("busy"), Moment::from_millis(2_000));
            });
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let open = kind != HoldChangeKind::Ended;
            let expected: [(&str, serde_json::Value); 9] = [
                ("level", level.into()),
                ("message", message.into()),
                ("upstream", "payco".into()),
                ("scope", "hour".into()),
                ("account", "acme".into()),
                ("cause", "throttle".into()),
                ("id", 7.into()),
                ("rule", if open { "busy".into() } else { serde_json::Value::Null }),
                ("seconds", if open { 10.3.into() } else { serde_json::Value::Null }),
            ];
            for (field, value) in expected {
                assert_eq!(line.get(field).cloned().unwrap_or_default(), value, "{field}: {line}");
            }
        }
    }
}
