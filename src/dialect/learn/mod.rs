//! Captured errors of one vendor → a dialect for review.
//!
//! `auto` reads every sample; where it found each fact becomes a place (`places`), and what it
//! concluded beyond the status becomes a rule (`rules`). The proposal also guesses, so that what no
//! place and no rule covers is read as before. It is compiled and applied to the samples, and a
//! part that would lose something is left out: a proposal never reads a sample worse than `auto`.

mod places;
mod reading;
mod rules;
mod yaml;

use super::definition::Dialect;
use super::{AUTO, builtin, compile};
use crate::outcome::{Classification, Facts};
use places::{Children, Conflict, Fact, Placed};
use reading::Reading;
use rules::ProposedRule;

pub use reading::Sample;

/// Samples of one proposal; more would show nothing new.
pub const SAMPLES_MAX: usize = 200;

/// Why there is no proposal. Samples are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnError {
    /// The response is not an error.
    NoError(String),
    /// The body is a problem of this gateway, not the vendor's.
    OwnProblem(String),
    /// Nothing was understood in any sample.
    Unreadable,
    /// The place of the message in one sample is that of something else in another.
    Disagree { place: String, one: String, other: String },
}

impl std::fmt::Display for LearnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoError(name) => write!(
                f,
                "{name} is not an error: leave it out, or capture the response of a failed request"
            ),
            Self::OwnProblem(name) => write!(
                f,
                "{name} is a problem that Evenkeel wrote: capture the vendor's own response, without \
                 the gateway"
            ),
            Self::Unreadable => f.write_str(
                "no sample has a message, a code or single errors that could be named: capture \
                 responses with a body",
            ),
            Self::Disagree { place, one, other } => write!(
                f,
                "the samples disagree: `{place}` is the message in {one}, but something else in \
                 {other}; give samples of one vendor and one API, and leave out what stands alone"
            ),
        }
    }
}

impl std::error::Error for LearnError {}

/// What the proposal consists of, before it is written.
#[derive(Debug)]
struct Proposal<'a> {
    name: &'a str,
    readings: &'a [Reading<'a>],
    places: Vec<(Fact, Vec<Placed>)>,
    children: Option<Children>,
    rules: Vec<ProposedRule>,
    /// What is uncertain, in sentences.
    unsure: Vec<String>,
}

/// The YAML of a dialect named `name`, with comments that say which samples support each line and
/// what is uncertain.
///
/// # Errors
/// A sample is no error or not the vendor's, the samples disagree, or nothing was understood.
pub fn learn(name: &str, samples: &[Sample]) -> Result<String, LearnError> {
    let auto = builtin(AUTO).expect("a built-in dialect");
    let readings = read(samples, &auto)?;
    let mut proposal = propose(name, &readings)?;
    // Each round leaves out a part; without any, the proposal is `auto`.
    loop {
        let text = yaml::write(&proposal);
        let Some((number, lost)) = first_loss(&text, &readings) else { return Ok(text) };
        let name = &readings[number].sample.name;
        let doubt = format!("{lost}: a line would misread {name}; it is left to the usual signs");
        let parts = |it: &Proposal<'_>| (it.places.len(), it.rules.len(), it.children.is_some());
        let before = parts(&proposal);
        match &lost {
            Lost::Fact(fact) => proposal.places.retain(|(of, _)| of != fact),
            Lost::Children => proposal.children = None,
            Lost::Meaning(rule) => proposal.rules.retain(|it| *it.name != **rule),
        }
        if parts(&proposal) == before {
            // The loss follows from a place: the signs read what it yields.
            proposal.places.clear();
            proposal.children = None;
        }
        if parts(&proposal) == before {
            return Ok(text);
        }
        proposal.unsure.push(doubt);
    }
}

fn read<'a>(samples: &'a [Sample], auto: &Dialect) -> Result<Vec<Reading<'a>>, LearnError> {
    let mut readings = Vec::new();
    for sample in samples.iter().take(SAMPLES_MAX) {
        let reading = Reading::of(sample, auto);
        let reading = reading.ok_or_else(|| LearnError::NoError(sample.name.clone()))?;
        if reading.facts.relayed.is_some() {
            return Err(LearnError::OwnProblem(sample.name.clone()));
        }
        readings.push(reading);
    }
    let says = |it: &Reading<'_>| {
        it.facts.message.is_some() || it.facts.code.is_some() || !it.facts.children.is_empty()
    };
    if readings.iter().any(says) { Ok(readings) } else { Err(LearnError::Unreadable) }
}

fn propose<'a>(name: &'a str, readings: &'a [Reading<'a>]) -> Result<Proposal<'a>, LearnError> {
    let named = |number: usize| readings[number].sample.name.clone();
    let (rules, untold) = rules::of(readings);
    let mut proposal =
        Proposal { name, readings, places: Vec::new(), children: None, rules, unsure: Vec::new() };
    for fact in Fact::ALL {
        match places::of_fact(fact, readings) {
            Ok(placed) if placed.is_empty() => {}
            Ok(placed) => proposal.places.push((fact, placed)),
            Err(Conflict { place, one, other }) if fact == Fact::Message => {
                let (one, other) = (named(one), named(other));
                return Err(LearnError::Disagree { place, one, other });
            }
            Err(Conflict { place, one, other }) => proposal.unsure.push(format!(
                "{}: `{place}` has it in {}, but not in {}; it is left to the usual signs",
                fact.key(),
                named(one),
                named(other)
            )),
        }
    }
    children(&mut proposal);
    doubts(&mut proposal, &untold);
    Ok(proposal)
}

/// The single errors, if every sample that has some has them in the same places.
fn children(proposal: &mut Proposal<'_>) {
    let with = proposal.readings.iter().filter(|it| !it.facts.children.is_empty());
    let mut found: Option<Children> = None;
    for reading in with {
        let children = places::children(reading);
        match (&found, children) {
            (None, Some(children)) => found = Some(children),
            (Some(known), Some(children)) if *known == children => {}
            (_, other) => {
                let name = &reading.sample.name;
                let why = match other {
                    Some(children) => format!("stand at `{}` there", children.list),
                    None => "are not in a list of their own there".to_owned(),
                };
                proposal.unsure.push(format!(
                    "children: the single errors of {name} {why}; they are left to the usual signs"
                ));
                return;
            }
        }
    }
    proposal.children = found;
}

/// What the samples do not show.
fn doubts(proposal: &mut Proposal<'_>, untold: &[usize]) {
    let readings = proposal.readings;
    let mut doubts = Vec::new();
    if let [_] = readings {
        doubts
            .push("one sample shows little: capture more of them, of several statuses".to_owned());
    }
    for fact in [Fact::Message, Fact::Code] {
        let placed = proposal.places.iter().find(|(of, _)| *of == fact);
        let placed = placed.into_iter().flat_map(|(_, places)| places);
        let placed: Vec<usize> = placed.flat_map(|it| it.samples.iter().copied()).collect();
        let without = (0..readings.len()).filter(|number| !placed.contains(number));
        let (read, missing): (Vec<usize>, Vec<usize>) =
            without.partition(|number| fact.of(&readings[*number].facts).is_some());
        for (numbers, what) in [(read, "at no place that a line could name"), (missing, "missing")]
        {
            if !numbers.is_empty() {
                let names = yaml::names(readings, &numbers);
                let maybe = places::suspected(fact, readings, &numbers);
                let maybe = match maybe.as_slice() {
                    [] => String::new(),
                    some => format!("; it may be at {}", some.join(" or ")),
                };
                doubts.push(format!("{}: {what} in {names}{maybe}", fact.key()));
            }
        }
    }
    if !untold.is_empty() {
        let names = yaml::names(readings, untold);
        doubts.push(format!("no rule can tell {names} from others; the usual signs decide"));
    }
    let is_throttle =
        |it: &Reading<'_>| it.classification.code == crate::outcome::Code::RateLimited;
    if !readings.iter().any(is_throttle) {
        doubts.push("no sample is a throttle: capture one, it matters most".to_owned());
    }
    let successes: Vec<usize> =
        (0..readings.len()).filter(|it| readings[*it].status() < 400).collect();
    if !successes.is_empty() {
        let names = yaml::names(readings, &successes);
        doubts
            .push(format!("{names}: a success status, read only on routes with `inspect_success`"));
    }
    proposal.unsure.extend(doubts);
}

/// A part of a reading that a proposal would lose.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lost {
    Fact(Fact),
    Children,
    /// The classification, by the rule of this name.
    Meaning(Box<str>),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(fact.key()),
            Self::Children => f.write_str("children"),
            Self::Meaning(rule) => write!(f, "the meaning of `{rule}`"),
        }
    }
}

/// The first sample that the dialect of this text reads worse than `auto`, and what it loses.
fn first_loss(text: &str, readings: &[Reading<'_>]) -> Option<(usize, Lost)> {
    let value = serde_saphyr::from_str(text).expect("what is written is YAML");
    let dialect = compile("learned", &value).expect("what is written is a dialect");
    readings.iter().enumerate().find_map(|(number, reading)| {
        let (classification, facts) = reading.sample.understood(&dialect)?;
        let lost = lost(reading, &classification, &facts)?;
        Some((number, lost))
    })
}

fn lost(reading: &Reading<'_>, said: &Classification, facts: &Facts) -> Option<Lost> {
    let expected = &reading.facts;
    let differs = |fact: &Fact| {
        let wanted = fact.of(expected);
        wanted.is_some() && fact.of(facts) != wanted
    };
    if let Some(fact) = Fact::ALL.into_iter().find(differs) {
        return Some(Lost::Fact(fact));
    }
    if facts.children != expected.children {
        return Some(Lost::Children);
    }
    let meaning = |it: &Classification| (it.code, it.remedy, it.hold, it.wait, it.processing);
    (meaning(said) != meaning(&reading.classification)).then(|| Lost::Meaning(said.rule.clone()))
}

#[cfg(test)]
mod tests;
