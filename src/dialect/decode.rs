//! The raw bytes of an error body → the decoded bytes, within caps.
//!
//! Never fails: a bomb, a broken or an unknown encoding makes the body *cut*, which counts as
//! unrecognised. The size cap bounds the time: decoding 256 KiB takes a few milliseconds.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::outcome::{Extent, Peek};

/// Bytes of a body that are looked at, decoded: far more than any error needs.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Decoded bytes for each encoded one; more is a bomb.
const RATIO_MAX: usize = 100;
/// Encodings on top of each other; nobody means more.
const NESTING_MAX: usize = 2;
/// The window of a zstd frame, as its RFC advises: 8 MiB.
const ZSTD_WINDOW_MAX: u64 = 8 * 1024 * 1024;
/// The working buffer of the brotli reader.
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;

/// What was read of a body, decoded; `extent` says whether the raw bytes were all of it.
#[must_use]
pub fn peek(raw: Bytes, extent: Extent, headers: &HeaderMap) -> Peek {
    if extent == Extent::Cut || raw.len() > BODY_BYTES_MAX {
        return cut();
    }
    let Some(codings) = codings(headers) else { return cut() };
    let bytes = codings.iter().rev().try_fold(raw, |bytes, coding| decoded(&bytes, *coding));
    bytes.map_or_else(cut, |bytes| Peek { bytes, extent: Extent::Whole })
}

fn cut() -> Peek {
    Peek { bytes: Bytes::new(), extent: Extent::Cut }
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings in the order they were applied; `None` when one is unknown or there are too many.
fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        for name in line.to_str().ok()?.split(',') {
            codings.extend(coding(name.trim())?);
        }
    }
    (codings.len() <= NESTING_MAX).then_some(codings)
}

/// `Some(None)` is no coding at all.
fn coding(name: &str) -> Option<Option<Coding>> {
    match name.to_ascii_lowercase().as_str() {
        "" | "identity" | "utf-8" => Some(None),
        "gzip" | "x-gzip" => Some(Some(Coding::Gzip)),
        "deflate" => Some(Some(Coding::Deflate)),
        "br" => Some(Some(Coding::Brotli)),
        "zstd" => Some(Some(Coding::Zstd)),
        _ => None,
    }
}

fn decoded(bytes: &Bytes, coding: Coding) -> Option<Bytes> {
    if bytes.is_empty() {
        return Some(Bytes::new());
    }
    let limit = BODY_BYTES_MAX.min(bytes.len().saturating_mul(RATIO_MAX));
    let source = bytes.as_ref();
    match coding {
        Coding::Gzip => bounded(MultiGzDecoder::new(source), limit),
        Coding::Deflate => bounded(ZlibDecoder::new(source), limit)
            .or_else(|| bounded(DeflateDecoder::new(source), limit)),
        Coding::Brotli => {
            bounded(brotli_decompressor::Decompressor::new(source, BROTLI_BUFFER_BYTES), limit)
        }
        Coding::Zstd => {
            let mut frames = FrameDecoder::new();
            frames.set_max_window_size(ZSTD_WINDOW_MAX);
            bounded(StreamingDecoder::new_with_decoder(source, frames).ok()?, limit)
        }
    }
}

/// Everything the reader gives, unless it breaks or gives more than `limit`.
fn bounded(reader: impl Read, limit: usize) -> Option<Bytes> {
    let mut decoded = Vec::new();
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(more).read_to_end(&mut decoded).ok()?;
    (decoded.len() <= limit).then(|| Bytes::from(decoded))
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

    fn encoded(raw: Vec<u8>, encoding: &str) -> Peek {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(encoding).unwrap());
        peek(Bytes::from(raw), Extent::Whole, &headers)
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
            let peek = encoded(raw, encoding);
            assert_eq!((peek.bytes.as_ref(), peek.extent), (TEXT, Extent::Whole), "{encoding}");
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_cut() {
        let bomb = gzip(&vec![b' '; 10 << 20]);
        let small_bomb = gzip(&vec![b' '; 200_000]);
        let truncated = gzip(TEXT)[..20].to_vec();
        let rows = [
            (bomb.clone(), "gzip"),
            (small_bomb, "gzip"),
            (gzip(&bomb), "gzip, gzip"),
            (gzip(&gzip(&gzip(TEXT))), "gzip, gzip, gzip"),
            (truncated, "gzip"),
            (TEXT.to_vec(), "gzip"),
            (TEXT.to_vec(), "zstd"),
            (TEXT.to_vec(), "br"),
            (TEXT.to_vec(), "compress"),
            (vec![b'a'; BODY_BYTES_MAX + 1], "identity"),
        ];
        for (raw, encoding) in rows {
            assert_eq!(encoded(raw, encoding).extent, Extent::Cut, "{encoding}");
        }
        let half = peek(Bytes::from_static(TEXT), Extent::Cut, &HeaderMap::new());
        assert_eq!(half.extent, Extent::Cut);
        assert_eq!(encoded(Vec::new(), "gzip").extent, Extent::Whole);
    }

    proptest! {
        #[test]
        fn nothing_panics(
            raw in proptest::collection::vec(any::<u8>(), 0..300),
            coding in 0_usize..4,
        ) {
            let encoding = ["gzip", "deflate", "br", "zstd"][coding];
            let peek = encoded(raw, encoding);
            prop_assert!(peek.bytes.len() <= BODY_BYTES_MAX);
        }
    }
}
