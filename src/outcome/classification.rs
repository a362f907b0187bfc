//! What an outcome means: its code, what may be repeated, the hold it orders, the wait it states.

use std::time::Duration;

use http::StatusCode;

use super::code::{Basis, Code, Support};

/// What an outcome means.
#[derive(Clone, Debug)]
pub enum Class {
    /// The answer goes to the client as it is.
    Success,
    /// Something is wrong; everything known about it.
    Trouble(Box<Trouble>),
}

/// Everything a dialect says about an outcome that is not a success.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What it means.
    pub code: Code,
    /// The name of the rule that said so, for logs and `explain`.
    pub rule: Box<str>,
    /// The row of the replay table.
    pub processing: Processing,
    /// Whether sending again can help, and after which wait.
    pub remedy: Remedy,
    /// The hold it asks for.
    pub hold: Option<HoldOrder>,
    /// An allowance the vendor named ("Maximum allowed 1000 per 01:00:00"); only ever lowers.
    pub learned: Option<Learned>,
    /// Whom to contact, if this outcome says so.
    pub support: Option<Support>,
    /// What the vendor said about when to return, for the problem's `retry_after`.
    pub wait: Option<Wait>,
    /// The status the rule gives the client, instead of the code's own.
    pub status: Option<StatusCode>,
}

/// How far the upstream got with the request: the rows of the replay table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processing {
    /// Not a byte of it arrived.
    NotSent,
    /// The upstream says it did nothing.
    NotProcessed,
    /// Nobody knows.
    Unknown,
    /// It was carried out, or finally refused.
    Processed,
}

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// No: the same request gets the same answer.
    Final,
    /// Perhaps, after our own backoff: a blind retry, which the retry budget pays.
    Backoff,
    /// After this wait, which the vendor or its dialect asked for, yet still without a hold.
    After(Duration),
    /// After the hold that comes with it.
    Hold,
}

/// A hold as an outcome orders it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldOrder {
    /// What it closes.
    pub scope: HoldScope,
    /// Throttling or maintenance.
    pub cause: HoldCause,
    /// How long, by the vendor's word or the dialect's; `None` means nobody said.
    pub length: Option<Wait>,
    /// No hold of this cause is shorter, the vendor's own word included (W19).
    pub at_least: Duration,
    /// The pace afterwards, in sixteenths of the present one; 16 leaves it.
    pub slow_sixteenths: u8,
}

/// The unslowed pace in sixteenths, the unit of [`HoldOrder::slow_sixteenths`].
pub const FULL_PACE: u8 = 16;

/// No hold that the vendor asks for is shorter: a vendor in trouble can bear one probe a second.
/// Only a length that the operator documents in a dialect may be shorter.
pub const HOLD_MIN: Duration = Duration::from_secs(1);

/// What a hold closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldScope {
    /// Every allowance the attempt paid; without one, the upstream except its exempt calls.
    Allowance,
    /// The allowance whose window the vendor named, if there is one, else as `Allowance`.
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
    /// Every cause, for tables of metrics.
    pub const ALL: [Self; 4] = [Self::Throttle, Self::Maintenance, Self::Outage, Self::Pause];

    /// Its name in the API, metrics and logs.
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

/// A wait and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long from now.
    pub span: Duration,
    /// Who says so.
    pub basis: Basis,
}

/// An allowance as the vendor itself states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Calls per window.
    pub limit: u32,
    /// The window.
    pub window: Duration,
}
