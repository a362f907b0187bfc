//! `Prefer` (RFC 7240): `wait` is for the gateway, every other preference for the upstream.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::names::PREFER;

/// A longer `wait` counts as 31 days. What is granted is bounded far lower, by `wait.max`.
pub const WAIT_SECONDS_MAX: u64 = 31 * 24 * 3600;

/// The patience a client asks for with `wait=N`. The first one counts; a malformed one counts as
/// none.
#[must_use]
pub fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let mut all = headers.get_all(PREFER).iter().flat_map(|value| preferences(value.as_bytes()));
    let seconds = seconds(wait_value(all.find(|text| wait_value(text).is_some())?)?)?;
    Some(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX)))
}

/// Removes every `wait` preference and leaves the others byte for byte.
pub(super) fn remove_wait(headers: &mut HeaderMap) {
    let is_wait = |text: &&[u8]| wait_value(text).is_some();
    let asks = |value: &HeaderValue| preferences(value.as_bytes()).any(|text| is_wait(&text));
    if !headers.get_all(PREFER).iter().any(asks) {
        return;
    }
    let without_wait = |value: &HeaderValue| {
        let others: Vec<&[u8]> = preferences(value.as_bytes())
            .filter(|text| !text.is_empty() && !is_wait(text))
            .collect();
        HeaderValue::from_bytes(&others.join(&b", "[..])).ok().filter(|left| !left.is_empty())
    };
    let others: Vec<HeaderValue> =
        headers.get_all(PREFER).iter().filter_map(without_wait).collect();
    headers.remove(PREFER);
    for value in others {
        headers.append(PREFER, value);
    }
}

/// The trimmed members of a list; commas inside quotes do not separate.
fn preferences(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    outside_quotes(list, b',')
}

/// The value of a `wait` preference without quotes and parameters.
fn wait_value(preference: &[u8]) -> Option<&[u8]> {
    let bare = outside_quotes(preference, b';').next()?;
    let equals = bare.iter().position(|byte| *byte == b'=').unwrap_or(bare.len());
    let (name, value) = bare.split_at(equals);
    if !name.trim_ascii().eq_ignore_ascii_case(b"wait") {
        return None;
    }
    let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value))
}

fn seconds(word: &[u8]) -> Option<u64> {
    let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits)?;
    Some(text.parse().unwrap_or(u64::MAX))
}

fn outside_quotes(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut place = Place::Outside;
    let split = text.split(move |byte| {
        let here = place == Place::Outside && *byte == separator;
        place = match (place, *byte) {
            (Place::Outside, b'"') | (Place::Escaped, _) => Place::Quoted,
            (Place::Outside, _) | (Place::Quoted, b'"') => Place::Outside,
            (Place::Quoted, b'\\') => Place::Escaped,
            (Place::Quoted, _) => Place::Quoted,
        };
        here
    });
    split.map(<[u8]>::trim_ascii)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Quoted,
    Escaped,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefer(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_first_wait_counts_in_every_spelling() {
        let rows: [(&[&'static str], Option<u64>); 14] = [
            (&["wait=10"], Some(10)),
            (&["respond-async, WAIT = 7"], Some(7)),
            (&["respond-async", "wait=3, wait=9"], Some(3)),
            (&["wait=\"12\""], Some(12)),
            (&["wait=5; strict"], Some(5)),
            (&["note=\"a, wait=1\", wait=2"], Some(2)),
            (&["note=\"a\\\", wait=1\", wait=2"], Some(2)),
            (&["wait=99999999999999999999999"], Some(WAIT_SECONDS_MAX)),
            (&["wait=-1"], None),
            (&["wait=1.5, wait=2"], None),
            (&["wait"], None),
            (&["wait="], None),
            (&["waiting=4"], None),
            (&[], None),
        ];
        for (values, expected) in rows {
            let found = preferred_wait(&prefer(values)).map(|wait| wait.as_secs());
            assert_eq!(found, expected, "{values:?}");
        }
    }

    #[test]
    fn other_preferences_are_sent_on() {
        let rows: [(&[&'static str], &[&'static str]); 5] = [
            (&["wait=10"], &[]),
            (&["respond-async, wait=10, return=minimal"], &["respond-async, return=minimal"]),
            (&["respond-async,return=minimal"], &["respond-async,return=minimal"]),
            (&["wait=1", "x;  y=\"a, b\""], &["x;  y=\"a, b\""]),
            (&["note=\"wait=1, \""], &["note=\"wait=1, \""]),
        ];
        for (before, after) in rows {
            let mut headers = prefer(before);
            remove_wait(&mut headers);
            assert_eq!(headers, prefer(after), "{before:?}");
        }
    }
}
