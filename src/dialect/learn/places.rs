//! Where the samples keep each fact: the places at which `auto` found it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reading::{Reading, escaped, text_of, walk};
use crate::outcome::{ChildError, Facts};

/// A fact that a dialect extracts from places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Message,
    Code,
    Reference,
    Date,
    Operation,
}

impl Fact {
    pub(super) const ALL: [Self; 5] =
        [Self::Message, Self::Code, Self::Reference, Self::Date, Self::Operation];

    /// The key below `extract`.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Code => "code",
            Self::Reference => "reference",
            Self::Date => "date",
            Self::Operation => "operation",
        }
    }

    pub(super) fn of(self, facts: &Facts) -> Option<&str> {
        match self {
            Self::Message => facts.message.as_deref(),
            Self::Code => facts.code.as_deref(),
            Self::Reference => facts.reference.as_deref(),
            Self::Date => facts.occurred_at.as_deref(),
            Self::Operation => facts.operation.as_deref(),
        }
    }
}

/// A place, and the samples (by number) that have the fact there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: String,
    pub(super) samples: Vec<usize>,
}

/// The place of a fact in one sample is the place of something else in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) place: String,
    pub(super) one: usize,
    pub(super) other: usize,
}

/// The places of a fact, in an order in which every sample finds its own first.
pub(super) fn of_fact(fact: Fact, readings: &[Reading<'_>]) -> Result<Vec<Placed>, Conflict> {
    let mut support: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, reading) in readings.iter().enumerate() {
        for place in candidates(fact, reading) {
            support.entry(place).or_default().push(number);
        }
    }
    let mut left: Vec<Placed> =
        support.into_iter().map(|(place, samples)| Placed { place, samples }).collect();
    // The most common place first, then the outermost, then the shortest.
    left.sort_by_key(|it| {
        (usize::MAX - it.samples.len(), it.place.matches('/').count(), it.place.len())
    });
    let mut open: Vec<usize> = (0..readings.len()).collect();
    let mut placed: Vec<Placed> = Vec::new();
    while left.iter().any(|it| it.samples.iter().any(|sample| open.contains(sample))) {
        left.retain(|it| it.samples.iter().any(|sample| open.contains(sample)));
        let is_wrong_in = |place: &str, sample: usize| {
            let found = found_at(fact, place, &readings[sample]);
            found.is_some() && found != fact.of(&readings[sample].facts)
        };
        let wrong = |it: &Placed| open.iter().copied().find(|it2| is_wrong_in(&it.place, *it2));
        let Some(position) = left.iter().position(|it| wrong(it).is_none()) else {
            let first = &left[0];
            let other = wrong(first).unwrap_or_default();
            return Err(Conflict { place: first.place.clone(), one: first.samples[0], other });
        };
        let next = left.remove(position);
        open.retain(|sample| !next.samples.contains(sample));
        placed.push(next);
    }
    Ok(placed)
}

/// What a dialect would find at a place; a number is not a sentence.
fn found_at<'r>(fact: Fact, place: &str, reading: &'r Reading<'_>) -> Option<&'r str> {
    if let Some(header) = place.strip_prefix("header: ") {
        return reading.sample.headers.get(header)?.to_str().ok();
    }
    let text = reading.text_at(place)?;
    (fact != Fact::Message || !text.is_number).then_some(text.text.as_str())
}

/// Where `auto` found a fact; headers count where the body does not have it.
fn candidates(fact: Fact, reading: &Reading<'_>) -> Vec<String> {
    let Some(wanted) = fact.of(&reading.facts) else { return Vec::new() };
    let texts = reading.texts.iter().filter(|text| text.is_carried);
    let texts = texts.filter(|text| found_at(fact, &text.place, reading) == Some(wanted));
    let places: Vec<String> = texts.map(|text| text.place.clone()).collect();
    if !places.is_empty() || !matches!(fact, Fact::Code | Fact::Reference) {
        return places;
    }
    let headers = reading.sample.headers.iter().filter(|(_, value)| *value == wanted);
    headers.map(|(name, _)| format!("header: {name}")).collect()
}

/// Places that a proposal names as perhaps those of a fact; a longer list would be no help.
const SUSPECTED_MAX: usize = 3;

/// Where a fact may stand that `auto` does not find: the places that hold a sentence, or a word or
/// number, in every one of these samples, and that no fact was taken from.
pub(super) fn suspected(fact: Fact, readings: &[Reading<'_>], numbers: &[usize]) -> Vec<String> {
    let fits = |reading: &Reading<'_>, place: &str| {
        let Some(found) = reading.text_at(place) else { return false };
        let text = found.text.trim();
        let is_sentence = text.split_whitespace().count() > 1;
        // A number of the status is none of the vendor's, and a moment no code.
        let coded = text.parse() != Ok(reading.status()) && !text.contains([':', '@']);
        !found.is_carried && if fact == Fact::Message { is_sentence } else { !is_sentence && coded }
    };
    let Some(first) = numbers.first().map(|number| &readings[*number]) else { return Vec::new() };
    let places = first.texts.iter().map(|text| text.place.as_str());
    let in_all = |place: &&str| numbers.iter().all(|number| fits(&readings[*number], place));
    places.filter(in_all).take(SUSPECTED_MAX).map(|place| format!("`{place}`")).collect()
}

/// Where the single errors stand, and the facts inside of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Children {
    pub(super) list: String,
    pub(super) message: Option<String>,
    pub(super) code: Option<String>,
    pub(super) pointer: Option<String>,
}

/// The list of one sample's single errors; `None` where places cannot name them, as in a map from
/// fields to messages.
pub(super) fn children(reading: &Reading<'_>) -> Option<Children> {
    let errors = &reading.facts.children;
    // A body that is a list itself has no pointer that a dialect could name.
    let mut lists = reading.lists.iter().filter(|(place, _)| !place.is_empty());
    lists.find_map(|(place, list)| {
        let items = list.as_array().filter(|items| items.len() == errors.len())?;
        let member = |fact: fn(&ChildError) -> Option<&str>, same: fn(&str, &str) -> bool| {
            let wanted: Vec<Option<&str>> = errors.iter().map(fact).collect();
            if wanted.iter().all(Option::is_none) {
                return Some(None);
            }
            let places = items.iter().flat_map(inner_places);
            let mut fitting = places.filter(|inner| {
                items.iter().zip(&wanted).all(|(item, wanted)| {
                    let found = item.pointer(inner).and_then(text_of);
                    match (found, wanted) {
                        (Some(found), Some(wanted)) => same(&found, wanted),
                        (None, None) => true,
                        (Some(_), None) | (None, Some(_)) => false,
                    }
                })
            });
            fitting.next().map(Some)
        };
        Some(Children {
            list: place.clone(),
            message: member(|it| it.message.as_deref(), |found, wanted| found == wanted)?,
            code: member(|it| it.code.as_deref(), |found, wanted| found == wanted)?,
            pointer: member(|it| it.pointer.as_deref(), names_field)?,
        })
    })
}

fn inner_places(item: &Value) -> Vec<String> {
    const DEPTH_MAX: usize = 3;
    let mut places = Vec::new();
    walk(item, "", DEPTH_MAX, &mut |place, value| {
        places.extend(text_of(value).map(|_| place.to_owned()));
        true
    });
    places
}

/// Whether a text is a field's name, or the pointer itself.
fn names_field(text: &str, pointer: &str) -> bool {
    let text = text.strip_prefix('#').unwrap_or(text);
    text == pointer || pointer.strip_prefix('/') == Some(&escaped(text))
}
