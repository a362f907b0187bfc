//! What the API, the metrics and the live page show of an account: plain values, copied under its
//! lock.

use std::sync::Arc;
use std::time::Duration;

use super::hold::Hold;
use super::lever::LeverOrigin;
use crate::outcome::HoldCause;
use crate::time::Moment;

#[derive(Clone, Debug)]
pub struct AccountView {
    /// The numbers of the upstreams that use it.
    pub upstreams: Vec<usize>,
    /// The value that tells it apart from other accounts of its upstream; empty for the only one.
    /// Never a credential: configuration rejects account headers that carry one.
    pub key: Arc<str>,
    pub scopes: Vec<ScopeView>,
    /// Calls that wait.
    pub waiting: usize,
    /// The same by class, the most urgent first.
    pub waiting_by_class: [usize; 3],
    /// The same by client, the most first; clients that are no longer configured are left out.
    pub waiting_by_client: Vec<(Arc<str>, usize)>,
    /// How long the call has waited that has waited longest.
    pub longest_wait: Duration,
    /// How many calls it has served, if it is the overflow account.
    pub overflow_calls: Option<u64>,
}

/// One scope: an allowance, or an upstream itself.
#[derive(Clone, Debug)]
pub struct ScopeView {
    /// The name of the allowance or upstream.
    pub name: Arc<str>,
    pub kind: ScopeKind,
    /// Units or slots occupied now.
    pub occupied: u32,
    /// Of these, the units of attempts under way; for an upstream, its attempts under way.
    pub in_flight: u32,
    /// Of these, units that the vendor says others have used.
    pub elsewhere: u32,
    /// How long until a call of one unit would start if none waited; `None` if nobody knows.
    pub next_slot: Option<Duration>,
    /// Calls that wait for it.
    pub waiting: usize,
    /// Its pace, in sixteenths of the full one.
    pub pace_sixteenths: u8,
    /// How long until a slot is released; zero if one is free.
    pub next_release: Duration,
    /// By how much the vendor's latest statement exceeds our own figure: of the slots that remain,
    /// else of the limit. Above zero, less is used than is granted; below zero, others use the
    /// allowance too.
    pub drift: Option<i64>,
    pub hold: Option<HoldView>,
    pub levers: LeversView,
    /// How it is recorded or shared, if it is.
    pub record: Option<RecordView>,
    /// It only counts.
    pub observe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    Units {
        kind: LedgerKind,
        /// The limit that applies now: a statement of the vendor's may lower the configured one.
        limit: u32,
        configured: u32,
        /// The limit that the vendor stated, if it is lower.
        learned: Option<u32>,
        /// The window or the longest period; for a bucket, the time in which a full one leaks.
        window: Duration,
    },
    Concurrency {
        limit: u32,
        configured: u32,
    },
    /// All calls of an upstream. It has no limit and is only closed by holds.
    Upstream,
    /// The calls of an upstream that are not exempt, if no allowance counts them.
    Counted,
}

/// How an allowance counts units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerKind {
    Window,
    Calendar,
    Bucket,
}

impl LedgerKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Calendar => "calendar",
            Self::Bucket => "bucket",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// For `POST /api/v1/holds/ID/release`.
    pub id: u64,
    pub cause: HoldCause,
    /// Zero while its probe is due or under way.
    pub remaining: Duration,
    /// Probes that failed in a row.
    pub failed_probes: u32,
}

/// What a client sees of an account that its calls to one upstream use.
#[derive(Clone, Debug)]
pub struct UsageView {
    /// The upstream's allowances.
    pub scopes: Vec<ScopeView>,
    /// How long a call that came now would wait behind the others; `None` if nobody knows.
    pub next_slot: Option<Duration>,
    /// Calls of this client that wait.
    pub waiting: usize,
    /// A hold is in force for most calls.
    pub held: bool,
    pub paused: bool,
}

/// How units of an allowance are secured before they are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// The latest record could not be written, or the store is away.
    pub failed: bool,
    /// Units that may be granted before the next record is written or round trip to the store.
    pub set_aside: u32,
    /// Units that all replicas together left, at the latest round trip.
    pub shared_free: Option<u64>,
}

/// Which accounts are shown.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// Only those of this upstream.
    pub upstream: Option<usize>,
    /// Only those of this key.
    pub key: Option<String>,
    /// After so many others.
    pub offset: usize,
    pub most: usize,
}

#[derive(Clone, Debug)]
pub struct PageOfAccounts {
    /// How many there are.
    pub total: usize,
    pub accounts: Vec<AccountView>,
}

/// What an operator has changed of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeversView {
    pub pause: Option<PauseView>,
    /// The operator who lowered the limit.
    pub lowered: Option<LeverOrigin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseView {
    /// `None`: until it is resumed.
    pub remaining: Option<Duration>,
    pub origin: LeverOrigin,
}

impl HoldView {
    pub(super) fn of(hold: &Hold, now: Moment) -> Self {
        let Hold { id, cause, failed_probes, .. } = *hold;
        Self { id, cause, remaining: now.until(hold.until), failed_probes }
    }
}

/// The allowance with the smallest remaining share, for the client's `RateLimit` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TightestAllowance {
    pub name: Arc<str>,
    /// The limit that applies now.
    pub limit: u32,
    pub window: Duration,
    /// Slots free now.
    pub remaining: u32,
    /// How long until more are free.
    pub reset: Duration,
}
