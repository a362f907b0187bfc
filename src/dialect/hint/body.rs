//! The wait that a member of a body states, by the member's name.

use std::borrow::Cow;
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

/// Whether members that say when something ends (`until`, `ends_at`) state a wait, which they do
/// only beside words of maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    StateWaits,
    Ignored,
}

/// The longest wait, and the pointer to the member that states it. `reset_headers` says whether
/// members about a reset count too, which they do only where no member is about a retry.
pub(super) fn wait(
    tree: &Value,
    reset_headers: ResetHeaders,
    ends: Ends,
    now: SystemTime,
) -> Option<(Duration, String)> {
    let mut search = Search { values_left: VALUES_MAX, reset_headers, ends, now, found: None };
    let mut path = Vec::new();
    search.look(tree, &mut path, DEPTH_MAX);
    let found = search.found.map(|found| (found.span, found.at));
    found.or_else(|| Some((query_cost(tree)?, "/extensions/cost".to_owned())))
}

struct Search {
    values_left: usize,
    reset_headers: ResetHeaders,
    ends: Ends,
    now: SystemTime,
    found: Option<Found>,
}

struct Found {
    event: Event,
    span: Duration,
    at: String,
}

/// Parts of names that may begin the name of a wait in two steps: `{"retry": {"in": 60}}`.
const FIRST_STEPS: [&str; 8] =
    ["retry", "rate", "wait", "backoff", "cooldown", "reset", "throttl", "maintenance"];

impl Search {
    fn look<'v>(&mut self, value: &'v Value, path: &mut Vec<Step<'v>>, depth_left: usize) {
        let (Some(values_left), Some(depth_left)) =
            (self.values_left.checked_sub(1), depth_left.checked_sub(1))
        else {
            return;
        };
        self.values_left = values_left;
        match value {
            Value::Object(members) => {
                let outer = first_step(path);
                let unit = unit_of(members);
                for (name, value) in members {
                    path.push(Step::Member(name));
                    let joined = || {
                        let name = [outer.as_deref()?, name].concat();
                        self.member(&name, value, unit)
                    };
                    let stated = self.member(name, value, unit).or_else(joined);
                    let stated = stated
                        .filter(|(event, _)| *event != Event::Reset || !something_remains(members));
                    self.note(stated, path);
                    self.look(value, path, depth_left);
                    path.pop();
                }
                self.entry(members, path);
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    path.push(Step::Item(place));
                    self.look(item, path, depth_left);
                    path.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Keeps a wait if it says more than the one before: a retry more than a reset, a longer more
    /// than a shorter.
    fn note(&mut self, stated: Option<(Event, Duration)>, path: &[Step<'_>]) {
        let Some((event, span)) = stated else { return };
        let rank = |event: Event| event != Event::Reset;
        let better = self
            .found
            .as_ref()
            .is_none_or(|found| (rank(event), span) > (rank(found.event), found.span));
        if better {
            let step = |step: &Step<'_>| match step {
                Step::Member(name) => format!("/{name}"),
                Step::Item(place) => format!("/{place}"),
            };
            let at = path.iter().map(step).collect();
            self.found = Some(Found { event, span, at });
        }
    }

    /// A name and its value in two members: `{"key": "PauseMilliseconds", "value": 45000}`.
    fn entry<'v>(&mut self, members: &'v Map<String, Value>, path: &mut Vec<Step<'v>>) {
        let is = |name: &str, wanted: &[&str]| {
            wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
        };
        let mut names = members.iter().filter(|(name, _)| is(name, &["key", "name"]));
        let Some(name) = names.find_map(|(_, value)| value.as_str()) else { return };
        let values =
            members.iter().filter(|(name, _)| is(name, &["value", "text", "#text", "content"]));
        for (at, value) in values {
            path.push(Step::Member(at));
            self.note(self.member(name, value, None), path);
            path.pop();
        }
    }

    fn member(&self, name: &str, value: &Value, unit: Option<&str>) -> Option<(Event, Duration)> {
        let written: Cow<'_, str> = match value {
            Value::String(text) if text.len() <= MEMBER_CHARS_MAX => text.as_str().into(),
            // `60e0` is a number of JSON too.
            Value::Number(number) => match number.to_string() {
                text if text.contains(['e', 'E']) => number.as_f64()?.to_string().into(),
                text => text.into(),
            },
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => return None,
        };
        let (event, meaning) = name::of_member(name)?;
        let counts = match event {
            Event::Retry => true,
            Event::Reset => self.reset_headers == ResetHeaders::StateWaits,
            Event::End => self.ends == Ends::StateWaits,
        };
        let with_unit = || {
            value::wait(
                &format!("{written} {}", unit.filter(|_| meaning.unit.is_none())?),
                meaning,
                self.now,
            )
        };
        let span = with_unit().or_else(|| value::wait(&written, meaning, self.now));
        Some((event, span.filter(|_| counts)?))
    }
}

#[derive(Clone, Copy)]
enum Step<'v> {
    Member(&'v str),
    Item(usize),
}

/// The name of the object that is looked at, where it may begin the name of a wait.
fn first_step(path: &[Step<'_>]) -> Option<String> {
    let Some(Step::Member(name)) = path.last() else { return None };
    let lower = name.to_ascii_lowercase();
    let begins = FIRST_STEPS.iter().any(|step| lower.contains(step));
    // `retryInfo`, `rate_info`.
    begins.then(|| lower.strip_suffix("info").unwrap_or(&lower).to_owned())
}

/// The unit in a member of its own: `{"after": 15, "unit": "minutes"}`.
fn unit_of(members: &Map<String, Value>) -> Option<&str> {
    let is_unit = |name: &str| ["unit", "units", "time_unit", "timeUnit"].contains(&name);
    let mut units = members.iter().filter(|(name, _)| is_unit(name));
    units.find_map(|(_, value)| value.as_str()).filter(|unit| unit.len() <= MEMBER_CHARS_MAX)
}

/// Whether a bucket says that it is not used up: its reset is not what the caller waits for.
fn something_remains(members: &Map<String, Value>) -> bool {
    let mut lefts = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case("remaining"));
    lefts.any(|(_, value)| value.as_f64().is_some_and(|left| left > 0.0))
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
    fn exponents_are_numbers_too() {
        let body = serde_json::from_str(r#"{"retry_after": 60e0}"#).unwrap();
        let found = wait(&body, ResetHeaders::Ignored, Ends::Ignored, UNIX_EPOCH);
        assert_eq!(found, Some((Duration::from_secs(60), "/retry_after".to_owned())));
    }

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
            (json!({ "retry_after": { "seconds": 60 } }), 60_000),
            (json!({ "seconds_to_wait": 60 }), 60_000),
            (json!({ "retry": { "in": 60 } }), 60_000),
            (json!({ "retry": { "after": 15, "unit": "minutes" } }), 900_000),
            (json!({ "retry_after": 15, "unit": "request" }), 15_000),
            (json!({ "rate": { "reset": 60, "remaining": 0 } }), 60_000),
            (json!({ "retryInfo": { "delay": 60 } }), 60_000),
            (json!({ "blocked_until": "1970-01-01 00:01:00" }), 60_000),
            (json!({ "availableIn": 60 }), 60_000),
            (json!({ "availableAt": 60 }), 60_000),
            (json!({ "unblocks_at": "1970-01-01T00:01:00Z" }), 60_000),
            (json!({ "remaining_seconds": 60 }), 60_000),
            (
                json!({ "extensions": { "cost": { "requestedQueryCost": 100, "throttleStatus":
                { "currentlyAvailable": 50, "restoreRate": 50.0 } } } }),
                1_000,
            ),
        ];
        for (body, expected) in rows {
            let found = wait(&body, ResetHeaders::StateWaits, Ends::Ignored, UNIX_EPOCH);
            assert_eq!(found.unwrap().0.as_millis(), expected, "{body}");
        }
        let none = [
            json!({ "retry_after": "never", "retries": 3 }),
            json!({ "trial_ends_in": 3, "token_expires_in": 3600, "cache_ttl": 60 }),
            json!({ "estimated_cost": 3, "wait": true, "waiting": 4, "paused": 5 }),
            json!({ "rate": { "reset": 60, "remaining": 7 }, "trial": { "in": 60 } }),
            json!({ "available": 60, "availability": { "in": 3 }, "blocked": 4, "until": 60 }),
            json!({ "retry": { "count": 3, "max": 5 }, "rate": { "after": "tax", "unit": "s" } }),
            json!({ "remaining": 60, "remaining_credits": 5, "available_credits_in_days": 4 }),
        ];
        for body in none {
            let found = wait(&body, ResetHeaders::StateWaits, Ends::Ignored, UNIX_EPOCH);
            assert_eq!(found, None, "{body}");
        }
    }

    #[test]
    fn of_several_members_the_longest_retry_counts() {
        let rows = [
            (json!({ "errors": [{ "retry_after": 5 }, { "retry_after": 60 }] }), 60),
            (json!({ "errors": [{ "retry_after": 60 }, { "retry_after": 5 }] }), 60),
            (json!({ "reset_in": 900, "retry_after": 5 }), 5),
            (json!({ "reset_in": 900, "window": { "reset_in": 60 } }), 900),
        ];
        for (body, expected) in rows {
            let found = wait(&body, ResetHeaders::StateWaits, Ends::Ignored, UNIX_EPOCH);
            assert_eq!(found.unwrap().0.as_secs(), expected, "{body}");
        }
    }

    #[test]
    fn the_end_of_maintenance_is_a_wait_only_beside_words_of_it() {
        let rows = [
            (json!({ "ends_at": "1970-01-01T00:10:00Z" }), Some(600)),
            (json!({ "maintenance": { "until": 600 } }), Some(600)),
            (json!({ "subscription_ends_at": 600, "valid_until": 600 }), None),
        ];
        for (body, expected) in rows {
            let found = |ends| {
                let found = wait(&body, ResetHeaders::StateWaits, ends, UNIX_EPOCH);
                found.map(|(span, _)| span.as_secs())
            };
            assert_eq!((found(Ends::StateWaits), found(Ends::Ignored)), (expected, None), "{body}");
        }
    }
}
