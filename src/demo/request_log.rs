//! The vendor's log of requests, and the rate limit windows it counts them in.
//!
//! Pure values: moments are nanoseconds on the vendor's clock and are passed in. Nothing is shared
//! with the gateway's ledger, so that an error there cannot hide here.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::settings::{Allowance, RefusedRequests, WindowKind};

/// Accounts with a count of their own. Further accounts share one, which may refuse too early but
/// never too late.
const ACCOUNTS_MAX: usize = 10_000;
const OTHER_ACCOUNTS: &str = "(everybody else)";

/// One request whose head was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// From 1, without gaps.
    pub number: u64,
    /// When its head had been read, on the vendor's clock.
    pub at_ns: u64,
    /// When it was counted against the limits; absent when it was not.
    pub counted_ns: Option<u64>,
    /// When its response was passed to the socket; absent when there was none.
    pub answered_ns: Option<u64>,
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    pub account: String,
    /// Whether its body was read to the end, without which it has no effect at the vendor.
    pub delivered: bool,
    /// Bytes of the body that were read.
    pub body_len: u64,
    /// [`fingerprint`](super::fingerprint()) of those bytes; in JSON as sixteen hexadecimal digits.
    #[serde(serialize_with = "as_hexadecimal")]
    pub body_hash: u64,
    /// The response status; absent when there was no response.
    pub status: Option<u16>,
    /// Whether the rate limit refused it. Scripted refusals are not included.
    pub throttled: bool,
    /// The scripted action or random fault it met.
    pub fault: Option<String>,
}

/// The first members of a [`RequestRecord`], known when the head has been read.
#[derive(Clone, Debug)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) account: String,
    pub(super) fault: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitExceeded {
    pub(super) allowance: Allowance,
    pub(super) retry_in: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'a> {
    pub(super) allowances: &'a [Allowance],
    pub(super) refused: RefusedRequests,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestLog {
    /// Oldest first.
    pub arrivals: Vec<RequestRecord>,
    /// How many older records were dropped to stay within the bound.
    pub dropped: u64,
}

impl RequestLog {
    /// The most counted arrivals of one account in any half-open window of this length.
    #[must_use]
    pub fn worst_window(&self, window: Duration) -> usize {
        self.by_account().values().map(|moments| worst_rolling(moments, window)).max().unwrap_or(0)
    }

    /// [`worst_window`](Self::worst_window) of one account.
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

    /// The requests logged after request `number`.
    #[must_use]
    pub fn after(&self, number: u64) -> Self {
        let later = self.arrivals.iter().filter(|record| record.number > number);
        Self { arrivals: later.cloned().collect(), dropped: self.dropped }
    }

    /// The number of the last request; 0 before the first.
    #[must_use]
    pub fn last_number(&self) -> u64 {
        self.arrivals.last().map_or(self.dropped, |last| last.number)
    }

    fn by_account(&self) -> HashMap<&str, Vec<u64>> {
        let mut moments: HashMap<&str, Vec<u64>> = HashMap::new();
        for record in &self.arrivals {
            if let Some(counted) = record.counted_ns {
                moments.entry(&record.account).or_default().push(counted);
            }
        }
        moments.values_mut().for_each(|of_account| of_account.sort_unstable());
        moments
    }
}

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

fn worst_aligned(sorted: &[u64], window: Duration, offset: Duration) -> usize {
    let same_window =
        |a: &u64, b: &u64| aligned_start(*a, window, offset) == aligned_start(*b, window, offset);
    sorted.chunk_by(same_window).map(<[u64]>::len).max().unwrap_or(0)
}

/// The start of the clock-aligned window that contains `moment`. Before the first offset that is 0.
fn aligned_start(moment: u64, window: Duration, offset: Duration) -> u64 {
    let window = nanos(window).max(1);
    let phase = nanos(offset) % window;
    moment.checked_sub(phase).map_or(0, |past| phase + past / window * window)
}

/// One account's counted moments, oldest first.
#[derive(Debug, Default)]
struct CountedArrivals(VecDeque<u64>);

impl CountedArrivals {
    /// How many moments are at or after `since`.
    fn count_since(&self, since: u64) -> usize {
        self.0.len() - self.0.partition_point(|moment| *moment < since)
    }

    /// The allowance that one more arrival at `now` would exceed, if it would.
    fn check(&self, now: u64, allowance: Allowance) -> Option<LimitExceeded> {
        let Allowance { limit, window, window_kind, offset } = allowance;
        // The window is `(now - window, now]`: an arrival exactly one window ago is outside.
        let rolling = || {
            let since = now.checked_sub(nanos(window)).map_or(0, |edge| edge + 1);
            let inside = self.count_since(since);
            let next_to_leave = self.0.get(self.0.len().checked_sub(limit.max(1))?)?;
            let left = next_to_leave.saturating_add(nanos(window)).saturating_sub(now);
            (inside >= limit).then_some(Duration::from_nanos(left))
        };
        let aligned = || {
            let start = aligned_start(now, window, offset);
            let left = start.saturating_add(nanos(window)).saturating_sub(now);
            (self.count_since(start) >= limit).then_some(Duration::from_nanos(left))
        };
        let retry_in = match window_kind {
            WindowKind::Rolling => rolling(),
            WindowKind::ClockAligned => aligned(),
            WindowKind::Both => rolling().max(aligned()),
        };
        retry_in.map(|retry_in| LimitExceeded { allowance, retry_in })
    }

    /// Adds `now` and drops moments older than two of the longest windows.
    fn add(&mut self, now: u64, longest: Duration, max: usize) {
        let stale = now.saturating_sub(nanos(longest).saturating_mul(2));
        while self.0.len() >= max || self.0.front().is_some_and(|oldest| *oldest < stale) {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }
}

/// Logs requests and counts them for each account.
#[derive(Debug)]
pub(super) struct RequestRecorder {
    records: VecDeque<RequestRecord>,
    log_max: usize,
    dropped: u64,
    counted: HashMap<String, CountedArrivals>,
}

impl RequestRecorder {
    pub(super) fn new(log_max: usize) -> Self {
        let (records, counted) = (VecDeque::new(), HashMap::new());
        Self { records, log_max: log_max.max(1), dropped: 0, counted }
    }

    /// Logs a request and returns its number.
    pub(super) fn record(&mut self, now: u64, head: RequestHead) -> u64 {
        if self.records.len() >= self.log_max {
            self.records.pop_front();
            self.dropped += 1;
        }
        let number = self.dropped + self.records.len() as u64 + 1;
        self.records.push_back(RequestRecord {
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
            fault: head.fault,
        });
        number
    }

    /// Counts a request against every allowance. If it exceeds several, the one with the longest
    /// wait is returned.
    pub(super) fn count(
        &mut self,
        number: u64,
        now: u64,
        account: &str,
        limits: Limits<'_>,
    ) -> Option<LimitExceeded> {
        let Limits { allowances, refused } = limits;
        let longest = allowances.iter().map(|one| one.window).max().unwrap_or_default();
        let known = self.counted.contains_key(account) || self.counted.len() < ACCOUNTS_MAX;
        let name = if known { account } else { OTHER_ACCOUNTS };
        let arrivals = self.counted.entry(name.to_owned()).or_default();
        let exceeded = allowances.iter().filter_map(|one| arrivals.check(now, *one));
        let exceeded = exceeded.max_by_key(|exceeded| exceeded.retry_in);
        let counts = exceeded.is_none() || refused == RefusedRequests::Counted;
        if counts {
            arrivals.add(now, longest, self.log_max);
        }
        self.update(number, |record| {
            record.counted_ns = counts.then_some(now);
            record.throttled = exceeded.is_some();
        });
        exceeded
    }

    /// Changes a record, unless it has been dropped already.
    pub(super) fn update(&mut self, number: u64, change: impl FnOnce(&mut RequestRecord)) {
        let index = number.checked_sub(self.dropped + 1).and_then(|at| usize::try_from(at).ok());
        if let Some(record) = index.and_then(|index| self.records.get_mut(index)) {
            change(record);
        }
    }

    pub(super) fn log(&self) -> RequestLog {
        RequestLog { arrivals: self.records.iter().cloned().collect(), dropped: self.dropped }
    }
}

/// Some JSON readers cannot represent a 64-bit number exactly.
fn as_hexadecimal<S: serde::Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{hash:016x}"))
}

/// Whole nanoseconds, at most 584 years.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn head(account: &str) -> RequestHead {
        let (method, target) = ("GET".to_owned(), "/".to_owned());
        RequestHead { method, target, account: account.to_owned(), fault: None }
    }

    fn allowance(limit: usize, window: u64, window_kind: WindowKind) -> Allowance {
        let window = Duration::from_nanos(window);
        Allowance { limit, window, window_kind, offset: Duration::ZERO }
    }

    /// Whether each of these arrivals is served.
    fn served(moments: &[u64], limits: Limits<'_>) -> Vec<bool> {
        let mut recorder = RequestRecorder::new(LOG_MAX_IN_TESTS);
        let mut serve = |now: &u64| {
            let number = recorder.record(*now, head("a"));
            recorder.count(number, *now, "a", limits).is_none()
        };
        moments.iter().map(&mut serve).collect()
    }

    fn free(allowances: &[Allowance]) -> Limits<'_> {
        Limits { allowances, refused: RefusedRequests::NotCounted }
    }

    fn counted(allowances: &[Allowance]) -> Limits<'_> {
        Limits { allowances, refused: RefusedRequests::Counted }
    }

    const LOG_MAX_IN_TESTS: usize = 1_000;
    const YES: bool = true;
    const NO: bool = false;

    #[test]
    fn window_kinds_differ_at_the_edges_of_windows() {
        let moments = [0, 9, 10, 11, 19, 20];
        for (kind, expected) in [
            (WindowKind::Rolling, [YES, YES, YES, NO, YES, YES]),
            (WindowKind::ClockAligned, [YES, YES, YES, YES, NO, YES]),
            (WindowKind::Both, [YES, YES, YES, NO, YES, YES]),
        ] {
            let allowances = [allowance(2, 10, kind)];
            assert_eq!(served(&moments, free(&allowances)), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_refused_request_is_counted_only_if_the_settings_say_so() {
        let allowances = [allowance(1, 10, WindowKind::Rolling)];
        let moments = [0, 5, 10, 16, 26];
        assert_eq!(served(&moments, free(&allowances)), [YES, NO, YES, NO, YES]);
        assert_eq!(served(&moments, counted(&allowances)), [YES, NO, NO, NO, YES]);
    }

    #[test]
    fn the_offset_moves_clock_aligned_windows() {
        let mut shifted = allowance(1, 10, WindowKind::ClockAligned);
        shifted.offset = Duration::from_nanos(3);
        let moments = [2, 3, 12, 13];
        assert_eq!(served(&moments, free(&[shifted])), [YES, YES, NO, YES]);
    }

    #[test]
    fn of_several_exceeded_allowances_the_longest_wait_is_returned() {
        let allowances =
            [allowance(1, 5, WindowKind::Rolling), allowance(2, 100, WindowKind::Rolling)];
        let (mut recorder, limits) = (RequestRecorder::new(10), free(&allowances));
        let mut count = |now| {
            let number = recorder.record(now, head("a"));
            recorder.count(number, now, "a", limits)
        };
        assert_eq!(count(0), None);
        assert_eq!(count(1).unwrap().retry_in, Duration::from_nanos(4));
        assert_eq!(count(5), None);
        assert_eq!(count(6).unwrap().retry_in, Duration::from_nanos(94));
    }

    #[test]
    fn accounts_are_counted_separately() {
        let allowances = [allowance(1, 10, WindowKind::Both)];
        let (mut recorder, limits) = (RequestRecorder::new(10), counted(&allowances));
        for (account, fits) in [("a", YES), ("b", YES), ("a", NO)] {
            let number = recorder.record(1, head(account));
            assert_eq!(recorder.count(number, 1, account, limits).is_none(), fits);
        }
        assert_eq!(recorder.log().worst_window(Duration::from_nanos(10)), 2);
        assert_eq!(recorder.log().worst_window_of("b", Duration::from_nanos(10)), 1);
    }

    #[test]
    fn the_log_drops_the_oldest_records_and_counts_them() {
        let mut recorder = RequestRecorder::new(2);
        for now in 0..5 {
            recorder.record(now, head("a"));
        }
        recorder.update(1, |_| panic!("the record was dropped"));
        recorder.update(5, |last| last.status = Some(204));
        let log = recorder.log();
        let numbers: Vec<u64> = log.arrivals.iter().map(|one| one.number).collect();
        assert_eq!((numbers, log.dropped, log.last_number()), (vec![4, 5], 3, 5));
        assert_eq!(log.arrivals[1].status, Some(204));
    }

    /// Random arrivals, sorted.
    fn schedule(random: &Random, length: usize, span: u64) -> Vec<u64> {
        let draw = |_| u64::from(random.bytes16()[0]) * span / 256;
        let mut moments: Vec<u64> = (0..length).map(draw).collect();
        moments.sort_unstable();
        moments
    }

    fn brute_force(moments: &[u64], start: u64, window: u64) -> usize {
        moments.iter().filter(|one| **one >= start && **one < start + window).count()
    }

    #[test]
    fn worst_windows_agree_with_a_brute_force_count() {
        let random = Random::from_seed(7);
        for window in [1, 3, 10, 40] {
            let moments = schedule(&random, 60, 200);
            let span = Duration::from_nanos(window);
            let slow = (0..200).map(|start| brute_force(&moments, start, window)).max();
            assert_eq!(Some(worst_rolling(&moments, span)), slow);
            for offset in 0..window {
                let starts = (0..=200 / window).map(|nth| offset + nth * window);
                let before = brute_force(&moments, 0, offset);
                let slow = starts.map(|start| brute_force(&moments, start, window)).max();
                let quick = worst_aligned(&moments, span, Duration::from_nanos(offset));
                assert_eq!(Some(quick), slow.map(|most| most.max(before)));
            }
        }
    }

    #[test]
    fn over_all_offsets_aligned_windows_are_as_strict_as_the_rolling_one() {
        let random = Random::from_seed(11);
        for window in [2, 9, 33] {
            let moments = schedule(&random, 80, 300);
            let span = Duration::from_nanos(window);
            let of = |start: &u64| worst_aligned(&moments, span, Duration::from_nanos(*start));
            assert_eq!(moments.iter().map(of).max(), Some(worst_rolling(&moments, span)));
        }
    }

    #[test]
    fn served_requests_never_exceed_the_limit() {
        let random = Random::from_seed(3);
        for kind in [WindowKind::Rolling, WindowKind::ClockAligned, WindowKind::Both] {
            let moments = schedule(&random, 200, 500);
            let limits = [allowance(3, 25, kind), allowance(9, 120, kind)];
            let fits = served(&moments, free(&limits));
            let kept: Vec<u64> =
                moments.iter().zip(fits).filter(|(_, fits)| *fits).map(|(at, _)| *at).collect();
            for limit in limits {
                let aligned = worst_aligned(&kept, limit.window, limit.offset);
                let rolling = worst_rolling(&kept, limit.window);
                let worst = if kind == WindowKind::ClockAligned { aligned } else { rolling };
                assert!(worst <= limit.limit, "{kind:?}: {worst} over {}", limit.limit);
            }
        }
    }
}
