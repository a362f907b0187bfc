//! Reproducible random numbers for the oracle's cases.

/// Xorshift: a case is its seed.
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn of(seed: u64) -> Self {
        // Neighbouring seeds begin alike without this.
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    pub(super) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// As likely in every order of magnitude.
    pub(super) fn magnitude(&mut self, first: u64, last: u64) -> u64 {
        let bits = self.between(u64::from(first.max(1).ilog2()), u64::from(last.max(1).ilog2()));
        self.between(1 << bits, (2 << bits) - 1).clamp(first, last)
    }
}
