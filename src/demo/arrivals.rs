//! The referee's book: who arrived when, whether it counted, and how many fell into one window.
//!
//! Pure values: moments are nanoseconds on the vendor's clock and are passed in. Shares nothing
//! with the gateway's ledger, and counts what arrived, never what was sent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::settings::{Allowance, Discipline, Refused};

/// Accounts counted apart; arrivals of further ones share one tally, which only counts too much.
const ACCOUNTS_MAX: usize = 10_000;
/// The tally of everybody beyond that bound.
const EVERYBODY_ELSE: &str = "(everybody else)";

/// One request whose head was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// From 1, without gaps.
    pub number: u64,
    /// When its head had been read, on the vendor's clock.
    pub at_ns: u64,
    /// When it took a place in the windows; absent when it did not count.
    pub counted_ns: Option<u64>,
    /// When its answer was handed to the socket; absent when there was none.
    pub answered_ns: Option<u64>,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Whom the vendor counts it for.
    pub account: String,
    /// Whether its body was read to the end: only then it may have had an effect.
    pub delivered: bool,
    /// Bytes of the body that were read.
    pub body_len: u64,
    /// [`fingerprint`](super::fingerprint) of those bytes; in JSON as sixteen hexadecimal digits.
    #[serde(serialize_with = "as_hexadecimal")]
    pub body_hash: u64,
    /// The status answered; absent when there was none.
    pub status: Option<u16>,
    /// Whether the vendor's limit refused it (scripted refusals are not meant).
    pub throttled: bool,
    /// What the script or chance did to it, if anything.
    pub fault: Option<String>,
}

/// What is known of a request when its head has been read.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) account: String,
}

/// The limit that refused an arrival, and when there will be room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) allowance: Allowance,
    pub(super) room_in: Duration,
}

/// The arrivals still remembered.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Log {
    /// Oldest first.
    pub arrivals: Vec<Arrival>,
    /// How many older ones were forgotten.
    pub dropped: u64,
}

impl Log {
    /// The most counted arrivals of one account in any half-open window of this length.
    #[must_use]
    pub fn worst_window(&self, window: Duration) -> usize {
        self.by_account().values().map(|moments| worst_rolling(moments, window)).max().unwrap_or(0)
    }

    /// The same for one account.
    #[must_use]
    pub fn worst_window_of(&self, account: &str, window: Duration) -> usize {
        self.by_account().get(account).map_or(0, |moments| worst_rolling(moments, window))
    }

    /// The most counted arrivals of one account in any window that starts at `offset` plus a
    /// whole number of windows. Over all offsets this is [`worst_window`](Self::worst_window).
    #[must_use]
    pub fn worst_aligned(&self, window: Duration, offset: Duration) -> usize {
        let worst = |moments: &Vec<u64>| worst_aligned(moments, window, offset);
        self.by_account().values().map(worst).max().unwrap_or(0)
    }

    /// The arrivals after number `number`.
    #[must_use]
    pub fn after(&self, number: u64) -> Self {
        let arrivals = self.arrivals.iter().filter(|one| one.number > number).cloned().collect();
        Self { arrivals, dropped: self.dropped }
    }

    /// The number of the last arrival; 0 before the first.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.arrivals.last().map_or(self.dropped, |last| last.number)
    }

    fn by_account(&self) -> HashMap<&str, Vec<u64>> {
        let mut moments: HashMap<&str, Vec<u64>> = HashMap::new();
        for one in &self.arrivals {
            if let Some(counted) = one.counted_ns {
                moments.entry(&one.account).or_default().push(counted);
            }
        }
        moments.values_mut().for_each(|of_one| of_one.sort_unstable());
        moments
    }
}

/// The most of these sorted moments in any half-open window.
fn worst_rolling(sorted: &[u64], window: Duration) -> usize {
    let window = nanos(window);
    let mut first = 0;
    let mut worst = 0;
    for (last, moment) in sorted.iter().enumerate() {
        while moment - sorted[first] >= window {
            first += 1;
        }
        worst = worst.max(last + 1 - first);
    }
    worst
}

/// The most of these sorted moments in any window of the clock.
fn worst_aligned(sorted: &[u64], window: Duration, offset: Duration) -> usize {
    let same =
        |a: &u64, b: &u64| aligned_start(*a, window, offset) == aligned_start(*b, window, offset);
    sorted.chunk_by(same).map(<[u64]>::len).max().unwrap_or(0)
}

/// Where the clock's window around `moment` starts; before the first offset it starts at 0.
fn aligned_start(moment: u64, window: Duration, offset: Duration) -> u64 {
    let window = nanos(window).max(1);
    let phase = nanos(offset) % window;
    moment.checked_sub(phase).map_or(0, |past| phase + past / window * window)
}

/// One account's counted moments, oldest first.
#[derive(Debug, Default)]
struct Tally(VecDeque<u64>);

impl Tally {
    /// Counted moments later than `since`, or at it.
    fn from(&self, since: u64) -> usize {
        self.0.len() - self.0.partition_point(|moment| *moment < since)
    }

    /// Why one more arrival at `now` would be too many, if it would.
    fn refusal(&self, now: u64, allowance: Allowance) -> Option<Over> {
        let rolling = || self.over_rolling(now, allowance);
        let aligned = || self.over_aligned(now, allowance);
        let room_in = match allowance.discipline {
            Discipline::Rolling => rolling(),
            Discipline::ClockAligned => aligned(),
            Discipline::Both => rolling().max(aligned()),
        };
        room_in.map(|room_in| Over { allowance, room_in })
    }

    /// The window is `(now - window, now]`: what came exactly one window ago has left it.
    fn over_rolling(&self, now: u64, allowance: Allowance) -> Option<Duration> {
        let window = nanos(allowance.window);
        let since = now.checked_sub(window).map_or(0, |edge| edge + 1);
        let inside = self.from(since);
        let leaver = self.0.len().checked_sub(allowance.limit.max(1))?;
        let left = || self.0[leaver].saturating_add(window).saturating_sub(now);
        (inside >= allowance.limit).then(|| Duration::from_nanos(left()))
    }

    fn over_aligned(&self, now: u64, allowance: Allowance) -> Option<Duration> {
        let start = aligned_start(now, allowance.window, allowance.offset);
        let end = start.saturating_add(nanos(allowance.window));
        let left = Duration::from_nanos(end.saturating_sub(now));
        (self.from(start) >= allowance.limit).then_some(left)
    }

    fn count(&mut self, now: u64, longest: Duration, max: usize) {
        let stale = now.saturating_sub(nanos(longest).saturating_mul(2));
        while self.0.len() >= max || self.0.front().is_some_and(|oldest| *oldest < stale) {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }
}

/// The book: the log, and one tally for each account.
#[derive(Debug)]
pub(super) struct Book {
    log: VecDeque<Arrival>,
    log_max: usize,
    dropped: u64,
    tallies: HashMap<String, Tally>,
}

impl Book {
    pub(super) fn new(log_max: usize) -> Self {
        Self { log: VecDeque::new(), log_max: log_max.max(1), dropped: 0, tallies: HashMap::new() }
    }

    /// Writes an arrival down; the number it got.
    pub(super) fn arrive(&mut self, now: u64, head: Head) -> u64 {
        if self.log.len() >= self.log_max {
            self.log.pop_front();
            self.dropped += 1;
        }
        let number = self.dropped + self.log.len() as u64 + 1;
        self.log.push_back(Arrival::new(number, now, head));
        number
    }

    /// Counts an arrival against every allowance, or says which one it is over.
    pub(super) fn count(
        &mut self,
        (number, now): (u64, u64),
        account: &str,
        allowances: &[Allowance],
        refused: Refused,
    ) -> Option<Over> {
        let longest = allowances.iter().map(|one| one.window).max().unwrap_or_default();
        let max = self.log_max;
        let tally = self.tally(account);
        let over = allowances.iter().filter_map(|one| tally.refusal(now, *one));
        let over = over.max_by_key(|over| over.room_in);
        let counts = over.is_none() || refused == Refused::Counted;
        if counts {
            tally.count(now, longest, max);
        }
        self.note(number, |one| {
            one.counted_ns = counts.then_some(now);
            one.throttled = over.is_some();
        });
        over
    }

    /// Changes what is written about an arrival, if it is still remembered.
    pub(super) fn note(&mut self, number: u64, change: impl FnOnce(&mut Arrival)) {
        let place = number.checked_sub(self.dropped + 1).and_then(|at| usize::try_from(at).ok());
        if let Some(one) = place.and_then(|at| self.log.get_mut(at)) {
            change(one);
        }
    }

    pub(super) fn log(&self) -> Log {
        Log { arrivals: self.log.iter().cloned().collect(), dropped: self.dropped }
    }

    fn tally(&mut self, account: &str) -> &mut Tally {
        let known = self.tallies.contains_key(account) || self.tallies.len() < ACCOUNTS_MAX;
        let name = if known { account } else { EVERYBODY_ELSE };
        self.tallies.entry(name.to_owned()).or_default()
    }
}

impl Arrival {
    fn new(number: u64, now: u64, head: Head) -> Self {
        Self {
            number,
            at_ns: now,
            counted_ns: None,
            answered_ns: None,
            method: head.method,
            target: head.target,
            account: head.account,
            delivered: false,
            body_len: 0,
            body_hash: 0,
            status: None,
            throttled: false,
            fault: None,
        }
    }
}

/// Not every reader of JSON keeps a number of 64 bits whole.
fn as_hexadecimal<S: serde::Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{hash:016x}"))
}

/// Whole nanoseconds, at most 584 years of them.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn head(account: &str) -> Head {
        Head { method: "GET".to_owned(), target: "/".to_owned(), account: account.to_owned() }
    }

    fn allowance(limit: usize, window: u64, discipline: Discipline) -> Allowance {
        let window = Duration::from_nanos(window);
        Allowance { limit, window, discipline, offset: Duration::ZERO }
    }

    /// Which of these arrivals are served.
    fn served(moments: &[u64], allowances: &[Allowance], refused: Refused) -> Vec<bool> {
        let mut book = Book::new(LOG_MAX_IN_TESTS);
        let mut serve = |now: &u64| {
            let number = book.arrive(*now, head("a"));
            book.count((number, *now), "a", allowances, refused).is_none()
        };
        moments.iter().map(&mut serve).collect()
    }

    const LOG_MAX_IN_TESTS: usize = 1_000;
    const YES: bool = true;
    const NO: bool = false;

    #[test]
    fn disciplines_differ_where_they_should() {
        let moments = [0, 9, 10, 11, 19, 20];
        for (discipline, expected) in [
            (Discipline::Rolling, [YES, YES, YES, NO, YES, YES]),
            (Discipline::ClockAligned, [YES, YES, YES, YES, NO, YES]),
            (Discipline::Both, [YES, YES, YES, NO, YES, YES]),
        ] {
            let allowances = [allowance(2, 10, discipline)];
            assert_eq!(served(&moments, &allowances, Refused::Free), expected, "{discipline:?}");
        }
    }

    #[test]
    fn a_refused_arrival_counts_unless_told_otherwise() {
        let allowances = [allowance(1, 10, Discipline::Rolling)];
        let moments = [0, 5, 10, 16, 26];
        assert_eq!(served(&moments, &allowances, Refused::Free), [YES, NO, YES, NO, YES]);
        assert_eq!(served(&moments, &allowances, Refused::Counted), [YES, NO, NO, NO, YES]);
    }

    #[test]
    fn offset_moves_the_clock_windows() {
        let mut shifted = allowance(1, 10, Discipline::ClockAligned);
        shifted.offset = Duration::from_nanos(3);
        let moments = [2, 3, 12, 13];
        assert_eq!(served(&moments, &[shifted], Refused::Free), [YES, YES, NO, YES]);
    }

    #[test]
    fn several_allowances_refuse_for_the_longest_wait() {
        let both = [allowance(1, 5, Discipline::Rolling), allowance(2, 100, Discipline::Rolling)];
        let mut book = Book::new(10);
        let mut count = |now| {
            let number = book.arrive(now, head("a"));
            book.count((number, now), "a", &both, Refused::Free)
        };
        assert_eq!(count(0), None);
        assert_eq!(count(1).unwrap().room_in, Duration::from_nanos(4));
        assert_eq!(count(5), None);
        assert_eq!(count(6).unwrap().room_in, Duration::from_nanos(94));
    }

    #[test]
    fn accounts_do_not_share_a_window() {
        let one = [allowance(1, 10, Discipline::Both)];
        let mut book = Book::new(10);
        for (account, fits) in [("a", YES), ("b", YES), ("a", NO)] {
            let number = book.arrive(1, head(account));
            assert_eq!(book.count((number, 1), account, &one, Refused::Counted).is_none(), fits);
        }
        assert_eq!(book.log().worst_window(Duration::from_nanos(10)), 2);
        assert_eq!(book.log().worst_window_of("b", Duration::from_nanos(10)), 1);
    }

    #[test]
    fn the_log_forgets_the_oldest_and_says_so() {
        let mut book = Book::new(2);
        for now in 0..5 {
            book.arrive(now, head("a"));
        }
        book.note(1, |_| unreachable!("forgotten"));
        book.note(5, |last| last.status = Some(204));
        let log = book.log();
        let numbers: Vec<u64> = log.arrivals.iter().map(|one| one.number).collect();
        assert_eq!((numbers, log.dropped, log.last_number()), (vec![4, 5], 3, 5));
        assert_eq!(log.arrivals[1].status, Some(204));
    }

    /// Some arrivals in no particular rhythm, sorted.
    fn schedule(random: &Random, length: usize, span: u64) -> Vec<u64> {
        let draw = |_| u64::from(random.bytes16()[0]) * span / 256;
        let mut moments: Vec<u64> = (0..length).map(draw).collect();
        moments.sort_unstable();
        moments
    }

    /// Counts one by one what the two quick counts should find.
    fn brute(moments: &[u64], start: u64, window: u64) -> usize {
        moments.iter().filter(|one| **one >= start && **one < start + window).count()
    }

    #[test]
    fn worst_windows_agree_with_brute_force() {
        let random = Random::from_seed(7);
        for window in [1, 3, 10, 40] {
            let moments = schedule(&random, 60, 200);
            let span = Duration::from_nanos(window);
            let slow = (0..200).map(|start| brute(&moments, start, window)).max();
            assert_eq!(Some(worst_rolling(&moments, span)), slow);
            for offset in 0..window {
                let starts = (0..=200 / window).map(|nth| offset + nth * window);
                let before = brute(&moments, 0, offset);
                let slow = starts.map(|start| brute(&moments, start, window)).max();
                let quick = worst_aligned(&moments, span, Duration::from_nanos(offset));
                assert_eq!(Some(quick), slow.map(|most| most.max(before)));
            }
        }
    }

    #[test]
    fn over_every_offset_the_clock_is_as_strict_as_the_rolling_window() {
        let random = Random::from_seed(11);
        for window in [2, 9, 33] {
            let moments = schedule(&random, 80, 300);
            let span = Duration::from_nanos(window);
            let of = |start: &u64| worst_aligned(&moments, span, Duration::from_nanos(*start));
            assert_eq!(moments.iter().map(of).max(), Some(worst_rolling(&moments, span)));
        }
    }

    #[test]
    fn what_is_served_never_breaks_the_limit() {
        let random = Random::from_seed(3);
        for discipline in [Discipline::Rolling, Discipline::ClockAligned, Discipline::Both] {
            let moments = schedule(&random, 200, 500);
            let limits = [allowance(3, 25, discipline), allowance(9, 120, discipline)];
            let fits = served(&moments, &limits, Refused::Free);
            let kept: Vec<u64> =
                moments.iter().zip(fits).filter(|(_, fits)| *fits).map(|(at, _)| *at).collect();
            for limit in limits {
                let aligned = worst_aligned(&kept, limit.window, limit.offset);
                let rolling = worst_rolling(&kept, limit.window);
                let worst = if discipline == Discipline::ClockAligned { aligned } else { rolling };
                assert!(worst <= limit.limit, "{discipline:?}: {worst} over {}", limit.limit);
            }
        }
    }
}
