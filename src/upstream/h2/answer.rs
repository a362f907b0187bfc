//! The body of an answer over HTTP/2.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use super::Ticket;
use super::upload::Upload;
use crate::outcome::{Delivery, Failure};
use crate::upstream::{RequestBody, failure};

/// What is still to come of an answer's body, and of the request's where the answer came early.
pub(in crate::upstream) struct Incoming<B> {
    stream: RecvStream,
    /// Bytes still to come, where the head says how many.
    left: Option<u64>,
    part: Part,
    upload: Option<(Upload, Option<B>)>,
    /// Dropped last: until then the stream counts as in use.
    _ticket: Ticket,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Data,
    Trailers,
    Over,
}

impl<B: RequestBody> Incoming<B> {
    pub(super) fn new(
        stream: RecvStream,
        headers: &HeaderMap,
        upload: Option<(Upload, Option<B>)>,
        ticket: Ticket,
    ) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let left = length.and_then(|length| length.parse().ok());
        Self { stream, left, part: Part::Data, upload, _ticket: ticket }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some((upload, body)) = &mut self.upload else { return Ok(()) };
        match upload.poll(body, cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(done) => {
                self.upload = None;
                done.map_err(|error| failure::of_request_body(error.as_ref(), Delivery::Uncertain))
            }
        }
    }

    /// A stream that ends with NO_ERROR, or with everything there, has brought its whole answer
    /// (RFC 9113 §8.1): the upstream only wants no more of the request.
    fn is_whole(&self, error: &h2::Error) -> bool {
        match (error.reason(), self.left) {
            (Some(Reason::NO_ERROR | Reason::CANCEL), Some(left)) => left == 0,
            (Some(Reason::NO_ERROR), None) => error.is_reset(),
            _ => false,
        }
    }

    fn broke(&mut self, error: &h2::Error) -> Option<Result<Frame<Bytes>, Failure>> {
        self.part = Part::Over;
        if self.is_whole(error) { None } else { Some(Err(failure::of_body(error))) }
    }
}

impl<B: RequestBody> Body for Incoming<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        this.poll_upload(cx)?;
        if this.part == Part::Data {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails for streams that are over, where it does not matter.
                    let _ = this.stream.flow_control().release_capacity(data.len());
                    this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(this.broke(&error)),
                None => this.part = Part::Trailers,
            }
        }
        if this.part == Part::Over {
            return Poll::Ready(None);
        }
        match ready!(this.stream.poll_trailers(cx)) {
            Ok(trailers) => {
                this.part = Part::Over;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => Poll::Ready(this.broke(&error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.part == Part::Over || self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
