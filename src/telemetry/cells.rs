//! Numbers that one worker writes and a scrape reads: counters, histograms, sparse rows.
//!
//! Each has one writer, so adding is a load and a store, without a lock on the bus. Refuses to
//! name anything: the table does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use crate::time::nanos;

/// A counter with one writer.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.read().wrapping_add(more), Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the buckets: OpenTelemetry's advice, and four more because calls may wait.
pub(super) const BOUNDS_SECONDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0,
    60.0, 120.0,
];
const BOUNDS_MILLIS: [u64; 18] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000, 15_000, 30_000, 60_000,
    120_000,
];
const NANOS_PER_MILLI: u64 = 1_000_000;
/// The bounded buckets, and the one without a bound.
pub(super) const BUCKETS: usize = BOUNDS_SECONDS.len() + 1;

/// Durations in buckets.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [Cell; BUCKETS],
    nanos: Cell,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let took = nanos(took);
        let bucket = BOUNDS_MILLIS.partition_point(|bound| bound * NANOS_PER_MILLI < took);
        self.buckets[bucket].add(1);
        self.nanos.add(took);
    }
}

/// Histograms of several workers, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) buckets: [u64; BUCKETS],
    nanos: u64,
}

impl Totals {
    pub(super) fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        histograms.fold(Self::default(), Self::plus)
    }

    fn plus(mut self, more: &Histogram) -> Self {
        for (total, bucket) in self.buckets.iter_mut().zip(&more.buckets) {
            *total += bucket.read();
        }
        self.nanos += more.nanos.read();
        self
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos).as_secs_f64()
    }
}

/// How many statuses a class has.
const CLASS: usize = 100;
/// Classes of statuses: 1xx to 5xx, and all beyond as one.
const CLASSES: usize = 6;

/// The statuses of one class.
type Class<T> = Box<[OnceLock<Box<T>>]>;

/// Something for each status, made when the status is first seen.
#[derive(Debug)]
pub(super) struct ByStatus<T> {
    classes: [OnceLock<Class<T>>; CLASSES],
}

impl<T> Default for ByStatus<T> {
    fn default() -> Self {
        Self { classes: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl<T: Default> ByStatus<T> {
    pub(super) fn at(&self, status: StatusCode) -> &T {
        let (class, place) = place(status.as_u16());
        let class =
            self.classes[class].get_or_init(|| (0..CLASS).map(|_| OnceLock::new()).collect());
        class[place].get_or_init(Box::default)
    }
}

impl<T> ByStatus<T> {
    /// What is there for `status`, one of [`statuses`].
    pub(super) fn seen(&self, status: u16) -> Option<&T> {
        let (class, place) = place(status);
        self.classes[class].get()?[place].get().map(|row| &**row)
    }
}

/// Every status that has a place of its own, and 600 for all others.
pub(super) fn statuses() -> impl Iterator<Item = u16> {
    100..=600
}

fn place(status: u16) -> (usize, usize) {
    match usize::from(status) {
        status @ 100..600 => (status / CLASS - 1, status % CLASS),
        _ => (CLASSES - 1, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_below_it() {
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
    fn bounds_agree() {
        for (seconds, millis) in BOUNDS_SECONDS.iter().zip(BOUNDS_MILLIS) {
            assert_eq!(Duration::from_secs_f64(*seconds), Duration::from_millis(millis));
        }
    }

    #[test]
    fn statuses_have_places_of_their_own() {
        let rows: ByStatus<Cell> = ByStatus::default();
        for status in [100, 200, 299, 599, 600, 999] {
            rows.at(StatusCode::from_u16(status).unwrap()).add(1);
        }
        let count = |status| rows.seen(status).map_or(0, Cell::read);
        assert_eq!(statuses().map(count).sum::<u64>(), 6);
        assert_eq!((count(200), count(201), count(599), count(600)), (1, 0, 1, 2));
    }
}
