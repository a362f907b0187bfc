//! Whether an upstream as a whole is out of order: what became of its calls in the last seconds.
//!
//! Calls count, not attempts, and one broken path does not speak for the others: half of the calls
//! must have failed, and half of those to other paths than the worst one too, unless there was no
//! connection to be had. Paths are known by a hash. Refuses to know of holds.

use crate::time::Moment;

use super::slot_request::PathId;

/// What became of calls is remembered for so many seconds.
const SECONDS: u32 = 10;

/// An outage is half of at least so many calls failing.
const CALLS_MIN: u32 = 20;

/// Paths that are told apart, failing ones first: the others count as paths beside the worst one.
const PATHS_MAX: usize = 16;

/// Whether an attempt failed in a way that says nothing but that something is in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// It was answered, or failed for a reason of ours.
    No,
    /// It was sent, and nobody knows what became of it: perhaps only its path is broken.
    OnPath,
    /// There was no connection to send it on.
    OnConnection,
}

/// What became of the calls of one upstream.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    calls: Tally,
    unconnected: Tally,
    paths: Vec<(PathId, Tally)>,
}

impl Health {
    /// A call to this path went well, or ended with an answer that says what is wrong.
    pub(super) fn succeeded(&mut self, path: PathId, now: Moment) {
        self.calls.add(now, 0);
        if let Some((_, tally)) = self.paths.iter_mut().find(|(known, _)| *known == path) {
            tally.add(now, 0);
        } else if self.paths.len() < PATHS_MAX {
            let mut tally = Tally::default();
            tally.add(now, 0);
            self.paths.push((path, tally));
        }
    }

    /// A call to this path failed blindly, all its attempts included.
    pub(super) fn failed(&mut self, path: PathId, blind: Blind, now: Moment) {
        self.calls.add(now, 1);
        if blind == Blind::OnConnection {
            self.unconnected.add(now, 1);
        }
        if let Some(tally) = self.tally_of(path, now) {
            tally.add(now, 1);
        }
    }

    /// The body of an answer that has counted as a success broke off.
    pub(super) fn broke(&mut self, path: PathId, now: Moment) {
        self.calls.turn(now);
        if let Some(tally) = self.tally_of(path, now) {
            tally.turn(now);
        }
    }

    /// Whether this is an outage.
    pub(super) fn is_out(&self, now: Moment) -> bool {
        let all = self.calls.sum(now);
        if all.ended < CALLS_MIN || !all.is_half_failed() {
            return false;
        }
        let unconnected = self.unconnected.sum(now).failed;
        if all.ended <= unconnected.saturating_mul(2) {
            return true;
        }
        let worst = self.worst(now).map_or(Sum::default(), |(_, sum)| sum);
        let rest = Sum {
            ended: all.ended.saturating_sub(worst.ended),
            failed: all.failed.saturating_sub(worst.failed),
        };
        rest.failed > 0 && rest.is_half_failed()
    }

    /// The path with the most failures.
    pub(super) fn worst_path(&self, now: Moment) -> Option<PathId> {
        self.worst(now).map(|(path, _)| path)
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn worst(&self, now: Moment) -> Option<(PathId, Sum)> {
        let sums = self.paths.iter().map(|(path, tally)| (*path, tally.sum(now)));
        sums.filter(|(_, sum)| sum.failed > 0).max_by_key(|(_, sum)| sum.failed)
    }

    /// The tally of a path that fails; it takes the place of one that does not.
    fn tally_of(&mut self, path: PathId, now: Moment) -> Option<&mut Tally> {
        let known = self.paths.iter().position(|(known, _)| *known == path);
        let place = known.or_else(|| {
            if self.paths.len() < PATHS_MAX {
                self.paths.push((path, Tally::default()));
                return Some(self.paths.len() - 1);
            }
            let sound = self.paths.iter().position(|(_, tally)| tally.sum(now).failed == 0)?;
            self.paths[sound] = (path, Tally::default());
            Some(sound)
        })?;
        Some(&mut self.paths[place].1)
    }
}

/// A ring of seconds; a place is cleared when its second comes round again.
#[derive(Clone, Debug, Default)]
struct Tally {
    seconds: [Second; SECONDS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    second: u32,
    sum: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    ended: u32,
    failed: u32,
}

impl Sum {
    const fn is_half_failed(self) -> bool {
        self.ended <= self.failed.saturating_mul(2)
    }
}

impl Tally {
    /// One more call ended, and so many of them failed.
    fn add(&mut self, now: Moment, failed: u32) {
        let sum = self.at(now);
        sum.ended = sum.ended.saturating_add(1);
        sum.failed = sum.failed.saturating_add(failed);
    }

    /// A call that has ended well turns out to have failed.
    fn turn(&mut self, now: Moment) {
        let sum = self.at(now);
        sum.failed = sum.failed.saturating_add(1);
        sum.ended = sum.ended.max(sum.failed);
    }

    fn sum(&self, now: Moment) -> Sum {
        let oldest = (second_of(now) + 1).saturating_sub(SECONDS);
        let live = self.seconds.iter().filter(|place| oldest <= place.second);
        live.fold(Sum::default(), |sum, place| Sum {
            ended: sum.ended.saturating_add(place.sum.ended),
            failed: sum.failed.saturating_add(place.sum.failed),
        })
    }

    fn at(&mut self, now: Moment) -> &mut Sum {
        let second = second_of(now);
        let place = &mut self.seconds[(second % SECONDS) as usize];
        if place.second != second {
            *place = Second { second, sum: Sum::default() };
        }
        &mut place.sum
    }
}

/// Seconds since the start; they last for 136 years.
pub(super) fn second_of(now: Moment) -> u32 {
    u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX - 1)
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

    fn failed(health: &mut Health, name: &str, calls: u32, second: u64) {
        (0..calls).for_each(|_| health.failed(path(name), Blind::OnPath, at(second)));
    }

    fn succeeded(health: &mut Health, name: &str, calls: u32, second: u64) {
        (0..calls).for_each(|_| health.succeeded(path(name), at(second)));
    }

    #[test]
    fn half_of_twenty_calls_to_several_paths() {
        let mut health = Health::default();
        succeeded(&mut health, "/a", 10, 1);
        failed(&mut health, "/a", 5, 2);
        failed(&mut health, "/b", 4, 3);
        assert!(!health.is_out(at(3)));
        failed(&mut health, "/c", 1, 3);
        assert!(health.is_out(at(3)));
        assert!(!health.is_out(at(11)), "what was long ago does not count");
    }

    #[test]
    fn one_path_does_not_speak_for_the_others() {
        let mut health = Health::default();
        failed(&mut health, "/a", 1_000, 1);
        assert!(!health.is_out(at(1)));
        succeeded(&mut health, "/b", 10, 1);
        failed(&mut health, "/b", 2, 1);
        assert!(!health.is_out(at(1)), "a blip elsewhere");
        failed(&mut health, "/b", 20, 1);
        assert!(health.is_out(at(1)));
        assert_eq!(health.worst_path(at(1)), Some(path("/a")));
    }

    #[test]
    fn a_missing_connection_speaks_for_all() {
        let mut health = Health::default();
        (0..20).for_each(|_| health.failed(path("/a"), Blind::OnConnection, at(1)));
        assert!(health.is_out(at(1)));
        health.forget();
        assert!(!health.is_out(at(1)));
    }

    #[test]
    fn a_body_that_breaks_off_turns_a_success_into_a_failure() {
        let mut health = Health::default();
        for name in ["/a", "/b"] {
            succeeded(&mut health, name, 10, 1);
            (0..5).for_each(|_| health.broke(path(name), at(1)));
        }
        assert!(health.is_out(at(1)));
    }

    #[test]
    fn paths_beyond_the_bound_count_as_other_paths() {
        let mut health = Health::default();
        for number in 0..100 {
            failed(&mut health, &format!("/{}", "x".repeat(number)), 1, 1);
        }
        assert!(health.is_out(at(1)) && health.paths.len() == PATHS_MAX);
        failed(&mut health, "/late", 1, 30);
        assert_eq!(health.worst_path(at(30)), Some(path("/late")));
    }
}
