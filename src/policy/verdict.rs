//! Send again at a moment, or stop, with the reason.

use crate::policy::outcome::FailureKind;
use crate::policy::problem::Code;

/// Why an attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// The exchange broke.
    Failure(FailureKind),
    /// The vendor said something that this code stands for.
    Code(Code),
}
