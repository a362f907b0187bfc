//! The drain: whether the gateway is stopping, and until when calls may end.
//!
//! One handle for everybody who must know: readiness goes off first, then connections stop being
//! kept alive, and calls that wait are cut in time to be told so. Refuses to end anything itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::time::Moment;

/// Waiting calls are told so long before the deadline, so that the answer still goes out.
const CUT_BEFORE: Duration = Duration::from_secs(1);

/// Whether we are stopping; all copies agree.
#[derive(Clone, Debug)]
pub struct Drain(Arc<State>);

#[derive(Debug)]
struct State {
    clock: Clock,
    announced: AtomicBool,
    /// Nanoseconds of the deadline; the largest number before the drain begins.
    deadline: AtomicU64,
    /// Tells of every new stage.
    stages: Notify,
}

/// How far stopping has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    /// No stop was requested.
    Serving,
    /// Readiness is off and everything is still served; clients are told to go elsewhere.
    Announced,
    /// Connections end after the call they carry.
    Draining,
}

impl Drain {
    /// Not stopping.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let deadline = AtomicU64::new(Moment::NEVER.as_nanos());
        let announced = AtomicBool::new(false);
        Self(Arc::new(State { clock, announced, deadline, stages: Notify::new() }))
    }

    /// Readiness goes off; everything is still served.
    pub fn announce(&self) {
        self.0.announced.store(true, Ordering::Release);
        self.0.stages.notify_waiters();
    }

    /// Whether readiness is off.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.0.announced.load(Ordering::Acquire)
    }

    /// Connections end after the call they carry; all is over at `deadline`.
    pub fn begin(&self, deadline: Moment) {
        self.0.deadline.fetch_min(deadline.as_nanos(), Ordering::AcqRel);
        self.announce();
    }

    /// Whether connections are ending.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.deadline() != Moment::NEVER
    }

    /// When all is over.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        Moment::from_nanos(self.0.deadline.load(Ordering::Acquire))
    }

    /// How far stopping has got.
    #[must_use]
    pub fn stage(&self) -> DrainStage {
        match (self.is_draining(), self.is_announced()) {
            (true, _) => DrainStage::Draining,
            (false, true) => DrainStage::Announced,
            (false, false) => DrainStage::Serving,
        }
    }

    /// Ends when stopping has got so far.
    pub async fn reached(&self, stage: DrainStage) {
        while self.stage() < stage {
            let notified = self.0.stages.notified();
            if self.stage() < stage {
                notified.await;
            }
        }
    }

    /// Ends when connections begin to end.
    pub async fn begun(&self) {
        self.reached(DrainStage::Draining).await;
    }

    /// Ends when a call that still waits must be answered: a second before the deadline.
    pub async fn cut(&self) {
        self.begun().await;
        self.0.clock.sleep_until(self.deadline().minus(CUT_BEFORE)).await;
    }

    /// Ends at the deadline.
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
    async fn stages_come_one_after_the_other() {
        let clock = Clock::start();
        let drain = Drain::new(clock);
        assert!(timeout(SOON, drain.begun()).await.is_err());
        drain.announce();
        assert!(drain.is_announced() && !drain.is_draining());
        drain.begin(clock.now().plus(CUT_BEFORE + SOON * 2));
        timeout(SOON, drain.begun()).await.expect("begun");
        assert!(timeout(SOON, drain.cut()).await.is_err());
        timeout(LATE, drain.cut()).await.expect("cut");
        assert!(clock.now() < drain.deadline());
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told() {
        let clock = Clock::start();
        let drain = Drain::new(clock);
        let waiting = |drain: Drain| tokio::spawn(async move { drain.cut().await });
        let all = [waiting(drain.clone()), waiting(drain.clone())];
        tokio::task::yield_now().await;
        drain.begin(clock.now());
        for one in all {
            timeout(LATE, one).await.expect("told").unwrap();
        }
    }
}
