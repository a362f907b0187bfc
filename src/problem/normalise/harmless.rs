//! Whether a look at its bytes tells that a text holds nothing that `clean` takes out.
//!
//! Nearly every sentence of a vendor is harmless, and to know that costs a tenth of the patterns
//! that find what is not. Refuses to be sure of the contrary: who doubts lets the patterns decide.

/// Whether none of `clean`'s patterns can match: each needs one of the marks below.
pub(super) fn is_harmless(text: &str) -> bool {
    let bytes = text.as_bytes();
    let harmless = |(place, byte): (usize, &u8)| {
        !MARKS[usize::from(*byte)] || is_mere(*byte, &bytes[..place], bytes.get(place + 1))
    };
    bytes.iter().enumerate().all(harmless)
}

/// Whether a mark is only what it seems, beside its neighbours.
fn is_mere(mark: u8, before: &[u8], next: Option<&u8>) -> bool {
    let next = next.copied().unwrap_or(b' ');
    match mark {
        // An address, the name of a host or a file.
        b'.' => !next.is_ascii_alphanumeric(),
        // An address, a place in a file; `Stack trace:`, `Caused by:`.
        b':' => {
            let address = next.is_ascii_hexdigit() || next == b':';
            !address && !before.ends_with(b"ce") && !before.ends_with(b"by")
        }
        // `File "a.py"`, `goroutine 1 [`, `#0 f(1)`, `--- End of`.
        b'"' => !before.ends_with(b"File "),
        b'[' => !before.ends_with(b" "),
        b'#' => !next.is_ascii_digit(),
        b'-' => next != b'-',
        // `localhost`.
        b'h' | b'H' => !before.ends_with(b"l") && !before.ends_with(b"L"),
        _ => false,
    }
}

/// What markup, traces and internal hosts cannot do without; and everything that is not plain
/// ASCII, whose letters and blanks have more forms than are listed here.
const MARKS: [bool; 256] = marks();

const fn marks() -> [bool; 256] {
    let mut marks = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        marks[byte as usize] =
            matches!(byte, b'<' | b'(' | b'.' | b':' | b'"' | b'[' | b'#' | b'-' | b'h' | b'H');
        byte += 1;
    }
    marks[b'\n' as usize] = false;
    marks[b'\t' as usize] = false;
    marks
}
