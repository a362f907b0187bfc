//! A scan of bytes that spares most texts the regular expressions of `clean`.
//!
//! Nearly every sentence of a vendor is clean, and this scan costs a tenth of the patterns. It may
//! miss a clean text, in which case the patterns run; it never passes a text that they would
//! change.

/// Whether none of the patterns of `clean` can match: each requires one of the marks below, next to
/// certain neighbours.
pub(super) fn is_surely_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(place, byte)| {
        if !MARKS[usize::from(*byte)] {
            return true;
        }
        // The neighbours show whether a mark is ordinary punctuation, or an ordinary letter.
        let before = &bytes[..place];
        let next = bytes.get(place + 1).copied().unwrap_or(b' ');
        match byte {
            // Part of an address, a host name or a file name.
            b'.' => !next.is_ascii_alphanumeric(),
            // Part of an address or of a position in a file; `Stack trace:`, `Caused by:`.
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
    })
}

/// The bytes without which no markup, stack trace or internal host can be written. Everything
/// beyond plain ASCII is a mark too: the patterns match more letters and blanks than are listed
/// here.
const MARKS: [bool; 256] = {
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
};
