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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    QueueFull,
    /// As many calls of this client wait as may.
    ClientQueueFull,
    /// No slot is free within the patience of the call.
    Exhausted {
        bottleneck: Bottleneck,
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
