//! What is on record of a former process, and from what an account starts that is opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::settings::{Allowance, FirstStart, UpstreamAllowances};
use super::unit_record::{AllowanceRecord, UnitRecord};
use crate::time::Moment;

/// Windows up to this length count as spent if nothing is on record of them. To wait out a longer
/// one is for the operator to decide.
pub(super) const ASSUMED_SPENT_MAX: Duration = Duration::from_secs(60 * 60);

/// An allowance of a group of accounts, and since when it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordedAllowance {
    pub(super) name: Arc<str>,
    pub(super) calls: Arc<str>,
    pub(super) since: Moment,
}

/// What the records of an account are filed under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountId {
    /// The accounts that one rule tells apart.
    pub(super) group: Arc<str>,
    /// `=` and the value of the header for an account that it tells apart.
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
    pub(super) fn over(&self, allowance: &Allowance) -> Moment {
        self.began.plus(allowance.linger)
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

    /// The accounts of a group go on under another name.
    pub(super) fn rename(&mut self, group: &Arc<str>, to: &Arc<str>) {
        if group == to {
            return;
        }
        if let Some(allowances) = self.groups.remove(group) {
            self.groups.insert(Arc::clone(to), allowances);
        }
        let accounts = std::mem::take(&mut self.accounts).into_iter().map(|(mut id, records)| {
            if id.group == *group {
                id.group = Arc::clone(to);
            }
            (id, records)
        });
        self.accounts = accounts.collect();
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
                    rules.over(allowance)
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
            // Nothing is written of it but when the former process ended, if it ended in order.
            let stopped = self.stopped.filter(|_| !self.damaged);
            stopped.unwrap_or(rules.began).plus(allowance.linger)
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
        Start { since, spent: record.spent(limit, rules.over(allowance), now) }
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

impl Start {
    /// The start of an allowance that comes into force at `now`: what this process has done is
    /// known from elsewhere, and what the former one did is not.
    pub(super) fn unknown(allowance: &Allowance, rules: RecordRules, now: Moment) -> Self {
        let window = allowance.grant.length().unwrap_or_default();
        let counts = |over: &Moment| now < over.plus(window);
        let unused = rules.first_start == Some(FirstStart::Unused);
        let over = Some(rules.over(allowance)).filter(|over| !unused && counts(over));
        let spent = over.map(|over| (over, u64::from(allowance.units().0)));
        Self { since: now, spent: spent.into_iter().collect() }
    }
}
