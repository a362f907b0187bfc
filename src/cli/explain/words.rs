//! Settings in the words an operator writes them in: `1000/h`, `1m30s`, `256KiB`.

use std::time::Duration;

use http::Method;

use crate::allowance::{Allowance, Grant, Mode, Spread};
use crate::dialect::{HoldRule, Place, Replay, Rule, RuleScope, When};
use crate::routing::route::Matcher;

/// A duration in its two largest units.
pub(super) fn span(span: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = span.as_millis();
    let mut text = String::new();
    for (millis, unit) in UNITS {
        if rest >= millis {
            text += &format!("{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// A size in the largest unit that divides it.
pub(super) fn size(bytes: usize) -> String {
    bytes_of(bytes as u64)
}

/// The same of a number that no buffer has to hold.
pub(super) fn bytes_of(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

/// An allowance as granted, and how it is spent.
pub(super) fn allowance(allowance: &Allowance) -> String {
    let grant = match &allowance.grant {
        Grant::Window { limit, window, spread, arrival_guard } => {
            let guard = arrival_guard.map(|guard| format!(", arrival guard {}", span(guard)));
            let window = per(*window);
            format!("{limit}/{window}{}{}", spread_words(*spread), guard.unwrap_or_default())
        }
        Grant::Concurrency { limit } => format!("{limit} at the same time"),
    };
    match allowance.mode {
        Mode::Enforce => grant,
        Mode::Observe => format!("{grant} (observe: counts, never holds back)"),
    }
}

fn spread_words(spread: Spread) -> String {
    match spread {
        Spread::Even { burst } => format!(", evenly after a burst of {burst}"),
        Spread::None => ", as fast as the ledger permits".into(),
    }
}

fn per(window: Duration) -> String {
    match window.as_millis() {
        1_000 => "s".into(),
        60_000 => "m".into(),
        3_600_000 => "h".into(),
        86_400_000 => "day".into(),
        _ => span(window),
    }
}

/// Which requests a matcher is for; the pattern itself is where the configuration is cited.
pub(super) fn matcher(matcher: &Matcher) -> String {
    let methods = matcher.methods.as_deref().unwrap_or_default();
    let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    match (methods.as_str(), &matcher.path) {
        ("", None) => "every call".into(),
        ("", Some(_)) => "this path".into(),
        (methods, None) => methods.into(),
        (methods, Some(_)) => format!("{methods} on this path"),
    }
}

/// A rule of a dialect: when, what it means, what is done.
pub(super) fn rule(rule: &Rule) -> String {
    let mut effects = vec![rule.code.as_str().to_owned()];
    match rule.replay {
        Replay::ByTable => {}
        Replay::AnyMethod => effects.push("any method may be replayed".into()),
    }
    if let Some(retry) = rule.retry {
        effects.push(match retry.after {
            Some(after) => format!("again after {}", span(after)),
            None => "again after our backoff".into(),
        });
    }
    effects.extend(rule.hold.as_ref().map(hold));
    format!("{}: {} → {}", rule.name, when(&rule.when), effects.join(", "))
}

fn hold(hold: &HoldRule) -> String {
    let scope = match hold.scope {
        RuleScope::Allowance => "the allowance",
        RuleScope::Upstream => "the upstream",
    };
    let length = hold.length.map_or_else(
        || "as long as the vendor says".to_owned(),
        |length| format!("for {} unless the vendor says", span(length)),
    );
    let mut text = format!("hold {scope} {length}");
    if !hold.at_least.is_zero() {
        text += &format!(", at least {}", span(hold.at_least));
    }
    if hold.slow_sixteenths < 16 {
        text += &format!(", then at {} % pace", u32::from(hold.slow_sixteenths) * 100 / 16);
    }
    text
}

fn when(when: &When) -> String {
    let mut parts = Vec::new();
    let range = |(low, high): &(u16, u16)| {
        if low == high { low.to_string() } else { format!("{low}–{high}") }
    };
    push_any(&mut parts, "status", when.status.iter().map(range));
    push_any(&mut parts, "failure", when.failure.iter().map(|kind| kind.as_str().to_owned()));
    push_any(&mut parts, "code", when.code.iter().map(|code| format!("{code:?}")));
    parts.extend(when.text.iter().map(|text| format!("text ~ /{text}/")));
    parts.extend(when.body.iter().map(|(at, texts)| {
        let texts: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
        format!("{} is {}", place(at), texts.join(" or "))
    }));
    parts.extend(when.header.iter().map(|(name, pattern)| match pattern {
        Some(pattern) => format!("header {name} ~ /{pattern}/"),
        None => format!("header {name}"),
    }));
    if parts.is_empty() { "always".into() } else { parts.join(" and ") }
}

fn push_any(parts: &mut Vec<String>, what: &str, values: impl Iterator<Item = String>) {
    let values: Vec<String> = values.collect();
    if !values.is_empty() {
        parts.push(format!("{what} {}", values.join(" or ")));
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Pointer(pointer) => pointer.to_string(),
        Place::Header(name) => format!("header {name}"),
        Place::Text => "the body".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_they_are_written() {
        let rows =
            [(0, "0s"), (250, "250ms"), (90_000, "1m30s"), (3_600_000, "1h"), (86_400_000, "24h")];
        for (millis, text) in rows {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(size(256 << 10), "256KiB");
        assert_eq!(size(1000), "1000B");
        assert_eq!(size(0), "0B");
    }
}
