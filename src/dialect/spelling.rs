//! Names of members in one spelling, so that `errorCode`, `error_code` and `Error-Code` compare.

/// Characters of a name that are compared; longer ones are no name of ours.
const CHARS_MAX: usize = 40;

/// The letters and digits of a name, in lower case.
pub(super) fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(CHARS_MAX);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}
