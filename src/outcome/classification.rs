//! The meaning of a response or failure that is not a success: its code, what may be repeated, the
//! hold it orders and the wait it states.

use std::time::Duration;

use http::StatusCode;

use super::code::{Code, Support};
use super::hold::{HoldOrder, Wait};
use super::standing::Standing;

/// What an error response or a failure means.
#[derive(Clone, Debug)]
pub struct Classification {
    pub code: Code,
    /// The name of the rule that decided, for logs and `explain`.
    pub rule: Box<str>,
    pub processing: Processing,
    /// Whether sending again can help, and after which wait.
    pub remedy: Remedy,
    pub hold: Option<HoldOrder>,
    /// When the vendor says to return, for the problem's `retry_after`.
    pub wait: Option<Wait>,
    /// An allowance that the vendor stated ("Maximum allowed 1000 per 01:00:00"). It can only lower
    /// the configured one.
    pub learned: Option<LearnedLimit>,
    /// What the head says about the vendor's limits; a failure has no head.
    pub standing: Option<Standing>,
    /// The support contact, if this outcome names one.
    pub support: Option<Support>,
    /// The status that the rule gives the client, instead of the code's own.
    pub status: Option<StatusCode>,
}

/// How far the upstream got with the request: the rows of the replay table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processing {
    /// No byte of it arrived.
    NotSent,
    /// The upstream says that it did nothing.
    NotProcessed,
    Unknown,
    /// It was carried out, or refused for good.
    Processed,
}

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// No: the same request gets the same response.
    Final,
    /// Perhaps, after our own backoff: a blind retry, which the retry budget pays for.
    Backoff,
    /// After this wait, which the vendor or its dialect asked for without a hold.
    After(Duration),
    /// After the hold in [`Classification::hold`].
    Hold,
}

/// An allowance as the vendor itself states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedLimit {
    /// Calls per window.
    pub limit: u32,
    pub window: Duration,
}
