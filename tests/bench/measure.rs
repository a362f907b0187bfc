//! A timing loop for pure functions: several rounds of many iterations, the median per iteration.
//!
//! There is no outlier removal and no model. No other file of the benchmark reads time.

use std::fmt;
use std::time::{Duration, Instant};

/// Rounds per case; odd, so that the median is a round that happened.
const ROUNDS: usize = 9;
/// How long one round should take at least; far above the clock's own cost.
const ROUND_AIM: Duration = Duration::from_millis(20);
/// More iterations than this are not needed for any case, however short.
const ITERATIONS_MAX: u64 = 1 << 26;

/// One hot decision and how to time it.
pub(crate) struct Case {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Builds what the decision needs, then runs it this many times inside [`timed`].
    pub(crate) run: fn(u64) -> Duration,
}

/// What a case cost: nanoseconds per iteration.
pub(crate) struct Cost {
    /// The middle round.
    pub(crate) median: f64,
    /// The fastest round.
    min: f64,
    /// The slowest round.
    max: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1} ({:.1}–{:.1})", self.median, self.min, self.max)
    }
}

/// The present instant.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, and reads it only here"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Runs `body` `iterations` times with the iteration's number, and says how long that took.
/// Whatever `body` returns is kept from the optimiser.
pub(crate) fn timed<T>(iterations: u64, mut body: impl FnMut(u64) -> T) -> Duration {
    let start = now();
    for turn in 0..iterations {
        std::hint::black_box(body(std::hint::black_box(turn)));
    }
    start.elapsed()
}

/// Times one case.
pub(crate) fn measure(case: &Case) -> Cost {
    let iterations = enough(case.run);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| (case.run)(iterations).as_secs_f64() * 1e9 / iterations as f64)
        .collect();
    rounds.sort_by(f64::total_cmp);
    Cost { median: rounds[ROUNDS / 2], min: rounds[0], max: rounds[ROUNDS - 1] }
}

/// As many iterations as make a round long enough; finding them is the warm-up.
fn enough(run: fn(u64) -> Duration) -> u64 {
    let mut iterations = 1;
    while iterations < ITERATIONS_MAX && run(iterations) < ROUND_AIM {
        iterations *= 2;
    }
    iterations
}
