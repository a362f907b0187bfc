//! What the name of a header or of a body's member says about its value: that it is a wait, in
//! which unit, and whether as a delay or as a moment.

use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The unit of a plain number; seconds where the name has none.
    pub(super) unit: Option<Duration>,
    pub(super) relation: Relation,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Relation {
    #[default]
    Open,
    /// `in`, `delay`: from now.
    Delay,
    /// `at`, `epoch`: from 1970.
    Moment,
}

/// What the wait in a member of a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Retry,
    /// The reset of a bucket, which is a wait only where something is exhausted.
    Reset,
    /// The end of something, which is a wait only where that is maintenance.
    End,
}

#[derive(Clone, Copy)]
enum Word {
    Unit(Duration),
    Relation(Relation),
    Event(Event),
    /// A word that adds nothing.
    Filler,
}

/// Characters of a member's name; a longer one is not the name of a wait.
const NAME_CHARS_MAX: usize = 40;

const NANO: Duration = Duration::from_nanos(1);
const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Units as words of a name. A singular names a bucket, not a unit: `x-ratelimit-reset-minute`.
const UNITS: [(&str, Duration); 25] = [
    ("nanoseconds", NANO),
    ("nanos", NANO),
    ("nsec", NANO),
    ("ns", NANO),
    ("microseconds", MICRO),
    ("micros", MICRO),
    ("usec", MICRO),
    ("us", MICRO),
    ("milliseconds", MILLI),
    ("millisecond", MILLI),
    ("millisec", MILLI),
    ("millis", MILLI),
    ("msecs", MILLI),
    ("msec", MILLI),
    ("ms", MILLI),
    ("seconds", SECOND),
    ("secs", SECOND),
    ("sec", SECOND),
    ("minutes", MINUTE),
    ("mins", MINUTE),
    ("hours", HOUR),
    ("hrs", HOUR),
    ("days", DAY),
    ("weeks", Duration::from_secs(7 * 86_400)),
    ("s", SECOND),
];

const RELATIONS: [(&str, Relation); 14] = [
    ("timestamp", Relation::Moment),
    ("datetime", Relation::Moment),
    ("epoch", Relation::Moment),
    ("unix", Relation::Moment),
    ("date", Relation::Moment),
    ("utc", Relation::Moment),
    ("at", Relation::Moment),
    ("interval", Relation::Delay),
    ("delay", Relation::Delay),
    ("delta", Relation::Delay),
    ("in", Relation::Delay),
    ("after", Relation::Open),
    ("time", Relation::Open),
    ("until", Relation::Open),
];

const EVENTS: [(&str, Event); 21] = [
    ("availableagain", Event::Retry),
    ("unblocks", Event::Retry),
    ("unblock", Event::Retry),
    ("tryagain", Event::Retry),
    ("nextrequest", Event::Retry),
    ("nextaccess", Event::Retry),
    ("nextattempt", Event::Retry),
    ("nextcall", Event::Retry),
    ("nexttry", Event::Retry),
    ("beforenext", Event::Retry),
    ("estimatedwait", Event::Retry),
    ("estimated", Event::Retry),
    ("cooldown", Event::Retry),
    ("pause", Event::Retry),
    ("sleep", Event::Retry),
    ("banned", Event::Retry),
    ("backoff", Event::Retry),
    ("retry", Event::Retry),
    ("wait", Event::Retry),
    ("resets", Event::Reset),
    ("reset", Event::Reset),
];

/// Words that may precede the event; behind it they name something else (`retry_window_ms`).
const FILLERS: [&str; 8] =
    ["ratelimit", "rate", "throttling", "throttle", "window", "quota", "next", "to"];

/// Names that state a wait without a unit or a relation.
const BARE: [(&str, Event, Relation); 40] = [
    ("wait", Event::Retry, Relation::Open),
    ("pause", Event::Retry, Relation::Open),
    ("cooldown", Event::Retry, Relation::Open),
    ("backoff", Event::Retry, Relation::Open),
    ("nextrequest", Event::Retry, Relation::Open),
    ("ratereset", Event::Reset, Relation::Open),
    ("ratelimitreset", Event::Reset, Relation::Open),
    ("periodend", Event::Reset, Relation::Moment),
    ("windowend", Event::Reset, Relation::Moment),
    ("intervalend", Event::Reset, Relation::Moment),
    ("availablein", Event::Retry, Relation::Delay),
    ("availableat", Event::Retry, Relation::Moment),
    ("availableafter", Event::Retry, Relation::Open),
    ("nextavailable", Event::Retry, Relation::Open),
    ("nextavailableat", Event::Retry, Relation::Moment),
    ("blockeduntil", Event::Retry, Relation::Moment),
    ("lockeduntil", Event::Retry, Relation::Moment),
    ("throttleduntil", Event::Retry, Relation::Moment),
    ("limiteduntil", Event::Retry, Relation::Moment),
    ("ratelimiteduntil", Event::Retry, Relation::Moment),
    // What remains may be a quota that is counted in seconds.
    ("remainingseconds", Event::Reset, Relation::Delay),
    ("secondsremaining", Event::Reset, Relation::Delay),
    ("until", Event::End, Relation::Moment),
    ("ends", Event::End, Relation::Open),
    ("endsat", Event::End, Relation::Moment),
    ("endat", Event::End, Relation::Moment),
    ("endsin", Event::End, Relation::Delay),
    ("endtime", Event::End, Relation::Moment),
    ("enddate", Event::End, Relation::Moment),
    ("end", Event::End, Relation::Moment),
    ("scheduledend", Event::End, Relation::Moment),
    ("expectedend", Event::End, Relation::Moment),
    ("estimatedend", Event::End, Relation::Moment),
    ("backat", Event::End, Relation::Moment),
    ("backin", Event::End, Relation::Delay),
    ("resumesat", Event::End, Relation::Moment),
    ("maintenanceuntil", Event::End, Relation::Moment),
    ("maintenanceendsat", Event::End, Relation::Moment),
    ("maintenanceend", Event::End, Relation::Moment),
    ("maintenanceendtime", Event::End, Relation::Moment),
];

/// What the name of a header says. Its words are separated, and many are the vendor's own.
pub(super) fn of_header(name: &str) -> Meaning {
    let mut meaning = Meaning::default();
    let mut before = "";
    for word in name.split(['-', '_']) {
        if let Some(found) = behind_reset(word) {
            meaning.unit = found.unit.or(meaning.unit);
            meaning.relation = stronger(meaning.relation, found.relation);
        }
        // `15-minutes` names a bucket.
        let counted = before.bytes().all(|byte| byte.is_ascii_digit()) && !before.is_empty();
        if let Some(unit) = exactly(&UNITS, word).filter(|_| !counted) {
            meaning.unit = Some(unit);
        }
        if let Some(relation) = exactly(&RELATIONS, word) {
            meaning.relation = stronger(meaning.relation, relation);
        }
        before = word;
    }
    meaning
}

/// The part of a header's name that identifies the bucket.
pub(super) fn bucket(name: &str) -> String {
    let own = |word: &&str| {
        !(behind_reset(word).is_some()
            || ["remaining", "remain", "left"].contains(word)
            || exactly(&UNITS, word).is_some()
            || exactly(&RELATIONS, word).is_some())
    };
    name.split(['-', '_']).filter(own).collect()
}

/// The meaning of what follows `reset` in one word (`resetms`, `timetoresetinms`), if every part of
/// it is known.
fn behind_reset(word: &str) -> Option<Meaning> {
    let (_, rest) = word.split_once("reset")?;
    MemberName::default().read(rest).map(|found| found.meaning)
}

/// What the name of a body's member says, if it is the name of a wait: every word of it is known,
/// in any spelling (`retry_after_ms`, `retryAfterMs`, `resetinminutes`).
pub(super) fn of_member(name: &str) -> Option<(Event, Meaning)> {
    if name.len() > NAME_CHARS_MAX {
        return None;
    }
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    if let Some((_, event, relation)) = BARE.iter().find(|(name, _, _)| *name == plain) {
        return Some((*event, Meaning { unit: None, relation: *relation }));
    }
    let found = MemberName::default().read(&plain)?;
    found.event.filter(|_| found.says_when).map(|event| (event, found.meaning))
}

/// What the name of a header of the vendor's own says, if it ends like the name of a wait:
/// `x-acme-retry-in-seconds`.
pub(super) fn of_wait_header(name: &str) -> Option<Meaning> {
    let mut rest = name;
    loop {
        if let Some((Event::Retry, meaning)) = of_member(rest) {
            return Some(meaning);
        }
        rest = rest.split_once('-')?.1;
    }
}

#[derive(Clone, Copy, Default)]
struct MemberName {
    event: Option<Event>,
    meaning: Meaning,
    /// Whether a unit or a relation was among them.
    says_when: bool,
}

impl MemberName {
    /// Reads the rest of a name word by word, in every possible segmentation until one succeeds.
    fn read(self, name: &str) -> Option<Self> {
        if name.is_empty() {
            return Some(self);
        }
        let units = UNITS.iter().map(|(word, unit)| (*word, Word::Unit(*unit)));
        let relations = RELATIONS.iter().map(|(word, it)| (*word, Word::Relation(*it)));
        let events = EVENTS.iter().map(|(word, event)| (*word, Word::Event(*event)));
        let fillers = FILLERS.iter().map(|word| (*word, Word::Filler));
        let mut all = units.chain(relations).chain(events).chain(fillers);
        all.find_map(|(word, meaning)| {
            let rest = name.strip_prefix(word)?;
            self.with(meaning)?.read(rest)
        })
    }

    fn with(mut self, word: Word) -> Option<Self> {
        match word {
            Word::Unit(unit) => self.meaning.unit = Some(unit),
            Word::Relation(relation) => {
                self.meaning.relation = stronger(self.meaning.relation, relation);
            }
            Word::Event(event) => self.event = self.event.or(Some(event)),
            Word::Filler if self.event.is_some() => return None,
            Word::Filler => {}
        }
        self.says_when |= matches!(word, Word::Unit(_) | Word::Relation(_));
        Some(self)
    }
}

const fn stronger(known: Relation, found: Relation) -> Relation {
    match (known, found) {
        (Relation::Open, found) => found,
        (Relation::Delay | Relation::Moment, _) => known,
    }
}

fn exactly<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_unit_and_relation() {
        let rows = [
            ("x-rate-limit-window-reset-ms", Some(MILLI), Relation::Open),
            ("x-ratelimit-resetms", Some(MILLI), Relation::Open),
            ("x-ratelimit-reset-in-minutes", Some(MINUTE), Relation::Delay),
            ("x-ratelimit-reset-epoch-ms", Some(MILLI), Relation::Moment),
            ("x-ratelimit-reset-at", None, Relation::Moment),
            ("x-ratelimit-resetinms", Some(MILLI), Relation::Delay),
            ("x-ratelimit-timetoresetms", Some(MILLI), Relation::Open),
            ("x-ratelimit-reset_ms", Some(MILLI), Relation::Open),
            ("x-ratelimit-resettime", None, Relation::Open),
            ("x-ratelimit-reset-minute", None, Relation::Open),
            ("x-ratelimit-15-minutes-reset", None, Relation::Open),
            ("anthropic-ratelimit-tokens-reset", None, Relation::Open),
        ];
        for (name, unit, relation) in rows {
            assert_eq!(of_header(name), Meaning { unit, relation }, "{name}");
        }
    }

    #[test]
    fn remaining_and_reset_headers_of_one_bucket_match() {
        let rows = [
            ("x-ratelimit-remaining", "x-ratelimit-reset-after"),
            ("x-ratelimit-remaining", "x-ratelimit-resetinms"),
            ("x-rate-limit-window-remaining", "x-rate-limit-window-reset-ms"),
            ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
            ("ratelimit-remaining", "ratelimit-resettime"),
        ];
        for (remaining, reset) in rows {
            assert_eq!(bucket(remaining), bucket(reset), "{reset}");
        }
        assert_ne!(bucket("x-ratelimit-remaining-requests"), bucket("x-ratelimit-reset-tokens"));
    }
}
