//! A histogram of latencies with log-linear buckets: 64 for each power of two, so that a quantile
//! is exact to 1.6 %.

/// The number of buckets for each power of two, as a power of two.
const STEP_BITS: u32 = 6;
const STEPS: u64 = 1 << STEP_BITS;
const BUCKETS: usize = ((64 - STEP_BITS as usize) + 1) << STEP_BITS;

/// Counts of nanosecond values.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn empty() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// The smallest upper bound of a bucket that `share` of all values do not exceed; 0 if there
    /// are no values.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let rank = share * self.total as f64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > 0 && seen as f64 >= rank {
                return upper_bound(index);
            }
        }
        0
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (63 - (nanos | 1).leading_zeros()).saturating_sub(STEP_BITS);
    let step = nanos >> shift;
    usize::try_from(u64::from(shift) * STEPS + step).expect("there are fewer than 4,000 buckets")
}

fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / STEPS).saturating_sub(1);
    let step = index - shift * STEPS;
    ((step + 1) << shift).saturating_sub(1)
}
