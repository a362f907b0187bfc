//! What keeps a call waiting, under the name that the configuration gives it.
//!
//! The log line, the problem and `Proxy-Status` use the same value, so that they always agree.

use std::fmt;
use std::sync::Arc;

use crate::outcome::HoldCause;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    pub kind: BottleneckKind,
    /// The name of the allowance, else of the upstream or the client.
    pub name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BottleneckKind {
    /// No slot of an allowance is free.
    Allowance,
    /// Slots are free, but spread over the window.
    Pace,
    /// As many calls as are allowed are in flight.
    Concurrency,
    Hold(HoldCause),
    /// An operator has paused it.
    Paused,
    /// The client's own limit.
    Client,
    /// The queue is full.
    Queue,
    /// As many calls of the client wait as may.
    ClientQueue,
    /// Later calls of a higher priority went first.
    Priority,
    /// Later calls of other clients went first, because this one had its share.
    Share,
    /// What is used of an allowance cannot be recorded, or the store that shares it is away.
    Record,
}

impl BottleneckKind {
    /// One of each kind that has a label of its own in metrics: holds share one.
    pub const LABELLED: [Self; 11] = [
        Self::Allowance,
        Self::Pace,
        Self::Concurrency,
        Self::Hold(HoldCause::Throttle),
        Self::Client,
        Self::Queue,
        Self::ClientQueue,
        Self::Priority,
        Self::Share,
        Self::Record,
        Self::Paused,
    ];

    /// Its place in [`Self::LABELLED`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Allowance => 0,
            Self::Pace => 1,
            Self::Concurrency => 2,
            Self::Hold(_) => 3,
            Self::Client => 4,
            Self::Queue => 5,
            Self::ClientQueue => 6,
            Self::Priority => 7,
            Self::Share => 8,
            Self::Record => 9,
            Self::Paused => 10,
        }
    }

    /// Its label in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Pace => "pace",
            Self::Concurrency => "concurrency",
            Self::Hold(_) => "hold",
            Self::Client => "client_limit",
            Self::Queue => "queue",
            Self::ClientQueue => "client_queue",
            Self::Priority => "priority",
            Self::Share => "share",
            Self::Record => "record",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            BottleneckKind::Allowance => "allowance",
            BottleneckKind::Pace => "pace of",
            BottleneckKind::Concurrency => "concurrency",
            BottleneckKind::Hold(HoldCause::Throttle) => "throttle hold on",
            BottleneckKind::Hold(HoldCause::Maintenance) => "maintenance hold on",
            BottleneckKind::Hold(HoldCause::Outage) => "outage hold on",
            BottleneckKind::Hold(HoldCause::Pause) => "pause of",
            BottleneckKind::Client => "limit of client",
            BottleneckKind::Queue => "queue of",
            BottleneckKind::ClientQueue => "waiting calls of client",
            BottleneckKind::Priority => "priority of client",
            BottleneckKind::Share => "share of client",
            BottleneckKind::Record => "record of",
            BottleneckKind::Paused => "operator's pause of",
        };
        write!(f, "{kind} {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bottleneck_is_displayed_as_its_kind_and_name() {
        let rows = [
            (BottleneckKind::Allowance, "allowance hour"),
            (BottleneckKind::Pace, "pace of hour"),
            (BottleneckKind::Hold(HoldCause::Maintenance), "maintenance hold on hour"),
            (BottleneckKind::Queue, "queue of hour"),
            (BottleneckKind::Paused, "operator's pause of hour"),
        ];
        for (what, text) in rows {
            assert_eq!(Bottleneck { kind: what, name: "hour".into() }.to_string(), text);
        }
    }
}
