//! The place where a body under a success declares that it is an error.

use http::StatusCode;

use crate::outcome::Sign;

pub(super) struct Declared {
    pub(super) sign: Sign,
    /// The error status that the body states.
    pub(super) status: Option<StatusCode>,
    pub(super) strength: Strength,
}

/// What more is needed for a body to be an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Its words must mean trouble with the call.
    Worded,
    /// It has a code, so that its words may also be about the input.
    Coded,
    /// Nothing.
    Certain,
}

impl Declared {
    pub(super) const fn by(sign: Sign, strength: Strength) -> Self {
        Self { sign, status: None, strength }
    }
}
