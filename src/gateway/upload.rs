//! The least rate of a request's body, watched while an attempt holds its place.
//!
//! What the rate is and who is to blame, `body/rate.rs` decides.

use crate::outcome::{Failure, FailureKind};
use crate::time::Moment;
use crate::upstream::Progress;

use super::body::{Replay, UploadRate};
use super::call::Call;

/// The least rate of the request's body, while the attempt holds its place.
#[derive(Debug)]
pub(super) struct UploadWatch(Option<(Replay, UploadRate)>);

impl UploadWatch {
    /// Nothing is watched without a body, or while events are sent: they come when they happen.
    pub(super) fn of(call: &Call<'_>, now: Moment) -> Self {
        let watched = call.body.upload().filter(|_| !call.sends_events());
        Self(watched.map(|upload| {
            let rate = UploadRate::begun(call.policy.request_rate, now, upload.received_bytes);
            (call.body.clone(), rate)
        }))
    }

    pub(super) fn first_alarm(&self, due: Moment) -> Moment {
        self.0.as_ref().map_or(due, |(_, rate)| rate.due().min(due))
    }

    /// When to look again, at the latest at `due`, or that the client is too slow.
    #[cold]
    pub(super) fn look_again(
        &mut self,
        progress: &Progress,
        due: Moment,
        now: Moment,
    ) -> Result<Moment, Failure> {
        let Some((body, rate)) = self.0.as_mut().filter(|_| progress.sent().is_none()) else {
            return Ok(due);
        };
        let upload = body.upload().expect("a body that is watched exists");
        let too_slow = "the client sends the request's body too slowly";
        let failure = |_| Failure::new(FailureKind::IdleTimeout, progress.delivery(), too_slow);
        rate.look(upload, now).map_err(failure)?;
        Ok(rate.due().min(due))
    }
}
