//! The accounts that a request header tells apart, and the overflow account that serves the keys
//! for which the table has no place.
//!
//! What a key may have spent follows it. An account that is opened takes over what the overflow
//! account has spent, and is not opened before the calls of its key there are over. To know that,
//! each key with calls in the overflow account has its own handle of it, which lives as long as
//! those calls do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::Duration;

use http::HeaderName;

use super::account::Account;
use super::calendar::WallClock;
use super::scope_layout::ScopeLayout;
use super::settings::QueueBounds;
use crate::time::Moment;

/// How often a full table is searched for idle accounts. Clients can invent keys, and must not be
/// able to cause a search of the whole table with each request.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often a full table is logged.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

const TABLE_FULL: &str =
    "the table of accounts is full and further accounts share one: raise `accounts.max`";

/// The least number of overflow handles that are searched for dropped ones.
const HANDLES_MIN: usize = 64;

/// How many accounts may be told apart, over all upstreams.
#[derive(Debug)]
pub(super) struct AccountCapacity {
    max: AtomicUsize,
    open: AtomicUsize,
    /// When the table was last searched, in nanoseconds.
    swept: AtomicU64,
    /// When a full table was last logged, in nanoseconds.
    warned: AtomicU64,
}

impl AccountCapacity {
    pub(super) const fn new(max: usize) -> Self {
        let (swept, warned) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { max: AtomicUsize::new(max), open: AtomicUsize::new(0), swept, warned }
    }

    /// Changes how many there may be; those that are open stay.
    pub(super) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Whether the table is full and it is time to search it for idle accounts.
    pub(super) fn may_sweep(&self, now: Moment) -> bool {
        self.max() <= self.open.load(Ordering::Relaxed) && is_due(&self.swept, SWEEP_INTERVAL, now)
    }

    pub(super) fn release(&self, accounts: usize) {
        self.open.fetch_sub(accounts, Ordering::Relaxed);
    }

    fn try_reserve(&self) -> bool {
        let more = |open| (open < self.max()).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn warn(&self, header: &HeaderName, now: Moment) {
        if is_due(&self.warned, WARNING_INTERVAL, now) {
            tracing::warn!(max = self.max(), %header, "{TABLE_FULL}");
        }
    }
}

/// Whether an interval has passed since the moment in `last`, which then becomes `now`.
fn is_due(last: &AtomicU64, interval: Duration, now: Moment) -> bool {
    let due = |last: u64| {
        let earlier = Moment::from_nanos(last);
        let due = earlier == Moment::START || earlier.plus(interval) <= now;
        due.then_some(now.as_nanos().max(1))
    };
    last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
}

/// The accounts of one upstream by the values of their header.
#[derive(Debug)]
pub(super) struct HeaderAccounts {
    header: HeaderName,
    table: RwLock<AccountTable>,
    overflow: Arc<Account>,
    overflow_calls: AtomicU64,
    capacity: Arc<AccountCapacity>,
}

#[derive(Debug)]
struct AccountTable {
    /// The scopes of accounts that are opened. A call of an older configuration opens one with the
    /// scopes of the present one.
    layout: Arc<ScopeLayout>,
    queue: QueueBounds,
    accounts: HashMap<Box<[u8]>, Arc<Account>>,
    /// The handles of the overflow account, by key; there are never more than calls in it.
    overflow_handles: HashMap<Box<[u8]>, Weak<Account>>,
    /// With so many handles, those that were dropped are removed.
    handles_due: usize,
}

impl HeaderAccounts {
    pub(super) fn new(
        header: HeaderName,
        overflow: Arc<Account>,
        queue: QueueBounds,
        capacity: Arc<AccountCapacity>,
    ) -> Self {
        let table = AccountTable {
            layout: overflow.layout(),
            queue,
            accounts: HashMap::new(),
            overflow_handles: HashMap::new(),
            handles_due: 0,
        };
        let overflow_calls = AtomicU64::new(0);
        Self { header, table: RwLock::new(table), overflow, overflow_calls, capacity }
    }

    /// Puts a layout of a newer configuration into force for all accounts, and for those that will
    /// be opened.
    pub(super) fn reconfigure(
        &self,
        layout: &Arc<ScopeLayout>,
        queue: QueueBounds,
        wall: WallClock,
    ) {
        let mut table = self.write();
        (table.layout, table.queue) = (Arc::clone(layout), queue);
        let all = table.accounts.values().chain([&self.overflow]);
        all.for_each(|account| account.reconfigure(layout, queue, wall));
    }

    pub(super) const fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(super) const fn overflow(&self) -> &Arc<Account> {
        &self.overflow
    }

    /// The account of this key, if it has one of its own.
    pub(super) fn find(&self, key: &[u8]) -> Option<Arc<Account>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.accounts.get(key).map(Arc::clone)
    }

    /// The account of a key that had none: a new one, or the overflow account.
    pub(super) fn open(
        &self,
        key: &[u8],
        now: Moment,
        open: impl FnOnce(Arc<ScopeLayout>, QueueBounds, Arc<str>) -> Arc<Account>,
    ) -> Arc<Account> {
        let capacity = &self.capacity;
        let mut table = self.write();
        if let Some(account) = table.accounts.get(key) {
            return Arc::clone(account);
        }
        if let Some(handle) = table.overflow_handles.get(key).and_then(Weak::upgrade) {
            self.overflow_calls.fetch_add(1, Ordering::Relaxed);
            return handle;
        }
        if !capacity.try_reserve() {
            capacity.warn(&self.header, now);
            self.overflow_calls.fetch_add(1, Ordering::Relaxed);
            return table.add_overflow_handle(key, &self.overflow);
        }
        table.overflow_handles.remove(key);
        let (layout, queue) = (Arc::clone(&table.layout), table.queue);
        let account = open(layout, queue, String::from_utf8_lossy(key).into());
        account.inherit(&self.overflow, now);
        account.begin();
        table.accounts.insert(key.into(), Arc::clone(&account));
        account
    }

    /// Forgets the idle accounts and returns how many there were.
    pub(super) fn sweep(&self, now: Moment) -> usize {
        let mut table = self.write();
        let before = table.accounts.len();
        // Calls hold a reference to their account: with only the table's own there are none.
        table.accounts.retain(|_, account| 1 < Arc::strong_count(account) || !account.is_idle(now));
        before - table.accounts.len()
    }

    /// All accounts, the overflow account included.
    pub(super) fn all(&self) -> Vec<Arc<Account>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.accounts.values().chain([&self.overflow]).map(Arc::clone).collect()
    }

    /// How many calls the overflow account has served, if the given account is that one.
    pub(super) fn overflow_calls(&self, account: &Arc<Account>) -> Option<u64> {
        let is_overflow = Arc::ptr_eq(account, &self.overflow);
        is_overflow.then(|| self.overflow_calls.load(Ordering::Relaxed))
    }

    fn write(&self) -> RwLockWriteGuard<'_, AccountTable> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeaderAccounts {
    fn drop(&mut self) {
        let table = self.table.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.capacity.release(table.accounts.len());
    }
}

impl AccountTable {
    fn add_overflow_handle(&mut self, key: &[u8], overflow: &Arc<Account>) -> Arc<Account> {
        if self.handles_due.max(HANDLES_MIN) <= self.overflow_handles.len() {
            self.overflow_handles.retain(|_, handle| handle.strong_count() > 0);
            self.handles_due = 2 * self.overflow_handles.len();
        }
        let handle = Arc::new(overflow.overflow_handle());
        self.overflow_handles.insert(key.into(), Arc::downgrade(&handle));
        handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::captured;

    #[test]
    fn a_full_table_is_logged_once_a_minute_with_its_limit_and_header() {
        let capacity = AccountCapacity::new(3);
        let header = HeaderName::from_static("x-account");
        let text = captured(|| {
            (1..=120)
                .for_each(|second| capacity.warn(&header, Moment::from_millis(second * 1_000)));
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in lines {
            assert_eq!((&line["level"], &line["max"]), (&"WARN".into(), &3.into()), "{line}");
            assert_eq!(line["header"], "x-account", "{line}");
            assert_eq!(line["message"], TABLE_FULL);
        }
    }
}
