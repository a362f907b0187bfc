//! The frames of an HTTP/2 client on their way to the library that reads them.
//!
//! Header blocks are looked at before they go on. To one that is malformed in a way that the
//! library overlooks, a field is added that the library refuses, so that it resets this stream
//! and no other. Everything else passes untouched; a header block goes on once all of it is here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::hpack::{Block, Table, Verdict};

/// The client's preface.
const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// Bytes of a header block that are waited for: more than the library accepts of one.
const HELD_BYTES_MAX: usize = 512 * 1024;

/// A literal field without indexing that no HTTP/2 message may have: `connection: x`.
const REFUSED_FIELD: &[u8] = b"\x00\x0aconnection\x01x";

/// A client's stream, its header blocks looked at.
#[derive(Debug)]
pub(super) struct Checked<S> {
    stream: S,
    frames: Frames,
    /// What was looked at and not handed over.
    ready: Vec<u8>,
    ready_out: usize,
}

impl<S> Checked<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default(), ready: Vec::new(), ready_out: 0 }
    }
}

/// What was seen of one direction of a connection.
#[derive(Debug)]
struct Frames {
    /// Bytes that pass without a look.
    passing: usize,
    /// The beginning of a frame, or of a header block.
    held: Vec<u8>,
    table: Table,
    /// The latest request's stream: headers of an earlier one are trailers.
    latest: u32,
    looks: bool,
}

impl Default for Frames {
    fn default() -> Self {
        let (held, table) = (Vec::new(), Table::default());
        Self { passing: PREFACE_BYTES, held, table, latest: 0, looks: true }
    }
}

/// A header block whose frames are all here.
struct Whole {
    /// Bytes of its frames.
    bytes: usize,
    /// Where its last frame begins.
    last: usize,
    /// Where the fields of that end.
    fields_end: usize,
}

impl Frames {
    /// Looks at bytes that came; what becomes of them where it is not just these.
    fn look(&mut self, came: &[u8]) -> Option<Vec<u8>> {
        if !self.looks {
            return None;
        }
        if self.held.is_empty() {
            let (end, malformed) = self.walk(came);
            if end == came.len() && malformed.is_empty() {
                return None;
            }
            self.held.extend_from_slice(&came[end..]);
            return Some(marked(&came[..end], &malformed));
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(came);
        let (end, malformed) = self.walk(&bytes);
        self.held.extend_from_slice(&bytes[end..]);
        Some(marked(&bytes[..end], &malformed))
    }

    /// How many of these bytes can go on, and which header blocks among them are malformed.
    fn walk(&mut self, bytes: &[u8]) -> (usize, Vec<Whole>) {
        let (mut at, mut malformed) = (0, Vec::new());
        while at < bytes.len() {
            if 0 < self.passing {
                let passing = self.passing.min(bytes.len() - at);
                self.passing -= passing;
                at += passing;
                continue;
            }
            let rest = &bytes[at..];
            let Some(head) = FrameHead::of(rest) else { break };
            if head.kind != HEADERS {
                self.passing = FRAME_HEAD_BYTES + head.bytes;
                continue;
            }
            let mut fields = Vec::new();
            let Some(mut whole) = whole_block(rest, &mut fields) else {
                self.looks = rest.len() <= HELD_BYTES_MAX;
                break;
            };
            let of = if head.stream > self.latest { Block::Request } else { Block::Trailers };
            self.latest = self.latest.max(head.stream);
            let verdict = self.table.judge(&fields, of);
            whole.last += at;
            whole.fields_end += at;
            at += whole.bytes;
            match verdict {
                Verdict::Fine => {}
                Verdict::Malformed => malformed.push(whole),
                Verdict::Unreadable => {
                    self.looks = false;
                    break;
                }
            }
        }
        (if self.looks { at } else { bytes.len() }, malformed)
    }
}

/// The head of a frame.
#[derive(Clone, Copy)]
struct FrameHead {
    bytes: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameHead {
    fn of(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<FRAME_HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let stream = u32::from_be_bytes(*stream) & 0x7fff_ffff;
        Some(Self { bytes: length, kind: *kind, flags: *flags, stream })
    }
}

/// The header block at the front of `bytes`, once all of it is here; its fields in one piece.
fn whole_block(bytes: &[u8], fields: &mut Vec<u8>) -> Option<Whole> {
    let mut last = 0;
    loop {
        let head = FrameHead::of(&bytes[last..])?;
        let start = last + FRAME_HEAD_BYTES;
        let payload = bytes.get(start..start + head.bytes)?;
        let follows = head.kind == if last == 0 { HEADERS } else { CONTINUATION };
        // A broken frame is the library's to refuse; it ends the connection.
        let part = if follows { fields_of(head, payload).unwrap_or(0..0) } else { 0..0 };
        let fields_end = start + part.end;
        fields.extend_from_slice(&payload[part]);
        let end = start + head.bytes;
        if !follows || head.flags & END_HEADERS != 0 {
            return Some(Whole { bytes: end, last, fields_end });
        }
        last = end;
    }
}

/// Where the fields stand in the payload of a frame.
fn fields_of(head: FrameHead, payload: &[u8]) -> Option<std::ops::Range<usize>> {
    if head.kind != HEADERS {
        return Some(0..payload.len());
    }
    let (mut start, mut end) = (0, payload.len());
    if head.flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*payload.first()?))?;
        start += 1;
    }
    if head.flags & PRIORITY != 0 {
        start += PRIORITY_BYTES;
    }
    (start <= end).then_some(start..end)
}

/// These bytes, with a field in each malformed block that the library refuses.
fn marked(bytes: &[u8], malformed: &[Whole]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + malformed.len() * REFUSED_FIELD.len());
    let mut done = 0;
    for block in malformed {
        out.extend_from_slice(&bytes[done..block.last]);
        let [a, b, c] = [0, 1, 2].map(|place| bytes[block.last + place]);
        let length = u32::from_be_bytes([0, a, b, c]) as usize + REFUSED_FIELD.len();
        let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        out.extend_from_slice(&[a, b, c]);
        out.extend_from_slice(&bytes[block.last + 3..block.fields_end]);
        out.extend_from_slice(REFUSED_FIELD);
        done = block.fields_end;
    }
    out.extend_from_slice(&bytes[done..]);
    out
}

impl<S: AsyncRead + Unpin> AsyncRead for Checked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ready_out < this.ready.len() {
                let rest = &this.ready[this.ready_out..];
                let fits = rest.len().min(buffer.remaining());
                buffer.put_slice(&rest[..fits]);
                this.ready_out += fits;
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let came = &buffer.filled()[before..];
            if came.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let Some(becomes) = this.frames.look(came) else { return Poll::Ready(Ok(())) };
            buffer.set_filled(before);
            (this.ready, this.ready_out) = (becomes, 0);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Checked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: [u8; PREFACE_BYTES] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const GOOD: &[u8] = b"\x82\x86\x84";
    const BAD: &[u8] = b"\x82\x86\x04\x04/a#b";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags];
        [&head[..], &stream.to_be_bytes(), payload].concat()
    }

    /// What goes on of these bytes, which come in pieces of this size.
    fn passed(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut frames = Frames::default();
        let pass = |part: &[u8]| frames.look(part).unwrap_or_else(|| part.to_vec());
        bytes.chunks(piece).map(pass).collect::<Vec<_>>().concat()
    }

    #[test]
    fn what_is_in_order_passes_untouched_in_any_pieces() {
        let padded = [&[3][..], &[0, 0, 0, 0, 9], GOOD, &[0; 3]].concat();
        let bytes = [
            PREFACE.to_vec(),
            frame(4, 0, 0, &[0; 12]),
            frame(HEADERS, END_HEADERS, 1, GOOD),
            frame(0, 0, 1, &[b'#'; 3000]),
            frame(HEADERS, 0, 3, &GOOD[..1]),
            frame(CONTINUATION, END_HEADERS, 3, &GOOD[1..]),
            frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 5, &padded),
            frame(HEADERS, END_HEADERS, 1, b"\x40\x05x-sum\x011"),
        ]
        .concat();
        for piece in [1, 2, 7, 10, 100, bytes.len()] {
            assert_eq!(passed(&bytes, piece), bytes, "{piece}");
        }
    }

    #[test]
    fn a_malformed_block_gets_a_field_that_is_refused() {
        let bad = |fields: &[u8]| [fields, REFUSED_FIELD].concat();
        let padding = |fields: &[u8]| [&[2][..], fields, &[0; 2]].concat();
        let rows = [
            (frame(HEADERS, END_HEADERS, 1, BAD), frame(HEADERS, END_HEADERS, 1, &bad(BAD))),
            (
                [frame(HEADERS, 0, 1, &BAD[..4]), frame(CONTINUATION, END_HEADERS, 1, &BAD[4..])]
                    .concat(),
                [
                    frame(HEADERS, 0, 1, &BAD[..4]),
                    frame(CONTINUATION, END_HEADERS, 1, &bad(&BAD[4..])),
                ]
                .concat(),
            ),
            (
                frame(HEADERS, END_HEADERS | PADDED, 1, &padding(BAD)),
                frame(HEADERS, END_HEADERS | PADDED, 1, &padding(&bad(BAD))),
            ),
            (
                [frame(HEADERS, END_HEADERS, 1, GOOD), frame(HEADERS, END_HEADERS, 1, b"\x84")]
                    .concat(),
                [
                    frame(HEADERS, END_HEADERS, 1, GOOD),
                    frame(HEADERS, END_HEADERS, 1, &bad(b"\x84")),
                ]
                .concat(),
            ),
        ];
        let next = frame(HEADERS, END_HEADERS, 9, GOOD);
        for (sent, expected) in rows {
            let sent = [&PREFACE[..], &sent, &next].concat();
            for piece in [1, 5, sent.len()] {
                let expected = [&PREFACE[..], &expected, &next].concat();
                assert_eq!(passed(&sent, piece), expected, "{piece}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_library() {
        let broken = [PREFACE.to_vec(), frame(HEADERS, END_HEADERS, 1, b"\x80")].concat();
        let endless = [PREFACE.to_vec(), frame(HEADERS, 0, 1, &[0; 16_000])].concat();
        let more = frame(CONTINUATION, 0, 1, &[0; 16_000]).repeat(40);
        for bytes in [broken, [endless, more].concat()] {
            let sent = [bytes, frame(HEADERS, END_HEADERS, 3, BAD)].concat();
            for piece in [1000, sent.len()] {
                assert_eq!(passed(&sent, piece), sent, "{piece}");
            }
        }
    }
}
