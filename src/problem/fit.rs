//! Cuts a tree down to so many bytes of JSON, in its order.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

/// The value, or as much of it as fits into so many bytes of JSON.
pub(super) fn within(value: Value, bytes_max: usize) -> Value {
    if json_bytes(&value) <= bytes_max {
        return value;
    }
    let mut bytes_left = bytes_max;
    fit(&value, &mut bytes_left).unwrap_or(Value::Null)
}

/// The length of a value's JSON.
fn json_bytes<T: Serialize + ?Sized>(value: &T) -> usize {
    struct Count(usize);

    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("texts and trees of JSON serialise");
    count.0
}

/// As much of a value as fits into the bytes left: a text is cut, what follows is left out.
fn fit(value: &Value, bytes_left: &mut usize) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            spend(bytes_left, json_bytes(value))?;
            Some(value.clone())
        }
        Value::String(text) => fit_text(text, bytes_left).map(Value::String),
        Value::Array(items) => {
            spend(bytes_left, "[]".len())?;
            let mut fitting = Vec::new();
            for item in items {
                let comma = usize::from(!fitting.is_empty());
                let item = spend(bytes_left, comma).and_then(|()| fit(item, bytes_left));
                let Some(item) = item else { break };
                fitting.push(item);
            }
            Some(Value::Array(fitting))
        }
        Value::Object(members) => {
            spend(bytes_left, "{}".len())?;
            let mut fitting = Map::new();
            for (name, value) in members {
                let comma = usize::from(!fitting.is_empty());
                let name_bytes = comma + json_bytes(name) + ":".len();
                let value = spend(bytes_left, name_bytes).and_then(|()| fit(value, bytes_left));
                let Some(value) = value else { break };
                fitting.insert(name.clone(), value);
            }
            Some(Value::Object(fitting))
        }
    }
}

fn fit_text(text: &str, bytes_left: &mut usize) -> Option<String> {
    const QUOTES: usize = 2;
    if spend(bytes_left, json_bytes(text)).is_some() {
        return Some(text.to_owned());
    }
    let room = bytes_left.checked_sub("…".len() + QUOTES)?;
    let mut used = 0;
    let fits = |c: &char| {
        used += json_bytes(c.encode_utf8(&mut [0; 4])) - QUOTES;
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    *bytes_left = 0;
    Some(kept.trim_end().to_owned() + "…")
}

fn spend(bytes_left: &mut usize, bytes: usize) -> Option<()> {
    *bytes_left = bytes_left.checked_sub(bytes)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fitting_counts_the_bytes_of_the_json(text in "(?s:.{0,30})", n in any::<i64>()) {
            let value = serde_json::json!({ "a": [text, n, null, true], &text: { "b": {} } });
            let all = json_bytes(&value);
            prop_assert_eq!(fit(&value, &mut all.clone()), Some(value.clone()));
            prop_assert_ne!(fit(&value, &mut (all - 1)), Some(value));
        }
    }
}
