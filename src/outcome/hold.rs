//! Holds as outcomes order them, and the waits that they last.

use std::time::Duration;

use super::code::Basis;

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
