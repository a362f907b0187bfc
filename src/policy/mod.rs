//! The study: every decision, as pure functions over values.
//!
//! The rule on the door: no async, runtime, clock, randomness, lock, I/O or logging in here.
//! Time and chance are arguments. What is decided comes back with its reason, and others act
//! on it and record it.

pub mod time;

pub mod authority;
pub mod client;
pub mod headers;
pub mod method;
pub mod path;
pub mod route;
mod spelling;

pub mod hold;
pub mod ledger;
pub mod pace;
pub mod share;

pub mod outcome;
pub mod reading;

pub mod classify;
pub mod dialect;
pub mod hint;

pub mod backoff;
pub mod budget;
pub mod replay;
pub mod verdict;

pub mod normalise;
pub mod problem;

pub mod json;
pub mod pointer;
