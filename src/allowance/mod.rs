//! Keeps every account within what its vendor allows: ledgers, paces, holds and queues.
//!
//! A call asks an [`Account`] for a [`Slot`] of every scope it needs, waits if it has to, and
//! settles the slot with what happened to the attempt. The files `account`, `accounts`,
//! `header_accounts`, `operators`, `slot` and `store` are live (locks, timers, tasks, files); all
//! others only decide.

mod account;
mod account_state;
mod accounts;
mod attempt_history;
mod auto_pace;
mod bottleneck;
mod calendar;
mod charge;
mod concurrency_limit;
mod cost_rule;
mod estimate;
mod header_accounts;
mod hold;
mod json_units;
mod lane;
mod lease;
mod ledger;
mod lever;
mod levers;
mod operators;
mod outage_detector;
mod pace;
mod queue;
mod rank;
mod reconfigure;
mod record;
mod recovered;
mod refusal;
mod refused_places;
mod renewal;
mod reservation;
mod scope;
mod scope_layout;
mod scope_set;
mod settings;
mod settle;
mod settlement;
mod shared;
mod shares;
mod slot;
mod slot_request;
mod slow_start;
mod stated_limits;
mod store;
mod temporary_pace;
mod unit_limit;
mod unit_record;
mod view;

#[cfg(test)]
mod tests;

pub use account::{Account, Admission, Waiting};
pub use accounts::Accounts;
pub use bottleneck::{Bottleneck, BottleneckKind};
pub use calendar::{CLOCK_GUARD, Calendar, Period, WallClock};
pub use charge::{COST_CLASSES, CostClass, Costs, UsedCosts};
pub use cost_rule::{
    CostPart, CostRule, Estimate, RequestContent, Settles, UnknownCost, UsedAt, used_in_head,
    used_in_json,
};
pub use hold::{Hold, ProbeState};
pub use json_units::{Pointer, PointerError};
pub use lever::{
    Lever, LeverOrder, LeverOrigin, LeverRefusal, LeverReport, LoweredLimit, PAUSE_MAX,
};
pub use outage_detector::BlindFailure;
pub use refusal::{CostExceeded, Refusal, RefusalReason};
pub use scope_layout::ScopesExhausted;
pub use settings::{
    AccountRule, Allowance, ClientAllowance, FirstStart, Grant, Mode, OnLoss, OnLossMode,
    QueueBounds, Refill, SCOPES_MAX, Spread, StateSettings, StoreSettings, UpstreamAllowances,
    scopes_of,
};
pub use settlement::{AttemptEnd, HoldChange, HoldChangeKind, SettleOutcome, Settlement};
pub use shares::ClientShare;
pub use slot::{ConcurrencyPermit, Slot};
pub use slot_request::{ProbeFitness, Scheduling, SlotRequest};
pub use store::{
    AccountStore, Chance, RecordError, Recorder, Records, RedisStore, SharedAccounts, SharedStore,
    Sharing, StateError, StoreError,
};
pub use view::{
    AccountPage, AccountView, HoldView, LedgerKind, LeversView, PageOfAccounts, PauseView,
    RecordView, ScopeKind, ScopeView, TightestAllowance, UsageView,
};
