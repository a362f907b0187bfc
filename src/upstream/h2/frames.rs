//! Scans the frames written on an HTTP/2 connection for how far each request has got.
//!
//! The h2 crate accepts a request before it is written: the request may still wait for the
//! upstream to grant a stream, and its bytes for the socket. So the bytes that the socket took are
//! parsed once more. Pure: bytes in, events out.

/// The client's connection preface (RFC 9113 §3.4), which precedes the first frame.
const PREFACE_BYTES: usize = 24;

const FRAME_HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Each with the number of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameEvent {
    /// A frame of the request began to be written.
    FrameBegun(u32),
    /// The last byte of the request was written.
    RequestEnded(u32),
}

#[derive(Debug)]
pub(super) struct FrameScanner {
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    /// Bytes still to come before the next frame head.
    payload_left: usize,
    current: Option<FrameHead>,
    /// The stream of a header block that ends it and continues in CONTINUATION frames.
    last_block: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct FrameHead {
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameScanner {
    pub(super) const fn new() -> Self {
        Self {
            head: [0; FRAME_HEAD_BYTES],
            head_bytes: 0,
            payload_left: PREFACE_BYTES,
            current: None,
            last_block: None,
        }
    }

    /// Scans the next bytes that were written.
    pub(super) fn scan(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(FrameEvent)) {
        loop {
            if self.payload_left == 0
                && let Some(frame) = self.current.take()
                && let Some(stream) = self.ended_by(frame)
            {
                on_event(FrameEvent::RequestEnded(stream));
            }
            if bytes.is_empty() {
                return;
            }
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len());
                self.payload_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (FRAME_HEAD_BYTES - self.head_bytes).min(bytes.len());
            self.head[self.head_bytes..self.head_bytes + taken].copy_from_slice(&bytes[..taken]);
            self.head_bytes += taken;
            bytes = &bytes[taken..];
            if self.head_bytes == FRAME_HEAD_BYTES {
                let [a, b, c, kind, flags, stream @ ..] = self.head;
                self.head_bytes = 0;
                self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
                self.current = Some(FrameHead { kind, flags, stream });
                if matches!(kind, DATA | HEADERS) {
                    on_event(FrameEvent::FrameBegun(stream));
                }
            }
        }
    }

    /// The stream that ends with this frame, now that its payload has been written.
    fn ended_by(&mut self, frame: FrameHead) -> Option<u32> {
        let FrameHead { kind, flags, stream } = frame;
        let ends_stream = flags & END_STREAM != 0;
        let ends_block = flags & END_HEADERS != 0;
        match kind {
            DATA if ends_stream => Some(stream),
            HEADERS if ends_stream && ends_block => Some(stream),
            HEADERS if ends_stream => {
                self.last_block = Some(stream);
                None
            }
            CONTINUATION if ends_block => self.last_block.take(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.resize(FRAME_HEAD_BYTES + payload, 0);
        bytes
    }

    /// The events of `bytes`, written in pieces of this size.
    fn events(bytes: &[u8], piece: usize) -> Vec<FrameEvent> {
        let mut frames = FrameScanner::new();
        let mut events = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.scan(piece, |event| events.push(event));
        }
        events
    }

    #[test]
    fn a_request_has_ended_with_the_last_byte_of_its_last_frame() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, 12));
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, 5));
        bytes.extend(frame(HEADERS, END_HEADERS, 3, 300));
        bytes.extend(frame(DATA, 0, 3, 20_000));
        bytes.extend(frame(6, 0, 0, 8));
        bytes.extend(frame(DATA, END_STREAM, 3, 0));
        bytes.extend(frame(HEADERS, END_STREAM, 5, 7));
        bytes.extend(frame(CONTINUATION, 0, 5, 7));
        bytes.extend(frame(CONTINUATION, END_HEADERS, 5, 7));
        let expected = [
            FrameEvent::FrameBegun(1),
            FrameEvent::RequestEnded(1),
            FrameEvent::FrameBegun(3),
            FrameEvent::FrameBegun(3),
            FrameEvent::FrameBegun(3),
            FrameEvent::RequestEnded(3),
            FrameEvent::FrameBegun(5),
            FrameEvent::RequestEnded(5),
        ];
        for piece in [1, 2, 9, 10, 4_096, bytes.len()] {
            assert_eq!(events(&bytes, piece), expected, "in pieces of {piece}");
        }
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(events(cut, 64).last(), Some(&FrameEvent::FrameBegun(5)), "one byte is missing");
    }
}
