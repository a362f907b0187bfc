//! The rules of a dialect: each condition and each consequence of one.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::fields::{Fields, Sink, join, kind};
use super::{RULES_MAX, place, support};
use crate::dialect::definition::{
    HoldRule, Place, Replay, Retry, Rule, RuleScope, SLOW_SIXTEENTHS, When,
};
use crate::dialect::hint::WAIT_MAX;
use crate::outcome::{Code, FailureKind, HoldCause, Source};

/// Memory of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Characters of one pattern.
pub(super) const PATTERN_CHARS_MAX: usize = 1_000;
/// Groups inside groups of one pattern.
const PATTERN_NESTING_MAX: u32 = 40;
/// The pace is counted in sixteenths.
const SIXTEENTHS: u32 = 16;

/// The keys of a rule.
pub(super) const RULE_KEYS: [&str; 8] =
    ["name", "when", "code", "replay", "retry", "hold", "status", "support"];
/// The conditions of a rule.
pub(super) const WHEN_KEYS: [&str; 6] = ["status", "text", "code", "body", "header", "failure"];
/// The keys of `retry`.
pub(super) const RETRY_KEYS: [&str; 1] = ["after"];
/// The keys of `hold`.
pub(super) const HOLD_KEYS: [&str; 5] = ["scope", "cause", "for", "at_least", "slow"];
/// What a rule knows about sending again.
pub(super) const REPLAYS: [(&str, Replay); 2] =
    [("by_table", Replay::ByTable), ("any_method", Replay::AnyMethod)];
/// What a hold closes.
pub(super) const SCOPES: [(&str, RuleScope); 2] =
    [("allowance", RuleScope::Allowance), ("upstream", RuleScope::Upstream)];
/// Why it does.
pub(super) const CAUSES: [(&str, HoldCause); 2] =
    [("throttle", HoldCause::Throttle), ("maintenance", HoldCause::Maintenance)];

/// The rules of a list.
pub(super) fn list(value: &Value, at: &str, sink: &Sink) -> Vec<Rule> {
    let Value::Array(items) = value else {
        return sink
            .fault(at, &format!("{} is no list", kind(value)), "a list of rules")
            .unwrap_or_default();
    };
    if items.len() > RULES_MAX {
        let accepted = format!("at most {RULES_MAX} rules");
        let _: Option<()> = sink.fault(at, &format!("{} rules", items.len()), &accepted);
    }
    let items = items.iter().take(RULES_MAX).enumerate();
    items.filter_map(|(n, item)| rule(item, &join(at, &n.to_string()), sink)).collect()
}

fn rule(value: &Value, at: &str, sink: &Sink) -> Option<Rule> {
    let fields = Fields::of(value, at, &RULE_KEYS, sink);
    if !value.is_object() {
        return None;
    }
    let when = fields.get("when").map_or_else(
        || sink.fault(at, "a rule says when it applies", "a `when` with at least one condition"),
        |(value, at)| conditions(value, &at, sink),
    );
    let code = code(&fields, at, sink);
    let replay = fields.choice("replay", &REPLAYS).unwrap_or_default();
    let hold = fields.get("hold").and_then(|(value, at)| hold(value, &at, code, sink));
    let hold = hold.or_else(|| bare(&fields, "hold").then(|| default_hold(code)));
    let retry = fields.get("retry").map(|(value, at)| retry(value, &at, sink));
    let retry = retry.or_else(|| bare(&fields, "retry").then(Retry::default));
    if fields.has("hold") && fields.has("retry") {
        let _: Option<()> = sink.fault(
            &join(at, "retry"),
            "`hold` implies a replay after it",
            "one of `hold` and `retry`",
        );
    }
    let default_name = || format!("rule{}", at.replace('/', "_"));
    Some(Rule {
        name: fields.text("name").map_or_else(default_name, str::to_owned).into(),
        when: when?,
        code: code?,
        replay,
        retry,
        hold,
        status: status_of(&fields, sink),
        support: fields.get("support").and_then(|(value, at)| support(value, &at, sink)),
    })
}

/// `retry:` with nothing behind it means the same as `retry: {}`.
fn bare(fields: &Fields<'_>, name: &str) -> bool {
    fields.has(name) && fields.get(name).is_none()
}

/// Codes that a vendor or a broken exchange can mean.
fn code(fields: &Fields<'_>, at: &str, sink: &Sink) -> Option<Code> {
    let Some((_, place)) = fields.get("code") else {
        return sink.fault(at, "a rule says what it means", "a `code`");
    };
    let word = fields.text("code")?;
    let valid: Vec<&str> = codes().map(Code::as_str).collect();
    let found = word.parse().ok().filter(|code| codes().any(|valid| valid == *code));
    found.or_else(|| sink.unknown(&place, "code", word, &valid))
}

/// The codes that a rule can give.
pub(super) fn codes() -> impl Iterator<Item = Code> {
    const OURS: [Code; 8] = [
        Code::AllowanceExhausted,
        Code::QueueFull,
        Code::ClientLimited,
        Code::UpstreamHeld,
        Code::LoopDetected,
        Code::Draining,
        Code::GatewayError,
        Code::GatewayCredentialRejected,
    ];
    let vendors = |code: &Code| {
        let client_only = code.sources() == [Source::Client].as_slice();
        !OURS.contains(code) && !client_only
    };
    Code::ALL.iter().copied().filter(vendors)
}

fn status_of(fields: &Fields<'_>, sink: &Sink) -> Option<StatusCode> {
    let (value, at) = fields.get("status")?;
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    let status = number.filter(|number| (400..=599).contains(number));
    let status = status.and_then(|number| StatusCode::from_u16(number).ok());
    status.or_else(|| {
        sink.fault(&at, &format!("{value} is no error status"), "a status from 400 to 599")
    })
}

fn conditions(value: &Value, at: &str, sink: &Sink) -> Option<When> {
    let fields = Fields::of(value, at, &WHEN_KEYS, sink);
    let when = When {
        status: statuses(&fields, sink),
        text: fields.text("text").and_then(|text| pattern(text, &join(at, "text"), sink)),
        code: fields.words("code").into_iter().map(|(word, _)| word.into()).collect(),
        body: fields.get("body").map_or_else(Vec::new, |(value, at)| body(value, &at, sink)),
        header: fields.get("header").map_or_else(Vec::new, |(value, at)| headers(value, &at, sink)),
        failure: failures(&fields, sink),
    };
    let written = |name: &&str| fields.get(name).is_some();
    if !WHEN_KEYS.iter().any(written) {
        return sink.fault(
            at,
            "a rule without a condition would match everything",
            &WHEN_KEYS.join(", "),
        );
    }
    let about_answers = ["status", "text", "code", "body", "header"];
    if fields.get("failure").is_some() && about_answers.iter().any(written) {
        return sink.fault(
            at,
            "a failure has no answer to look at",
            "`failure` alone, or conditions of an answer",
        );
    }
    Some(when)
}

/// `404`, `4xx`, `500-599`, or a list of these.
fn statuses(fields: &Fields<'_>, sink: &Sink) -> Vec<(u16, u16)> {
    let words = fields.words("status").into_iter();
    let accepted = "a status like 404, a class like 4xx, a range like 500-599, or a list of these";
    words
        .filter_map(|(word, at)| {
            let range = status_range(&word);
            let other = || {
                let other = word.to_lowercase().replace("..=", "-").replace("..", "-");
                let other = other.replace(" to ", "-").replace(['*', '?'], "x").replace(' ', "");
                status_range(&other).map(|_| other)
            };
            range.or_else(|| sink.meant(&at, &format!("`{word}` is no status"), accepted, other()))
        })
        .collect()
}

fn status_range(word: &str) -> Option<(u16, u16)> {
    let status =
        |text: &str| text.trim().parse().ok().filter(|status| (100..=999).contains(status));
    if let Some(class) = word.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    match word.split_once('-') {
        Some((first, last)) => Some((status(first)?, status(last)?)).filter(|(a, b)| a <= b),
        None => status(word).map(|status| (status, status)),
    }
}

fn pattern(text: &str, at: &str, sink: &Sink) -> Option<Regex> {
    let accepted = "a regular expression (syntax of the Rust crate regex, no look-around), up to 1,000 characters";
    if text.chars().count() > PATTERN_CHARS_MAX {
        return sink.fault(at, "the pattern is too long", accepted);
    }
    let compiled = RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(PATTERN_NESTING_MAX)
        .build();
    match compiled {
        Ok(pattern) => Some(pattern),
        Err(fault) => {
            let text = fault.to_string();
            let last = text.lines().last().unwrap_or_default();
            sink.fault(at, &format!("the pattern does not compile: {last}"), accepted)
        }
    }
}

/// `{ /trm/status: Failed }`: places and the texts they may hold.
fn body(value: &Value, at: &str, sink: &Sink) -> Vec<(Place, Vec<Box<str>>)> {
    let Value::Object(members) = value else {
        return sink
            .fault(at, &format!("{} is no map", kind(value)), "a map from places to texts")
            .unwrap_or_default();
    };
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    let fields = Fields::of(value, at, &names, sink);
    let condition = |name: &&str| {
        let place = place(name, &join(at, name), sink)?;
        Some((place, fields.words(name).into_iter().map(|(word, _)| word.into()).collect()))
    };
    names.iter().filter_map(condition).collect()
}

/// `{ x-limit: daily }`: headers and a pattern each; `null` or `true` means that it is there.
fn headers(value: &Value, at: &str, sink: &Sink) -> Vec<(HeaderName, Option<Regex>)> {
    let Value::Object(members) = value else {
        return sink
            .fault(at, &format!("{} is no map", kind(value)), "a map from header names to patterns")
            .unwrap_or_default();
    };
    let condition = |(name, value): (&String, &Value)| {
        let at = join(at, name);
        let Ok(header) = name.parse::<HeaderName>() else {
            return sink.fault(&at, &format!("`{name}` is no header name"), "a header name");
        };
        match value {
            Value::Null | Value::Bool(true) => Some((header, None)),
            Value::String(text) => Some((header, Some(pattern(text, &at, sink)?))),
            Value::Bool(false) | Value::Number(_) | Value::Array(_) | Value::Object(_) => sink
                .fault(
                    &at,
                    &format!("{} is no pattern", kind(value)),
                    "a pattern, or true for any value",
                ),
        }
    };
    members.iter().filter_map(condition).collect()
}

fn failures(fields: &Fields<'_>, sink: &Sink) -> Vec<FailureKind> {
    let valid: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let words = fields.words("failure").into_iter();
    words
        .filter_map(|(word, at)| {
            let found = FailureKind::ALL.into_iter().find(|kind| kind.as_str() == word);
            found.or_else(|| sink.unknown(&at, "failure", &word, &valid))
        })
        .collect()
}

fn retry(value: &Value, at: &str, sink: &Sink) -> Retry {
    let fields = Fields::of(value, at, &RETRY_KEYS, sink);
    Retry { after: fields.duration("after", WAIT_MAX) }
}

fn hold(value: &Value, at: &str, code: Option<Code>, sink: &Sink) -> Option<HoldRule> {
    let fields = Fields::of(value, at, &HOLD_KEYS, sink);
    if !value.is_object() {
        return None;
    }
    let usual = default_hold(code);
    let cause = fields.choice("cause", &CAUSES).unwrap_or(usual.cause);
    Some(HoldRule {
        scope: fields.choice("scope", &SCOPES).unwrap_or(usual.scope),
        cause,
        length: fields.duration("for", WAIT_MAX),
        at_least: fields.duration("at_least", WAIT_MAX).unwrap_or_default(),
        slow_sixteenths: slow(&fields, sink).unwrap_or_else(|| usual_slow(cause)),
    })
}

fn default_hold(code: Option<Code>) -> HoldRule {
    let maintenance = code == Some(Code::UpstreamMaintenance);
    let cause = if maintenance { HoldCause::Maintenance } else { HoldCause::Throttle };
    HoldRule {
        scope: if maintenance { RuleScope::Upstream } else { RuleScope::Allowance },
        cause,
        length: None,
        at_least: Duration::ZERO,
        slow_sixteenths: usual_slow(cause),
    }
}

/// Throttling slows the rate; maintenance and outage do not.
const fn usual_slow(cause: HoldCause) -> u8 {
    match cause {
        HoldCause::Throttle => SLOW_SIXTEENTHS,
        HoldCause::Maintenance | HoldCause::Outage | HoldCause::Pause => 16,
    }
}

/// A percentage of the present pace, in sixteenths; never nothing.
fn slow(fields: &Fields<'_>, sink: &Sink) -> Option<u8> {
    let (value, at) = fields.get("slow")?;
    let percent =
        value.as_str().and_then(|text| text.strip_suffix('%')?.trim().parse::<u32>().ok());
    let percent = percent.filter(|percent| (1..=100).contains(percent));
    let sixteenths = percent.map(|percent| (percent * SIXTEENTHS / 100).max(1));
    let sixteenths = sixteenths.and_then(|sixteenths| u8::try_from(sixteenths).ok());
    sixteenths.or_else(|| {
        let share = value.as_f64().filter(|share| 0.0 < *share && *share <= 100.0);
        let share = share.map(|share| if share <= 1.0 { share * 100.0 } else { share });
        let meant = share.map(|share| format!("{}%", share.round().max(1.0)));
        let message = format!("{value} is no share of the pace");
        sink.meant(&at, &message, "a percentage from 1% to 100%, like 50%", meant)
    })
}
