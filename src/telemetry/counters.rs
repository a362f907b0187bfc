//! Counters and histograms that one worker writes and a scrape reads.
//!
//! Each has a single writer, so adding is a plain load and store instead of a locked instruction.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use crate::time::nanos;

/// A counter with a single writer.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.read().wrapping_add(more), Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the buckets: those that OpenTelemetry advises, and four more because calls may
/// wait.
pub(super) const BOUNDS_SECONDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0,
    60.0, 120.0,
];
const BOUNDS_MILLIS: [u64; 18] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000, 15_000, 30_000, 60_000,
    120_000,
];
const NANOS_PER_MILLI: u64 = 1_000_000;
/// One more for what exceeds the last bound.
pub(super) const BUCKETS: usize = BOUNDS_SECONDS.len() + 1;

#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [Counter; BUCKETS],
    nanos: Counter,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let took = nanos(took);
        let bucket = BOUNDS_MILLIS.partition_point(|bound| bound * NANOS_PER_MILLI < took);
        self.buckets[bucket].add(1);
        self.nanos.add(took);
    }
}

/// The sum of several workers' histograms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) buckets: [u64; BUCKETS],
    nanos: u64,
}

impl Totals {
    pub(super) fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut totals = Self::default();
        for histogram in histograms {
            for (total, bucket) in totals.buckets.iter_mut().zip(&histogram.buckets) {
                *total += bucket.read();
            }
            totals.nanos += histogram.nanos.read();
        }
        totals
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos).as_secs_f64()
    }
}

const STATUSES_PER_CLASS: usize = 100;
/// 1xx to 5xx, and everything beyond as one.
const CLASSES: usize = 6;

type StatusClass<T> = Box<[OnceLock<Box<T>>]>;

/// A value for each status, created when the status is first seen.
#[derive(Debug)]
pub(super) struct ByStatus<T> {
    classes: [OnceLock<StatusClass<T>>; CLASSES],
}

impl<T> Default for ByStatus<T> {
    fn default() -> Self {
        Self { classes: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl<T: Default> ByStatus<T> {
    pub(super) fn at(&self, status: StatusCode) -> &T {
        let (class, place) = place(status.as_u16());
        let class = self.classes[class]
            .get_or_init(|| (0..STATUSES_PER_CLASS).map(|_| OnceLock::new()).collect());
        class[place].get_or_init(Box::default)
    }
}

impl<T> ByStatus<T> {
    /// The value of `status`, one of [`statuses`].
    pub(super) fn seen(&self, status: u16) -> Option<&T> {
        let (class, place) = place(status);
        self.classes[class].get()?[place].get().map(|row| &**row)
    }
}

/// Every status with a value of its own, and 600 for all others.
pub(super) fn statuses() -> impl Iterator<Item = u16> {
    100..=600
}

fn place(status: u16) -> (usize, usize) {
    match usize::from(status) {
        status @ 100..600 => (status / STATUSES_PER_CLASS - 1, status % STATUSES_PER_CLASS),
        _ => (CLASSES - 1, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_equal_to_a_bound_counts_below_it() {
        let histogram = Histogram::default();
        for micros in [0, 5_000, 5_001, 120_000_000, 120_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let totals = Totals::of([&histogram, &histogram].into_iter());
        assert_eq!((totals.buckets[0], totals.buckets[1]), (4, 2));
        assert_eq!((totals.buckets[17], totals.buckets[18]), (2, 2));
        assert_eq!(totals.count(), 10);
        assert!((totals.seconds() - 480.020_004).abs() < 1e-9);
    }

    #[test]
    fn the_bounds_in_seconds_and_milliseconds_agree() {
        for (seconds, millis) in BOUNDS_SECONDS.iter().zip(BOUNDS_MILLIS) {
            assert_eq!(Duration::from_secs_f64(*seconds), Duration::from_millis(millis));
        }
    }

    #[test]
    fn statuses_are_counted_separately_up_to_599() {
        let rows: ByStatus<Counter> = ByStatus::default();
        for status in [100, 200, 299, 599, 600, 999] {
            rows.at(StatusCode::from_u16(status).unwrap()).add(1);
        }
        let count = |status| rows.seen(status).map_or(0, Counter::read);
        assert_eq!(statuses().map(count).sum::<u64>(), 6);
        assert_eq!((count(200), count(201), count(599), count(600)), (1, 0, 1, 2));
    }
}
