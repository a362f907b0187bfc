//! Settings of allowances and of the accounts they belong to.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::calendar::Calendar;
use super::charge::CostClass;
use super::cost_rule::{CostRule, Settles};
use crate::routing::call_matcher::{CallHead, CallMatcher};

/// The most scopes of one account, those that every upstream has included: their sets are 64-bit
/// numbers.
pub const SCOPES_MAX: usize = 64;

/// Scopes that every upstream has besides its allowances: all its calls, the counted ones, and the
/// slow start of retries after a hold.
const UPSTREAM_SCOPES: usize = 3;

/// How many scopes an account has whose upstreams have these allowances. In a shared account,
/// allowances of the same name are one.
pub fn scopes_of<'a>(upstreams: impl IntoIterator<Item = &'a [Allowance]>) -> usize {
    let (mut count, mut names) = (0, HashSet::new());
    for allowances in upstreams {
        count += UPSTREAM_SCOPES;
        names.extend(allowances.iter().map(|allowance| &*allowance.name));
    }
    count + names.len()
}

/// From what an allowance starts of which nothing is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    Spent,
    Unused,
}

/// Where allowances are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    pub dir: PathBuf,
    /// `None`: only windows that are waited out soon may begin without a record.
    pub first_start: Option<FirstStart>,
    /// Shorter windows are not recorded.
    pub shortest: Duration,
}

/// Where replicas share allowances, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where the store is; may hold a password.
    pub url: Arc<str>,
    /// Where Sentinels name the master, its name.
    pub sentinel_master: Option<Arc<str>>,
    /// Whether the store is a cluster.
    pub is_cluster: bool,
    /// What the names of its keys begin with.
    pub prefix: Arc<str>,
    pub on_loss: OnLoss,
    /// For how long an answer is awaited.
    pub timeout: Duration,
    /// `None`: only windows that are waited out soon may begin in an empty store.
    pub first_start: Option<FirstStart>,
}

impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("StoreSettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Whether a replica goes on while the store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLossMode {
    Reserve,
    Stop,
}

/// What a replica does while the store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// It goes on with a part of each allowance, which it leased before.
    Reserve {
        percent: u32,
        replicas_max: u32,
    },
    Stop,
}

/// The settings of one upstream that concern its account.
#[derive(Clone, Debug)]
pub struct UpstreamAllowances {
    pub name: Arc<str>,
    /// The origin and path of its URL: by these it is recognised under another name.
    pub url: Arc<str>,
    pub account: AccountRule,
    pub allowances: Vec<Allowance>,
    pub queue: QueueBounds,
}

/// The most calls that may wait for one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    pub all: usize,
    /// How much of what other clients leave one client may fill, in percent. So there is always
    /// room for one more client, however many fill their part.
    pub client_percent: u32,
}

impl QueueBounds {
    /// The whole queue may be one client's.
    #[must_use]
    pub const fn of_one_client(all: usize) -> Self {
        Self { all, client_percent: 100 }
    }

    /// How many calls of a client may wait while `others` of other clients do.
    pub(super) fn client_max(self, others: usize) -> usize {
        let left = self.all.saturating_sub(others);
        left.saturating_mul(self.client_percent as usize).div_ceil(100).max(1)
    }
}

impl UpstreamAllowances {
    /// What the records of its accounts are filed under.
    pub(super) fn group(&self) -> Arc<str> {
        match &self.account {
            AccountRule::Named(name) => format!("account {name}").into(),
            AccountRule::Upstream | AccountRule::Header(_) => {
                format!("upstream {}", self.name).into()
            }
        }
    }
}

/// The limit of one client, if it has one of its own.
#[derive(Clone, Debug)]
pub struct ClientAllowance {
    pub name: Arc<str>,
    pub limit: Option<Allowance>,
}

/// Which party the vendor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountRule {
    /// All clients of this upstream together.
    Upstream,
    /// The value of this request header; requests without it form one account.
    Header(HeaderName),
    /// All upstreams with this account name share one account.
    Named(Arc<str>),
}

impl AccountRule {
    /// Whether accounts of this rule are still those that the vendor counts under another rule.
    pub(super) fn is_continued_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(one), Self::Header(other)) => one == other,
            (Self::Header(_), _) | (_, Self::Header(_)) => false,
            (Self::Upstream | Self::Named(_), Self::Upstream | Self::Named(_)) => true,
        }
    }
}

/// One allowance as configured.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Its name in the configuration, also a metric label.
    pub name: Arc<str>,
    pub grant: Grant,
    /// Which calls it counts: those that any of these matches, without any of them all.
    pub counts: Vec<CallMatcher>,
    /// Which calls it does not count (W16).
    pub exempt: Vec<CallMatcher>,
    pub mode: Mode,
    /// What a call costs that it counts; `None`: one.
    pub cost: Option<Arc<CostRule>>,
    /// The place of that cost among all costs of a call.
    pub cost_class: CostClass,
    /// Units of the grant that are left to others who use the same account.
    pub headroom: u32,
    pub settles: Settles,
    /// How much later an attempt that was given up counts as over: until then the vendor may still
    /// count it, or be at work on it.
    pub linger: Duration,
    /// The longest that an attempt takes from its first byte to the head of its response.
    pub longest_attempt: Duration,
}

impl Allowance {
    /// One that counts every call as one, and is enforced.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, grant: Grant, linger: Duration) -> Self {
        Self {
            name: name.into(),
            grant,
            counts: Vec::new(),
            exempt: Vec::new(),
            mode: Mode::Enforce,
            cost: None,
            cost_class: CostClass::CALLS,
            headroom: 0,
            settles: Settles::AtHead,
            linger,
            longest_attempt: Duration::ZERO,
        }
    }

    /// Whether some reading of a call is one that it counts, apart from those that are exempt.
    #[must_use]
    pub fn may_count(&self, call: CallHead<'_>) -> bool {
        self.counts.is_empty() || self.counts.iter().any(|matcher| matcher.may_match(call))
    }

    /// What exempts a call however it is read.
    #[must_use]
    pub fn exempts(&self, call: CallHead<'_>) -> Option<&CallMatcher> {
        self.exempt.iter().find(|matcher| matcher.must_match(call))
    }

    /// Whether it counts the same calls in the same way as an earlier one, so that what was counted
    /// stays true.
    pub(super) fn counts_the_same_as(&self, other: &Self) -> bool {
        let same_grant = match (&self.grant, &other.grant) {
            (Grant::Window { window, .. }, Grant::Window { window: other, .. }) => window == other,
            (Grant::Calendar { calendar, .. }, Grant::Calendar { calendar: other, .. }) => {
                calendar == other
            }
            (Grant::Bucket { refill, .. }, Grant::Bucket { refill: other, .. }) => refill == other,
            (Grant::Concurrency { .. }, Grant::Concurrency { .. }) => true,
            (
                Grant::Window { .. }
                | Grant::Calendar { .. }
                | Grant::Bucket { .. }
                | Grant::Concurrency { .. },
                _,
            ) => false,
        };
        let same_calls = self.counts == other.counts && self.exempt == other.exempt;
        let same_cost = self.cost == other.cost && self.cost_class == other.cost_class;
        same_grant && same_calls && same_cost
    }

    /// The units that we use, and those that the vendor grants and we leave: headroom, and one step
    /// of a stepwise refill.
    pub(super) fn units(&self) -> (u32, u32) {
        let (granted, step) = match &self.grant {
            Grant::Bucket { size, refill } => (*size, refill.step_units()),
            Grant::Window { limit, .. }
            | Grant::Calendar { limit, .. }
            | Grant::Concurrency { limit } => (*limit, 0),
        };
        let withheld = self.headroom.saturating_add(step);
        (granted.saturating_sub(withheld).max(1), withheld)
    }

    /// Whether it counts units for so long that a record of them is worth its writing.
    #[must_use]
    pub fn is_recorded(&self, shortest: Duration) -> bool {
        self.grant.length().is_some_and(|length| shortest <= length)
    }

    /// Which calls it counts, and what of them: what was counted of others says nothing about it.
    pub(super) fn calls(&self) -> String {
        let counted = self.counts.iter().map(|matcher| format!("{matcher};"));
        let exempt = self.exempt.iter().map(|matcher| format!("not {matcher};"));
        let cost = match &self.cost {
            Some(rule) => format!("cost {rule}"),
            None => "cost 0".to_owned(),
        };
        counted.chain(exempt).chain([cost]).collect()
    }

    /// A bucket refills all the time, so there is nothing to spread.
    pub(super) const fn spread(&self) -> Spread {
        match &self.grant {
            Grant::Window { spread, .. } | Grant::Calendar { spread, .. } => *spread,
            Grant::Bucket { .. } | Grant::Concurrency { .. } => Spread::None,
        }
    }
}

/// What the vendor grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// At most `limit` units in any window of this length.
    Window {
        limit: u32,
        window: Duration,
        spread: Spread,
        /// The longest that a request can be under way before the vendor counts it.
        arrival_guard: Option<Duration>,
    },
    /// At most `limit` units in each period of the calendar.
    Calendar { limit: u32, calendar: Calendar, spread: Spread },
    /// So many units at once, and more as fast as they leak out of a bucket of this size.
    Bucket { size: u32, refill: Refill },
    /// At most `limit` attempts at the same time.
    Concurrency { limit: u32 },
}

impl Grant {
    /// The most units that may be used at once.
    #[must_use]
    pub fn units(&self) -> u32 {
        match self {
            Self::Window { limit, .. }
            | Self::Calendar { limit, .. }
            | Self::Concurrency { limit } => *limit,
            Self::Bucket { size, refill } => size.saturating_sub(refill.step_units()),
        }
    }

    /// The longest time for which a unit is occupied; `None` if that is a matter of the attempt.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        match self {
            Self::Window { window, .. } => Some(*window),
            Self::Calendar { calendar, .. } => Some(calendar.period.length()),
            Self::Bucket { size, refill } => Some(refill.time_of(*size)),
            Self::Concurrency { .. } => None,
        }
    }
}

/// How fast a bucket leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// So many units leak in this time.
    pub units: u32,
    pub over: Duration,
    /// The vendor lets them leak in steps this far apart.
    pub step: Option<Duration>,
}

impl Refill {
    /// The units of one step, which may still be in the vendor's bucket when they have leaked out
    /// of ours.
    #[must_use]
    pub fn step_units(&self) -> u32 {
        let Some(step) = self.step else { return 0 };
        let units =
            (u128::from(self.units) * step.as_nanos()).div_ceil(self.over.as_nanos().max(1));
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// The time in which so many units leak.
    fn time_of(&self, units: u32) -> Duration {
        let time =
            (self.over.as_nanos() * u128::from(units)).div_ceil(u128::from(self.units.max(1)));
        Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

/// How evenly the units of a window or period are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// At once while less than half is occupied, then evenly over the time to the next release.
    Auto,
    /// Evenly all the time, after a burst of this many.
    Even { burst: u32 },
    /// As fast as calls come.
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Calls wait for it.
    #[default]
    Enforce,
    /// It only counts, and reports which calls would have waited.
    Observe,
}
