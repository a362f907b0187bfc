//! Inspects the header blocks of HTTP/2 requests before hyper parses them.
//!
//! hyper overlooks two kinds of malformed requests (see `hpack.rs`). To the header block of such a
//! request the field `connection: x` is appended, which HTTP/2 forbids: hyper then resets exactly
//! this stream with PROTOCOL_ERROR. All other bytes pass unchanged; a header block passes once it
//! is complete.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::hpack::{BlockKind, DynamicTable, Finding};
use crate::server::socket::PREFACE;

const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// An incomplete header block of more bytes is passed on: hyper rejects it anyway.
const HELD_BYTES_MAX: usize = 512 * 1024;

/// `connection: x` as a literal field without indexing (RFC 7541 §6.2.2).
const FORBIDDEN_FIELD: &[u8] = b"\x00\x0aconnection\x01x";

/// Reads from `reader` and inspects the header blocks.
#[derive(Debug)]
pub(super) struct HeaderBlockCheck<R> {
    reader: R,
    inspector: FrameInspector,
    /// Inspected bytes, where they are not simply those just read.
    inspected: Vec<u8>,
    /// How many of them were handed out.
    handed_out: usize,
}

impl<R> HeaderBlockCheck<R> {
    pub(super) fn new(reader: R) -> Self {
        let inspector = FrameInspector::default();
        Self { reader, inspector, inspected: Vec::new(), handed_out: 0 }
    }
}

/// Follows the frames that a client sends.
#[derive(Debug)]
struct FrameInspector {
    /// Bytes that pass uninspected: the rest of a frame without a header block.
    skipping: usize,
    /// An incomplete frame head or header block.
    held: Vec<u8>,
    table: DynamicTable,
    /// The highest stream so far: HEADERS frames of other streams are trailers.
    latest_stream: u32,
    /// Cleared when a header block cannot be decoded; then everything passes.
    is_inspecting: bool,
}

impl Default for FrameInspector {
    fn default() -> Self {
        Self {
            skipping: PREFACE.len(),
            held: Vec::new(),
            table: DynamicTable::default(),
            latest_stream: 0,
            is_inspecting: true,
        }
    }
}

/// The position of a complete header block.
struct HeaderBlock {
    /// Bytes of its frames.
    bytes: usize,
    /// Where its last frame begins.
    last_frame: usize,
    /// Where the fields in that frame end, in front of any padding.
    fields_end: usize,
}

impl FrameInspector {
    /// Inspects received bytes. Returns the bytes to pass on; `None` where these pass unchanged.
    fn inspect(&mut self, received: &[u8]) -> Option<Vec<u8>> {
        if !self.is_inspecting {
            return None;
        }
        if self.held.is_empty() {
            let (end, malformed) = self.inspect_frames(received);
            if end == received.len() && malformed.is_empty() {
                return None;
            }
            self.held.extend_from_slice(&received[end..]);
            return Some(with_forbidden_fields(&received[..end], &malformed));
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(received);
        let (end, malformed) = self.inspect_frames(&bytes);
        self.held.extend_from_slice(&bytes[end..]);
        Some(with_forbidden_fields(&bytes[..end], &malformed))
    }

    /// Returns how many of these bytes can pass, and which header blocks among them are malformed.
    fn inspect_frames(&mut self, bytes: &[u8]) -> (usize, Vec<HeaderBlock>) {
        let (mut at, mut malformed) = (0, Vec::new());
        while at < bytes.len() {
            if 0 < self.skipping {
                let skipped = self.skipping.min(bytes.len() - at);
                self.skipping -= skipped;
                at += skipped;
                continue;
            }
            let rest = &bytes[at..];
            let Some(head) = FrameHead::parse(rest) else { break };
            if head.kind != HEADERS {
                self.skipping = FRAME_HEAD_BYTES + head.bytes;
                continue;
            }
            let mut fields = Vec::new();
            let Some(mut block) = complete_block(rest, &mut fields) else {
                self.is_inspecting = rest.len() <= HELD_BYTES_MAX;
                break;
            };
            let is_request = head.stream > self.latest_stream;
            let kind = if is_request { BlockKind::Request } else { BlockKind::Trailers };
            self.latest_stream = self.latest_stream.max(head.stream);
            block.last_frame += at;
            block.fields_end += at;
            at += block.bytes;
            match self.table.check(&fields, kind) {
                Finding::WellFormed => {}
                Finding::Malformed => malformed.push(block),
                Finding::Undecodable => {
                    self.is_inspecting = false;
                    break;
                }
            }
        }
        (if self.is_inspecting { at } else { bytes.len() }, malformed)
    }
}

#[derive(Clone, Copy)]
struct FrameHead {
    /// Length of the payload.
    bytes: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameHead {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<FRAME_HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let stream = u32::from_be_bytes(*stream) & 0x7fff_ffff;
        Some(Self { bytes: length, kind: *kind, flags: *flags, stream })
    }
}

/// The header block at the front of `bytes` once it is complete; its encoded fields are collected
/// in `fields`.
fn complete_block(bytes: &[u8], fields: &mut Vec<u8>) -> Option<HeaderBlock> {
    let mut last_frame = 0;
    loop {
        let head = FrameHead::parse(&bytes[last_frame..])?;
        let start = last_frame + FRAME_HEAD_BYTES;
        let payload = bytes.get(start..start + head.bytes)?;
        let is_expected = head.kind == if last_frame == 0 { HEADERS } else { CONTINUATION };
        // hyper rejects an invalid frame, which ends the connection.
        let part = if is_expected { fields_range(head, payload) } else { None };
        let part = part.unwrap_or(0..0);
        let fields_end = start + part.end;
        fields.extend_from_slice(&payload[part]);
        let end = start + head.bytes;
        if !is_expected || head.flags & END_HEADERS != 0 {
            return Some(HeaderBlock { bytes: end, last_frame, fields_end });
        }
        last_frame = end;
    }
}

/// The range of the encoded fields in the payload of a frame.
fn fields_range(head: FrameHead, payload: &[u8]) -> Option<std::ops::Range<usize>> {
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

/// These bytes, with the forbidden field appended to each malformed block.
fn with_forbidden_fields(bytes: &[u8], malformed: &[HeaderBlock]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + malformed.len() * FORBIDDEN_FIELD.len());
    let mut copied = 0;
    for block in malformed {
        out.extend_from_slice(&bytes[copied..block.last_frame]);
        let [a, b, c] = [0, 1, 2].map(|index| bytes[block.last_frame + index]);
        let length = u32::from_be_bytes([0, a, b, c]) as usize + FORBIDDEN_FIELD.len();
        let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        out.extend_from_slice(&[a, b, c]);
        out.extend_from_slice(&bytes[block.last_frame + 3..block.fields_end]);
        out.extend_from_slice(FORBIDDEN_FIELD);
        copied = block.fields_end;
    }
    out.extend_from_slice(&bytes[copied..]);
    out
}

impl<R: AsyncRead + Unpin> AsyncRead for HeaderBlockCheck<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.handed_out < this.inspected.len() {
                let rest = &this.inspected[this.handed_out..];
                let fits = rest.len().min(buffer.remaining());
                buffer.put_slice(&rest[..fits]);
                this.handed_out += fits;
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.reader).poll_read(cx, buffer))?;
            let received = &buffer.filled()[before..];
            if received.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let Some(inspected) = this.inspector.inspect(received) else {
                return Poll::Ready(Ok(()));
            };
            buffer.set_filled(before);
            (this.inspected, this.handed_out) = (inspected, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL_FORMED: &[u8] = b"\x82\x86\x84";
    /// Has a fragment in `:path`.
    const MALFORMED: &[u8] = b"\x82\x86\x04\x04/a#b";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags];
        [&head[..], &stream.to_be_bytes(), payload].concat()
    }

    /// What passes on of these bytes, received in pieces of this size.
    fn passed(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut inspector = FrameInspector::default();
        let pass = |part: &[u8]| inspector.inspect(part).unwrap_or_else(|| part.to_vec());
        bytes.chunks(piece).map(pass).collect::<Vec<_>>().concat()
    }

    #[test]
    fn well_formed_frames_pass_unchanged_in_any_pieces() {
        let padded = [&[3][..], &[0, 0, 0, 0, 9], WELL_FORMED, &[0; 3]].concat();
        let bytes = [
            PREFACE.to_vec(),
            frame(4, 0, 0, &[0; 12]),
            frame(HEADERS, END_HEADERS, 1, WELL_FORMED),
            frame(0, 0, 1, &[b'#'; 3000]),
            frame(HEADERS, 0, 3, &WELL_FORMED[..1]),
            frame(CONTINUATION, END_HEADERS, 3, &WELL_FORMED[1..]),
            frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 5, &padded),
            frame(HEADERS, END_HEADERS, 1, b"\x40\x05x-sum\x011"),
        ]
        .concat();
        for piece in [1, 2, 7, 10, 100, bytes.len()] {
            assert_eq!(passed(&bytes, piece), bytes, "{piece}");
        }
    }

    #[test]
    fn the_forbidden_field_is_appended_to_malformed_blocks_only() {
        let appended = |fields: &[u8]| [fields, FORBIDDEN_FIELD].concat();
        let padding = |fields: &[u8]| [&[2][..], fields, &[0; 2]].concat();
        let rows = [
            (
                frame(HEADERS, END_HEADERS, 1, MALFORMED),
                frame(HEADERS, END_HEADERS, 1, &appended(MALFORMED)),
            ),
            (
                [
                    frame(HEADERS, 0, 1, &MALFORMED[..4]),
                    frame(CONTINUATION, END_HEADERS, 1, &MALFORMED[4..]),
                ]
                .concat(),
                [
                    frame(HEADERS, 0, 1, &MALFORMED[..4]),
                    frame(CONTINUATION, END_HEADERS, 1, &appended(&MALFORMED[4..])),
                ]
                .concat(),
            ),
            (
                frame(HEADERS, END_HEADERS | PADDED, 1, &padding(MALFORMED)),
                frame(HEADERS, END_HEADERS | PADDED, 1, &padding(&appended(MALFORMED))),
            ),
            (
                [
                    frame(HEADERS, END_HEADERS, 1, WELL_FORMED),
                    frame(HEADERS, END_HEADERS, 1, b"\x84"),
                ]
                .concat(),
                [
                    frame(HEADERS, END_HEADERS, 1, WELL_FORMED),
                    frame(HEADERS, END_HEADERS, 1, &appended(b"\x84")),
                ]
                .concat(),
            ),
        ];
        let next = frame(HEADERS, END_HEADERS, 9, WELL_FORMED);
        for (sent, expected) in rows {
            let sent = [&PREFACE[..], &sent, &next].concat();
            for piece in [1, 5, sent.len()] {
                let expected = [&PREFACE[..], &expected, &next].concat();
                assert_eq!(passed(&sent, piece), expected, "{piece}");
            }
        }
    }

    #[test]
    fn everything_behind_an_undecodable_or_endless_block_passes_unchanged() {
        let broken = [PREFACE.to_vec(), frame(HEADERS, END_HEADERS, 1, b"\x80")].concat();
        let endless = [PREFACE.to_vec(), frame(HEADERS, 0, 1, &[0; 16_000])].concat();
        let more = frame(CONTINUATION, 0, 1, &[0; 16_000]).repeat(40);
        for bytes in [broken, [endless, more].concat()] {
            let sent = [bytes, frame(HEADERS, END_HEADERS, 3, MALFORMED)].concat();
            for piece in [1000, sent.len()] {
                assert_eq!(passed(&sent, piece), sent, "{piece}");
            }
        }
    }
}
