//! An outcome and a dialect → the class of the outcome: what it means, what may be done about it.
//!
//! Refuses to decide whether something is done: that is `verdict`, which also knows the call.
//! `general` is the table for what no rule covers, `signs` what `auto` guesses.

mod general;
mod matching;
mod signs;

use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::dialect::hint::{self, Advice, Said, Stated, Throttled};
use crate::dialect::{Dialect, HoldRule, Replay, Retry, Rule, RuleScope};
use crate::outcome::{
    Answer, Basis, Class, Code, FULL_PACE, Failure, HoldCause, HoldOrder, HoldScope, Processing,
    Reach, Reading, Remedy, Support, Trouble, Wait,
};
use crate::problem::Problem;

/// What an exchange produced, as far as it was looked at.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// An answer, and what was understood of its body.
    Answer {
        /// Its head and body.
        answer: Answer<'a>,
        /// The facts of its body.
        reading: &'a Reading,
    },
    /// No answer.
    Failure(&'a Failure),
}

/// The class of an outcome. The method plays no part: the replay table knows it.
#[must_use]
pub fn classify(dialect: &Dialect, seen: &Seen<'_>, wall: SystemTime) -> Class {
    match seen {
        Seen::Failure(failure) => Class::Trouble(Box::new(failed(dialect, failure))),
        Seen::Answer { answer, reading } => {
            let stated = hint::stated(answer.headers, wall);
            let seen = (answer, *reading, stated);
            meaning_of_answer(dialect, seen, wall).map_or(Class::Success, |meaning| {
                Class::Trouble(Box::new(trouble(meaning, dialect, seen, wall)))
            })
        }
    }
}

/// Whether a status refuses the rate, or everything: then its head may close a scope by itself.
#[must_use]
pub fn refuses(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
}

/// The hold that an answer orders by its head alone, and the rule that says so.
#[must_use]
pub fn by_head(
    dialect: &Dialect,
    head: &Answer<'_>,
    wall: SystemTime,
) -> Option<(HoldOrder, Box<str>)> {
    let seen = Seen::Answer { answer: *head, reading: &Reading::default() };
    match classify(dialect, &seen, wall) {
        Class::Success => None,
        Class::Trouble(trouble) => trouble.hold.map(|hold| (hold, trouble.rule)),
    }
}

/// The hold that a vendor asks for while it still serves.
#[must_use]
pub const fn pause(span: Duration) -> HoldOrder {
    HoldOrder {
        scope: HoldScope::Allowance,
        cause: HoldCause::Pause,
        length: Some(Wait { span, basis: Basis::Upstream }),
        at_least: Duration::ZERO,
        slow_sixteenths: FULL_PACE,
    }
}

/// What an outcome means, before the answer's own words about waiting are read.
#[derive(Clone, Copy)]
struct Meaning<'a> {
    code: Code,
    rule: &'a str,
    processing: Processing,
    plan: Plan,
    status: Option<StatusCode>,
    support: Option<&'a Support>,
}

/// What can be done about it.
#[derive(Clone, Copy)]
enum Plan {
    /// Nothing.
    Final,
    /// Sending again may help, after this wait or our own backoff.
    Retry(Option<Duration>),
    /// The scope is closed, then it is sent again.
    Hold(HoldRule),
    /// The scope is closed, but this request is not sent again.
    HoldOnly(HoldRule),
}

fn meaning_of_answer<'a>(
    dialect: &'a Dialect,
    (answer, reading, stated): (&Answer<'_>, &'a Reading, Option<Stated>),
    wall: SystemTime,
) -> Option<Meaning<'a>> {
    let table = general::processing(answer.status, stated);
    if let Some(problem) = reading.relayed.as_deref() {
        return Some(relayed(problem, table));
    }
    let rule = dialect.rules.iter().find(|rule| matching::answer(&rule.when, answer, reading));
    if let Some(rule) = rule {
        return Some(by_rule(rule, table));
    }
    let guessed = if dialect.guesses { signs::guess((answer, reading), table, wall) } else { None };
    guessed.or_else(|| general::by_status(answer, stated))
}

fn by_rule(rule: &Rule, table: Processing) -> Meaning<'_> {
    let plan = plan(rule);
    let processing = match (rule.replay, plan) {
        (Replay::AnyMethod, _) | (Replay::ByTable, Plan::Hold(_)) => Processing::NotProcessed,
        // Who writes `retry` beside a 4xx says that a repetition helps; whether it is safe
        // remains a question of the method.
        (Replay::ByTable, Plan::Retry(_)) => general::at_most_unknown(table),
        (Replay::ByTable, Plan::Final | Plan::HoldOnly(_)) => table,
    };
    by_rule_with(rule, plan, processing)
}

fn by_rule_with(rule: &Rule, plan: Plan, processing: Processing) -> Meaning<'_> {
    Meaning {
        code: rule.code,
        rule: &rule.name,
        processing,
        plan,
        status: rule.status,
        support: rule.support.as_ref(),
    }
}

const fn plan(rule: &Rule) -> Plan {
    match (rule.hold, rule.retry, rule.replay) {
        (Some(hold), _, _) => Plan::Hold(hold),
        (None, Some(Retry { after }), _) => Plan::Retry(after),
        (None, None, Replay::AnyMethod) => Plan::Retry(None),
        (None, None, Replay::ByTable) => Plan::Final,
    }
}

/// A problem of ours from a gateway behind: its code says what it means.
fn relayed<'a>(problem: &Problem, table: Processing) -> Meaning<'a> {
    let mut meaning = general::by_code(problem.code, table);
    if problem.outcome_unknown {
        meaning.processing = Processing::Unknown;
    }
    meaning
}

/// What a failure means.
#[must_use]
pub fn failed(dialect: &Dialect, failure: &Failure) -> Trouble {
    let rule = dialect.rules.iter().find(|rule| rule.when.failure.contains(&failure.kind));
    let meaning = rule.map_or_else(
        || general::by_failure(failure),
        |rule| {
            let processing = match rule.replay {
                Replay::AnyMethod if failure.reach == Reach::Maybe => Processing::NotProcessed,
                Replay::AnyMethod | Replay::ByTable => general::reached(failure.reach),
            };
            by_rule_with(rule, plan(rule), processing)
        },
    );
    settle(meaning, dialect, None)
}

/// Adds what the answer itself says: about waiting, retrying and the allowance.
fn trouble(
    meaning: Meaning<'_>,
    dialect: &Dialect,
    (answer, reading, stated): (&Answer<'_>, &Reading, Option<Stated>),
    wall: SystemTime,
) -> Trouble {
    let advice = hint::advice(answer.headers);
    let meaning = if dialect.guesses { advised(meaning, advice) } else { meaning };
    let throttled = throttled(&meaning);
    let said = match meaning.plan {
        Plan::Final if throttled == Throttled::No => {
            stated.and_then(|_| hint::explicit(answer.headers, wall))
        }
        Plan::Final | Plan::Retry(_) | Plan::Hold(_) | Plan::HoldOnly(_) => {
            let body = (&reading.tree, reading.text.as_str());
            hint::wait(answer.headers, body, throttled, wall)
        }
    };
    let meaning = returning(meaning, said);
    let mut trouble = settle(meaning, dialect, said);
    if advice == Some(Advice::Stop) {
        trouble.remedy = Remedy::Final;
    }
    if throttled == Throttled::Yes {
        learn(&mut trouble, reading);
    }
    trouble
}

/// Where nobody described the vendor, its own "retry this" counts; whether it is safe remains a
/// question of the method.
fn advised(meaning: Meaning<'_>, advice: Option<Advice>) -> Meaning<'_> {
    match (meaning.plan, advice) {
        (Plan::Final, Some(Advice::Retry)) => Meaning {
            plan: Plan::Retry(None),
            processing: general::at_most_unknown(meaning.processing),
            ..meaning
        },
        (Plan::Final | Plan::Retry(_) | Plan::Hold(_) | Plan::HoldOnly(_), _) => meaning,
    }
}

/// A used-up quota closes the allowance only until the moment the vendor names; without one,
/// waiting is no cure.
fn returning(meaning: Meaning<'_>, said: Option<Said>) -> Meaning<'_> {
    let named = meaning.code == Code::QuotaExhausted && said.is_some();
    match meaning.plan {
        Plan::Final if named => Meaning {
            plan: Plan::Hold(general::THROTTLE),
            processing: general::at_most_unknown(meaning.processing),
            ..meaning
        },
        Plan::Final | Plan::Retry(_) | Plan::Hold(_) | Plan::HoldOnly(_) => meaning,
    }
}

fn throttled(meaning: &Meaning<'_>) -> Throttled {
    let throttle = |hold: HoldRule| hold.cause == HoldCause::Throttle;
    let holds = match meaning.plan {
        Plan::Hold(hold) | Plan::HoldOnly(hold) => throttle(hold),
        Plan::Final | Plan::Retry(_) => false,
    };
    let named = matches!(meaning.code, Code::RateLimited | Code::QuotaExhausted);
    if holds || named { Throttled::Yes } else { Throttled::No }
}

/// The allowance the vendor named closes by its own name.
fn learn(trouble: &mut Trouble, reading: &Reading) {
    trouble.learned = hint::learned(&reading.text);
    if let (Some(learned), Some(hold)) = (trouble.learned, &mut trouble.hold)
        && hold.scope == HoldScope::Allowance
    {
        hold.scope = HoldScope::Window(learned.window);
    }
}

fn settle(meaning: Meaning<'_>, dialect: &Dialect, said: Option<Said>) -> Trouble {
    let vendors = said.map(|said| Wait { span: said.span, basis: Basis::Upstream });
    let (remedy, hold, wait) = match meaning.plan {
        Plan::Final => (Remedy::Final, None, vendors),
        Plan::Retry(after) => {
            let wait = vendors.or(after.map(documented));
            (wait.map_or(Remedy::Backoff, |wait| Remedy::After(wait.span)), None, wait)
        }
        Plan::Hold(rule) => {
            let (hold, wait) = hold(rule, vendors);
            (Remedy::Hold, Some(hold), wait)
        }
        Plan::HoldOnly(rule) => {
            let (hold, wait) = hold(rule, vendors);
            (Remedy::Final, Some(hold), wait)
        }
    };
    Trouble {
        code: meaning.code,
        rule: meaning.rule.into(),
        processing: meaning.processing,
        remedy,
        hold,
        learned: None,
        support: meaning.support.or(dialect.support.as_ref()).cloned(),
        wait,
        status: meaning.status,
    }
}

const fn documented(span: Duration) -> Wait {
    Wait { span, basis: Basis::Dialect }
}

/// The hold a rule orders, and what the client is told meanwhile: never less than `at_least`.
fn hold(rule: HoldRule, said: Option<Wait>) -> (HoldOrder, Option<Wait>) {
    let length = said.or(rule.length.map(documented));
    let order = HoldOrder {
        scope: match rule.scope {
            RuleScope::Allowance => HoldScope::Allowance,
            RuleScope::Upstream => HoldScope::Upstream,
        },
        cause: rule.cause,
        length,
        at_least: rule.at_least,
        slow_sixteenths: rule.slow_sixteenths,
    };
    let floor = (!rule.at_least.is_zero()).then_some(documented(rule.at_least));
    let told = match (length, floor) {
        (Some(length), Some(floor)) if length.span < floor.span => Some(floor),
        (length, floor) => length.or(floor),
    };
    (order, told)
}
