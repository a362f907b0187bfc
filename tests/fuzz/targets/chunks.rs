//! Bodies in chunks, from clients (strict) and from upstreams (blanks behind a size are accepted).

use bytes::BytesMut;
use evenkeel::http1::{ChunkedDecoder, Piece, SizePadding};

use super::{Fields, Target, Verdict, cuts, fields, vectors};

pub(crate) const TARGET: Target = Target {
    name: "chunks",
    bytes_max: 2048,
    run,
    seeds: || vectors::read("chunks.txt").into_iter().map(|vector| vector.input).collect(),
};

/// A body that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    /// Bytes of it on the wire.
    pub(crate) length: usize,
}

/// The body that arrives in these pieces.
pub(crate) fn read(pieces: &[&[u8]], padding: SizePadding) -> Verdict<Read> {
    let (mut chunks, mut received) = (ChunkedDecoder::new(padding), BytesMut::new());
    let (mut body, mut trailers, mut given) = (Vec::new(), Vec::new(), 0);
    let mut pieces = pieces.iter();
    loop {
        match chunks.take(&mut received) {
            Ok(Piece::Data(data)) => {
                assert!(!data.is_empty(), "a piece without data would be read as the end");
                body.extend_from_slice(&data);
            }
            Ok(Piece::Trailers(found)) => trailers = fields(&found),
            Ok(Piece::End) => {
                assert!(chunks.is_over());
                return Verdict::Accepted(Read { body, trailers, length: given - received.len() });
            }
            Ok(Piece::More) => {
                let Some(piece) = pieces.next() else { return Verdict::Incomplete };
                received.extend_from_slice(piece);
                given += piece.len();
            }
            Err(error) => return Verdict::Rejected(error.to_string()),
        }
    }
}

fn run(input: &[u8]) {
    let [whole, single, varied] = cuts(input);
    let strict = read(&whole, SizePadding::Rejected);
    let lenient = read(&whole, SizePadding::Accepted);
    for pieces in [single, varied] {
        for (whole, padding) in
            [(&strict, SizePadding::Rejected), (&lenient, SizePadding::Accepted)]
        {
            let pieces = read(&pieces, padding);
            let alike = match (whole, &pieces) {
                (Verdict::Rejected(_), Verdict::Rejected(_)) => true,
                (one, other) => one == other,
            };
            assert!(alike, "at once {whole:?}, in pieces {pieces:?}");
        }
    }
    if strict.accepted().is_some() {
        assert_eq!(strict, lenient, "accepted from a client, so from an upstream too");
    }
    super::peers::chunks(input).check(input);
    let Some(read) = lenient.accepted() else { return };
    assert!(read.length <= input.len() && read.body.len() < read.length);
    let again = self::read(&[&written(read)], SizePadding::Rejected);
    let again = again.accepted().map(|again| (&again.body, &again.trailers));
    assert_eq!(again, Some((&read.body, &read.trailers)), "written and read again");
}

/// The same body in its plainest form.
fn written(read: &Read) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in read.body.chunks(7) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n");
    for (name, value) in &read.trailers {
        wire.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    wire.extend_from_slice(b"\r\n");
    wire
}
