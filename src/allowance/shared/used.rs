//! Units of a shared allowance that were used, and when they count no more.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::allowance::calendar::{Calendar, WallClock};
use crate::time::{Moment, nanos};

/// Releases are counted in so many parts of a window: the value in the store stays small, and a
/// unit is released at most one part late.
pub(super) const GRAINS: u32 = 128;

/// The parts in which ends of calendar periods are counted.
const PERIOD_GRAIN: Duration = Duration::from_secs(1);

/// In how many steps the leaking of a bucket is shown.
const BUCKET_STEPS: u64 = 32;

const GRAIN_MIN: Duration = Duration::from_micros(1);

/// When a settled unit counts no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::allowance) enum Release {
    After(Duration),
    AtPeriodEnd(Calendar),
    /// It leaks out of a bucket at this rate.
    Leaking {
        units: u32,
        over: Duration,
    },
}

impl Release {
    fn grain(&self) -> u64 {
        let grain = match self {
            Self::After(window) => *window / GRAINS,
            Self::AtPeriodEnd(_) | Self::Leaking { .. } => PERIOD_GRAIN,
        };
        nanos(grain.max(GRAIN_MIN))
    }

    /// How long a unit counts at most, once it is settled.
    pub(in crate::allowance) fn length(&self, limit: u32) -> Duration {
        match self {
            Self::After(window) => *window,
            Self::AtPeriodEnd(calendar) => calendar.period.length(),
            Self::Leaking { .. } => Duration::from_nanos(self.leaks_in(limit.into())),
        }
    }

    /// When a unit that is settled at `at` counts no more.
    fn of(&self, at: Moment) -> Moment {
        match self {
            Self::After(window) => at.plus(*window),
            Self::AtPeriodEnd(calendar) => {
                let wall = WallClock { moment: Moment::START, shows: Timestamp::UNIX_EPOCH };
                let boundary = calendar.first(at, wall);
                // The vendor's clock may be in the next period already.
                if at < boundary.earliest {
                    boundary.latest
                } else {
                    calendar.following(boundary, wall).latest
                }
            }
            Self::Leaking { .. } => at,
        }
    }

    fn leaks_in(&self, count: u64) -> u64 {
        let Self::Leaking { units, over } = self else { return 0 };
        let time = (over.as_nanos() * u128::from(count)).div_ceil(u128::from((*units).max(1)));
        u64::try_from(time).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::allowance) struct Used {
    /// In which part of time how many units are released; ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    released: Vec<(u64, u64)>,
    /// When the bucket will have leaked out.
    #[serde(default, skip_serializing_if = "is_zero")]
    empty: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks in this way")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Used {
    /// Counts units that were settled at `at`.
    pub(in crate::allowance) fn add(&mut self, release: &Release, at: Moment, units: u64) {
        if units == 0 {
            return;
        }
        if let Release::Leaking { .. } = release {
            self.empty = self.empty.max(at.as_nanos()).saturating_add(release.leaks_in(units));
            return;
        }
        let part = release.of(at).as_nanos().div_ceil(release.grain());
        let place = self.released.partition_point(|it| it.0 < part);
        match self.released.get_mut(place) {
            Some(it) if it.0 == part => it.1 = it.1.saturating_add(units),
            _ => self.released.insert(place, (part, units)),
        }
    }

    /// A bucket may be full until `at`.
    pub(in crate::allowance) fn fill(&mut self, release: &Release, at: Moment, limit: u32) {
        let full = at.as_nanos().saturating_add(release.leaks_in(limit.into()));
        self.empty = self.empty.max(full);
    }

    /// Forgets what counts no more. When a bucket had leaked out still matters for what settled
    /// before and is reported late.
    pub(in crate::allowance) fn prune(&mut self, release: &Release, now: Moment) {
        let grain = release.grain();
        self.released.retain(|(part, _)| now.as_nanos() < part.saturating_mul(grain));
    }

    /// Units that count at `now`.
    pub(in crate::allowance) fn count(&self, release: &Release, now: Moment) -> u64 {
        if let Release::Leaking { units, over } = release {
            let left = u128::from(self.empty.saturating_sub(now.as_nanos()));
            let count = (left * u128::from(*units)).div_ceil(over.as_nanos().max(1));
            return u64::try_from(count).unwrap_or(u64::MAX);
        }
        let grain = release.grain();
        let counting = |(part, _): &&(u64, u64)| now.as_nanos() < part.saturating_mul(grain);
        self.released.iter().filter(counting).fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }

    /// When how many units are released, ascending. A bucket is shown in a few steps.
    pub(in crate::allowance) fn curve(&self, release: &Release, now: Moment) -> Vec<(Moment, u64)> {
        if let Release::Leaking { .. } = release {
            let all = self.count(release, now);
            let step = all.div_ceil(BUCKET_STEPS).max(1);
            let steps = (1..=all.div_ceil(step)).map(|number| step.saturating_mul(number).min(all));
            let steps = steps.filter_map(|units| {
                let more = if units % step == 0 { step } else { units % step };
                self.released_by(release, units, now).map(|at| (at, more))
            });
            return steps.collect();
        }
        let grain = release.grain();
        let releases = self.released.iter();
        let releases =
            releases.map(|(part, units)| (Moment::from_nanos(part.saturating_mul(grain)), *units));
        releases.filter(|(at, _)| now < *at).collect()
    }

    /// When so many of the units have been released, at the earliest; `None` if there are fewer.
    pub(in crate::allowance) fn released_by(
        &self,
        release: &Release,
        units: u64,
        now: Moment,
    ) -> Option<Moment> {
        if let Release::Leaking { .. } = release {
            let left = self.count(release, now).checked_sub(units)?;
            return Some(Moment::from_nanos(self.empty.saturating_sub(release.leaks_in(left))));
        }
        let (grain, mut sum) = (release.grain(), 0_u64);
        for (part, count) in &self.released {
            let at = part.saturating_mul(grain);
            if now.as_nanos() < at {
                sum = sum.saturating_add(*count);
            }
            if units <= sum {
                return Some(Moment::from_nanos(at).max(now));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::allowance::calendar::Period;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    #[test]
    fn a_window_releases_a_unit_a_window_after_it_settled_and_hardly_later() {
        let release = Release::After(MINUTE);
        let mut used = Used::default();
        used.add(&release, at(100), 3);
        used.add(&release, at(110), 4);
        assert_eq!(used.count(&release, at(159)), 7);
        assert_eq!(used.count(&release, at(160).plus(MINUTE / GRAINS)), 4);
        let first = used.released_by(&release, 3, at(120)).unwrap();
        assert!((at(160)..at(161)).contains(&first));
        assert_eq!(used.released_by(&release, 8, at(120)), None);
        used.prune(&release, at(171));
        assert_eq!(used, Used::default());
    }

    #[test]
    fn a_period_releases_its_units_at_its_end() {
        let calendar = Calendar { period: Period::Day, at: time(0, 0, 0, 0), zone: TimeZone::UTC };
        let release = Release::AtPeriodEnd(calendar);
        let day = 24 * 60 * 60;
        let mut used = Used::default();
        used.add(&release, at(day - 10), 1);
        used.add(&release, at(day - 1), 1);
        assert_eq!(used.count(&release, at(day + 1)), 2, "the vendor's clock may be late");
        assert_eq!(used.count(&release, at(day + 2)), 1, "one may count in the next period");
        assert_eq!(used.count(&release, at(2 * day + 2)), 0);
    }

    #[test]
    fn a_bucket_leaks() {
        let release = Release::Leaking { units: 2, over: Duration::from_secs(1) };
        let mut used = Used::default();
        used.add(&release, at(10), 40);
        assert_eq!(used.count(&release, at(10)), 40);
        assert_eq!(used.count(&release, at(11)), 38);
        assert_eq!(used.released_by(&release, 10, at(10)), Some(at(15)));
        assert_eq!(used.count(&release, at(30)), 0);
        used.prune(&release, at(30));
        used.add(&release, at(29), 4);
        assert_eq!(used.count(&release, at(30)), 4, "reported late, it leaked from 30 on");
    }
}
