//! The accounts that a header tells apart, and the one that keys share which find no place.
//!
//! What a key may have spent follows it: an account that is opened takes over what the shared one
//! has spent, and is not opened before the calls of its key in the shared one are over. For that
//! each key with such calls has a face of the shared account of its own, which lives as long as
//! they do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::Duration;

use http::HeaderName;

use crate::time::Moment;

use super::account::Account;

/// A full table is looked through at most so often: keys are a client's to invent, and a look at
/// every account must not be.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A full table is worth a line in the log, and no more than one in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Below so many faces of the shared account none is looked for that has gone.
const FACES_MIN: usize = 64;

/// How many accounts are told apart, over all upstreams.
#[derive(Debug)]
pub(super) struct AccountsBound {
    max: usize,
    opened: AtomicUsize,
    /// Nanoseconds of the latest sweep, and of the latest warning.
    swept: AtomicU64,
    warned: AtomicU64,
}

impl AccountsBound {
    pub(super) const fn new(max: usize) -> Self {
        let (swept, warned) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { max, opened: AtomicUsize::new(0), swept, warned }
    }

    /// Whether it is time to look for accounts that nobody uses.
    pub(super) fn may_sweep(&self, now: Moment) -> bool {
        self.max <= self.opened.load(Ordering::Relaxed) && is_due(&self.swept, SWEEP_INTERVAL, now)
    }

    /// So many accounts were forgotten.
    pub(super) fn free(&self, accounts: usize) {
        self.opened.fetch_sub(accounts, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        let more = |opened| (opened < self.max).then_some(opened + 1);
        self.opened.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn warn(&self, header: &HeaderName, now: Moment) {
        if is_due(&self.warned, WARNING_INTERVAL, now) {
            tracing::warn!(
                max = self.max,
                %header,
                "the table of accounts is full, further ones share one: raise `accounts.max`"
            );
        }
    }
}

/// Whether an interval has passed since the moment in `last`, which becomes `now` then.
fn is_due(last: &AtomicU64, interval: Duration, now: Moment) -> bool {
    let due = |last: u64| {
        let earlier = Moment::from_nanos(last);
        let due = earlier == Moment::START || earlier.plus(interval) <= now;
        due.then_some(now.as_nanos().max(1))
    };
    last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
}

/// The accounts of one upstream by their keys.
#[derive(Debug)]
pub(super) struct Keyed {
    header: HeaderName,
    known: RwLock<Known>,
    overflow: Arc<Account>,
    overflow_calls: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    own: HashMap<Box<[u8]>, Arc<Account>>,
    /// The shared account as each key knows it whose calls are in it; bounded by those calls.
    faces: HashMap<Box<[u8]>, Weak<Account>>,
    /// So many of them are worth a look for those that have gone.
    faces_due: usize,
}

impl Keyed {
    pub(super) fn new(header: HeaderName, open: impl FnOnce(Arc<str>) -> Arc<Account>) -> Self {
        Self {
            header,
            known: RwLock::default(),
            overflow: open("(overflow)".into()),
            overflow_calls: AtomicU64::new(0),
        }
    }

    pub(super) const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The account of this key, if it has one of its own.
    pub(super) fn known(&self, key: &[u8]) -> Option<Arc<Account>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.own.get(key).map(Arc::clone)
    }

    /// The account of a key that may have none: a new one where there is a place.
    pub(super) fn open(
        &self,
        key: &[u8],
        bound: &AccountsBound,
        now: Moment,
        open: impl FnOnce(Arc<str>) -> Arc<Account>,
    ) -> Arc<Account> {
        let mut known = self.write();
        if let Some(account) = known.own.get(key) {
            return Arc::clone(account);
        }
        if let Some(face) = known.faces.get(key).and_then(Weak::upgrade) {
            self.overflow_calls.fetch_add(1, Ordering::Relaxed);
            return face;
        }
        if !bound.take() {
            bound.warn(&self.header, now);
            self.overflow_calls.fetch_add(1, Ordering::Relaxed);
            return known.face(key, &self.overflow);
        }
        known.faces.remove(key);
        let account = open(String::from_utf8_lossy(key).into());
        account.inherit(&self.overflow, now);
        known.own.insert(key.into(), Arc::clone(&account));
        account
    }

    /// Forgets the accounts that nobody uses; how many.
    pub(super) fn sweep(&self, now: Moment) -> usize {
        let mut known = self.write();
        let before = known.own.len();
        // Accounts in use are held by their calls; the map's own reference is the last one of an
        // account that nobody uses now.
        known.own.retain(|_, account| 1 < Arc::strong_count(account) || !account.is_idle(now));
        before - known.own.len()
    }

    /// All of them, the shared one included.
    pub(super) fn all(&self) -> Vec<Arc<Account>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.own.values().chain([&self.overflow]).map(Arc::clone).collect()
    }

    /// How many calls the shared account has served, if this is the one.
    pub(super) fn overflow_calls(&self, account: &Arc<Account>) -> Option<u64> {
        let shared = Arc::ptr_eq(account, &self.overflow);
        shared.then(|| self.overflow_calls.load(Ordering::Relaxed))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn face(&mut self, key: &[u8], overflow: &Arc<Account>) -> Arc<Account> {
        if self.faces_due.max(FACES_MIN) <= self.faces.len() {
            self.faces.retain(|_, face| face.strong_count() > 0);
            self.faces_due = 2 * self.faces.len();
        }
        let face = Arc::new(overflow.shared());
        self.faces.insert(key.into(), Arc::downgrade(&face));
        face
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::captured;

    #[test]
    fn a_full_table_is_told_once_a_minute_with_its_bound_and_header() {
        let bound = AccountsBound::new(3);
        let header = HeaderName::from_static("x-account");
        let text = captured(|| {
            (1..=120).for_each(|second| bound.warn(&header, Moment::from_millis(second * 1_000)));
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in lines {
            assert_eq!((&line["level"], &line["max"]), (&"WARN".into(), &3.into()), "{line}");
            assert_eq!(line["header"], "x-account", "{line}");
            let message =
                "the table of accounts is full, further ones share one: raise `accounts.max`";
            assert_eq!(line["message"], message);
        }
    }
}
