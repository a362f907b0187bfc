//! The body of a request on its way into a stream, driven by the exchange and, once its head is
//! there, by whoever reads the answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use crate::upstream::{BoxError, RequestBody};

/// The sending half of a stream.
pub(super) struct Upload {
    stream: SendStream<Bytes>,
    /// Read from the body and not given to the stream yet; whether it is the last one.
    chunk: Option<(Bytes, bool)>,
}

impl Upload {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream, chunk: None }
    }

    /// Moves the body into the stream, to its end or until the stream takes no more; afterwards
    /// `body` is gone. Why a stream takes no more is told by its receiving half.
    ///
    /// # Errors
    ///
    /// The body itself broke; the stream has been reset.
    pub(super) fn poll<B: RequestBody>(
        &mut self,
        body: &mut Option<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BoxError>> {
        while let Some(source) = body.as_mut() {
            let ended = match self.chunk.take() {
                Some(chunk) => ready!(self.poll_give(chunk, cx)),
                None => match ready!(Pin::new(&mut *source).poll_frame(cx)) {
                    None => self.give((Bytes::new(), true)),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            // Capacity is asked for when there is something to send, and little:
                            // what one stream holds unused, others lack.
                            self.stream.reserve_capacity(1.min(data.len()));
                            self.chunk = Some((data, source.is_end_stream()));
                            false
                        }
                        Err(frame) => self.give_trailers(frame.into_trailers().ok()),
                    },
                    Some(Err(error)) => {
                        self.stream.send_reset(Reason::CANCEL);
                        *body = None;
                        return Poll::Ready(Err(error.into()));
                    }
                },
            };
            if ended {
                *body = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives a chunk as soon as the upstream takes some of it; whether it was the last one.
    fn poll_give(&mut self, chunk: (Bytes, bool), cx: &mut Context<'_>) -> Poll<bool> {
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(true);
        }
        while !chunk.0.is_empty() && self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(true),
                Poll::Pending => {
                    self.chunk = Some(chunk);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(self.give(chunk))
    }

    fn give(&mut self, (data, last): (Bytes, bool)) -> bool {
        let given = self.stream.send_data(data, last);
        last || given.is_err()
    }

    fn give_trailers(&mut self, trailers: Option<HeaderMap>) -> bool {
        if self.stream.send_trailers(trailers.unwrap_or_default()).is_err() {
            self.stream.send_reset(Reason::INTERNAL_ERROR);
        }
        true
    }
}
