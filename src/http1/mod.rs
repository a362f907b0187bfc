//! The bytes of HTTP/1.1, the same at both doors: header lines, bodies in chunks, and a message on
//! its way out.
//!
//! | file | purpose |
//! | --- | --- |
//! | `lines` | where a head ends, and its lines |
//! | `names` | header names that were read before |
//! | `original` | a head as it was received, so that its lines go out as they came in |
//! | `chunks` | a body in chunks, taken out of the bytes that bring it |
//! | `received` | what was read and not used yet |
//! | `outgoing` | a message on its way out, and how much of it is out |
//!
//! It refuses to know who speaks: what a first line says, and what a head means, is each door's.

use std::fmt;

mod chunks;
mod lines;
mod names;
mod original;
mod outgoing;
mod received;

pub use chunks::{Chunks, Padding, Piece, data};
pub use lines::{Line, Lines, is_blank, is_listed, number};
pub use names::Concerns;
pub use original::{OriginalHead, Spelling};
pub use outgoing::{Length, Outgoing, Stop, line};
pub use received::Received;

/// Bytes that are not HTTP as we read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError(pub &'static str);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http_body::{Body, Frame, SizeHint};

    /// A body of which only the length counts, if it has one.
    pub(crate) struct Long(pub(crate) Option<u64>);

    impl Body for Long {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }

        fn is_end_stream(&self) -> bool {
            self.0 == Some(0)
        }

        fn size_hint(&self) -> SizeHint {
            self.0.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }
}
