//! The header policy: what a vendor, and then a client, gets to see of a head.
//!
//! Everything here works in place on the map it is given. A head without anything to remove
//! costs one pass over its names and no allocation; every rarer case may allocate. Values of
//! end-to-end headers are never looked at, joined or put in another order. (Two different
//! headers may swap places when a third is removed; no order is defined between them.)
//!
//! Refuses to decide what a problem keeps of a vendor's headers (`normalise` does), and to read
//! time or draw chance: ids are made of bytes that are passed in.

mod connection;
mod cookie;
mod destination;
mod identity;
mod incoming;
mod location;
pub mod names;
mod outgoing;
mod prefer;
mod references;
mod survey;
mod target;
mod via;

pub use connection::{Trailers, count_hop, filter_trailers, insists_on_upgrade, is_last_hop};
pub use destination::{OutOfRoute, lead_forward};
pub use identity::{
    Unclear, account_value, decisive_value, fresh_request_id, has_idempotency_key, request_id,
    trace_id,
};
pub use incoming::{Incoming, Notes, RateLimit, Timing, annotate, incoming, incoming_bare};
pub use location::Rewrite;
pub use outgoing::{Guarded, Outgoing, outgoing};
pub use prefer::{WAIT_SECONDS_MAX, preferred_wait};
pub use survey::{AnswerSurvey, Survey};
pub use target::{TargetFault, target};
pub use via::Via;
