//! The raw bytes of an error body → the decoded bytes, within limits.
//!
//! A decompression bomb, a broken or an unknown coding yields nothing. The size limit bounds the
//! time: decoding 256 KiB takes a few milliseconds.

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

/// The body without its content codings; `None` when it cannot be decoded within the limits.
#[must_use]
pub fn decoded(raw: Bytes, headers: &HeaderMap) -> Option<Bytes> {
    if raw.len() > BODY_BYTES_MAX {
        return None;
    }
    codings(headers)?.iter().rev().try_fold(raw, |bytes, coding| undo(*coding, &bytes))
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
    (codings.len() <= CODINGS_MAX).then_some(codings)
}

/// `Some(None)` for names that stand for no coding, `None` for unknown ones.
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

fn undo(coding: Coding, bytes: &Bytes) -> Option<Bytes> {
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

/// Everything the reader yields, unless it fails or yields more than `limit`.
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

    fn read(raw: Vec<u8>, encoding: &str) -> Option<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(encoding).unwrap());
        decoded(Bytes::from(raw), &headers)
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
    fn bombs_broken_and_unknown_codings_are_not_decoded() {
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
