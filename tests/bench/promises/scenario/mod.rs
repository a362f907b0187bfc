//! Tests of the gateway's promises: the real program over sockets, between clients that send more
//! than is allowed and simulated vendors that log what arrives.
//!
//! ```text
//! gateway   starts the program, reads /proc and its metrics
//! client    one connection, never retries            windows   allowances are kept, and used
//! report    figures and broken promises              delivery  no POST is delivered twice
//! arrivals  statistics over a vendor's log           outage    retries while the vendor is down
//!                                                    waiting   the cost of a waiting call
//! ```
//!
//! `cargo bench --bench promises` runs the scenarios for minutes, the suite for seconds. Whether a
//! promise holds is judged by the vendor's log and the clients' answers; of the gateway's own
//! metrics only those are read that nothing outside can count.

pub(crate) mod arrivals;
pub(crate) mod client;
pub(crate) mod delivery;
pub(crate) mod gateway;
pub(crate) mod outage;
pub(crate) mod report;
pub(crate) mod waiting;
pub(crate) mod windows;
