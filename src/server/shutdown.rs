//! Stopping: signals in, the stages of the drain out.
//!
//! The first signal stops the program politely, the second at once. Refuses to end the process:
//! the caller does, with an exit code.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::settings::Shutdown;
use super::workers::Workers;
use crate::clock::Clock;
use crate::gateway::Drain;

/// The signals that stop the program.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens for SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ends with the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Asked to stop, and every call ended.
    Drained,
    /// Asked to stop, and the grace ended first.
    GraceOver,
    /// Asked to stop twice.
    AtOnce,
    /// Not asked: the workers ended by themselves.
    Broken,
}

impl Ended {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::GraceOver => "grace over",
            Self::AtOnce => "at once",
            Self::Broken => "broken",
        }
    }
}

/// Serves until a stop is asked for, then drains.
///
/// `stop` gives a future for the next request to stop, as [`StopSignals::next`] does.
pub async fn serve_until_stopped(
    workers: &mut Workers,
    stop: &mut impl StopRequests,
    how: Shutdown,
    (clock, drain): (Clock, &Drain),
) -> Ended {
    tokio::select! {
        () = workers.ended() => return Ended::Broken,
        () = stop.next() => {}
    }
    tracing::info!("stopping: no longer ready");
    drain.announce();
    tokio::select! {
        ended = wind_down(workers, how, clock, drain) => ended,
        () = stop.next() => Ended::AtOnce,
    }
}

async fn wind_down(workers: &mut Workers, how: Shutdown, clock: Clock, drain: &Drain) -> Ended {
    clock.sleep_until(clock.now().plus(how.delay)).await;
    drain.begin(clock.now().plus(how.grace));
    workers.ended().await;
    if clock.now() < drain.deadline() { Ended::Drained } else { Ended::GraceOver }
}

/// Where requests to stop come from: signals, or a test.
pub trait StopRequests {
    /// Ends with the next request to stop.
    fn next(&mut self) -> impl Future<Output = ()> + Send;
}

impl StopRequests for StopSignals {
    fn next(&mut self) -> impl Future<Output = ()> + Send {
        Self::next(self)
    }
}
