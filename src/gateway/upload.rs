//! Whether a client sends its request body fast enough while the attempt holds a slot.
//!
//! The rate is measured in windows of 30 s and judged at the end of each. A window that brought too
//! little counts against the client only if the attempt is waiting for its bytes then, because a
//! vendor that reads slowly leaves them unread.

use std::time::Duration;

use crate::outcome::{Failure, FailureKind};
use crate::time::Moment;
use crate::upstream::Progress;

use super::body::{ReplayBody, UploadProgress};
use super::call::Call;

/// Long enough for the pauses of a bad network, and short enough that a slot is not blocked for
/// long.
const WINDOW: Duration = Duration::from_secs(30);

/// Watches the upload of one attempt, if it has one.
#[derive(Debug)]
pub(super) struct UploadMonitor(Option<(ReplayBody, MinRate)>);

impl UploadMonitor {
    /// Event streams and gRPC are not watched: they send when something happens.
    pub(super) fn new(call: &Call<'_>, now: Moment) -> Self {
        let upload = call.body.upload().filter(|_| {
            !call.has_media_type("text/event-stream") && !call.has_media_type("application/grpc")
        });
        Self(upload.map(|upload| {
            let rate = MinRate::new(call.policy.request_rate, now, upload.received_bytes);
            (call.body.clone(), rate)
        }))
    }

    /// `due`, or the end of the first window if that is earlier.
    pub(super) fn earliest(&self, due: Moment) -> Moment {
        self.0.as_ref().map_or(due, |(_, rate)| rate.window_ends.min(due))
    }

    /// When to check again, at the latest at `due`.
    ///
    /// # Errors
    /// The client sends too slowly.
    #[cold]
    pub(super) fn check(
        &mut self,
        progress: &Progress,
        due: Moment,
        now: Moment,
    ) -> Result<Moment, Failure> {
        let Some((body, rate)) = self.0.as_mut().filter(|_| progress.sent().is_none()) else {
            return Ok(due);
        };
        let upload = body.upload().expect("only a body that exists is watched");
        rate.check(upload, now).map_err(|_too_slow| {
            let detail = "the client sends the request's body too slowly";
            Failure::new(FailureKind::IdleTimeout, progress.delivery(), detail)
        })?;
        Ok(rate.window_ends.min(due))
    }
}

/// The minimum rate of one upload.
#[derive(Clone, Copy, Debug)]
struct MinRate {
    window_bytes_min: u64,
    window_ends: Moment,
    /// Bytes received before the window.
    bytes_before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooSlow;

impl MinRate {
    fn new(bytes_per_second: u64, now: Moment, received_bytes: u64) -> Self {
        Self {
            window_bytes_min: bytes_per_second.saturating_mul(WINDOW.as_secs()),
            window_ends: now.plus(WINDOW),
            bytes_before: received_bytes,
        }
    }

    fn check(&mut self, upload: UploadProgress, now: Moment) -> Result<(), TooSlow> {
        if now < self.window_ends {
            return Ok(());
        }
        let received = upload.received_bytes - self.bytes_before;
        if upload.awaits_client && received < self.window_bytes_min {
            return Err(TooSlow);
        }
        self.window_ends = now.plus(WINDOW);
        self.bytes_before = upload.received_bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks at these seconds, with so many bytes received and whether the attempt awaits more;
    /// returns the second that was too slow.
    fn too_slow_at(rate: u64, checks: &[(u64, u64, bool)]) -> Option<u64> {
        let at = |seconds| Moment::START.plus(Duration::from_secs(seconds));
        let mut min_rate = MinRate::new(rate, at(0), 0);
        checks.iter().find_map(|&(seconds, received_bytes, awaits_client)| {
            let upload = UploadProgress { received_bytes, awaits_client };
            min_rate.check(upload, at(seconds)).is_err().then_some(seconds)
        })
    }

    #[test]
    fn a_window_must_bring_its_bytes_unless_the_vendor_reads_slowly() {
        const WINDOW_BYTES: u64 = 30 * 1024;
        type Row = (u64, &'static [(u64, u64, bool)], Option<u64>);
        let rows: [Row; 6] = [
            (1024, &[(10, 0, true), (29, 9, true), (30, 9, true)], Some(30)),
            (1024, &[(30, WINDOW_BYTES - 1, true)], Some(30)),
            (1024, &[(30, WINDOW_BYTES, true), (60, 2 * WINDOW_BYTES, true)], None),
            (1024, &[(30, 9 * WINDOW_BYTES, true), (60, 9 * WINDOW_BYTES + 5, true)], Some(60)),
            (1024, &[(30, 9, false), (60, 9, false), (90, 10, true)], Some(90)),
            (0, &[(30, 0, true), (60, 1, true)], None),
        ];
        for (rate, checks, expected) in rows {
            assert_eq!(too_slow_at(rate, checks), expected, "{rate} B/s: {checks:?}");
        }
    }
}
