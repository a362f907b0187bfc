//! Names of members in one spelling, so that `errorCode`, `error_code` and `Error-Code` compare.

use std::borrow::Cow;

/// Characters of a name that are compared; longer ones are no name of ours.
const CHARS_MAX: usize = 40;

/// The letters and digits of a name, in lower case.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.len() <= CHARS_MAX && name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(CHARS_MAX);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}
