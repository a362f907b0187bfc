//! Settings of allowances and of the accounts they belong to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::charge::CostClass;
use crate::routing::route::Matcher;

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

/// The settings of one upstream that concern its account.
#[derive(Clone, Debug)]
pub struct UpstreamAllowances {
    pub name: Arc<str>,
    pub account: AccountRule,
    pub allowances: Vec<Allowance>,
    /// The most calls that may wait.
    pub queue_max: usize,
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

/// One allowance as configured.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Its name in the configuration, also a metric label.
    pub name: Arc<str>,
    pub grant: Grant,
    /// Which calls it counts; `None` means all.
    pub counts: Option<Matcher>,
    /// Which calls it does not count (W16).
    pub exempt: Vec<Matcher>,
    pub mode: Mode,
    /// The cost of a call that it counts.
    pub cost_class: CostClass,
    pub settles: Settles,
    /// How much later an attempt that was given up counts as over: until then the vendor may still
    /// count it, or be at work on it.
    pub linger: Duration,
}

impl Allowance {
    /// One that counts every call as one, and is enforced.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, grant: Grant, linger: Duration) -> Self {
        Self {
            name: name.into(),
            grant,
            counts: None,
            exempt: Vec::new(),
            mode: Mode::Enforce,
            cost_class: CostClass::CALLS,
            settles: Settles::AtHead,
            linger,
        }
    }
}

/// When it is known what a call has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settles {
    /// When the head of the response has arrived.
    #[default]
    AtHead,
    /// When its body has ended.
    AtBodyEnd,
}

/// What the vendor grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// At most `limit` units in any window of this length.
    Window {
        limit: u32,
        window: Duration,
        spread: Spread,
        /// The longest that a request can be under way before the vendor counts it.
        arrival_guard: Option<Duration>,
    },
    /// At most `limit` attempts at the same time.
    Concurrency { limit: u32 },
}

/// How evenly the slots of a window are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// At once while less than half is occupied, then evenly over the time to the next release.
    Auto,
    /// Evenly over the window, after a burst of this many.
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
