//! Reads the body of a response that may be an error, up to a cap and for a moment.
//!
//! No other place reads a response body. What is beyond the cap is not awaited: the rest is
//! dropped, which closes an HTTP/1 connection and resets an HTTP/2 stream, unless the response
//! turns out to be a success, which passes whole, or the client gets the vendor's errors as they
//! are.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::pieces::Pieces;
use crate::allowance::ConcurrencyPermit;
use crate::clock::Clock;
use crate::outcome::Failure;

/// Bytes of an error body that are read: many times the largest that proved useful.
const PEEK_BYTES_MAX: usize = 256 * 1024;

/// How long after its head an error body may take.
const PEEK_TIMEOUT: Duration = Duration::from_secs(2);

/// The beginning of a body, and the rest.
#[derive(Debug)]
pub(in crate::gateway) struct PeekedBody<B> {
    read: Pieces,
    trailers: Option<http::HeaderMap>,
    pub(in crate::gateway) extent: Extent,
    rest: B,
}

impl<B> PeekedBody<B> {
    pub(in crate::gateway) fn bytes(&self) -> Bytes {
        self.read.joined()
    }

    /// The body for a client that gets it as it is; `None` where it broke off.
    pub(in crate::gateway) fn keep(self, mut permit: ConcurrencyPermit) -> Option<KeptBody<B>> {
        match self.extent {
            Extent::Broken => None,
            Extent::Whole if self.trailers.is_none() => {
                permit.body_ended();
                Some(KeptBody::Whole(self.bytes()))
            }
            Extent::Whole | Extent::Cut => {
                let (read, rest) = self.into_frames();
                Some(KeptBody::Open { read, rest, permit })
            }
        }
    }

    /// The frames that were read, and the rest of the body.
    pub(in crate::gateway) fn into_frames(self) -> (VecDeque<Frame<Bytes>>, B) {
        let frames = self.read.into_iter().map(Frame::data);
        (frames.chain(self.trailers.map(Frame::trailers)).collect(), self.rest)
    }
}

/// How much of a body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Extent {
    Whole,
    /// The cap or the timeout ended the reading early.
    Cut,
    /// The connection broke.
    Broken,
}

/// The body of a vendor's error, kept for a client that gets it as it is.
#[derive(Debug)]
pub(in crate::gateway) enum KeptBody<B> {
    Whole(Bytes),
    /// The frames that were read, and the rest, which keeps its place among the attempts.
    Open {
        read: VecDeque<Frame<Bytes>>,
        rest: B,
        permit: ConcurrencyPermit,
    },
}

impl<B> KeptBody<B> {
    pub(in crate::gateway) const fn is_whole(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Open { .. } => false,
        }
    }
}

pub(in crate::gateway) async fn peek<B>(body: B, clock: Clock) -> PeekedBody<B>
where
    B: Body<Data = Bytes, Error = Failure> + Unpin,
{
    let mut peeked =
        PeekedBody { read: Pieces::default(), trailers: None, extent: Extent::Cut, rest: body };
    let deadline = clock.now().plus(PEEK_TIMEOUT);
    tokio::select! {
        biased;
        () = read(&mut peeked) => {}
        () = clock.sleep_until(deadline) => {}
    }
    peeked
}

async fn read<B>(peeked: &mut PeekedBody<B>)
where
    B: Body<Data = Bytes, Error = Failure> + Unpin,
{
    while peeked.read.bytes() <= PEEK_BYTES_MAX {
        match peeked.rest.frame().await {
            None => {
                peeked.extent = Extent::Whole;
                return;
            }
            Some(Err(_broken)) => {
                peeked.extent = Extent::Broken;
                return;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => peeked.read.push(data),
                Err(frame) => peeked.trailers = frame.into_trailers().ok(),
            },
        }
    }
}
