//! The wait before a blind retry, for which the vendor states none: exponential, capped, with full
//! jitter. A wait that the vendor states is only ever lengthened, by `time::with_jitter`.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The longest first wait.
    pub base: Duration,
    /// How many times longer each further wait may be.
    pub factor: f64,
    pub max: Duration,
}

impl Backoff {
    /// The wait after so many attempts; `chance` is in 0..1.
    ///
    /// Full jitter spreads calls that failed together over the whole wait.
    #[must_use]
    pub fn wait(&self, attempts: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let ceiling = self.base.as_secs_f64() * self.factor.powi(exponent);
        let ceiling = ceiling.min(self.max.as_secs_f64());
        Duration::try_from_secs_f64(ceiling * chance.clamp(0.0, 1.0)).unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { base: Duration::from_millis(250), factor: 2.0, max: Duration::from_secs(10) };

    #[test]
    fn waits_double_up_to_the_maximum() {
        let ceiling = |attempts| BACKOFF.wait(attempts, 1.0).as_millis();
        assert_eq!(
            (1..=8).map(ceiling).collect::<Vec<_>>(),
            [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]
        );
        assert_eq!(BACKOFF.wait(u32::MAX, 1.0), BACKOFF.max);
    }

    #[test]
    fn jitter_spreads_over_the_whole_wait() {
        assert_eq!(BACKOFF.wait(1, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.wait(2, 0.5), Duration::from_millis(250));
    }
}
