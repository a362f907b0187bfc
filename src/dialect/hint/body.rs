//! The wait that a member of a body states, by the member's name.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::name::{self, Event};
use super::rate_limit::ResetHeaders;
use super::value;
use crate::dialect::document::pointer;

const VALUES_MAX: usize = 2_000;
const DEPTH_MAX: usize = 8;
/// Characters of a member's value; a longer one is a sentence.
const MEMBER_CHARS_MAX: usize = 40;

/// The wait, and the pointer to the member that states it. `reset_headers` says whether members
/// about a reset count too.
pub(super) fn wait(
    tree: &Value,
    reset_headers: ResetHeaders,
    now: SystemTime,
) -> Option<(Duration, String)> {
    let mut search = Search { values_left: VALUES_MAX, reset_headers, now };
    let cost = || Some((query_cost(tree)?, "/extensions/cost".to_owned()));
    search.look(tree, DEPTH_MAX).or_else(cost)
}

struct Search {
    values_left: usize,
    reset_headers: ResetHeaders,
    now: SystemTime,
}

impl Search {
    fn look(&mut self, value: &Value, depth_left: usize) -> Option<(Duration, String)> {
        self.values_left = self.values_left.checked_sub(1)?;
        let depth_left = depth_left.checked_sub(1)?;
        match value {
            Value::Object(members) => {
                let own = members.iter().find_map(|(name, value)| {
                    Some((self.member(name, value)?, format!("/{name}")))
                });
                own.or_else(|| self.entry(members)).or_else(|| {
                    members.iter().find_map(|(name, value)| {
                        let (span, at) = self.look(value, depth_left)?;
                        Some((span, format!("/{name}{at}")))
                    })
                })
            }
            Value::Array(items) => items.iter().enumerate().find_map(|(place, item)| {
                let (span, at) = self.look(item, depth_left)?;
                Some((span, format!("/{place}{at}")))
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// A name and its value in two members: `{"key": "PauseMilliseconds", "value": 45000}`.
    fn entry(&self, members: &Map<String, Value>) -> Option<(Duration, String)> {
        let is = |name: &str, wanted: &[&str]| {
            wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
        };
        let mut names = members.iter().filter(|(name, _)| is(name, &["key", "name"]));
        let name = names.find_map(|(_, value)| value.as_str())?;
        let mut values =
            members.iter().filter(|(name, _)| is(name, &["value", "text", "#text", "content"]));
        values.find_map(|(at, value)| Some((self.member(name, value)?, format!("/{at}"))))
    }

    fn member(&self, name: &str, value: &Value) -> Option<Duration> {
        let text = match value {
            Value::String(text) if text.len() <= MEMBER_CHARS_MAX => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => return None,
        };
        let (event, meaning) = name::of_member(name)?;
        match (event, self.reset_headers) {
            (Event::Reset, ResetHeaders::Ignored) => None,
            (Event::Retry, _) | (Event::Reset, ResetHeaders::StateWaits) => {
                value::wait(&text, meaning, self.now)
            }
        }
    }
}

/// GraphQL cost accounts (Shopify): what is missing, at the rate at which it is restored.
fn query_cost(tree: &Value) -> Option<Duration> {
    let cost = pointer::at(tree, "/extensions/cost")?;
    let requested = cost.get("requestedQueryCost")?.as_f64()?;
    let status = cost.get("throttleStatus")?;
    let available = status.get("currentlyAvailable")?.as_f64()?;
    let rate = status.get("restoreRate")?.as_f64().filter(|rate| *rate > 0.0)?;
    value::plausible(Duration::try_from_secs_f64(((requested - available) / rate).max(0.0)).ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;

    #[test]
    fn members_state_waits_under_many_names() {
        let rows = [
            (json!({ "retry_after": 1.5, "global": false }), 1500),
            (json!({ "parameters": { "retry_after": 134 } }), 134_000),
            (json!({ "details": { "retryAfterSeconds": 7 } }), 7_000),
            (json!({ "error": { "details": [{ "@type": "x", "retryDelay": "34.5s" }] } }), 34_500),
            (json!({ "retry_after_ms": "250" }), 250),
            (json!({ "wait": 30 }), 30_000),
            (json!({ "more": { "pause_seconds": 25 } }), 25_000),
            (json!({ "msBeforeNext": 1500 }), 1_500),
            (json!({ "next_request_in": 4 }), 4_000),
            (json!({ "cooldown_seconds": 9 }), 9_000),
            (json!({ "estimated_time": 54.3 }), 54_300),
            (json!({ "error": { "rate_reset": 8.412 } }), 8_412),
            (json!({ "period_end": 60 }), 60_000),
            (json!({ "nextAccessTime": "1970-Jan-01 00:01:00+0000 UTC" }), 60_000),
            (json!({ "entry": { "Key": "PauseMilliseconds", "text": "45000" } }), 45_000),
            (
                json!({ "extensions": { "cost": { "requestedQueryCost": 100, "throttleStatus":
                { "currentlyAvailable": 50, "restoreRate": 50.0 } } } }),
                1_000,
            ),
        ];
        for (body, expected) in rows {
            let found = wait(&body, ResetHeaders::StateWaits, UNIX_EPOCH);
            assert_eq!(found.unwrap().0.as_millis(), expected, "{body}");
        }
        let none = [
            json!({ "retry_after": "never", "retries": 3 }),
            json!({ "trial_ends_in": 3, "token_expires_in": 3600, "cache_ttl": 60 }),
            json!({ "estimated_cost": 3, "wait": true, "waiting": 4, "paused": 5 }),
        ];
        for body in none {
            assert_eq!(wait(&body, ResetHeaders::StateWaits, UNIX_EPOCH), None, "{body}");
        }
    }
}
