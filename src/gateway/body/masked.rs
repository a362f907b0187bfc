//! A vendor's error body that streams to the client with the gateway's credentials overwritten.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::outcome::Failure;
use crate::problem::Mask;

/// A streamed body behind a mask, which holds back what may be the beginning of a secret.
#[derive(Debug)]
pub struct Masked<S> {
    pub(super) body: S,
    mask: Mask,
    /// Trailers that wait until what was held back has been sent.
    trailers: Option<Frame<Bytes>>,
}

impl<S> Masked<S> {
    pub(super) const fn new(body: S, mask: Mask) -> Self {
        Self { body, mask, trailers: None }
    }
}

impl<S> Body for Masked<S>
where
    S: Body<Data = Bytes, Error = Failure> + Unpin,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(trailers)));
        }
        loop {
            let end = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let passing = this.mask.push(&data);
                        if passing.is_empty() {
                            continue;
                        }
                        return Poll::Ready(Some(Ok(Frame::data(passing.into()))));
                    }
                    Err(trailers) => Some(trailers),
                },
                None => None,
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure))),
            };
            let held = this.mask.finish();
            if held.is_empty() {
                return Poll::Ready(end.map(Ok));
            }
            this.trailers = end;
            return Poll::Ready(Some(Ok(Frame::data(held.into()))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.mask.held_bytes() == 0 && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, held) = (self.body.size_hint(), self.mask.held_bytes() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + held);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
