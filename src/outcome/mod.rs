//! What an exchange produced and what it means, as data.

mod advice;
mod classification;
mod code;
mod facts;
mod failure;
mod hold;
mod response;
mod standing;

pub use advice::{Advice, STRIPE_SHOULD_RETRY, X_SHOULD_RETRY};
pub use classification::{Classification, LearnedLimit, Processing, Remedy, Sign};
pub use code::{Basis, Code, Source, StoppedBy, Support, SupportWhen, TYPE_PREFIX};
pub use facts::{
    CHILDREN_MAX, ChildError, DETAIL_VALUES_MAX, ErrorMember, Facts, RelayedProblem, ValueId,
};
pub use failure::{Delivery, Failure, FailureKind, cause};
pub use hold::{FULL_PACE, HOLD_MIN, HoldCause, HoldOrder, HoldScope, Wait};
pub use response::ResponseHead;
pub use standing::{Bucket, Standing, is_rate_limit_header};
