//! Decodes HPACK (RFC 7541) as far as needed to find malformed requests that hyper overlooks.
//!
//! hyper cuts a `:path` at its `#` and drops pseudo-headers in trailers, so the handler would see
//! neither. Both make a request malformed (RFC 9113 §8.1.1, §8.3), and other servers could read it
//! differently. To follow the dynamic table, only the names and lengths of fields are needed; the
//! only value that is decoded is `:path`. Encoding errors are left to hyper.

use std::collections::VecDeque;

/// Size of the dynamic table: the default, which our SETTINGS do not change.
const TABLE_BYTES_MAX: usize = 4096;

/// Each entry counts this besides its bytes (RFC 7541 §4.1).
const ENTRY_OVERHEAD_BYTES: usize = 32;

#[derive(Debug)]
pub(super) struct DynamicTable {
    /// The newest first.
    entries: VecDeque<Field>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Request,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    WellFormed,
    /// A fragment in `:path`, or a pseudo-header in trailers.
    Malformed,
    /// The encoding is invalid, so the state of the dynamic table is unknown from here on.
    Undecodable,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Name,
    value_bytes: usize,
    has_fragment: bool,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    kind: NameKind,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameKind {
    Path,
    OtherPseudo,
    Regular,
}

impl Default for DynamicTable {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES_MAX }
    }
}

impl DynamicTable {
    /// Checks a complete header block.
    pub(super) fn check(&mut self, block: &[u8], kind: BlockKind) -> Finding {
        self.decode(block, kind).unwrap_or(Finding::Undecodable)
    }

    /// `None` where the encoding is invalid.
    fn decode(&mut self, mut rest: &[u8], kind: BlockKind) -> Option<Finding> {
        let mut finding = Finding::WellFormed;
        while let Some(first) = rest.first().copied() {
            let field = if first & 0x80 != 0 {
                self.field(take_integer(&mut rest, 7)?)?
            } else if first & 0xe0 == 0x20 {
                let bytes_max = take_integer(&mut rest, 5)?;
                if bytes_max > TABLE_BYTES_MAX {
                    return None;
                }
                self.bytes_max = bytes_max;
                self.evict(bytes_max);
                continue;
            } else {
                let is_indexed = first & 0x40 != 0;
                let index = take_integer(&mut rest, if is_indexed { 6 } else { 4 })?;
                let name = match index {
                    0 => Name::decode(take_string(&mut rest)?)?,
                    _ => self.field(index)?.name,
                };
                let (value, is_path) = (take_string(&mut rest)?, name.kind == NameKind::Path);
                let mut field = Field { name, value_bytes: 0, has_fragment: false };
                if is_path || is_indexed {
                    value.for_each(|byte| {
                        field.value_bytes += 1;
                        field.has_fragment |= is_path && byte == b'#';
                    })?;
                }
                if is_indexed {
                    self.evict(self.bytes_max.saturating_sub(field.bytes()));
                    // A field larger than the table empties it and is not kept.
                    if field.bytes() <= self.bytes_max {
                        self.bytes += field.bytes();
                        self.entries.push_front(field);
                    }
                }
                field
            };
            let is_pseudo = field.name.kind != NameKind::Regular;
            if field.has_fragment || (kind == BlockKind::Trailers && is_pseudo) {
                finding = Finding::Malformed;
            }
        }
        Some(finding)
    }

    /// The field with this index in the static and dynamic tables.
    fn field(&self, index: usize) -> Option<Field> {
        let index = index.checked_sub(1)?;
        if let Some(name) = STATIC_NAMES.get(index) {
            let name = Name { kind: NameKind::of(name.as_bytes()), bytes: name.len() };
            return Some(Field { name, value_bytes: 0, has_fragment: false });
        }
        self.entries.get(index - STATIC_NAMES.len()).copied()
    }

    fn evict(&mut self, bytes_left: usize) {
        while self.bytes > bytes_left {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Field {
    /// Its size in the dynamic table.
    fn bytes(&self) -> usize {
        self.name.bytes + self.value_bytes + ENTRY_OVERHEAD_BYTES
    }
}

/// A string literal, encoded.
#[derive(Clone, Copy)]
struct EncodedString<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl EncodedString<'_> {
    /// Calls `visit` with each byte. The Huffman code is decoded bit by bit; it is canonical: codes
    /// of one length are consecutive numbers in the order of their symbols, and longer codes follow
    /// shorter ones.
    fn for_each(self, mut visit: impl FnMut(u8)) -> Option<()> {
        if !self.is_huffman {
            self.bytes.iter().for_each(|byte| visit(*byte));
            return Some(());
        }
        let (mut code, mut length) = (0_u32, 0_usize);
        for byte in self.bytes {
            for bit in (0..8).rev() {
                code = code << 1 | u32::from(byte >> bit & 1);
                length += 1;
                let codes = CODES.get(length)?;
                let offset = code.wrapping_sub(codes.first);
                if offset < codes.count {
                    visit(SYMBOLS[(codes.symbols_before + offset) as usize]);
                    (code, length) = (0, 0);
                }
            }
        }
        Some(())
    }
}

impl Name {
    fn decode(name: EncodedString<'_>) -> Option<Self> {
        /// One byte longer than `:path`, so that a longer name is not taken for it.
        const START_BYTES: usize = b":path".len() + 1;
        let (mut start, mut bytes) = ([0; START_BYTES], 0);
        name.for_each(|byte| {
            if let Some(slot) = start.get_mut(bytes) {
                *slot = byte;
            }
            bytes += 1;
        })?;
        Some(Self { kind: NameKind::of(&start[..bytes.min(START_BYTES)]), bytes })
    }
}

impl NameKind {
    /// The kind of a name, given at least its first six bytes.
    fn of(name: &[u8]) -> Self {
        match name {
            b":path" => Self::Path,
            [b':', ..] => Self::OtherPseudo,
            _ => Self::Regular,
        }
    }
}

/// Takes a string literal (RFC 7541 §5.2) off `rest`.
fn take_string<'a>(rest: &mut &'a [u8]) -> Option<EncodedString<'a>> {
    let is_huffman = *rest.first()? & 0x80 != 0;
    let length = take_integer(rest, 7)?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(EncodedString { bytes, is_huffman })
}

/// Takes an integer with a prefix of this many bits (RFC 7541 §5.1) off `rest`.
fn take_integer(rest: &mut &[u8], prefix_bits: u32) -> Option<usize> {
    /// Enough for far larger lengths than are accepted.
    const BYTES_MAX: u32 = 4;
    let mask = (1 << prefix_bits) - 1;
    let (first, mut behind) = rest.split_first()?;
    let mut number = usize::from(first & mask);
    if number == usize::from(mask) {
        for index in 0..=BYTES_MAX {
            let (byte, further) = behind.split_first()?;
            behind = further;
            number += usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                break;
            }
            if index == BYTES_MAX {
                return None;
            }
        }
    }
    *rest = behind;
    Some(number)
}

/// The codes of one length in bits.
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

/// The symbols, ordered by the length of their code, then by value.
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

/// The length in bits of each byte's code (RFC 7541, appendix B).
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

/// The names of the static table (RFC 7541, appendix A); the first has index 1.
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

    fn findings(blocks: &[(&[u8], BlockKind)]) -> Vec<Finding> {
        let mut table = DynamicTable::default();
        blocks.iter().map(|(block, kind)| table.check(block, *kind)).collect()
    }

    #[test]
    fn the_examples_of_rfc_7541_are_decoded() {
        // RFC 7541, C.4: three Huffman-coded requests, each using entries of the previous one.
        let requests: [&[u8]; 3] = [
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
            b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\
              \xe8\xb4\xbf",
        ];
        let mut table = DynamicTable::default();
        let mut sizes = Vec::new();
        for request in requests {
            assert_eq!(table.check(request, BlockKind::Request), Finding::WellFormed);
            sizes.push((table.entries.len(), table.bytes));
        }
        assert_eq!(sizes, [(1, 57), (2, 110), (3, 164)], "entries and bytes as given in the RFC");
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
            assert_eq!(findings(&[(block, BlockKind::Request)]), [Finding::Malformed], "{block:?}");
        }
        for block in [&b"\x04\x04/a?b"[..], b"\x00\x05:pbth\x04/a#b", b"\x10\x06referer"] {
            assert_ne!(findings(&[(block, BlockKind::Request)]), [Finding::Malformed], "{block:?}");
        }
    }

    #[test]
    fn a_malformed_field_in_the_table_makes_later_blocks_malformed() {
        let inserting: (&[u8], BlockKind) = (b"\x44\x04/a#b\x40\x01a\x01b", BlockKind::Request);
        let reused: (&[u8], BlockKind) = (b"\xbf", BlockKind::Request);
        let other: (&[u8], BlockKind) = (b"\xbe", BlockKind::Request);
        let found = findings(&[inserting, other, reused]);
        assert_eq!(found, [Finding::Malformed, Finding::WellFormed, Finding::Malformed]);
        let evicted: (&[u8], BlockKind) = (b"\x20\x3f\xe1\x1f\xbf", BlockKind::Request);
        assert_eq!(
            findings(&[inserting, evicted])[1],
            Finding::Undecodable,
            "the entry was evicted"
        );
    }

    #[test]
    fn pseudo_headers_in_trailers_are_malformed() {
        let rows: [(&[u8], Finding); 5] = [
            (b"\x40\x05x-sum\x011", Finding::WellFormed),
            (b"\x00\x05x-sum\x011\x84", Finding::Malformed),
            (b"\x82", Finding::Malformed),
            (b"\x00\x07:status\x03200", Finding::Malformed),
            (b"\x00\x02:x\x011", Finding::Malformed),
        ];
        for (block, expected) in rows {
            assert_eq!(findings(&[(block, BlockKind::Trailers)]), [expected], "{block:?}");
        }
    }

    #[test]
    fn invalid_encodings_are_undecodable() {
        let rows: [&[u8]; 6] =
            [b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\xc0", b"\x04", b"\x04\x7f", b"\x3f\xff\x7f"];
        for block in rows {
            assert_eq!(
                findings(&[(block, BlockKind::Request)]),
                [Finding::Undecodable],
                "{block:?}"
            );
        }
    }
}
