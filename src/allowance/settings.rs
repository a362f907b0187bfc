//! What the vault must know of one upstream's account and its allowances.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::routing::route::Matcher;

/// Most allowances of one account, its upstreams' own scopes included: they share a 64-bit set.
pub const SCOPES_MAX: usize = 64;

/// Scopes that every upstream has besides its allowances: all its calls, the counted ones, and the
/// retries after a hold.
const UPSTREAM_SCOPES: usize = 3;

/// How many scopes one account has whose upstreams have these allowances: in a shared account
/// those of the same name are one.
pub fn scopes_of<'a>(upstreams: impl IntoIterator<Item = &'a [Allowance]>) -> usize {
    let (mut count, mut names) = (0, HashSet::new());
    for allowances in upstreams {
        count += UPSTREAM_SCOPES;
        names.extend(allowances.iter().map(|allowance| &*allowance.name));
    }
    count + names.len()
}

/// Whom the vendor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountRule {
    /// Everybody who uses this upstream.
    Upstream,
    /// This header of the request tells accounts apart; requests without it form one.
    Header(HeaderName),
    /// Every upstream that says this name shares one account.
    Named(Arc<str>),
}

/// One allowance as configured.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Its name in the configuration; a metric label.
    pub name: Arc<str>,
    /// What the vendor grants.
    pub grant: Grant,
    /// Which calls it counts; `None` means all.
    pub counts: Option<Matcher>,
    /// Which calls it does not count (W16).
    pub exempt: Vec<Matcher>,
    /// Whether it holds calls back.
    pub mode: Mode,
    /// An attempt that was given up counts as over so much later: until then the vendor may still
    /// count it, or be at work on it.
    pub linger: Duration,
}

/// What the vendor grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many attempts in any window of this length.
    Window {
        /// N.
        limit: u32,
        /// W.
        window: Duration,
        /// How evenly they are spent.
        spread: Spread,
        /// The longest a request can be under way before the vendor counts it.
        arrival_guard: Option<Duration>,
    },
    /// So many attempts at the same time.
    Concurrency {
        /// How many.
        limit: u32,
    },
}

/// How evenly slots are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// W/N apart after a burst of so many.
    Even {
        /// How many at once after rest.
        burst: u32,
    },
    /// Only the ledger counts.
    None,
}

/// Whether an allowance holds calls back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Calls wait for it.
    #[default]
    Enforce,
    /// It counts and reports what would have waited.
    Observe,
}
