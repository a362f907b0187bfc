//! The vault: live ledgers, queues and holds, behind acquire and settle.
//!
//! Everything outside sees only this: ask an [`Account`] for a [`Slot`] of what a call needs,
//! perhaps wait, and settle the slot with what became of the attempt. Where the state lives
//! (memory today) is nobody else's business.

mod account;
mod accounts;
mod awaited;
mod health;
mod heed;
mod keyed;
mod places;
mod queue;
mod ramp;
mod recent;
mod report;
mod retries;
mod scope;
mod settings;
mod slot;
mod state;
mod temporary;
mod view;
mod want;
mod window;

#[cfg(test)]
mod tests;

pub use account::{Account, Admission, Waiting};
pub use accounts::{Accounts, Asker, UpstreamRules};
pub use health::Blind;
pub use report::{Aftermath, Fate, HoldEvent, HoldNews};
pub use settings::{AccountRule, Allowance, Grant, Mode, SCOPES_MAX, Spread, scopes_of};
pub use slot::{Seat, Settlement, Slot};

pub use awaited::{Awaited, Barrier};
pub use view::{AccountView, Binding, HoldView, ScopeKind, ScopeView};
pub use want::{Fitness, Refusal, RefusalReason, Want};
