//! Rules for what the samples mean beyond their status, as `auto` classified them.

use std::time::Duration;

use super::reading::Reading;
use crate::outcome::{Basis, Classification, Code, Processing, Remedy};

/// A rule to propose.
#[derive(Clone, Debug)]
pub(super) struct ProposedRule {
    pub(super) name: String,
    pub(super) status: u16,
    pub(super) condition: Condition,
    pub(super) code: Code,
    pub(super) consequence: Consequence,
    /// The numbers of the samples that support it.
    pub(super) samples: Vec<usize>,
    /// The waits that these samples state.
    pub(super) waits: Vec<Duration>,
    /// Whether it is written so that it applies; otherwise as a comment to enable by hand.
    pub(super) applies: Applies,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The vendor's own codes.
    Codes(Vec<String>),
    /// Words of the message.
    Words(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Final,
    Retry,
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    Yes,
    /// As a rule it would let every method be sent again, which the signs do not.
    UntilReviewed,
}

/// The rules for all samples, and the numbers of the samples that no rule can tell from others.
/// None goes by a status alone: it would also apply to what no sample shows, a used-up quota under
/// 429 for example.
pub(super) fn of(readings: &[Reading<'_>]) -> (Vec<ProposedRule>, Vec<usize>) {
    let mut rules: Vec<ProposedRule> = Vec::new();
    let mut untold = Vec::new();
    for (number, reading) in readings.iter().enumerate() {
        let Some(consequence) = consequence(reading) else { continue };
        let by_status = reading.by_status.as_ref().map(|said| said.code);
        match condition(reading, readings) {
            Some(condition) => add(&mut rules, reading, number, condition, consequence),
            None if by_status == Some(reading.classification.code) => {}
            None => untold.push(number),
        }
    }
    (rules, untold)
}

fn add(
    rules: &mut Vec<ProposedRule>,
    reading: &Reading<'_>,
    number: usize,
    condition: Condition,
    consequence: Consequence,
) {
    let Classification { code, processing, .. } = reading.classification;
    let widens = consequence == Consequence::Hold && processing != Processing::NotProcessed;
    let applies = if widens { Applies::UntilReviewed } else { Applies::Yes };
    let wait = reading.classification.wait.filter(|wait| wait.basis == Basis::Upstream);
    let wait = wait.map(|wait| wait.span);
    let status = reading.status();
    let like = |rule: &&mut ProposedRule| {
        (rule.status, rule.code, rule.consequence, rule.applies)
            == (status, code, consequence, applies)
    };
    for rule in rules.iter_mut().filter(like) {
        let fits = match (&mut rule.condition, &condition) {
            (Condition::Codes(codes), Condition::Codes(more)) => {
                codes.extend(
                    more.iter().filter(|it| !codes.contains(it)).cloned().collect::<Vec<_>>(),
                );
                true
            }
            (one, other) => *one == *other,
        };
        if fits {
            rule.samples.push(number);
            rule.waits.extend(wait);
            return;
        }
    }
    let same = rules.iter().filter(|rule| (rule.code, rule.status) == (code, status)).count();
    let again = if same == 0 { String::new() } else { format!("_{}", same + 1) };
    rules.push(ProposedRule {
        name: format!("{}_{status}{again}", code.as_str()),
        status,
        condition,
        code,
        consequence,
        samples: vec![number],
        waits: wait.into_iter().collect(),
        applies,
    });
}

/// What a rule would have to order; `None` where the status says the same, or no rule can.
fn consequence(reading: &Reading<'_>) -> Option<Consequence> {
    let said = &reading.classification;
    let consequence = match (said.remedy, said.hold) {
        (Remedy::Hold, _) => Consequence::Hold,
        (Remedy::Backoff | Remedy::After(_), _) => Consequence::Retry,
        // Inside a success a throttle closes the allowance and is not repeated.
        (Remedy::Final, Some(_)) => return None,
        (Remedy::Final, None) => Consequence::Final,
    };
    // A quota that says when it is renewed is held by every dialect.
    let consequence =
        if said.code == Code::QuotaExhausted { Consequence::Final } else { consequence };
    let documented = consequence == Consequence::Hold && reading.sample.status.as_u16() >= 400;
    let by_status = reading.by_status.as_ref().map(|said| (said.code, said.remedy));
    (documented || by_status != Some((said.code, said.remedy))).then_some(consequence)
}

/// What tells this sample from those of the same status that mean something else.
fn condition(reading: &Reading<'_>, readings: &[Reading<'_>]) -> Option<Condition> {
    let (status, meaning) = (reading.status(), reading.classification.code);
    let beside: Vec<&Reading<'_>> = readings
        .iter()
        .filter(|it| it.status() == status && it.classification.code != meaning)
        .collect();
    if let Some(code) = &reading.facts.code
        && beside.iter().all(|other| other.facts.code.as_ref() != Some(code))
    {
        return Some(Condition::Codes(vec![code.clone()]));
    }
    if reading.by_status.as_ref().is_some_and(|said| said.code == meaning) {
        return None;
    }
    let words = phrase(reading.facts.message.as_deref()?)?;
    let is_elsewhere = |other: &&Reading<'_>| {
        let message = other.facts.message.as_deref().unwrap_or_default();
        message.to_lowercase().contains(&words.to_lowercase())
    };
    (!beside.iter().any(is_elsewhere)).then_some(Condition::Words(words))
}

/// Words of a phrase; fewer say too little, more vary from call to call.
const PHRASE_WORDS: std::ops::RangeInclusive<usize> = 2..=5;

/// The first words of a sentence without digits, quotes or punctuation in them.
fn phrase(message: &str) -> Option<String> {
    let is_plain = |word: &&str| word.chars().all(char::is_alphabetic);
    let end = |word: &&str| word.ends_with(['.', ',', ';', ':', '!']);
    let words: Vec<&str> = message.split_whitespace().collect();
    let runs = words.split(|word| !is_plain(&word.trim_end_matches(['.', ',', ';', ':', '!'])));
    let run = runs.max_by_key(|run| run.len().min(*PHRASE_WORDS.end()))?;
    let length = run.iter().position(end).map_or(run.len(), |at| at + 1);
    let length = length.min(*PHRASE_WORDS.end());
    let text = run.get(..length)?.join(" ");
    let text = text.trim_end_matches(['.', ',', ';', ':', '!']).to_owned();
    PHRASE_WORDS.contains(&length).then_some(text)
}
