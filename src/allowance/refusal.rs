//! Why a call gets no slot.

use std::sync::Arc;
use std::time::Duration;

use super::bottleneck::{Bottleneck, BottleneckKind};
use crate::outcome::HoldCause;

/// A call that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: RefusalReason,
    /// An estimate of how long it would have had to wait.
    pub retry_after: Duration,
    /// What let later calls overtake it while it waited, if that cost it a slot.
    pub overtaken: Option<BottleneckKind>,
}

impl Refusal {
    /// How long the client is told to wait; `None` if that is not known.
    #[must_use]
    pub const fn known_wait(&self) -> Option<Duration> {
        match self.reason {
            RefusalReason::Paused { open_ended: true, .. } => None,
            RefusalReason::QueueFull
            | RefusalReason::ClientQueueFull
            | RefusalReason::Exhausted { .. }
            | RefusalReason::Paused { .. }
            | RefusalReason::Held { .. } => Some(self.retry_after),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    QueueFull,
    /// As many calls of this client wait as may.
    ClientQueueFull,
    /// No slot is free within the patience of the call.
    Exhausted {
        bottleneck: Bottleneck,
    },
    /// An operator's pause outlasts the patience of the call.
    Paused {
        /// The upstream or the allowance that is paused.
        name: Arc<str>,
        /// It ends only when it is resumed, so that no wait is known.
        open_ended: bool,
    },
    /// A hold outlasts the patience of the call.
    Held {
        cause: HoldCause,
        failed_probes: u32,
    },
}

/// A call that costs more than an allowance ever grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostExceeded {
    pub allowance: Arc<str>,
    pub cost: u32,
    pub limit: u32,
}
