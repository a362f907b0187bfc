//! Cuts a tree down to so many bytes of JSON, in its order.

use serde_json::Value;

/// The value, or as much of it as fits into so many bytes of JSON.
pub(super) fn within(mut value: Value, bytes_max: usize) -> Value {
    let mut bytes_left = bytes_max;
    if fit(&mut value, &mut bytes_left) { value } else { Value::Null }
}

/// Cuts a value to what fits into the bytes left: a text is shortened, what follows is removed.
/// `false` where nothing of it fits.
fn fit(value: &mut Value, bytes_left: &mut usize) -> bool {
    let mut fits = true;
    let mut comma = 0;
    match value {
        Value::Null => spend(bytes_left, "null".len()),
        Value::Bool(true) => spend(bytes_left, "true".len()),
        Value::Bool(false) => spend(bytes_left, "false".len()),
        Value::Number(number) => spend(bytes_left, number.as_str().len()),
        Value::String(text) => fit_text(text, bytes_left),
        Value::Array(items) => {
            if !spend(bytes_left, "[]".len()) {
                return false;
            }
            items.retain_mut(|item| {
                fits = fits && spend(bytes_left, comma) && fit(item, bytes_left);
                comma = ",".len();
                fits
            });
            true
        }
        Value::Object(members) => {
            if !spend(bytes_left, "{}".len()) {
                return false;
            }
            members.retain(|name, value| {
                let name_bytes = comma + json_bytes(name) + ":".len();
                fits = fits && spend(bytes_left, name_bytes) && fit(value, bytes_left);
                comma = ",".len();
                fits
            });
            true
        }
    }
}

fn fit_text(text: &mut String, bytes_left: &mut usize) -> bool {
    if spend(bytes_left, json_bytes(text)) {
        return true;
    }
    let Some(room) = bytes_left.checked_sub(QUOTES + "…".len()) else { return false };
    let mut used = 0;
    let fits = |c: &char| {
        used += json_bytes(c.encode_utf8(&mut [0; 4])) - QUOTES;
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    *bytes_left = 0;
    *text = kept.trim_end().to_owned() + "…";
    true
}

const QUOTES: usize = 2;

/// The length of a text as JSON.
fn json_bytes(text: &str) -> usize {
    let is_escaped = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    let further = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => "n".len(),
        _ => "u001f".len(),
    };
    QUOTES + text.len() + text.bytes().filter(is_escaped).map(further).sum::<usize>()
}

/// `false` where fewer bytes are left.
fn spend(bytes_left: &mut usize, bytes: usize) -> bool {
    let rest = bytes_left.checked_sub(bytes);
    *bytes_left = rest.unwrap_or(*bytes_left);
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fitting_counts_the_bytes_of_the_json(text in "(?s:.{0,30})", n in any::<i64>()) {
            let value = serde_json::json!({ "a": [text, n, null, true], &text: { "b": {} } });
            let all = value.to_string().len();
            prop_assert_eq!(&within(value.clone(), all), &value);
            let less = within(value.clone(), all - 1);
            prop_assert!(less != value && less.to_string().len() < all, "{}", less);
        }
    }
}
