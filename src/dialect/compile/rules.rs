//! The rules of a dialect: their conditions and their consequences.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::fields::{Errors, Fields, join, kind, place};
use crate::dialect::definition::{
    HoldRule, Place, Replay, Retry, Rule, RuleScope, SLOW_SIXTEENTHS, When,
};
use crate::dialect::hint::WAIT_MAX;
use crate::outcome::{Code, FULL_PACE, FailureKind, HoldCause, Source};

/// Rules of one dialect; more would be a program, not data.
pub(super) const RULES_MAX: usize = 200;
const PATTERN_BYTES_MAX: usize = 256 * 1024;
pub(super) const PATTERN_CHARS_MAX: usize = 1_000;
const PATTERN_NESTING_MAX: u32 = 40;

pub(super) const RULE_KEYS: [&str; 8] =
    ["name", "when", "code", "replay", "retry", "hold", "status", "support"];
pub(super) const WHEN_KEYS: [&str; 6] = ["status", "text", "code", "body", "header", "failure"];
pub(super) const RETRY_KEYS: [&str; 1] = ["after"];
pub(super) const HOLD_KEYS: [&str; 5] = ["scope", "cause", "for", "at_least", "slow"];
pub(super) const REPLAYS: [(&str, Replay); 2] =
    [("by_table", Replay::ByTable), ("any_method", Replay::AnyMethod)];
pub(super) const SCOPES: [(&str, RuleScope); 2] =
    [("allowance", RuleScope::Allowance), ("upstream", RuleScope::Upstream)];
pub(super) const CAUSES: [(&str, HoldCause); 2] =
    [("throttle", HoldCause::Throttle), ("maintenance", HoldCause::Maintenance)];

pub(super) fn list(value: &Value, at: &str, errors: &Errors) -> Vec<Rule> {
    let Value::Array(items) = value else {
        let message = format!("expected a list, found {}", kind(value));
        errors.push(at, message, "a list of rules");
        return Vec::new();
    };
    if items.len() > RULES_MAX {
        let accepted = format!("at most {RULES_MAX} rules");
        errors.push(at, format!("{} rules", items.len()), &accepted);
    }
    let items = items.iter().take(RULES_MAX).enumerate();
    let mut rules: Vec<Rule> = Vec::new();
    for (number, item) in items {
        let at = join(at, &number.to_string());
        let Some(rule) = rule(item, &at, errors) else { continue };
        if rules.iter().any(|other| other.name == rule.name) {
            let message = format!("two rules are named `{}`", rule.name);
            errors.push(&join(&at, "name"), message, "a name of its own, which logs show");
        }
        rules.push(rule);
    }
    rules
}

fn rule(value: &Value, at: &str, errors: &Errors) -> Option<Rule> {
    let fields = Fields::of(value, at, &RULE_KEYS, errors);
    if !value.is_object() {
        return None;
    }
    let when = match fields.value("when") {
        Some((value, at)) => conditions(value, &at, errors),
        None => {
            errors.push(at, "`when` is missing", "a `when` with at least one condition");
            None
        }
    };
    let code = code(&fields, at, errors);
    let replay = fields.choice("replay", &REPLAYS).unwrap_or_default();
    // `hold:` and `retry:` without a value mean the same as with an empty map.
    let hold = match fields.value("hold") {
        Some((value, at)) => hold(value, &at, code, errors),
        None => fields.has("hold").then(|| default_hold(code)),
    };
    let retry = match fields.value("retry") {
        Some((value, at)) => {
            let fields = Fields::of(value, &at, &RETRY_KEYS, errors);
            Some(Retry { after: fields.duration("after", WAIT_MAX) })
        }
        None => fields.has("retry").then(Retry::default),
    };
    if fields.has("hold") && fields.has("retry") {
        let message = "`hold` already implies a retry after it";
        errors.push(&join(at, "retry"), message, "one of `hold` and `retry`");
    }
    let default_name = || format!("rule{}", at.replace('/', "_"));
    Some(Rule {
        name: fields.text("name").map_or_else(default_name, str::to_owned).into(),
        when: when?,
        code: code?,
        replay,
        retry,
        hold,
        status: status(&fields, errors),
        support: fields.support(),
    })
}

fn code(fields: &Fields<'_>, at: &str, errors: &Errors) -> Option<Code> {
    let Some((_, place)) = fields.value("code") else {
        errors.push(at, "`code` is missing", "a `code`");
        return None;
    };
    let text = fields.text("code")?;
    let found = text.parse().ok().filter(|code| codes().any(|valid| valid == *code));
    if found.is_none() {
        let valid: Vec<&str> = codes().map(Code::as_str).collect();
        errors.unknown(&place, "code", text, &valid);
    }
    found
}

/// The codes that a rule can give: those that a vendor or a broken exchange can mean.
pub(super) fn codes() -> impl Iterator<Item = Code> {
    const OURS: [Code; 10] = [
        Code::AllowanceExhausted,
        Code::QueueFull,
        Code::ClientLimited,
        Code::CostExceedsAllowance,
        Code::UpstreamHeld,
        Code::Paused,
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

/// The status that the client gets.
pub(super) fn status(fields: &Fields<'_>, errors: &Errors) -> Option<StatusCode> {
    let (value, at) = fields.value("status")?;
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    let status = number.filter(|number| (400..=599).contains(number));
    let status = status.and_then(|number| StatusCode::from_u16(number).ok());
    if status.is_none() {
        errors.push(&at, format!("{value} is not an error status"), "a status from 400 to 599");
    }
    status
}

fn conditions(value: &Value, at: &str, errors: &Errors) -> Option<When> {
    let fields = Fields::of(value, at, &WHEN_KEYS, errors);
    let when = When {
        status: statuses(&fields, errors),
        text: fields.text("text").and_then(|text| pattern(text, &join(at, "text"), errors)),
        code: fields.texts("code").into_iter().map(|(text, _)| text.into()).collect(),
        body: fields.value("body").map_or_else(Vec::new, |(value, at)| body(value, &at, errors)),
        header: fields
            .value("header")
            .map_or_else(Vec::new, |(value, at)| headers(value, &at, errors)),
        failure: failures(&fields, errors),
    };
    for name in ["status", "code", "failure"] {
        if let Some((Value::Array(items), at)) = fields.value(name)
            && items.is_empty()
        {
            errors.push(&at, "an empty list matches nothing", "a value, or a list of values");
        }
    }
    let written = |name: &&str| fields.value(name).is_some();
    if !WHEN_KEYS.iter().any(written) {
        let message = "a rule without a condition would match everything";
        errors.push(at, message, &WHEN_KEYS.join(", "));
        return None;
    }
    let about_responses = ["status", "text", "code", "body", "header"];
    if written(&"failure") && about_responses.iter().any(written) {
        let message = "`failure` means that there is no response to match";
        errors.push(at, message, "`failure` alone, or conditions of a response");
        return None;
    }
    Some(when)
}

/// `404`, `4xx`, `500-599`, or a list of these.
fn statuses(fields: &Fields<'_>, errors: &Errors) -> Vec<(u16, u16)> {
    let accepted = "a status like 404, a class like 4xx, a range like 500-599, or a list of these";
    let range = |(text, at): (String, String)| {
        let range = status_range(&text);
        if range.is_none() {
            let usual = text.to_lowercase().replace("..=", "-").replace("..", "-");
            let usual = usual.replace(" to ", "-").replace(['*', '?'], "x").replace(' ', "");
            let nearest = status_range(&usual).map(|_| usual);
            let message = format!("`{text}` is not a status");
            errors.push_nearest(&at, message, accepted, nearest);
        }
        range
    };
    fields.texts("status").into_iter().filter_map(range).collect()
}

fn status_range(text: &str) -> Option<(u16, u16)> {
    let status =
        |text: &str| text.trim().parse().ok().filter(|status| (100..=999).contains(status));
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    match text.split_once('-') {
        Some((first, last)) => Some((status(first)?, status(last)?)).filter(|(a, b)| a <= b),
        None => status(text).map(|status| (status, status)),
    }
}

fn pattern(text: &str, at: &str, errors: &Errors) -> Option<Regex> {
    let accepted = "a regular expression (syntax of the Rust crate regex, no look-around), up to 1,000 characters";
    if text.chars().count() > PATTERN_CHARS_MAX {
        errors.push(at, "the pattern is too long", accepted);
        return None;
    }
    let compiled = RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(PATTERN_NESTING_MAX)
        .build();
    match compiled {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            errors.push(at, format!("the pattern does not compile: {last}"), accepted);
            None
        }
    }
}

/// `{ /trm/status: Failed }`: places and the texts they may hold.
fn body(value: &Value, at: &str, errors: &Errors) -> Vec<(Place, Vec<Box<str>>)> {
    let names: Vec<&str> = value
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys())
        .map(String::as_str)
        .collect();
    let fields = Fields::of(value, at, &names, errors);
    let condition = |name: &&str| {
        let place = place(name, &join(at, name), errors)?;
        Some((place, fields.texts(name).into_iter().map(|(text, _)| text.into()).collect()))
    };
    names.iter().filter_map(condition).collect()
}

/// `{ x-limit: daily }`: headers and a pattern each; `null` or `true` means that it is there.
fn headers(value: &Value, at: &str, errors: &Errors) -> Vec<(HeaderName, Option<Regex>)> {
    let Value::Object(members) = value else {
        let message = format!("expected a map, found {}", kind(value));
        errors.push(at, message, "a map from header names to patterns");
        return Vec::new();
    };
    let condition = |(name, value): (&String, &Value)| {
        let at = join(at, name);
        let Ok(header) = name.parse::<HeaderName>() else {
            errors.push(&at, format!("`{name}` is not a valid header name"), "a header name");
            return None;
        };
        match value {
            Value::Null | Value::Bool(true) => Some((header, None)),
            Value::String(text) => Some((header, Some(pattern(text, &at, errors)?))),
            Value::Bool(false) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let message = format!("expected a pattern, found {}", kind(value));
                errors.push(&at, message, "a pattern, or true for any value");
                None
            }
        }
    };
    members.iter().filter_map(condition).collect()
}

fn failures(fields: &Fields<'_>, errors: &Errors) -> Vec<FailureKind> {
    let kind = |(text, at): (String, String)| {
        let found = FailureKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        if found.is_none() {
            errors.unknown(&at, "failure", &text, &FailureKind::ALL.map(FailureKind::as_str));
        }
        found
    };
    fields.texts("failure").into_iter().filter_map(kind).collect()
}

fn hold(value: &Value, at: &str, code: Option<Code>, errors: &Errors) -> Option<HoldRule> {
    let fields = Fields::of(value, at, &HOLD_KEYS, errors);
    if !value.is_object() {
        return None;
    }
    let default = default_hold(code);
    let cause = fields.choice("cause", &CAUSES).unwrap_or(default.cause);
    Some(HoldRule {
        scope: fields.choice("scope", &SCOPES).unwrap_or(default.scope),
        cause,
        length: fields.duration("for", WAIT_MAX),
        at_least: fields.duration("at_least", WAIT_MAX).unwrap_or_default(),
        slow_sixteenths: slow(&fields, errors).unwrap_or_else(|| default_slow(cause)),
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
        slow_sixteenths: default_slow(cause),
    }
}

/// A vendor that throttles is asked more slowly afterwards, one that was down is not.
const fn default_slow(cause: HoldCause) -> u8 {
    match cause {
        HoldCause::Throttle => SLOW_SIXTEENTHS,
        HoldCause::Maintenance | HoldCause::Outage | HoldCause::Pause => FULL_PACE,
    }
}

/// A percentage of the present pace, in sixteenths, at least one.
fn slow(fields: &Fields<'_>, errors: &Errors) -> Option<u8> {
    let (value, at) = fields.value("slow")?;
    let percent =
        value.as_str().and_then(|text| text.strip_suffix('%')?.trim().parse::<u32>().ok());
    let percent = percent.filter(|percent| (1..=100).contains(percent));
    let sixteenths = percent.map(|percent| (percent * u32::from(FULL_PACE) / 100).max(1));
    let sixteenths = sixteenths.and_then(|sixteenths| u8::try_from(sixteenths).ok());
    if sixteenths.is_none() {
        let share = value.as_f64().filter(|share| 0.0 < *share && *share <= 100.0);
        let share = share.map(|share| if share <= 1.0 { share * 100.0 } else { share });
        let nearest = share.map(|share| format!("{}%", share.round().max(1.0)));
        let message = format!("{value} is not a share of the pace");
        errors.push_nearest(&at, message, "a percentage from 1% to 100%, like 50%", nearest);
    }
    sixteenths
}
