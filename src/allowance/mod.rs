//! The vault: live ledgers, queues and holds, behind acquire and settle.

mod settings;
mod view;

pub use settings::{AccountRule, Allowance, Grant, Mode, SCOPES_MAX, Spread};
pub use view::{AccountView, HoldView, ScopeKind, ScopeView};
