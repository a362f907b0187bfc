//! The meaning of a response or failure that is not a success: its code, what may be repeated, the
//! hold it orders and the wait it states.

use std::time::Duration;

use http::StatusCode;

use super::code::{Basis, Code, Support};
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

/// A hold as a classification orders it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldOrder {
    pub scope: HoldScope,
    pub cause: HoldCause,
    /// How long, as the vendor or the dialect states it; `None` where neither does.
    pub length: Option<Wait>,
    /// A lower bound of the length, even of one that the vendor states (W19).
    pub at_least: Duration,
    /// The pace afterwards, in sixteenths of the present one.
    pub slow_sixteenths: u8,
}

/// The value of [`HoldOrder::slow_sixteenths`] that leaves the pace as it is.
pub const FULL_PACE: u8 = 16;

/// The shortest hold that a vendor can ask for: a vendor in trouble can bear one probe a second.
/// Only a length written in a dialect may be shorter.
pub const HOLD_MIN: Duration = Duration::from_secs(1);

/// What a hold closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldScope {
    /// Every allowance the attempt paid; without one, the upstream except its exempt calls.
    Allowance,
    /// The allowance with the window that the vendor stated, if there is one, else as `Allowance`.
    Window(Duration),
    /// The whole upstream, exempt calls included.
    Upstream,
}

/// Why a scope is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldCause {
    /// The vendor limits the rate.
    Throttle,
    /// The vendor is down for maintenance.
    Maintenance,
    /// Too many attempts failed blindly.
    Outage,
    /// The vendor asks for a pause while it still serves.
    Pause,
}

impl HoldCause {
    pub const ALL: [Self; 4] = [Self::Throttle, Self::Maintenance, Self::Outage, Self::Pause];

    /// The name in the API, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Maintenance => "maintenance",
            Self::Outage => "outage",
            Self::Pause => "pause",
        }
    }
}

/// A wait and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long from now.
    pub span: Duration,
    pub basis: Basis,
}

/// An allowance as the vendor itself states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedLimit {
    /// Calls per window.
    pub limit: u32,
    pub window: Duration,
}
