//! What an exchange produced and what it means, as data.

mod classification;
mod code;
mod exchange;
mod facts;
mod standing;

pub use classification::{
    Class, FULL_PACE, HOLD_MIN, HoldCause, HoldOrder, HoldScope, Learned, Processing, Remedy,
    Trouble, Wait,
};
pub use code::{Basis, Code, Source, StoppedBy, Support, SupportWhen};
pub use exchange::{Answer, Extent, Failure, FailureKind, Peek, Reach, cause};
pub use facts::{Form, Part, Reading};
pub use standing::{Bucket, Standing, speaks_of_rates};
