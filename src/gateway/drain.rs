//! The drain: whether the gateway is stopping, and until when calls may end.
//!
//! It only announces: readiness goes off first, then connections end after the call they carry,
//! and calls that wait are interrupted in time for a response. Others act on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::time::Moment;

/// Waiting calls are interrupted so long before the deadline, so that their responses still go
/// out.
const CUTOFF_BEFORE_DEADLINE: Duration = Duration::from_secs(1);

/// Whether the process is stopping; all clones share the state.
#[derive(Clone, Debug)]
pub struct Drain(Arc<State>);

#[derive(Debug)]
struct State {
    clock: Clock,
    announced: AtomicBool,
    /// Nanoseconds of the deadline; [`Moment::NEVER`] before the drain begins.
    deadline: AtomicU64,
    /// Notified of every new stage.
    stages: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    Serving,
    /// Readiness is off, so that clients go elsewhere; everything is still served.
    Announced,
    /// Connections end after the call they carry.
    Draining,
}

impl Drain {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let deadline = AtomicU64::new(Moment::NEVER.as_nanos());
        let announced = AtomicBool::new(false);
        Self(Arc::new(State { clock, announced, deadline, stages: Notify::new() }))
    }

    /// Turns readiness off.
    pub fn announce(&self) {
        self.0.announced.store(true, Ordering::Release);
        self.0.stages.notify_waiters();
    }

    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.0.announced.load(Ordering::Acquire)
    }

    /// Lets connections end after the call they carry, until `deadline` at the latest.
    pub fn begin(&self, deadline: Moment) {
        self.0.deadline.fetch_min(deadline.as_nanos(), Ordering::AcqRel);
        self.announce();
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.deadline() != Moment::NEVER
    }

    #[must_use]
    pub fn deadline(&self) -> Moment {
        Moment::from_nanos(self.0.deadline.load(Ordering::Acquire))
    }

    #[must_use]
    pub fn stage(&self) -> DrainStage {
        match (self.is_draining(), self.is_announced()) {
            (true, _) => DrainStage::Draining,
            (false, true) => DrainStage::Announced,
            (false, false) => DrainStage::Serving,
        }
    }

    /// Completes when this stage is reached.
    pub async fn reached(&self, stage: DrainStage) {
        while self.stage() < stage {
            let notified = self.0.stages.notified();
            if self.stage() < stage {
                notified.await;
            }
        }
    }

    /// Completes when the drain begins.
    pub async fn begun(&self) {
        self.reached(DrainStage::Draining).await;
    }

    /// Completes when a call that still waits has to be answered.
    pub async fn cutoff(&self) {
        self.begun().await;
        self.0.clock.sleep_until(self.deadline().minus(CUTOFF_BEFORE_DEADLINE)).await;
    }

    /// Completes at the deadline.
    pub async fn over(&self) {
        self.begun().await;
        self.0.clock.sleep_until(self.deadline()).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LATE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn the_stages_follow_one_another() {
        let clock = Clock::start();
        let drain = Drain::new(clock);
        assert!(timeout(SOON, drain.begun()).await.is_err());
        drain.announce();
        assert!(drain.is_announced() && !drain.is_draining());
        drain.begin(clock.now().plus(CUTOFF_BEFORE_DEADLINE + SOON * 2));
        timeout(SOON, drain.begun()).await.expect("the drain has begun");
        assert!(timeout(SOON, drain.cutoff()).await.is_err());
        timeout(LATE, drain.cutoff()).await.expect("the cutoff");
        assert!(clock.now() < drain.deadline());
    }

    #[tokio::test]
    async fn every_waiting_task_is_woken() {
        let clock = Clock::start();
        let drain = Drain::new(clock);
        let waiting = |drain: Drain| tokio::spawn(async move { drain.cutoff().await });
        let all = [waiting(drain.clone()), waiting(drain.clone())];
        tokio::task::yield_now().await;
        drain.begin(clock.now());
        for one in all {
            timeout(LATE, one).await.expect("it is woken").unwrap();
        }
    }
}
