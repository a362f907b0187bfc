//! The wait that a member of a body states, by the member's name.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::name::{self, Event};
use super::rate_limit::ResetHeaders;
use super::value;
use crate::dialect::document::pointer;

/// Values of one body that are looked at.
const VALUES_MAX: usize = 2_000;
/// How deep members are looked at.
const DEPTH_MAX: usize = 8;
/// Characters of a member's value; a longer one is a sentence.
const MEMBER_CHARS_MAX: usize = 40;

/// `reset_headers` says whether members about a reset count too.
pub(super) fn wait(tree: &Value, reset_headers: ResetHeaders, now: SystemTime) -> Option<Duration> {
    let mut search = Search { values_left: VALUES_MAX, reset_headers, now };
    search.look(tree, DEPTH_MAX).or_else(|| query_cost(tree))
}

struct Search {
    values_left: usize,
    reset_headers: ResetHeaders,
    now: SystemTime,
}

impl Search {
    fn look(&mut self, value: &Value, depth_left: usize) -> Option<Duration> {
        self.values_left = self.values_left.checked_sub(1)?;
        let depth_left = depth_left.checked_sub(1)?;
        match value {
            Value::Object(members) => {
                let own = members.iter().find_map(|(name, value)| self.member(name, value));
                own.or_else(|| members.values().find_map(|value| self.look(value, depth_left)))
            }
            Value::Array(items) => items.iter().find_map(|item| self.look(item, depth_left)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
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
            (
                json!({ "extensions": { "cost": { "requestedQueryCost": 100, "throttleStatus":
                { "currentlyAvailable": 50, "restoreRate": 50.0 } } } }),
                1_000,
            ),
        ];
        for (body, expected) in rows {
            let found = wait(&body, ResetHeaders::StateWaits, UNIX_EPOCH);
            assert_eq!(found.unwrap().as_millis(), expected, "{body}");
        }
        let none = json!({ "retry_after": "never", "retries": 3 });
        assert_eq!(wait(&none, ResetHeaders::StateWaits, UNIX_EPOCH), None);
    }
}
