//! The vault: live ledgers, queues and holds, behind acquire and settle.
//!
//! Everything outside sees only this: ask an [`Account`] for a [`Slot`] of what a call needs,
//! perhaps wait, and settle the slot with what became of the attempt. Where the state lives
//! (memory today) is nobody else's business.

mod account;
mod accounts;
mod awaited;
mod concurrency;
mod health;
mod heed;
pub mod hold;
mod keyed;
pub mod ledger;
pub mod pace;
mod queue;
mod ramp;
mod recent;
mod retries;
mod scope;
mod settings;
mod settle;
pub mod shares;
mod slot;
mod slot_request;
mod state;
mod temporary;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use account::{Account, Admission, Waiting};
pub use accounts::{Accounts, Asker, UpstreamRules};
pub use health::Blind;
pub use settings::{AccountRule, Allowance, Grant, Mode, SCOPES_MAX, Spread, scopes_of};
pub use settle::{AttemptEnd, HoldEvent, HoldNews, SettleOutcome};
pub use slot::{ConcurrencyPermit, Settlement, Slot};

pub use awaited::{Awaited, Barrier};
pub use slot_request::{Fitness, Refusal, RefusalReason, SlotRequest};
pub use view::{AccountView, Binding, HoldView, ScopeKind, ScopeView};
