//! A body whose small pieces are handed on together, as far as they are here.
//!
//! A piece costs a lock, a handle and often a write of its own: bodies in chunks or frames of a
//! byte would cost microseconds a byte. Nothing is waited for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// Pieces under this are merged: a copy costs less than a piece.
const SMALL_BYTES_MAX: usize = 4 * 1024;

/// So many bytes are handed on at most, if they came in small pieces.
const MERGED_BYTES_MAX: usize = 16 * 1024;

type Next<E> = Option<Result<Frame<Bytes>, E>>;

/// A body in larger pieces.
#[derive(Debug)]
pub(in crate::gateway) struct Merging<B, E> {
    body: B,
    /// What stands behind the data that was merged: trailers, the end or a break.
    behind: Option<Next<E>>,
}

impl<B, E> Merging<B, E> {
    /// Merges what comes out of `body`.
    pub(in crate::gateway) const fn new(body: B) -> Self {
        Self { body, behind: None }
    }
}

impl<B: Body<Data = Bytes, Error = E> + Unpin, E> Merging<B, E> {
    /// The next piece with bytes, or what is not data.
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

    /// `first`, and what is here behind it.
    fn merge(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut merged = BytesMut::new();
        while merged.len().max(first.len()) < MERGED_BYTES_MAX && !self.body.is_end_stream() {
            match self.poll_piece(cx) {
                Poll::Ready(Ok(more)) => {
                    if merged.is_empty() {
                        merged.extend_from_slice(&first);
                    }
                    merged.extend_from_slice(&more);
                }
                Poll::Ready(Err(behind)) => {
                    self.behind = Some(behind);
                    break;
                }
                Poll::Pending => break,
            }
        }
        if merged.is_empty() { first } else { merged.freeze() }
    }
}

impl<B: Body<Data = Bytes, Error = E> + Unpin, E: Unpin> Body for Merging<B, E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next<E>> {
        if let Some(behind) = self.behind.take() {
            return Poll::Ready(behind);
        }
        let data = match ready!(self.poll_piece(cx)) {
            Ok(small) if small.len() < SMALL_BYTES_MAX => self.merge(small, cx),
            Ok(large) => large,
            Err(other) => return Poll::Ready(other),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.behind.as_ref().map_or_else(|| self.body.is_end_stream(), Option::is_none)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What a poll gives; `None` is nothing yet.
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

    /// What comes out, poll by poll.
    fn merged(script: Vec<Option<Next<&'static str>>>) -> Vec<String> {
        let mut body = Merging::new(Script(script.into()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut out = Vec::new();
        loop {
            let said = match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => "…".to_owned(),
                Poll::Ready(None) => return out,
                Poll::Ready(Some(Err(error))) => error.to_owned(),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                    Err(_) => "trailers".to_owned(),
                },
            };
            out.push(said);
        }
    }

    #[test]
    fn what_is_here_comes_together_and_nothing_is_waited_for() {
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
            assert_eq!(merged(script), expected);
        }
    }

    #[test]
    fn large_pieces_stay_as_they_are_and_merged_ones_have_a_bound() {
        const LARGE: &str = match std::str::from_utf8(&[b'x'; SMALL_BYTES_MAX]) {
            Ok(text) => text,
            Err(_) => "",
        };
        assert_eq!(merged(vec![data(LARGE), data("a")]), [LARGE, "a"]);
        let many = (0..3 * MERGED_BYTES_MAX).map(|_| data("x")).collect();
        let sizes: Vec<_> = merged(many).iter().map(String::len).collect();
        assert_eq!(sizes, [MERGED_BYTES_MAX; 3]);
    }
}
