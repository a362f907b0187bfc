//! Stops the program: signals in, the stages of the drain out.
//!
//! The first signal drains; a second one, at least a second later, stops at once. The process
//! itself is ended by the caller, with an exit code.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::settings::Shutdown;
use super::workers::Workers;
use crate::clock::Clock;
use crate::gateway::Drain;

/// Supervisors and shells may send a signal twice: signals within this time count as one.
const REPEAT_WINDOW: Duration = Duration::from_secs(1);

/// The signals that stop the program, and those whose default action would kill it.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
    user2: Signal,
}

impl StopSignals {
    /// Handles SIGTERM and SIGINT from now on; SIGUSR1 and SIGUSR2 are logged and ignored.
    ///
    /// # Errors
    /// A signal handler could not be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// A stop was requested, and every call has ended.
    Drained,
    /// A stop was requested, and the grace period ended before all calls.
    GraceExpired,
    /// A stop was requested twice.
    Forced,
    /// No stop was requested: the workers have failed.
    WorkersFailed,
}

impl ShutdownOutcome {
    /// The value of `how` in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::GraceExpired => "grace expired",
            Self::Forced => "forced",
            Self::WorkersFailed => "workers failed",
        }
    }
}

/// Serves until a stop is requested, then drains.
pub async fn serve_until_stopped(
    workers: &mut Workers,
    stop: &mut impl StopRequests,
    shutdown: Shutdown,
    clock: Clock,
    drain: &Drain,
) -> ShutdownOutcome {
    tokio::select! {
        () = workers.ended() => return ShutdownOutcome::WorkersFailed,
        () = stop.next() => {}
    }
    let requested = clock.now();
    tracing::info!("stopping: no longer ready");
    drain.announce();
    let requested_again = async {
        stop.next().await;
        while clock.now() < requested.plus(REPEAT_WINDOW) {
            stop.next().await;
        }
    };
    let drained = async {
        clock.sleep_until(clock.now().plus(shutdown.delay)).await;
        drain.begin(clock.now().plus(shutdown.grace));
        workers.ended().await;
        let in_time = clock.now() < drain.deadline();
        if in_time { ShutdownOutcome::Drained } else { ShutdownOutcome::GraceExpired }
    };
    tokio::select! {
        outcome = drained => outcome,
        () = requested_again => ShutdownOutcome::Forced,
    }
}

/// Where requests to stop come from: signals, or a test.
pub trait StopRequests {
    /// Ends with the next request to stop.
    fn next(&mut self) -> impl Future<Output = ()> + Send;
}

impl StopRequests for StopSignals {
    async fn next(&mut self) {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.user1.recv() => "SIGUSR1 ignored: it has no function",
                _ = self.user2.recv() => "SIGUSR2 ignored: it has no function",
            };
            tracing::warn!("{ignored}");
        }
    }
}
