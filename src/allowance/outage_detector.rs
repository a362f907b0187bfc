//! Detects an outage from what happened to the calls of an upstream in the last seconds.
//!
//! It counts calls, not attempts, and one broken path must not close the others. An outage is
//! therefore half of the calls failing, and also half of those to paths other than the worst one,
//! unless no connection could be made at all.

use super::slot_request::PathId;
use crate::time::{Moment, PerSecond};

/// How many seconds count.
const SECONDS: usize = 10;

/// With fewer calls than this there is no outage.
const CALLS_MIN: u32 = 20;

/// How many paths are counted one by one, failing ones first; calls to the rest count only in
/// total, as calls to paths other than the worst.
const PATHS_MAX: usize = 16;

/// A failure that does not say what is wrong: a sign of an outage if there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlindFailure {
    /// The request was sent and its fate is unknown: perhaps only its path is broken.
    AfterSend,
    /// There was no connection to send it on.
    NoConnection,
}

/// The calls of one upstream that ended, in total and by path.
#[derive(Clone, Debug, Default)]
pub(super) struct OutageDetector {
    all: CallsPerSecond,
    without_connection: CallsPerSecond,
    paths: Vec<(PathId, CallsPerSecond)>,
}

type CallsPerSecond = PerSecond<Calls, SECONDS>;

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    ended: u32,
    failed: u32,
}

impl Calls {
    fn add_success(&mut self) {
        self.ended = self.ended.saturating_add(1);
    }

    fn add_failure(&mut self) {
        self.ended = self.ended.saturating_add(1);
        self.failed = self.failed.saturating_add(1);
    }

    /// A call that was counted as a success turns out to have failed.
    fn turn_into_failure(&mut self) {
        self.failed = self.failed.saturating_add(1);
        self.ended = self.ended.max(self.failed);
    }

    const fn half_failed(self) -> bool {
        self.ended <= self.failed.saturating_mul(2)
    }

    fn total(calls: &CallsPerSecond, now: Moment) -> Self {
        calls.last(now).fold(Self::default(), |total, calls| Self {
            ended: total.ended.saturating_add(calls.ended),
            failed: total.failed.saturating_add(calls.failed),
        })
    }
}

impl OutageDetector {
    /// A call ended well, or with a response that says what is wrong.
    pub(super) fn call_succeeded(&mut self, path: PathId, now: Moment) {
        self.all.at(now).add_success();
        if let Some((_, calls)) = self.paths.iter_mut().find(|(known, _)| *known == path) {
            calls.at(now).add_success();
        } else if self.paths.len() < PATHS_MAX {
            let mut calls = CallsPerSecond::default();
            calls.at(now).add_success();
            self.paths.push((path, calls));
        }
    }

    /// A call failed blindly with all its attempts.
    pub(super) fn call_failed(&mut self, path: PathId, failure: BlindFailure, now: Moment) {
        self.all.at(now).add_failure();
        if failure == BlindFailure::NoConnection {
            self.without_connection.at(now).add_failure();
        }
        if let Some(calls) = self.calls_to_failing(path, now) {
            calls.at(now).add_failure();
        }
    }

    /// The body of a response broke off that was counted as a success.
    pub(super) fn body_broke_off(&mut self, path: PathId, now: Moment) {
        self.all.at(now).turn_into_failure();
        if let Some(calls) = self.calls_to_failing(path, now) {
            calls.at(now).turn_into_failure();
        }
    }

    pub(super) fn is_outage(&self, now: Moment) -> bool {
        let all = Calls::total(&self.all, now);
        if all.ended < CALLS_MIN || !all.half_failed() {
            return false;
        }
        let without_connection = Calls::total(&self.without_connection, now).failed;
        if all.ended <= without_connection.saturating_mul(2) {
            return true;
        }
        let worst = self.worst(now).map_or(Calls::default(), |(_, calls)| calls);
        let rest = Calls {
            ended: all.ended.saturating_sub(worst.ended),
            failed: all.failed.saturating_sub(worst.failed),
        };
        rest.failed > 0 && rest.half_failed()
    }

    /// The path with the most failures.
    pub(super) fn worst_path(&self, now: Moment) -> Option<PathId> {
        self.worst(now).map(|(path, _)| path)
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    fn worst(&self, now: Moment) -> Option<(PathId, Calls)> {
        let totals = self.paths.iter().map(|(path, calls)| (*path, Calls::total(calls, now)));
        totals.filter(|(_, calls)| calls.failed > 0).max_by_key(|(_, calls)| calls.failed)
    }

    /// The calls to a failing path. If there is no place for it, it replaces a path without
    /// failures.
    fn calls_to_failing(&mut self, path: PathId, now: Moment) -> Option<&mut CallsPerSecond> {
        let known = self.paths.iter().position(|(known, _)| *known == path);
        let place = known.or_else(|| {
            if self.paths.len() < PATHS_MAX {
                self.paths.push((path, CallsPerSecond::default()));
                return Some(self.paths.len() - 1);
            }
            let sound = |(_, calls): &(_, CallsPerSecond)| Calls::total(calls, now).failed == 0;
            let sound = self.paths.iter().position(sound)?;
            self.paths[sound] = (path, CallsPerSecond::default());
            Some(sound)
        })?;
        Some(&mut self.paths[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }

    fn path(name: &str) -> PathId {
        PathId::of(name)
    }

    fn fail(detector: &mut OutageDetector, name: &str, count: u32, second: u64) {
        (0..count)
            .for_each(|_| detector.call_failed(path(name), BlindFailure::AfterSend, at(second)));
    }

    fn succeed(detector: &mut OutageDetector, name: &str, count: u32, second: u64) {
        (0..count).for_each(|_| detector.call_succeeded(path(name), at(second)));
    }

    #[test]
    fn an_outage_is_half_of_twenty_calls_to_several_paths_failing() {
        let mut detector = OutageDetector::default();
        succeed(&mut detector, "/a", 10, 1);
        fail(&mut detector, "/a", 5, 2);
        fail(&mut detector, "/b", 4, 3);
        assert!(!detector.is_outage(at(3)));
        fail(&mut detector, "/c", 1, 3);
        assert!(detector.is_outage(at(3)));
        assert!(!detector.is_outage(at(11)), "what was long ago does not count");
    }

    #[test]
    fn one_broken_path_is_no_outage() {
        let mut detector = OutageDetector::default();
        fail(&mut detector, "/a", 1_000, 1);
        assert!(!detector.is_outage(at(1)));
        succeed(&mut detector, "/b", 10, 1);
        fail(&mut detector, "/b", 2, 1);
        assert!(!detector.is_outage(at(1)), "a blip elsewhere");
        fail(&mut detector, "/b", 20, 1);
        assert!(detector.is_outage(at(1)));
        assert_eq!(detector.worst_path(at(1)), Some(path("/a")));
    }

    #[test]
    fn calls_without_a_connection_are_an_outage_even_on_one_path() {
        let mut detector = OutageDetector::default();
        (0..20).for_each(|_| detector.call_failed(path("/a"), BlindFailure::NoConnection, at(1)));
        assert!(detector.is_outage(at(1)));
        detector.reset();
        assert!(!detector.is_outage(at(1)));
    }

    #[test]
    fn a_body_that_breaks_off_turns_a_success_into_a_failure() {
        let mut detector = OutageDetector::default();
        for name in ["/a", "/b"] {
            succeed(&mut detector, name, 10, 1);
            (0..5).for_each(|_| detector.body_broke_off(path(name), at(1)));
        }
        assert!(detector.is_outage(at(1)));
    }

    #[test]
    fn paths_beyond_the_limit_count_as_other_paths() {
        let mut detector = OutageDetector::default();
        for number in 0..100 {
            fail(&mut detector, &format!("/{}", "x".repeat(number)), 1, 1);
        }
        assert!(detector.is_outage(at(1)) && detector.paths.len() == PATHS_MAX);
        fail(&mut detector, "/late", 1, 30);
        assert_eq!(detector.worst_path(at(30)), Some(path("/late")));
    }
}
