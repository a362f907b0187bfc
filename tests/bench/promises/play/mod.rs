//! Promises put to the test: the real program over sockets, between clients that ask too much
//! and simulated vendors that keep a book of their own.
//!
//! ```text
//! gateway   the program, started and watched     windows   never over, almost nothing wasted
//! caller    a client that never sends again      once      no POST is delivered twice
//! verdict   figures, and what broke              outage    a dead vendor, one under maintenance
//! line      a vendor's arrivals as plain sums    waiting   what a call that waits costs
//! ```
//!
//! The benchmark `promises` plays them for long, the suite plays them for seconds. Refuses to
//! look inside: whether a promise held is read from the vendor's log and the clients' answers.

pub(crate) mod caller;
pub(crate) mod gateway;
pub(crate) mod line;
pub(crate) mod once;
pub(crate) mod outage;
pub(crate) mod verdict;
pub(crate) mod waiting;
pub(crate) mod windows;
