//! Texts cut to a length in bytes.

/// The beginning of a text, cut between two characters.
pub(super) fn prefix(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
