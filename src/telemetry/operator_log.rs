//! The log lines for operators: when a hold begins, continues or ends, and when the system denies
//! resources.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::allowance::{HoldChange, HoldChangeKind, UnknownCost};
use crate::time::Moment;

/// Logs a change of a hold; `rule` is the dialect's rule that ordered it, if one did.
pub fn log_hold(
    (upstream, account): (&str, &str),
    news: &HoldChange,
    rule: Option<&str>,
    now: Moment,
) {
    let HoldChange { kind: event, hold, scope } = news;
    let scope = &**scope;
    let account = Some(account).filter(|account| !account.is_empty());
    let cause = hold.cause.as_str();
    let seconds = seconds_of(now.until(hold.until));
    let (id, failures) = (hold.id, hold.failed_probes);
    match event {
        HoldChangeKind::Began => {
            tracing::warn!(upstream, scope, account, cause, rule, seconds, id, "hold begins");
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
                "hold continues: its probe failed"
            );
        }
        HoldChangeKind::Ended => {
            tracing::info!(upstream, scope, account, cause, id, "hold ended");
        }
    }
}

/// The seconds of a log line; tenths are precise enough for people.
#[must_use]
pub fn seconds_of(span: Duration) -> f64 {
    (span.as_secs_f64() * 10.0).round() / 10.0
}

/// As long as resources are short, one line per minute says so.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Logs that a connection could not be opened or accepted for want of resources of this machine.
pub fn log_resource_shortage(cause: &dyn Display, now: Moment) {
    static LOGGED: RateLimit = RateLimit::new();
    if LOGGED.permits(now) {
        tracing::warn!(
            %cause,
            "connections fail because this machine lacks resources, usually open files: raise the \
             limit of open files, or lower `connections.max`"
        );
    }
}

/// The message that does not say what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostOf {
    Request,
    Response,
}

/// Logs that a call costs what was configured or estimated, because it is not said what it costs.
pub fn log_unknown_cost(upstream: &str, of: CostOf, unknown: UnknownCost, now: Moment) {
    static REQUESTS: RateLimit = RateLimit::new();
    static RESPONSES: RateLimit = RateLimit::new();
    let reason = unknown.as_str();
    match of {
        CostOf::Request if REQUESTS.permits(now) => tracing::warn!(
            upstream,
            reason,
            "a request does not say what it costs, so that at least `cost.default` is reserved"
        ),
        CostOf::Response if RESPONSES.permits(now) => tracing::warn!(
            upstream,
            reason,
            "an answer does not say what its call used, so that what was reserved counts: see \
             `cost.settle`"
        ),
        CostOf::Request | CostOf::Response => {}
    }
}

/// Permits one line per interval, shared by all threads.
#[derive(Debug)]
struct RateLimit {
    /// Nanoseconds of the last line's moment, plus one; zero before the first.
    last: AtomicU64,
}

impl RateLimit {
    const fn new() -> Self {
        Self { last: AtomicU64::new(0) }
    }

    fn permits(&self, now: Moment) -> bool {
        let last = self.last.load(Relaxed);
        let recent = last > 0 && now.since(Moment::from_nanos(last - 1)) < REPEAT_AFTER;
        let next = now.as_nanos().saturating_add(1);
        !recent && self.last.compare_exchange(last, next, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::tests::captured;
    use super::*;
    use crate::allowance::{Hold, ProbeState};
    use crate::outcome::{Basis, HoldCause};

    #[test]
    fn a_line_has_scope_account_rule_and_remaining_seconds() {
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
            (HoldChangeKind::Began, "WARN", "hold begins"),
            (HoldChangeKind::Prolonged, "WARN", "hold continues: its probe failed"),
            (HoldChangeKind::Ended, "INFO", "hold ended"),
        ];
        for (event, level, message) in rows {
            let news = HoldChange { kind: event, hold, scope: "hour".into() };
            let line = captured(|| {
                log_hold(("payco", "acme"), &news, Some("busy"), Moment::from_millis(2_000));
            });
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let open = event != HoldChangeKind::Ended;
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

    #[test]
    fn a_shortage_is_logged_once_a_minute() {
        let limit = RateLimit::new();
        let logged: Vec<_> =
            (0..=120).filter(|n| limit.permits(Moment::from_millis(n * 1_000))).collect();
        assert_eq!(logged, [0, 60, 120]);
    }
}
