//! Settings in the form in which they are written: `1000/h`, `1m30s`, `256KiB`.

use std::time::Duration;

use http::Method;

use crate::allowance::{Allowance, Calendar, Grant, Mode, Period, Spread};
use crate::dialect::{HoldRule, Place, Replay, Rule, RuleScope, When};
use crate::outcome::FULL_PACE;
use crate::routing::call_matcher::CallMatcher;
use crate::routing::route::Matcher;

/// A duration in as many units as it needs: `1m30s`.
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
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

/// What an allowance grants, and how evenly it is spent.
pub(super) fn allowance(allowance: &Allowance) -> String {
    let grant = match &allowance.grant {
        Grant::Window { limit, window, spread: how, arrival_guard } => {
            let guard = arrival_guard.map(|guard| format!(", arrival guard {}", span(guard)));
            format!("{}{}{}", rate(*limit, *window), spread(*how), guard.unwrap_or_default())
        }
        Grant::Calendar { limit, calendar, spread: how } => {
            format!("{limit} {}{}", period(calendar), spread(*how))
        }
        Grant::Bucket { size, refill } => {
            let step = refill
                .step
                .map(|every| format!(" every {}, of which one step is never used", span(every)));
            let rate = rate(refill.units, refill.over);
            format!("{size} at once, refilled by {rate}{}", step.unwrap_or_default())
        }
        Grant::Concurrency { limit } => format!("{limit} at the same time"),
    };
    let grant = match allowance.headroom {
        0 => grant,
        headroom => format!("{grant}, less {headroom} for others"),
    };
    match allowance.mode {
        Mode::Enforce => grant,
        Mode::Observe => format!("{grant} (observe: counts only, never delays)"),
    }
}

fn rate(units: u32, window: Duration) -> String {
    let window = match window.as_millis() {
        1_000 => "s".into(),
        60_000 => "m".into(),
        3_600_000 => "h".into(),
        86_400_000 => "day".into(),
        _ => span(window),
    };
    format!("{units}/{window}")
}

fn spread(spread: Spread) -> String {
    match spread {
        Spread::Auto => ", spread evenly once half of it is used".into(),
        Spread::Even { burst } => format!(", evenly after a burst of {burst}"),
        Spread::None => ", as fast as the allowance permits".into(),
    }
}

/// `a month from day 1 at 00:00, UTC`.
fn period(calendar: &Calendar) -> String {
    let from = match calendar.period {
        Period::Day => "a day from".to_owned(),
        Period::Week(day) => format!("a week from {day:?}"),
        Period::Month(day) => format!("a month from day {day}"),
    };
    let (hour, minute) = (calendar.at.hour(), calendar.at.minute());
    let zone = calendar.zone.iana_name().unwrap_or("UTC");
    format!("{from} {hour:02}:{minute:02} {zone}")
}

/// Which requests a matcher covers; its pattern can be read at the cited place.
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

/// Which requests a matcher covers, with its headers and parameters.
pub(super) fn call_matcher(of: &CallMatcher) -> String {
    let headers = of.headers.iter().map(|it| format!("header {it}"));
    let query = of.query.iter().map(|it| format!("parameter {it}"));
    let conditions: Vec<_> = headers.chain(query).collect();
    match conditions.is_empty() {
        true => matcher(&of.matcher),
        false => format!("{} with {}", matcher(&of.matcher), conditions.join(" and ")),
    }
}

/// A rule of a dialect: when it applies, its code, what is done.
pub(super) fn rule(rule: &Rule) -> String {
    let mut effects = vec![rule.code.as_str().to_owned()];
    match rule.replay {
        Replay::ByTable => {}
        Replay::AnyMethod => effects.push("any method may be replayed".into()),
    }
    if let Some(retry) = rule.retry {
        effects.push(match retry.after {
            Some(after) => format!("retried after {}", span(after)),
            None => "retried after the backoff".into(),
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
        || "as long as the vendor states".to_owned(),
        |length| format!("for {} unless the vendor states a wait", span(length)),
    );
    let mut text = format!("hold {scope} {length}");
    if !hold.at_least.is_zero() {
        text += &format!(", at least {}", span(hold.at_least));
    }
    if let Some(pace) = pace(hold.slow_sixteenths) {
        text += &format!(", then at {pace}");
    }
    text
}

/// The pace after a hold; `None` where it stays as it is.
pub(super) fn pace(sixteenths: u8) -> Option<String> {
    let percent = u32::from(sixteenths) * 100 / u32::from(FULL_PACE);
    (sixteenths < FULL_PACE).then(|| format!("{percent} % pace"))
}

fn when(when: &When) -> String {
    let mut parts = Vec::new();
    let range = |(low, high): &(u16, u16)| {
        if low == high { low.to_string() } else { format!("{low}–{high}") }
    };
    let mut any_of = |what: &str, values: Vec<String>| {
        if !values.is_empty() {
            parts.push(format!("{what} {}", values.join(" or ")));
        }
    };
    any_of("status", when.status.iter().map(range).collect());
    any_of("failure", when.failure.iter().map(|kind| kind.as_str().to_owned()).collect());
    any_of("code", when.code.iter().map(|code| format!("{code:?}")).collect());
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
    fn durations_and_sizes_are_formatted_as_they_are_written() {
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
