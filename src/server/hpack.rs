//! Header blocks of HTTP/2, read only as far as it takes to see what the library overlooks.
//!
//! The library that reads HTTP/2 cuts a `:path` at its `#` and drops pseudo-headers from trailers,
//! so that neither can be seen behind it; both make a message malformed (RFC 9113 §8.1.1, §8.3).
//! This reads names and lengths of the fields (RFC 7541), for the table that both ends keep, and of
//! the values only `:path`. What is wrong with the encoding itself is left to the library.

use std::collections::VecDeque;

/// Bytes of the dynamic table; neither end asks for another size.
const TABLE_BYTES_MAX: usize = 4096;

/// What an entry of the table counts beside its bytes (RFC 7541 §4.1).
const ENTRY_OVERHEAD_BYTES: usize = 32;

/// The header table of one direction of a connection.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest one first.
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

/// Which message a block is the head or the trailers of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Request,
    Trailers,
}

/// What a block shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing that the library would overlook.
    Fine,
    /// A fragment in `:path`, or a pseudo-header in trailers.
    Malformed,
    /// It is encoded wrongly: nothing is known of the table any more.
    Unreadable,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Name,
    value_bytes: usize,
    has_fragment: bool,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    kind: Kind,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Path,
    OtherPseudo,
    Regular,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES_MAX }
    }
}

impl Table {
    /// Reads a whole block.
    pub(super) fn judge(&mut self, block: &[u8], of: Block) -> Verdict {
        self.read(block, of).unwrap_or(Verdict::Unreadable)
    }

    fn read(&mut self, mut rest: &[u8], of: Block) -> Option<Verdict> {
        let mut verdict = Verdict::Fine;
        while let Some(first) = rest.first().copied() {
            let field = if first & 0x80 != 0 {
                self.entry(integer(&mut rest, 7)?)?
            } else if first & 0xe0 == 0x20 {
                self.resize(integer(&mut rest, 5)?)?;
                continue;
            } else {
                let indexed = first & 0x40 != 0;
                let number = integer(&mut rest, if indexed { 6 } else { 4 })?;
                let name = match number {
                    0 => name(string(&mut rest)?)?,
                    _ => self.entry(number)?.name,
                };
                let value = string(&mut rest)?;
                let entry = Entry {
                    name,
                    has_fragment: name.kind == Kind::Path && has_fragment(value)?,
                    value_bytes: if indexed { value.decoded_bytes()? } else { 0 },
                };
                if indexed {
                    self.insert(entry);
                }
                entry
            };
            let is_pseudo = field.name.kind != Kind::Regular;
            if field.has_fragment || (of == Block::Trailers && is_pseudo) {
                verdict = Verdict::Malformed;
            }
        }
        Some(verdict)
    }

    fn entry(&self, number: usize) -> Option<Entry> {
        let number = number.checked_sub(1)?;
        if let Some(name) = STATIC_NAMES.get(number) {
            let name = Name { kind: kind(name.as_bytes()), bytes: name.len() };
            return Some(Entry { name, value_bytes: 0, has_fragment: false });
        }
        self.entries.get(number - STATIC_NAMES.len()).copied()
    }

    fn insert(&mut self, entry: Entry) {
        let bytes = entry.bytes();
        self.evict(self.bytes_max.saturating_sub(bytes));
        if bytes <= self.bytes_max {
            self.bytes += bytes;
            self.entries.push_front(entry);
        }
    }

    fn resize(&mut self, bytes_max: usize) -> Option<()> {
        if bytes_max > TABLE_BYTES_MAX {
            return None;
        }
        self.bytes_max = bytes_max;
        self.evict(bytes_max);
        Some(())
    }

    fn evict(&mut self, bytes_left: usize) {
        while self.bytes > bytes_left {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        self.name.bytes + self.value_bytes + ENTRY_OVERHEAD_BYTES
    }
}

/// A string as it is encoded.
#[derive(Clone, Copy)]
struct Encoded<'a> {
    bytes: &'a [u8],
    huffman: bool,
}

impl Encoded<'_> {
    fn each(self, mut see: impl FnMut(u8)) -> Option<()> {
        if self.huffman {
            return huffman(self.bytes, see);
        }
        self.bytes.iter().for_each(|byte| see(*byte));
        Some(())
    }

    fn decoded_bytes(self) -> Option<usize> {
        let mut count = 0;
        self.each(|_| count += 1)?;
        Some(count)
    }
}

fn name(name: Encoded<'_>) -> Option<Name> {
    const PATH: &[u8] = b":path";
    // One byte more, so that a longer name is not taken for it.
    let (mut start, mut bytes) = ([0; PATH.len() + 1], 0);
    name.each(|byte| {
        if let Some(place) = start.get_mut(bytes) {
            *place = byte;
        }
        bytes += 1;
    })?;
    Some(Name { kind: kind(&start[..bytes.min(start.len())]), bytes })
}

/// Of a name, or of its beginning.
fn kind(name: &[u8]) -> Kind {
    match name {
        b":path" => Kind::Path,
        [b':', ..] => Kind::OtherPseudo,
        _ => Kind::Regular,
    }
}

fn has_fragment(value: Encoded<'_>) -> Option<bool> {
    let mut found = false;
    value.each(|byte| found |= byte == b'#')?;
    Some(found)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<Encoded<'a>> {
    let huffman = *rest.first()? & 0x80 != 0;
    let length = integer(rest, 7)?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(Encoded { bytes, huffman })
}

/// An integer with a prefix of so many bits (RFC 7541 §5.1).
fn integer(rest: &mut &[u8], prefix_bits: u32) -> Option<usize> {
    /// Far more than any length that is accepted.
    const BYTES_MAX: u32 = 4;
    let mask = (1 << prefix_bits) - 1;
    let (first, mut behind) = rest.split_first()?;
    let mut number = usize::from(first & mask);
    if number == usize::from(mask) {
        for place in 0..=BYTES_MAX {
            let (byte, further) = behind.split_first()?;
            behind = further;
            number += usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
            if place == BYTES_MAX {
                return None;
            }
        }
    }
    *rest = behind;
    Some(number)
}

/// Decodes Huffman's code bit by bit: codes of a length follow each other in the order of their
/// symbols, and those of the next length follow them.
fn huffman(bytes: &[u8], mut see: impl FnMut(u8)) -> Option<()> {
    let (mut code, mut length) = (0_u32, 0_usize);
    for byte in bytes {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            length += 1;
            let codes = CODES.get(length)?;
            let place = code.wrapping_sub(codes.first);
            if place < codes.count {
                see(SYMBOLS[(codes.symbols_before + place) as usize]);
                (code, length) = (0, 0);
            }
        }
    }
    Some(())
}

/// The codes of one length.
#[derive(Clone, Copy)]
struct Codes {
    first: u32,
    count: u32,
    symbols_before: u32,
}

const LENGTH_MAX: usize = 30;

const CODES: [Codes; LENGTH_MAX + 1] = {
    let mut codes = [Codes { first: 0, count: 0, symbols_before: 0 }; LENGTH_MAX + 1];
    let mut length = 1;
    while length <= LENGTH_MAX {
        let Codes { first, count, symbols_before } = codes[length - 1];
        codes[length].first = (first + count) << 1;
        codes[length].symbols_before = symbols_before + count;
        let mut symbol = 0;
        while symbol < 256 {
            if CODE_LENGTHS[symbol] as usize == length {
                codes[length].count += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    codes
};

/// By length of their code, then by value.
const SYMBOLS: [u8; 256] = {
    let (mut symbols, mut next, mut length) = ([0; 256], 0, 1);
    while length <= LENGTH_MAX {
        let mut symbol = 0_u8;
        loop {
            if CODE_LENGTHS[symbol as usize] as usize == length {
                symbols[next] = symbol;
                next += 1;
            }
            if symbol == u8::MAX {
                break;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
};

/// Bits of each byte's code (RFC 7541, appendix B).
const CODE_LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The names of the static table (RFC 7541, appendix A); the first one has the number 1.
const STATIC_NAMES: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(blocks: &[(&[u8], Block)]) -> Vec<Verdict> {
        let mut table = Table::default();
        blocks.iter().map(|(block, of)| table.judge(block, *of)).collect()
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // RFC 7541, C.4: three requests with Huffman's code, each with entries of the one before.
        let requests: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\
              \xe8\xb4\xbf",
        ];
        let mut table = Table::default();
        let mut sizes = Vec::new();
        for request in requests {
            assert_eq!(table.judge(request, Block::Request), Verdict::Fine);
            sizes.push((table.entries.len(), table.bytes));
        }
        assert_eq!(sizes, [(1, 57), (2, 110), (3, 164)], "as the standard says");
    }

    #[test]
    fn a_fragment_is_found_however_it_is_encoded() {
        let rows: [&[u8]; 4] = [
            b"\x04\x04/a#b",
            b"\x00\x05:path\x04/a#b",
            b"\x04\x84\x60\x7f\xf5\x1f",
            b"\x14\x05/?a=#",
        ];
        for block in rows {
            assert_eq!(judged(&[(block, Block::Request)]), [Verdict::Malformed], "{block:?}");
        }
        for block in [&b"\x04\x04/a?b"[..], b"\x00\x05:pbth\x04/a#b", b"\x10\x06referer"] {
            assert_ne!(judged(&[(block, Block::Request)]), [Verdict::Malformed], "{block:?}");
        }
    }

    #[test]
    fn what_the_table_remembers_stays_malformed() {
        let learned: (&[u8], Block) = (b"\x44\x04/a#b\x40\x01a\x01b", Block::Request);
        let again: (&[u8], Block) = (b"\xbf", Block::Request);
        let other: (&[u8], Block) = (b"\xbe", Block::Request);
        let found = judged(&[learned, other, again]);
        assert_eq!(found, [Verdict::Malformed, Verdict::Fine, Verdict::Malformed]);
        let forgotten: (&[u8], Block) = (b"\x20\x3f\xe1\x1f\xbf", Block::Request);
        assert_eq!(judged(&[learned, forgotten])[1], Verdict::Unreadable, "it is gone");
    }

    #[test]
    fn trailers_have_no_pseudo_headers() {
        let rows: [(&[u8], Verdict); 5] = [
            (b"\x40\x05x-sum\x011", Verdict::Fine),
            (b"\x00\x05x-sum\x011\x84", Verdict::Malformed),
            (b"\x82", Verdict::Malformed),
            (b"\x00\x07:status\x03200", Verdict::Malformed),
            (b"\x00\x02:x\x011", Verdict::Malformed),
        ];
        for (block, verdict) in rows {
            assert_eq!(judged(&[(block, Block::Trailers)]), [verdict], "{block:?}");
        }
    }

    #[test]
    fn what_is_encoded_wrongly_is_left_to_the_library() {
        let rows: [&[u8]; 6] =
            [b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\xc0", b"\x04", b"\x04\x7f", b"\x3f\xff\x7f"];
        for block in rows {
            assert_eq!(judged(&[(block, Block::Request)]), [Verdict::Unreadable], "{block:?}");
        }
    }
}
