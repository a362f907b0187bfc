//! What an operator sees of the vault: plain values, taken under the account's lock and then free.

use std::sync::Arc;
use std::time::Duration;

use crate::allowance::hold::Hold;
use crate::outcome::HoldCause;
use crate::time::Moment;

/// One account.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// The upstreams it belongs to, by their numbers.
    pub upstreams: Vec<usize>,
    /// What tells it apart from other accounts of the upstream; empty for the only one. Never a
    /// credential: account headers are refused when they name one.
    pub key: Arc<str>,
    /// Its allowances and its upstreams' own scopes.
    pub scopes: Vec<ScopeView>,
    /// Calls that wait.
    pub waiting: usize,
    /// How long the one in front has waited.
    pub longest_wait: Duration,
    /// For the account that keys share which find none of their own: how many calls it has served.
    pub overflow_calls: Option<u64>,
}

/// One scope: an allowance, or an upstream as such.
#[derive(Clone, Debug)]
pub struct ScopeView {
    /// The allowance's name, or the upstream's.
    pub name: Arc<str>,
    /// What it counts.
    pub kind: ScopeKind,
    /// Slots occupied now.
    pub occupied: u32,
    /// Calls in line for it.
    pub waiting: usize,
    /// Its pace, in sixteenths of the full one.
    pub pace_sixteenths: u8,
    /// How long until a slot is released; zero when one is free.
    pub next_release: Duration,
    /// By how much the vendor's latest word exceeds what was believed: of the slots that remain,
    /// else of the limit. Above zero less is used than is granted, below zero others use it too.
    pub drift: Option<i64>,
    /// The hold on it.
    pub hold: Option<HoldView>,
    /// It only counts.
    pub observe: bool,
}

/// What a scope counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// Attempts in a window.
    Window {
        /// N, lowered by what the vendor said.
        limit: u32,
        /// N as configured.
        configured: u32,
        /// W.
        window: Duration,
    },
    /// Attempts at the same time.
    Concurrency {
        /// How many.
        limit: u32,
    },
    /// Nothing: an upstream as such, which only holds close.
    Upstream,
    /// Nothing: an upstream's calls that are not exempt, where no allowance counts them.
    Counted,
}

/// One hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// Its number, for `POST /api/v1/holds/ID/release`.
    pub id: u64,
    /// Why.
    pub cause: HoldCause,
    /// What is left of it; zero while its probe is awaited.
    pub remaining: Duration,
    /// Probes that failed in a row.
    pub failures: u32,
}

impl HoldView {
    pub(super) fn of(hold: &Hold, now: Moment) -> Self {
        let Hold { id, cause, failures, .. } = *hold;
        Self { id, cause, remaining: now.until(hold.until), failures }
    }
}

/// The allowance that binds a call, for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its name.
    pub name: Arc<str>,
    /// N, as believed now.
    pub limit: u32,
    /// W.
    pub window: Duration,
    /// Slots free now.
    pub remaining: u32,
    /// How long until more are.
    pub reset: Duration,
}
