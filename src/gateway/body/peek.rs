//! Reads the body of an answer that is looked at, up to a cap and for a moment.
//!
//! The only place that reads a response body. What is beyond the cap is not awaited: the rest is
//! dropped, which closes an HTTP/1 connection and resets an HTTP/2 stream, unless the answer turns
//! out to be none of ours and has to pass on whole.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;

use super::pieces::Pieces;
use crate::clock::Clock;
use crate::outcome::Failure;

/// Bytes of an error body that are read: the largest anybody has found useful, many times over.
const PEEK_BYTES_MAX: usize = 256 * 1024;

/// How long after its head an error body may take.
const PEEK_TIMEOUT: Duration = Duration::from_secs(2);

/// What was read, and what was not.
#[derive(Debug)]
pub(in crate::gateway) struct Peeked<B> {
    /// What was read, to pass it on if need be.
    pub(in crate::gateway) chunks: Pieces,
    /// Trailers, if they were reached.
    pub(in crate::gateway) trailers: Option<http::HeaderMap>,
    /// Whether all was read.
    pub(in crate::gateway) extent: Extent,
    /// What follows.
    pub(in crate::gateway) rest: B,
}

impl<B> Peeked<B> {
    /// The bytes read as one.
    pub(in crate::gateway) fn bytes(&self) -> Bytes {
        self.chunks.joined()
    }
}

/// How much of a body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Extent {
    Whole,
    /// The cap, the timeout or a broken connection ended it early.
    Cut,
}

/// Reads what may be read of `body`.
pub(in crate::gateway) async fn peek<B>(body: B, clock: Clock) -> Peeked<B>
where
    B: Body<Data = Bytes, Error = Failure> + Unpin,
{
    let mut peeked =
        Peeked { chunks: Pieces::default(), trailers: None, extent: Extent::Cut, rest: body };
    let deadline = clock.now().plus(PEEK_TIMEOUT);
    let timer = pin!(clock.sleep_until(deadline));
    tokio::select! {
        biased;
        () = read(&mut peeked) => {}
        () = timer => {}
    }
    peeked
}

async fn read<B>(peeked: &mut Peeked<B>)
where
    B: Body<Data = Bytes, Error = Failure> + Unpin,
{
    while peeked.chunks.bytes() <= PEEK_BYTES_MAX {
        match peeked.rest.frame().await {
            None => {
                peeked.extent = Extent::Whole;
                return;
            }
            Some(Err(_broken)) => return,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => peeked.chunks.push(data),
                Err(frame) => peeked.trailers = frame.into_trailers().ok(),
            },
        }
    }
}
