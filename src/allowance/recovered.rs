//! What is on record of a former process, and from what an account starts that is opened.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::settings::Allowance;
use super::unit_record::{AllowanceRecord, UnitRecord};
use crate::time::Moment;

/// Windows up to this length count as spent if nothing is on record of them. To wait out a longer
/// one is for the operator to decide.
const ASSUMED_SPENT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long after the end of a process the vendor may still count its last attempts.
const LINGER: Duration = Duration::from_secs(1);

/// From what an allowance starts of which nothing is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    Spent,
    Unused,
}

/// An allowance of a group of accounts, and since when it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordedAllowance {
    pub(super) name: Arc<str>,
    pub(super) calls: Arc<str>,
    pub(super) since: Moment,
}

/// An account by what its upstream or the configuration calls it, and by its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountId {
    /// The accounts that one rule tells apart.
    pub(super) group: Arc<str>,
    pub(super) key: Arc<str>,
}

/// The records of a former process, and what has become of them.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) groups: HashMap<Arc<str>, Vec<RecordedAllowance>>,
    /// Of accounts that are not open yet.
    pub(super) accounts: HashMap<AccountId, Vec<AllowanceRecord>>,
    /// When the former process had ended all its attempts, if it ended in order.
    pub(super) stopped: Option<Moment>,
    /// Whether a part of the records is lost.
    pub(super) damaged: bool,
}

/// An allowance of which nothing is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPast {
    pub allowance: Arc<str>,
    pub window: Duration,
}

/// How records are kept, and by what a new process begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordRules {
    /// Shorter windows are not recorded.
    pub(super) shortest: Duration,
    pub(super) first_start: Option<FirstStart>,
    /// When this process began.
    pub(super) began: Moment,
}

impl Recovered {
    /// The long windows of which nothing is on record.
    pub(super) fn unknown<'a>(
        &self,
        group: &str,
        allowances: impl IntoIterator<Item = &'a Allowance>,
    ) -> Vec<UnknownPast> {
        let known = self.groups.get(group);
        let is_known = |name: &str| known.iter().any(|all| all.iter().any(|it| *it.name == *name));
        let windows =
            allowances.into_iter().filter_map(|it| it.grant.length().map(|window| (it, window)));
        let unknown = windows.filter(|(allowance, window)| {
            ASSUMED_SPENT_MAX < *window && !is_known(&allowance.name) && !self.damaged
        });
        let named = |(allowance, window): (&Allowance, Duration)| UnknownPast {
            allowance: Arc::clone(&allowance.name),
            window,
        };
        unknown.map(named).collect()
    }

    /// Records the allowances of a group from now on, as far as they are not on record already.
    pub(super) fn enter<'a>(
        &mut self,
        group: &Arc<str>,
        allowances: impl IntoIterator<Item = &'a Allowance>,
        rules: RecordRules,
        now: Moment,
    ) {
        let known = self.groups.remove(group).unwrap_or_default();
        let recorded = allowances.into_iter().filter(|it| it.is_recorded(rules.shortest));
        let entries = recorded.map(|allowance| {
            let calls: Arc<str> = allowance.calls().into();
            let before = known.iter().find(|it| it.name == allowance.name);
            let since = match before {
                Some(before) if before.calls == calls && !self.damaged => before.since,
                None if rules.first_start == Some(FirstStart::Unused) => Moment::START,
                // The vendor may still count the last attempts.
                Some(_) | None => now.plus(LINGER),
            };
            RecordedAllowance { name: Arc::clone(&allowance.name), calls, since }
        });
        let entries = entries.collect();
        self.groups.insert(Arc::clone(group), entries);
    }

    /// What an allowance of an account that is opened starts from.
    pub(super) fn start(
        &self,
        (group, account): (&str, &[AllowanceRecord]),
        allowance: &Allowance,
        rules: RecordRules,
        now: Moment,
    ) -> Start {
        let Some(window) = allowance.grant.length() else { return Start::default() };
        let calls = allowance.calls();
        let since = if allowance.is_recorded(rules.shortest) {
            let known = self.groups.get(group).into_iter().flatten();
            let mut since = known.filter(|it| it.name == allowance.name).map(|it| it.since);
            since.next().unwrap_or(now)
        } else {
            // Nothing is written of it; but after an orderly end nothing can be under way.
            self.stopped.filter(|_| !self.damaged).unwrap_or_else(|| rules.began.plus(LINGER))
        };
        let known = account.iter().find(|it| it.name == allowance.name && *it.calls == *calls);
        let record = match known {
            Some(known) => UnitRecord { since: known.units.since.max(since), ..known.units.clone() },
            None => UnitRecord {
                taken: rules.began,
                since,
                window: Duration::MAX,
                outstanding: 0,
                settled: Vec::new(),
            },
        };
        let limit = (allowance.units().0, window);
        Start { since, spent: record.spent(limit, rules.began.plus(LINGER), now) }
    }
}

/// From what an allowance starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// What was used before this is not on record.
    pub(super) since: Moment,
    /// Units used, and until when.
    pub(super) spent: Vec<(Moment, u64)>,
}

impl fmt::Display for UnknownPast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.allowance)
    }
}
