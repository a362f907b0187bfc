//! Where allowances are recorded, so that they outlive the process.
//!
//! Live: files, locks and a task. `line` is the format, `journal` the file, `recorder` the task
//! that writes; [`Records`] is what accounts and the task share.

mod journal;
mod line;
mod recorder;
mod redis;
mod shared;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::account_state::AccountState;
use super::recovered::{AccountId, RecordRules, RecordedAllowance, Recovered, UnknownPast};
use super::settings::Allowance;
use super::unit_record::AllowanceRecord;
use crate::time::Moment;

pub use journal::StateError;
pub use recorder::{RecordError, Recorder};
pub use redis::{RedisStore, StoreError};
pub use shared::{Chance, SharedAccounts, SharedStore, Sharing};

/// Where accounts are kept besides the memory of the process.
#[derive(Clone, Debug)]
pub enum AccountStore {
    Journal(Arc<Records>),
    Shared(Arc<SharedAccounts>),
}

/// Whether allowances are entered for a process that begins, or by a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartKind {
    Process,
    Reload(Moment),
}

/// What is on record, as the accounts use it.
#[derive(Debug)]
pub struct Records {
    recovered: Mutex<Recovered>,
    rules: RecordRules,
    /// Allowances of this process of whose past nothing is known.
    unknown: Mutex<Vec<UnknownPast>>,
    /// The groups have changed and are not written.
    groups_changed: AtomicBool,
    /// Notified when more units have to be set aside.
    due: Notify,
}

impl Records {
    pub(super) fn new(recovered: Recovered, rules: RecordRules) -> Self {
        Self {
            recovered: Mutex::new(recovered),
            rules,
            unknown: Mutex::default(),
            groups_changed: AtomicBool::new(true),
            due: Notify::new(),
        }
    }

    /// The accounts of a group go on under another name.
    pub(super) fn rename(&self, group: &Arc<str>, to: &Arc<str>) {
        self.lock().rename(group, to);
    }

    /// Records the allowances of a group of accounts from now on.
    pub(super) fn enter(&self, group: &Arc<str>, allowances: &[&Allowance], start: StartKind) {
        let rules = match start {
            StartKind::Process => self.rules,
            StartKind::Reload(now) => RecordRules { first_start: None, began: now, ..self.rules },
        };
        let unknown = self.lock().enter(group, allowances, rules);
        self.groups_changed.store(true, Ordering::Relaxed);
        if start == StartKind::Process {
            self.unknown.lock().unwrap_or_else(PoisonError::into_inner).extend(unknown);
        }
    }

    /// Counts in an account that is opened what is on record of it.
    pub(super) fn begin(&self, state: &mut AccountState, key: &Arc<str>, now: Moment) {
        let id = AccountId { group: Arc::clone(&state.layout.group), key: Arc::clone(key) };
        let mut recovered = self.lock();
        let account = recovered.accounts.remove(&id).unwrap_or_default();
        state.begin_with(&recovered, &account, self.rules, now);
    }

    pub(super) fn notify(&self) {
        self.due.notify_one();
    }

    /// The records that no account has taken over yet, without those that have expired.
    fn unopened(&self, now: Moment) -> Vec<(AccountId, Vec<AllowanceRecord>)> {
        let began = self.rules.began;
        let mut recovered = self.lock();
        recovered.accounts.retain(|_, all| all.iter().any(|it| it.units.matters(began, now)));
        recovered.accounts.iter().map(|(id, all)| (id.clone(), all.clone())).collect()
    }

    /// The groups, if they are not written or `all` is written anew.
    fn groups(&self, anew: bool) -> Vec<(Arc<str>, Vec<RecordedAllowance>)> {
        if !self.groups_changed.swap(false, Ordering::Relaxed) && !anew {
            return Vec::new();
        }
        let groups = &self.lock().groups;
        groups.iter().map(|(name, all)| (Arc::clone(name), all.clone())).collect()
    }

    fn take_unknown(&self) -> Vec<UnknownPast> {
        std::mem::take(&mut *self.unknown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, Recovered> {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
