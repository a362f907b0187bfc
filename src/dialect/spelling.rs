//! Names of members in one spelling, so that `errorCode`, `error_code` and `Error-Code` compare.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Characters of a name that are compared; longer ones are no name of ours.
const CHARS_MAX: usize = 40;

/// The letters and digits of a name, in lower case.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.len() <= CHARS_MAX && name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(CHARS_MAX);
    let mut plain = String::with_capacity(name.len().min(CHARS_MAX));
    plain.extend(letters.map(|c| c.to_ascii_lowercase()));
    plain.into()
}

/// The bytes of the start that all names of an object share, up to a `_`: vendors put their own
/// name before those of every member (`vnp_ResponseCode`, `vnp_Message`). A start that says
/// something of an error is a part of the names.
pub(super) fn shared_start(map: &Map<String, Value>) -> usize {
    let mut names = map.keys();
    let Some(first) = names.next().filter(|_| map.len() > 1) else { return 0 };
    let said = ["err", "fault", "exception", "message", "status", "result", "return", "response"];
    let start = first.rmatch_indices('_').map(|(at, _)| at + 1).find(|length| {
        map.keys().all(|name| name.len() > *length && name.starts_with(&first[..*length]))
    });
    let is_said = || said.iter().any(|word| plain(first).starts_with(word));
    start.filter(|_| !is_said()).unwrap_or_default()
}
