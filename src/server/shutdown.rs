//! Stopping: signals in, the stages of the drain out.
//!
//! The first signal stops the program politely, a second one a second later at once. Refuses to
//! end the process: the caller does, with an exit code.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::settings::Shutdown;
use super::workers::Workers;
use crate::clock::Clock;
use crate::gateway::Drain;

/// Supervisors and shells repeat themselves: signals within this time are one request to stop.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// The signals that stop the program, and those that would kill it if nobody listened.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl StopSignals {
    /// Listens for SIGTERM and SIGINT from now on, and answers SIGHUP, SIGUSR1 and SIGUSR2 with a
    /// line in the log.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Ends with the next signal that asks to stop.
    pub async fn next(&mut self) {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => "SIGHUP: no reload yet; restart to read the configuration",
                _ = self.user1.recv() => "SIGUSR1: ignored, it means nothing here",
                _ = self.user2.recv() => "SIGUSR2: ignored, it means nothing here",
            };
            tracing::warn!("{ignored}");
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
    let asked = clock.now();
    tracing::info!("stopping: no longer ready");
    drain.announce();
    let asked_again = async {
        stop.next().await;
        while clock.now() < asked.plus(SAME_REQUEST) {
            stop.next().await;
        }
    };
    tokio::select! {
        ended = wind_down(workers, how, clock, drain) => ended,
        () = asked_again => Ended::AtOnce,
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
