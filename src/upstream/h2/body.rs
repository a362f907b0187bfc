//! Bodies over HTTP/2: a request's on its way into a stream, and a response's out of it.
//!
//! The exchange drives the upload until the response's head has arrived, and the response's body
//! drives it from then on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};

use super::state::OpenStream;
use crate::outcome::{Delivery, Failure};
use crate::upstream::failure;
use crate::upstream::request::{BoxError, RequestBody};

/// The sending half of a stream.
pub(super) struct Upload {
    stream: SendStream<Bytes>,
    /// Read from the body and not given to the stream yet.
    chunk: Option<Chunk>,
}

struct Chunk {
    data: Bytes,
    is_last: bool,
}

impl Upload {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream, chunk: None }
    }

    /// Moves the body into the stream, to its end or until the stream takes no more; `body` is
    /// `None` afterwards. Why a stream takes no more is reported by its receiving half.
    ///
    /// # Errors
    ///
    /// The body itself broke off; the stream has been reset.
    pub(super) fn poll<B: RequestBody>(
        &mut self,
        body: &mut Option<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BoxError>> {
        while let Some(source) = body.as_mut() {
            let has_ended = match self.chunk.take() {
                Some(chunk) => ready!(self.poll_send(chunk, cx)),
                None => match ready!(Pin::new(&mut *source).poll_frame(cx)) {
                    None => self.send(Chunk { data: Bytes::new(), is_last: true }),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            // Capacity is requested only for data at hand, and only one byte of
                            // it: what one stream holds unused is missing to the others.
                            self.stream.reserve_capacity(1.min(data.len()));
                            self.chunk = Some(Chunk { data, is_last: source.is_end_stream() });
                            false
                        }
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            if self.stream.send_trailers(trailers).is_err() {
                                self.stream.send_reset(Reason::INTERNAL_ERROR);
                            }
                            true
                        }
                    },
                    Some(Err(error)) => {
                        self.stream.send_reset(Reason::CANCEL);
                        *body = None;
                        return Poll::Ready(Err(error.into()));
                    }
                },
            };
            if has_ended {
                *body = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a chunk as soon as the upstream takes some of it. Returns whether the upload has
    /// ended.
    fn poll_send(&mut self, chunk: Chunk, cx: &mut Context<'_>) -> Poll<bool> {
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(true);
        }
        while !chunk.data.is_empty() && self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(true),
                Poll::Pending => {
                    self.chunk = Some(chunk);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(self.send(chunk))
    }

    fn send(&mut self, Chunk { data, is_last }: Chunk) -> bool {
        let sent = self.stream.send_data(data, is_last);
        is_last || sent.is_err()
    }
}

/// What is still to come of a response's body, and of the request's if the response came early.
pub(in crate::upstream) struct StreamBody<B> {
    receiver: RecvStream,
    /// Bytes still to come, if the head states a length.
    left: Option<u64>,
    next: Next,
    upload: Option<(Upload, Option<B>)>,
    /// Declared last, so that it is dropped last: until then the stream counts as open.
    _stream: OpenStream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Data,
    Trailers,
    End,
}

impl<B: RequestBody> StreamBody<B> {
    pub(super) fn new(
        receiver: RecvStream,
        headers: &HeaderMap,
        upload: Option<(Upload, Option<B>)>,
        stream: OpenStream,
    ) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let left = length.and_then(|length| length.parse().ok());
        Self { receiver, left, next: Next::Data, upload, _stream: stream }
    }

    /// The end of a body whose stream failed: an error, unless the response was complete.
    ///
    /// A stream that ends with NO_ERROR, or after the stated length, has delivered its whole
    /// response (RFC 9113 §8.1): the upstream only wants no more of the request.
    fn end(&mut self, error: &h2::Error) -> Option<Result<Frame<Bytes>, Failure>> {
        self.next = Next::End;
        let is_complete = match (error.reason(), self.left) {
            (Some(Reason::NO_ERROR | Reason::CANCEL), Some(left)) => left == 0,
            (Some(Reason::NO_ERROR), None) => error.is_reset(),
            _ => false,
        };
        if is_complete { None } else { Some(Err(failure::http2_body(error))) }
    }
}

impl<B: RequestBody> Body for StreamBody<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        if let Some((upload, body)) = &mut this.upload
            && let Poll::Ready(uploaded) = upload.poll(body, cx)
        {
            this.upload = None;
            uploaded.map_err(|error| failure::request_body(error.as_ref(), Delivery::Uncertain))?;
        }
        if this.next == Next::Data {
            match ready!(this.receiver.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails for streams that have ended, where it does not matter.
                    let _ = this.receiver.flow_control().release_capacity(data.len());
                    this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(this.end(&error)),
                None => this.next = Next::Trailers,
            }
        }
        if this.next == Next::End {
            return Poll::Ready(None);
        }
        match ready!(this.receiver.poll_trailers(cx)) {
            Ok(trailers) => {
                this.next = Next::End;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => Poll::Ready(this.end(&error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next == Next::End || self.receiver.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
