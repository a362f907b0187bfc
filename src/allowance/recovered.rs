//! What is on record of a former process, and from what an account starts that is opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::settings::{Allowance, FirstStart, UpstreamAllowances};
use super::unit_record::{AllowanceRecord, UnitRecord};
use crate::time::Moment;

/// Windows up to this length count as spent if nothing is on record of them. To wait out a longer
/// one is for the operator to decide.
const ASSUMED_SPENT_MAX: Duration = Duration::from_secs(60 * 60);

/// How long after the end of a process the vendor may still count its last attempts.
const LINGER: Duration = Duration::from_secs(1);

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

impl RecordRules {
    /// When attempts of the former process have reached the vendor, or never will.
    pub(super) fn over(&self) -> Moment {
        self.began.plus(LINGER)
    }
}

impl Recovered {
    /// The long windows of an upstream of which nothing is on record.
    pub(super) fn unknown(&self, upstream: &UpstreamAllowances) -> Vec<UnknownPast> {
        let known = self.groups.get(&upstream.group());
        let is_known = |name: &str| known.iter().any(|all| all.iter().any(|it| *it.name == *name));
        let unknown = upstream.allowances.iter().filter_map(|allowance| {
            let window = allowance.grant.length().filter(|it| ASSUMED_SPENT_MAX < *it)?;
            let unknown = !is_known(&allowance.name) && !self.damaged;
            unknown.then(|| UnknownPast { allowance: Arc::clone(&allowance.name), window })
        });
        unknown.collect()
    }

    /// Records the allowances of a group from now on, as far as they are not on record already.
    /// Returns those of whose past nothing is known.
    pub(super) fn enter(
        &mut self,
        group: &Arc<str>,
        allowances: &[&Allowance],
        rules: RecordRules,
    ) -> Vec<UnknownPast> {
        let known = self.groups.remove(group).unwrap_or_default();
        let (mut entries, mut unknown) = (Vec::new(), Vec::new());
        for allowance in allowances.iter().filter(|it| it.is_recorded(rules.shortest)) {
            let (name, calls) = (Arc::clone(&allowance.name), Arc::from(allowance.calls()));
            let before = known.iter().find(|it| it.name == allowance.name);
            let since = match before {
                Some(before) if before.calls == calls && !self.damaged => before.since,
                None if rules.first_start == Some(FirstStart::Unused) => Moment::START,
                Some(_) | None => {
                    let window = allowance.grant.length().unwrap_or_default();
                    unknown.push(UnknownPast { allowance: Arc::clone(&name), window });
                    rules.over()
                }
            };
            entries.push(RecordedAllowance { name, calls, since });
        }
        self.groups.insert(Arc::clone(group), entries);
        unknown
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
            self.stopped.filter(|_| !self.damaged).unwrap_or(rules.over())
        };
        let known = account.iter().find(|it| it.name == allowance.name && *it.calls == *calls);
        let record = match known {
            Some(known) => {
                UnitRecord { since: known.units.since.max(since), ..known.units.clone() }
            }
            None => UnitRecord {
                taken: rules.began,
                since,
                window: Duration::MAX,
                outstanding: 0,
                settled: Vec::new(),
            },
        };
        let limit = (allowance.units().0, window);
        Start { since, spent: record.spent(limit, rules.over(), now) }
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
