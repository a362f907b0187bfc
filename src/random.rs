//! The only file that draws random numbers.

use std::sync::{Mutex, PoisonError};

/// A source of random numbers. Each worker has one, so that its lock is never contended.
#[derive(Debug)]
pub struct Random(Mutex<fastrand::Rng>);

impl Random {
    /// A source seeded by the operating system.
    #[expect(clippy::disallowed_methods, reason = "this file is where chance is drawn")]
    #[must_use]
    pub fn from_entropy() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }

    /// A reproducible source, for tests and the demo.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A number in 0..1.
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.lock().f64()
    }

    #[must_use]
    pub fn bytes16(&self) -> [u8; 16] {
        self.lock().u128(..).to_be_bytes()
    }

    #[must_use]
    pub fn bytes10(&self) -> [u8; 10] {
        let [bytes @ .., _, _, _, _, _, _] = self.bytes16();
        bytes
    }

    #[must_use]
    pub fn bytes8(&self) -> [u8; 8] {
        self.lock().u64(..).to_be_bytes()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
