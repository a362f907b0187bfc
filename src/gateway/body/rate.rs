//! Whether a client sends the body of its request fast enough to keep its place at the vendor.
//!
//! Measured in windows of 30 s, each looked at once, at its end: a window that brought too little
//! counts against the client only if the attempt still waits for its bytes then, because a vendor
//! that reads slowly leaves them unread.

use std::time::Duration;

use crate::time::Moment;

/// One window: long enough for the pauses of a bad network, short enough that a place is not
/// blocked for long.
const WINDOW: Duration = Duration::from_secs(30);

/// How far an upload is.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct Upload {
    /// Bytes that the client has sent.
    pub(in crate::gateway) received_bytes: u64,
    /// Whether the attempt waits for more of them.
    pub(in crate::gateway) awaited: bool,
}

/// The client sends too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct TooSlow;

/// The least rate of one upload.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct UploadRate {
    window_bytes_min: u64,
    window_ends: Moment,
    bytes_before: u64,
}

impl UploadRate {
    /// Of an attempt that begins at `now`, after so many bytes were received.
    pub(in crate::gateway) fn begun(rate: u64, now: Moment, received_bytes: u64) -> Self {
        Self {
            window_bytes_min: rate.saturating_mul(WINDOW.as_secs()),
            window_ends: now.plus(WINDOW),
            bytes_before: received_bytes,
        }
    }

    /// When to look next.
    pub(in crate::gateway) const fn due(&self) -> Moment {
        self.window_ends
    }

    /// Looks at the upload at `now`.
    ///
    /// # Errors
    /// The window that ended brought less than the least rate, and the client is to blame.
    pub(in crate::gateway) fn look(&mut self, upload: Upload, now: Moment) -> Result<(), TooSlow> {
        if now < self.window_ends {
            return Ok(());
        }
        let brought = upload.received_bytes - self.bytes_before;
        if upload.awaited && brought < self.window_bytes_min {
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

    fn at(seconds: u64) -> Moment {
        Moment::START.plus(Duration::from_secs(seconds))
    }

    /// Looks at these moments, after so many bytes, whether awaited.
    fn looks(rate: u64, looks: &[(u64, u64, bool)]) -> Option<u64> {
        let mut upload_rate = UploadRate::begun(rate, at(0), 0);
        looks.iter().find_map(|&(seconds, received_bytes, awaited)| {
            let looked = upload_rate.look(Upload { received_bytes, awaited }, at(seconds));
            looked.is_err().then_some(seconds)
        })
    }

    #[test]
    fn a_window_must_bring_its_bytes_unless_the_vendor_is_slow() {
        const ENOUGH: u64 = 30 * 1024;
        assert_eq!(looks(1024, &[(10, 0, true), (29, 9, true), (30, 9, true)]), Some(30));
        assert_eq!(looks(1024, &[(30, ENOUGH - 1, true)]), Some(30));
        assert_eq!(looks(1024, &[(30, ENOUGH, true), (60, 2 * ENOUGH, true)]), None);
        assert_eq!(looks(1024, &[(30, 9 * ENOUGH, true), (60, 9 * ENOUGH + 5, true)]), Some(60));
        assert_eq!(looks(1024, &[(30, 9, false), (60, 9, false), (90, 10, true)]), Some(90));
        assert_eq!(looks(0, &[(30, 0, true), (60, 1, true)]), None);
    }
}
