//! Settings of allowances and of the accounts they belong to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

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
    /// How much later an attempt that was given up counts as over: until then the vendor may still
    /// count it, or be at work on it.
    pub linger: Duration,
}

/// What the vendor grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// At most `limit` attempts in any window of this length.
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
