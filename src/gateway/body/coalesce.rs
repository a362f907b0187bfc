//! Joins the small pieces of a body that are ready at the same time.
//!
//! Each piece costs a lock, a reference-counted handle and often a write of its own, so a body in
//! chunks of one byte would cost microseconds per byte. It never waits for more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// Pieces below this are joined: a copy costs less than a piece.
const SMALL_BYTES_MAX: usize = 4 * 1024;

/// The most bytes that are joined.
const JOINED_BYTES_MAX: usize = 16 * 1024;

type Next<E> = Option<Result<Frame<Bytes>, E>>;

/// A body in larger pieces.
#[derive(Debug)]
pub(in crate::gateway) struct Coalesced<B, E> {
    body: B,
    /// What followed the joined data: trailers, the end or an error.
    next: Option<Next<E>>,
}

impl<B, E> Coalesced<B, E> {
    pub(in crate::gateway) const fn new(body: B) -> Self {
        Self { body, next: None }
    }
}

impl<B: Body<Data = Bytes, Error = E> + Unpin, E> Coalesced<B, E> {
    /// The next piece that is not empty, or in the error place whatever is not data.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Next<E>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(data)),
                    Err(frame) => return Poll::Ready(Err(Some(Ok(frame)))),
                },
                end => return Poll::Ready(Err(end)),
            }
        }
    }
}

impl<B: Body<Data = Bytes, Error = E> + Unpin, E: Unpin> Body for Coalesced<B, E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next<E>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        let first = match ready!(self.poll_piece(cx)) {
            Ok(small) if small.len() < SMALL_BYTES_MAX => small,
            Ok(large) => return Poll::Ready(Some(Ok(Frame::data(large)))),
            Err(other) => return Poll::Ready(other),
        };
        let mut joined = BytesMut::new();
        while joined.len() < JOINED_BYTES_MAX && !self.body.is_end_stream() {
            match self.poll_piece(cx) {
                Poll::Ready(Ok(more)) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&more);
                }
                Poll::Ready(Err(next)) => {
                    self.next = Some(next);
                    break;
                }
                Poll::Pending => break,
            }
        }
        let data = if joined.is_empty() { first } else { joined.freeze() };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.as_ref().map_or_else(|| self.body.is_end_stream(), Option::is_none)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// The result of each poll; `None` is pending.
    struct Script(VecDeque<Option<Next<&'static str>>>);

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Next<&'static str>> {
            self.0.pop_front().unwrap_or(Some(None)).map_or(Poll::Pending, Poll::Ready)
        }
    }

    fn data(text: &'static str) -> Option<Next<&'static str>> {
        Some(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }

    /// The result of each poll of the coalesced body, as text.
    fn coalesced(script: Vec<Option<Next<&'static str>>>) -> Vec<String> {
        let mut body = Coalesced::new(Script(script.into()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut out = Vec::new();
        loop {
            let text = match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => "…".to_owned(),
                Poll::Ready(None) => return out,
                Poll::Ready(Some(Err(error))) => error.to_owned(),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                    Err(_) => "trailers".to_owned(),
                },
            };
            out.push(text);
        }
    }

    #[test]
    fn pieces_that_are_ready_are_joined_and_it_never_waits() {
        let trailers = || Some(Some(Ok(Frame::trailers(http::HeaderMap::new()))));
        let rows = [
            (vec![data("a"), data("b"), data(""), data("c")], vec!["abc"]),
            (vec![data("a"), None, data("b")], vec!["a", "b"]),
            (vec![data(""), None, data("b"), None], vec!["…", "b"]),
            (vec![data("a"), data("b"), trailers()], vec!["ab", "trailers"]),
            (vec![data("a"), Some(Some(Err("broken")))], vec!["a", "broken"]),
            (vec![trailers()], vec!["trailers"]),
            (vec![], vec![]),
        ];
        for (script, expected) in rows {
            assert_eq!(coalesced(script), expected, "poll by poll");
        }
    }

    #[test]
    fn large_pieces_are_not_copied_and_joined_ones_are_bounded() {
        const LARGE: &str = match std::str::from_utf8(&[b'x'; SMALL_BYTES_MAX]) {
            Ok(text) => text,
            Err(_) => "",
        };
        assert_eq!(coalesced(vec![data(LARGE), data("a")]), [LARGE, "a"]);
        let many = (0..3 * JOINED_BYTES_MAX).map(|_| data("x")).collect();
        let sizes: Vec<_> = coalesced(many).iter().map(String::len).collect();
        assert_eq!(sizes, [JOINED_BYTES_MAX; 3]);
    }
}
