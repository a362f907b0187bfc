//! The list of hot decisions that are timed. To add one: write a function like
//! [`moment_arithmetic`] that builds its state, then calls `timed`, and give it a line in [`ALL`].
//!
//! Refuses to do I/O: what touches a socket belongs to the table.

use std::time::Duration;

use evenkeel::policy::time::Moment;

use crate::measure::{Case, timed};

/// Every case, in the order of the table. The bounds they are held to are in `targets.rs`, which
/// finds a case by its name: the one for a grant is to be called `grant and settle`.
pub(crate) const ALL: &[Case] = &[Case { name: "moment arithmetic", run: moment_arithmetic }];

fn moment_arithmetic(iterations: u64) -> Duration {
    let window = Duration::from_secs(60);
    timed(iterations, |turn| {
        let settled = Moment::from_nanos(turn);
        settled.plus(window).since(Moment::from_millis(turn))
    })
}
