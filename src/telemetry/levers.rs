//! What is counted of operators' levers, over all configurations of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::allowance::{Lever, LeverReport};

/// By upstream, which are those of the configurations.
#[derive(Debug, Default)]
pub struct Levers(Mutex<BTreeMap<Arc<str>, LeverCounts>>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LeverCounts {
    pulled: [u64; Lever::NAMES.len()],
    pub(super) forgotten_units: u64,
}

impl Levers {
    /// A lever of this upstream was pulled.
    pub fn pulled(&self, upstream: &Arc<str>, lever: Lever, report: &LeverReport) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.entry(Arc::clone(upstream)).or_default();
        let names = Lever::NAMES.iter().zip(&mut counts.pulled);
        names.filter(|(name, _)| **name == lever.name()).for_each(|(_, count)| *count += 1);
        counts.forgotten_units += report.forgotten;
    }

    pub(super) fn of(&self, upstream: &str) -> LeverCounts {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(upstream).copied().unwrap_or_default()
    }
}

impl LeverCounts {
    /// How often each lever was pulled.
    pub(super) fn by_name(self) -> impl Iterator<Item = (&'static str, u64)> {
        Lever::NAMES.into_iter().zip(self.pulled)
    }
}
