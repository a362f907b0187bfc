//! Arrivals as moments on a line, and the sums over them that the verdicts state.
//!
//! The fullest windows are those that the vendor counted.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::demo::RequestLog;

/// How much of an allowance was used, and how that is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// Counted arrivals in the whole windows after the first, over N times their number. The
    /// windows are laid end to end from the account's first counted arrival.
    pub(crate) mean: f64,
    /// The least used of those windows.
    pub(crate) least: f64,
    /// The window over the mean time from each arrival to the N-th after it: how soon a place is
    /// taken again, wherever windows begin.
    pub(crate) reuse: f64,
    /// How many windows these are.
    pub(crate) windows: usize,
}

/// Counted moments of each account, in order.
pub(crate) fn accounts(log: &RequestLog) -> BTreeMap<String, Vec<u64>> {
    let mut moments: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for one in &log.arrivals {
        if let Some(counted) = one.counted_ns {
            moments.entry(one.account.clone()).or_default().push(counted);
        }
    }
    moments.values_mut().for_each(|of_one| of_one.sort_unstable());
    moments
}

/// What was used until `end`; nothing when no window after the first is whole.
pub(crate) fn used(moments: &[u64], limit: usize, window: Duration, end: u64) -> Option<Use> {
    let first = *moments.first()?;
    let window = u64::try_from(window.as_nanos()).ok()?;
    let whole = usize::try_from(end.saturating_sub(first) / window).ok()?;
    let inside = |nth: usize| {
        let start = first + window * nth as u64;
        count(moments, start, start + window)
    };
    let counts: Vec<usize> = (1..whole).map(inside).collect();
    let least = *counts.iter().min()? as f64 / limit as f64;
    let mean = counts.iter().sum::<usize>() as f64 / (limit * counts.len()) as f64;
    let gaps = moments.iter().zip(moments.iter().skip(limit)).map(|(one, next)| next - one);
    let gap = gaps.clone().sum::<u64>() as f64 / gaps.count().max(1) as f64;
    Some(Use { mean, least, reuse: window as f64 / gap, windows: counts.len() })
}

/// Sorted moments in a half-open interval.
fn count(moments: &[u64], from: u64, to: u64) -> usize {
    let before = |limit: u64| moments.partition_point(|moment| *moment < limit);
    before(to) - before(from)
}

/// The most of these sorted moments in any half-open interval of this length.
pub(crate) fn densest(moments: &[u64], span: Duration) -> usize {
    let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    moments
        .iter()
        .map(|start| count(moments, *start, start.saturating_add(span)))
        .max()
        .unwrap_or(0)
}
