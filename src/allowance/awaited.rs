//! What keeps a call waiting, by the name that the configuration gives it.
//!
//! One value for the log line, the problem and `Proxy-Status`, so that they never differ.

use std::fmt;
use std::sync::Arc;

use crate::outcome::HoldCause;
use crate::time::Moment;

use super::scope::Scope;
use super::slot_request::SlotRequest;
use super::state::{State, members};

/// What a call waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// What it is.
    pub what: Barrier,
    /// Its name: of the allowance, else of the upstream or the client.
    pub name: Arc<str>,
}

/// What can keep a call waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// No slot of an allowance is free.
    Allowance,
    /// Slots are free, and spread over the window.
    Pace,
    /// As many calls as are allowed are under way.
    Concurrency,
    /// A hold stands.
    Hold(HoldCause),
    /// The client's own limit.
    Client,
    /// The waiting room has no place left.
    Queue,
}

impl Barrier {
    /// One of each kind that has a label of its own in metrics, which are few.
    pub const KINDS: [Self; 6] = [
        Self::Allowance,
        Self::Pace,
        Self::Concurrency,
        Self::Hold(HoldCause::Throttle),
        Self::Client,
        Self::Queue,
    ];

    /// Its place among the kinds.
    #[must_use]
    pub const fn kind(self) -> usize {
        match self {
            Self::Allowance => 0,
            Self::Pace => 1,
            Self::Concurrency => 2,
            Self::Hold(_) => 3,
            Self::Client => 4,
            Self::Queue => 5,
        }
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Pace => "pace",
            Self::Concurrency => "concurrency",
            Self::Hold(_) => "hold",
            Self::Client => "client_limit",
            Self::Queue => "queue",
        }
    }

    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Pace => "pace of",
            Self::Concurrency => "concurrency",
            Self::Hold(HoldCause::Throttle) => "throttle hold on",
            Self::Hold(HoldCause::Maintenance) => "maintenance hold on",
            Self::Hold(HoldCause::Outage) => "outage hold on",
            Self::Hold(HoldCause::Pause) => "pause of",
            Self::Client => "limit of client",
            Self::Queue => "queue of",
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what.as_str(), self.name)
    }
}

impl State {
    /// What keeps a call waiting now: of everything it needs, what is free last.
    pub(super) fn awaited(&mut self, want: &SlotRequest, now: Moment) -> Awaited {
        let ahead = self.ahead_in(want);
        let last = members(want.scopes).max_by_key(|number| {
            let scope = &mut self.scopes[*number];
            let closed = scope.passage(now).is_err() || scope.room(now).is_err();
            let waiting: u32 = scope.waiting.iter().sum();
            (scope.estimate(now, ahead.saturating_add(1)), closed, waiting)
        });
        let number = last.unwrap_or(usize::from(want.upstream.all));
        let scope = &mut self.scopes[number];
        Awaited { what: barrier(scope, now), name: Arc::clone(&scope.name) }
    }
}

/// What keeps a call waiting at one scope.
fn barrier(scope: &mut Scope, now: Moment) -> Barrier {
    if let Some(hold) = &scope.hold {
        return Barrier::Hold(hold.cause);
    }
    if scope.is_enforced_allowance() && scope.window().is_none() {
        return Barrier::Concurrency;
    }
    if scope.ramp_mut().is_some() {
        return Barrier::Pace;
    }
    let spent = scope.room(now).is_err() || scope.passage(now).is_err();
    if spent { Barrier::Allowance } else { Barrier::Pace }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_a_person_says_it() {
        let rows = [
            (Barrier::Allowance, "allowance hour"),
            (Barrier::Pace, "pace of hour"),
            (Barrier::Hold(HoldCause::Maintenance), "maintenance hold on hour"),
            (Barrier::Queue, "queue of hour"),
        ];
        for (what, text) in rows {
            assert_eq!(Awaited { what, name: "hour".into() }.to_string(), text);
        }
    }
}
