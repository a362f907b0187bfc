//! Statistics over the arrival times that a vendor logged.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel::demo::RequestLog;

/// How much of an allowance was used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllowanceUse {
    /// Counted arrivals in the whole windows after the first, divided by the limit times the number
    /// of windows. The windows are laid end to end from the account's first counted arrival.
    pub(crate) mean: f64,
    /// The use of the least used of those windows.
    pub(crate) least: f64,
    /// The window divided by the mean time from each arrival to the N-th after it: how soon a slot
    /// is used again, independent of where windows begin.
    pub(crate) reuse: f64,
    pub(crate) windows: usize,
}

impl AllowanceUse {
    /// The use until `end`, or `None` if no window after the first is whole.
    pub(crate) fn of(times: &[u64], limit: usize, window: Duration, end: u64) -> Option<Self> {
        let first = *times.first()?;
        let window = u64::try_from(window.as_nanos()).ok()?;
        let whole = usize::try_from(end.saturating_sub(first) / window).ok()?;
        let in_window = |nth: usize| {
            let start = first + window * nth as u64;
            count(times, start, start + window)
        };
        let counts: Vec<usize> = (1..whole).map(in_window).collect();
        let least = *counts.iter().min()? as f64 / limit as f64;
        let mean = counts.iter().sum::<usize>() as f64 / (limit * counts.len()) as f64;
        let gaps = times.iter().zip(times.iter().skip(limit)).map(|(one, next)| next - one);
        let mean_gap = gaps.clone().sum::<u64>() as f64 / gaps.count().max(1) as f64;
        Some(Self { mean, least, reuse: window as f64 / mean_gap, windows: counts.len() })
    }
}

/// The times at which requests of each account were counted, sorted.
pub(crate) fn counted_by_account(log: &RequestLog) -> BTreeMap<String, Vec<u64>> {
    let mut accounts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for arrival in &log.arrivals {
        if let Some(counted) = arrival.counted_ns {
            accounts.entry(arrival.account.clone()).or_default().push(counted);
        }
    }
    accounts.values_mut().for_each(|times| times.sort_unstable());
    accounts
}

/// How many of these sorted times are in the half-open interval from `from` to `to`.
fn count(times: &[u64], from: u64, to: u64) -> usize {
    let before = |limit: u64| times.partition_point(|time| *time < limit);
    before(to) - before(from)
}

/// The most of these sorted times in any half-open interval of length `span`.
pub(crate) fn most_within(times: &[u64], span: Duration) -> usize {
    let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let from = |start: &u64| count(times, *start, start.saturating_add(span));
    times.iter().map(from).max().unwrap_or(0)
}
