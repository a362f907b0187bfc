//! The vault: live ledgers, queues and holds, behind acquire and settle.
//!
//! Everything outside sees only this: ask an [`Account`] for a [`Slot`] of what a call needs,
//! perhaps wait, and settle the slot with what became of the attempt. Where the state lives
//! (memory today) is nobody else's business.

mod account;
mod accounts;
mod queue;
mod recent;
mod report;
mod retries;
mod scope;
mod settings;
mod slot;
mod state;
mod view;
mod want;

#[cfg(test)]
mod tests;

pub use account::{Account, Admission, Waiting};
pub use accounts::{Accounts, Asker, UpstreamRules};
pub use report::{Aftermath, Fate, HoldNews, LINGER};
pub use scope::Blind;
pub use settings::{AccountRule, Allowance, Grant, Mode, SCOPES_MAX, Spread, scopes_of};
pub use slot::{Seat, Settlement, Slot};

pub use view::{AccountView, Binding, HoldView, ScopeKind, ScopeView};
pub use want::{Fitness, Refusal, RefusalReason, Want};
