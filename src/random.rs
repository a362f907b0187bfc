//! The only file that draws chance.

use std::sync::Mutex;

/// A source of chance; one for each worker, so that nobody waits for it.
#[derive(Debug)]
pub struct Random(Mutex<fastrand::Rng>);

impl Random {
    /// A source seeded by the operating system.
    #[expect(clippy::disallowed_methods, reason = "this file is where chance is drawn")]
    #[must_use]
    pub fn from_entropy() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }

    /// A source that repeats itself, for tests and the demo.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A number in 0..1.
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.locked().f64()
    }

    /// Sixteen random bytes, for ids.
    #[must_use]
    pub fn bytes16(&self) -> [u8; 16] {
        self.locked().u128(..).to_be_bytes()
    }

    /// Ten random bytes, for ids that sort by time.
    #[must_use]
    pub fn bytes10(&self) -> [u8; 10] {
        let [bytes @ .., _, _, _, _, _, _] = self.bytes16();
        bytes
    }

    /// Eight random bytes, for the span of an attempt.
    #[must_use]
    pub fn bytes8(&self) -> [u8; 8] {
        self.locked().u64(..).to_be_bytes()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
