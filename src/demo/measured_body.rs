//! A request body that is measured and hashed while it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::fingerprint::Fingerprint;
use super::shared::Shared;

/// Marks its request as delivered once it has been read to the end.
pub(super) struct MeasuredBody {
    body: Incoming,
    shared: Arc<Shared>,
    number: u64,
    len: u64,
    hash: Fingerprint,
}

impl MeasuredBody {
    pub(super) fn new(shared: Arc<Shared>, number: u64, body: Incoming) -> Self {
        let measured = Self { body, shared, number, len: 0, hash: Fingerprint::default() };
        // hyper does not poll a body that is known to be empty.
        if measured.body.is_end_stream() {
            measured.record_delivery();
        }
        measured
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.value()
    }

    fn record_delivery(&self) {
        self.shared.recorder().update(self.number, |record| {
            record.delivered = true;
            record.body_len = self.len;
            record.body_hash = self.hash.value();
        });
    }
}

impl Body for MeasuredBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.len += data.len() as u64;
            self.hash.update(data);
        }
        if frame.is_none() || self.body.is_end_stream() && matches!(frame, Some(Ok(_))) {
            self.record_delivery();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
