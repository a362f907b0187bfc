//! Times pure functions: several rounds of many iterations, of which the median counts. No outliers
//! are removed. Only this file of the benchmark reads the clock.

use std::fmt;
use std::time::{Duration, Instant};

/// Odd, so that the median is the value of a round.
const ROUNDS: usize = 9;
/// The least duration of a round, far above the cost of reading the clock.
const ROUND_MIN: Duration = Duration::from_millis(20);
const ITERATIONS_MAX: u64 = 1 << 26;

pub(crate) struct Case {
    /// In the table.
    pub(crate) name: &'static str,
    /// Builds the state that the function needs, then runs it this many times with [`timed`].
    pub(crate) run: fn(u64) -> Duration,
}

/// Nanoseconds per iteration, over the rounds.
pub(crate) struct Cost {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1} ({:.1}–{:.1})", self.median, self.min, self.max)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time; it is read here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long `iterations` calls of `body` take; `body` gets the number of the iteration. What it
/// returns is not optimised away.
pub(crate) fn timed<T>(iterations: u64, mut body: impl FnMut(u64) -> T) -> Duration {
    let start = now();
    for iteration in 0..iterations {
        std::hint::black_box(body(std::hint::black_box(iteration)));
    }
    start.elapsed()
}

pub(crate) fn measure(case: &Case) -> Cost {
    // Finding the number of iterations is also the warm-up.
    let mut iterations = 1;
    while iterations < ITERATIONS_MAX && (case.run)(iterations) < ROUND_MIN {
        iterations *= 2;
    }
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| (case.run)(iterations).as_secs_f64() * 1e9 / iterations as f64)
        .collect();
    rounds.sort_by(f64::total_cmp);
    Cost { median: rounds[ROUNDS / 2], min: rounds[0], max: rounds[ROUNDS - 1] }
}
