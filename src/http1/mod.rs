//! The parts of HTTP/1.1 that server and upstream share: header lines, chunked bodies, buffered
//! reading and writing.
//!
//! | file | purpose |
//! | --- | --- |
//! | `lines` | finds the end of a head and parses its header lines |
//! | `name_cache` | parses header names, remembering the recent ones |
//! | `header_case` | writes header lines with the spelling in which they were received |
//! | `chunked` | decodes chunked bodies (RFC 9112 §7.1) |
//! | `read_buffer` | bytes that were read and not parsed yet |
//! | `message_writer` | writes one message and knows how much of it the socket has taken |
//!
//! First lines and the meaning of headers differ by direction; `server/h1` and `upstream/h1`
//! decide them.

use std::fmt;

mod chunked;
mod header_case;
mod lines;
mod message_writer;
mod name_cache;
mod read_buffer;

pub use chunked::{ChunkedDecoder, Piece, SizePadding, take_data};
pub use header_case::{HeaderCase, OriginalHead};
pub use lines::{HeaderLine, Lines, is_blank, list_contains, parse_decimal};
pub use message_writer::{Length, MessageWriter, SendError, write_header};
pub use name_cache::HeaderKind;
pub use read_buffer::ReadBuffer;

/// The bytes are not valid HTTP/1.1; the text says what is wrong with them.
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

    /// A body of this length, or of unknown length, that never yields a frame.
    pub(crate) struct SizedBody(pub(crate) Option<u64>);

    impl Body for SizedBody {
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
