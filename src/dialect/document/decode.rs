//! The raw bytes of an error body → the decoded bytes, within limits.
//!
//! The bytes decide, not the label: a text is no compressed body, and gzip and zstd show what they
//! are. What breaks off is decoded up to there. A decompression bomb yields nothing. The size limit
//! bounds the time: decoding 256 KiB takes a few milliseconds.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The largest body that is read, raw and decoded: far more than any error needs.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Decoded bytes for each encoded one; more is a decompression bomb.
const RATIO_MAX: usize = 100;
const CODINGS_MAX: usize = 2;
/// The window of a zstd frame, 8 MiB as RFC 9659 requires.
const ZSTD_WINDOW_MAX: u64 = 8 * 1024 * 1024;
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;

/// What becomes of a body that breaks off inside a coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenOff {
    /// It is read as far as it goes.
    Kept,
    /// It counts as unreadable.
    Refused,
}

/// The body without its content codings; `None` when it cannot be decoded within the limits.
#[must_use]
pub fn decoded(raw: Bytes, headers: &HeaderMap, broken: BrokenOff) -> Option<Bytes> {
    if raw.len() > BODY_BYTES_MAX {
        return None;
    }
    let codings = codings(headers)?;
    let unlabelled = CODINGS_MAX - codings.len();
    let mut bytes =
        codings.iter().rev().try_fold(raw, |bytes, coding| undo(*coding, bytes, broken))?;
    for _ in 0..unlabelled {
        let Some(coding) = evident(&bytes) else { break };
        bytes = undo(coding, bytes, broken)?;
    }
    Some(bytes)
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// One that we do not know, or no coding at all.
    Unknown,
}

/// The codings in the order they were applied; `None` when there are too many.
fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        for name in line.to_str().unwrap_or("unreadable").split(',') {
            codings.extend(coding(name.trim()));
        }
    }
    (codings.len() <= CODINGS_MAX).then_some(codings)
}

/// `None` for names that stand for no coding.
fn coding(name: &str) -> Option<Coding> {
    match name.to_ascii_lowercase().as_str() {
        "" | "identity" | "utf-8" => None,
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        "deflate" => Some(Coding::Deflate),
        "br" => Some(Coding::Brotli),
        "zstd" => Some(Coding::Zstd),
        _ => Some(Coding::Unknown),
    }
}

/// Whether bytes that are no text show a compressed format: one that is undone here, zlib, or ZIP.
#[must_use]
pub fn is_compressed(bytes: &[u8]) -> bool {
    const OTHERS: [&[u8]; 4] = [b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"PK\x03\x04"];
    evident(bytes).is_some() || OTHERS.iter().any(|magic| bytes.starts_with(magic))
}

/// The coding that the first bytes show.
fn evident(bytes: &[u8]) -> Option<Coding> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some(Coding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Coding::Zstd),
        _ => None,
    }
}

fn undo(coding: Coding, bytes: Bytes, broken: BrokenOff) -> Option<Bytes> {
    let limit = BODY_BYTES_MAX.min(bytes.len().saturating_mul(RATIO_MAX));
    let source = bytes.as_ref();
    let coding = match evident(source) {
        None if is_text(source) => return Some(bytes),
        evident => evident.unwrap_or(coding),
    };
    match coding {
        Coding::Gzip => bounded(MultiGzDecoder::new(source), limit, broken),
        Coding::Deflate => match bounded(ZlibDecoder::new(source), limit, broken) {
            Some(decoded) if !decoded.is_empty() => Some(decoded),
            Some(_) | None => bounded(DeflateDecoder::new(source), limit, broken),
        },
        Coding::Brotli => bounded(
            brotli_decompressor::Decompressor::new(source, BROTLI_BUFFER_BYTES),
            limit,
            broken,
        ),
        Coding::Zstd => {
            let mut frames = FrameDecoder::new();
            frames.set_max_window_size(ZSTD_WINDOW_MAX);
            bounded(StreamingDecoder::new_with_decoder(source, frames).ok()?, limit, broken)
        }
        Coding::Unknown => None,
    }
}

/// No coding produces valid UTF-8 without control characters.
fn is_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes)
        .is_ok_and(|text| !text.contains(|c: char| c.is_control() && !c.is_whitespace()))
}

/// What the reader yields until it ends or breaks off, unless that is nothing or more than `limit`.
fn bounded(reader: impl Read, limit: usize, broken: BrokenOff) -> Option<Bytes> {
    let mut decoded = Vec::new();
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let ended = reader.take(more).read_to_end(&mut decoded);
    let usable = decoded.len() <= limit
        && (ended.is_ok() || broken == BrokenOff::Kept && !decoded.is_empty());
    usable.then(|| Bytes::from(decoded))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const TEXT: &[u8] = br#"{"error":"The requested file does not exist."}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    /// A brotli stream of one uncompressed block.
    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len() - 1).unwrap();
        // Window 16 bits; ISLAST 0; four nibbles of length; ISUNCOMPRESSED 1.
        let bits = (length << 4) | (1 << 20);
        let mut stream = bits.to_le_bytes()[..3].to_vec();
        stream.extend_from_slice(bytes);
        stream.push(3); // ISLAST, ISLASTEMPTY
        stream
    }

    fn read(raw: Vec<u8>, encoding: &str) -> Option<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(encoding).unwrap());
        decoded(Bytes::from(raw), &headers, BrokenOff::Kept)
    }

    #[test]
    fn every_encoding_is_read() {
        let rows = [
            (TEXT.to_vec(), "identity"),
            (gzip(TEXT), "gzip"),
            (gzip(TEXT), "X-GZIP"),
            (zlib(TEXT), "deflate"),
            (deflate(TEXT), "deflate"),
            (brotli(TEXT), "br"),
            (zstd(TEXT), "zstd"),
            (gzip(&zstd(TEXT)), "zstd, gzip"),
        ];
        for (raw, encoding) in rows {
            assert_eq!(read(raw, encoding).as_deref(), Some(TEXT), "{encoding}");
        }
    }

    #[test]
    fn wrong_labels_do_not_matter() {
        let rows = [
            (TEXT.to_vec(), "gzip"),
            (TEXT.to_vec(), "deflate"),
            (TEXT.to_vec(), "br, gzip"),
            (TEXT.to_vec(), "zstd"),
            (TEXT.to_vec(), "compress"),
            (gzip(TEXT), "identity"),
            (gzip(TEXT), "br"),
            (gzip(&gzip(TEXT)), "gzip"),
            (zstd(TEXT), "gzip"),
        ];
        for (raw, encoding) in rows {
            assert_eq!(read(raw, encoding).as_deref(), Some(TEXT), "{encoding}");
        }
    }

    #[test]
    fn what_breaks_off_is_decoded_up_to_there() {
        let words: Vec<String> = (0..20_000).map(|number| format!("{number} ")).collect();
        let text = words.concat().into_bytes();
        for (raw, encoding) in [
            (gzip(&text), "gzip"),
            (zlib(&text), "deflate"),
            (deflate(&text), "deflate"),
            (brotli(&text[..60_000]), "br"),
        ] {
            let half = raw[..raw.len() / 2].to_vec();
            let found = read(half, encoding).unwrap();
            assert!(found.len() > 1_000 && text.starts_with(&found), "{encoding}");
        }
    }

    #[test]
    fn bombs_broken_and_unknown_codings_are_not_decoded() {
        let bomb = gzip(&vec![b' '; 10 << 20]);
        let small_bomb = gzip(&vec![b' '; 200_000]);
        let rows = [
            (bomb.clone(), "gzip"),
            (small_bomb, "gzip"),
            (gzip(&bomb), "gzip, gzip"),
            (gzip(&gzip(&gzip(TEXT))), "gzip, gzip, gzip"),
            (gzip(TEXT)[..10].to_vec(), "gzip"),
            (b"\x1f\x9d\x90\xff\xfe".to_vec(), "compress"),
            (vec![b'a'; BODY_BYTES_MAX + 1], "identity"),
        ];
        for (raw, encoding) in rows {
            assert_eq!(read(raw, encoding), None, "{encoding}");
        }
        assert_eq!(read(Vec::new(), "gzip"), Some(Bytes::new()));
    }

    proptest! {
        #[test]
        fn nothing_panics(
            raw in proptest::collection::vec(any::<u8>(), 0..300),
            coding in 0_usize..4,
        ) {
            let encoding = ["gzip", "deflate", "br", "zstd"][coding];
            let decoded = read(raw, encoding);
            prop_assert!(decoded.is_none_or(|bytes| bytes.len() <= BODY_BYTES_MAX));
        }
    }
}
