//! Where allowances are recorded, so that they outlive the process.
//!
//! Live: files, locks and a task. `line` is the format, `journal` the file, `recorder` the task
//! that writes; [`Records`] is what accounts and the task share.

mod journal;
mod line;
mod recorder;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::account_state::AccountState;
use super::recovered::{AccountId, RecordRules, RecordedAllowance, Recovered};
use super::settings::Allowance;
use super::unit_record::AllowanceRecord;
use crate::time::Moment;

pub use journal::{Journal, StateError};
pub use recorder::Recorder;

/// What is on record, as the accounts use it.
#[derive(Debug)]
pub(super) struct Records {
    recovered: Mutex<Recovered>,
    rules: RecordRules,
    /// Notified when more units have to be set aside.
    due: Notify,
}

impl Records {
    pub(super) fn new(recovered: Recovered, rules: RecordRules) -> Self {
        Self { recovered: Mutex::new(recovered), rules, due: Notify::new() }
    }

    /// Records the allowances of a group of accounts from now on.
    pub(super) fn enter(&self, group: &Arc<str>, allowances: &[&Allowance], now: Moment) {
        let first_start = self.rules.first_start.filter(|_| now <= self.rules.began);
        let rules = RecordRules { first_start, ..self.rules };
        self.lock().enter(group, allowances.iter().copied(), rules, now);
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
        let over = self.rules.over();
        let mut recovered = self.lock();
        recovered.accounts.retain(|_, all| all.iter().any(|it| it.units.matters(over, now)));
        recovered.accounts.iter().map(|(id, all)| (id.clone(), all.clone())).collect()
    }

    fn groups(&self) -> HashMap<Arc<str>, Vec<RecordedAllowance>> {
        self.lock().groups.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Recovered> {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
