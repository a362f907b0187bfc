//! Reads units at JSON Pointers, without building a tree of the whole text.
//!
//! Of a member that occurs twice the vendor may read either one, so the larger number counts.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A JSON Pointer (RFC 6901) to a member below the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    tokens: Box<[Box<str>]>,
}

/// A text that is not a pointer to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerError;

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Pointer begins with `/`, and only `~0` and `~1` stand for others")
    }
}

impl std::error::Error for PointerError {}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let rest = text.strip_prefix('/').ok_or(PointerError)?;
        let token = |written: &str| {
            let foreign = written.split('~').skip(1).any(|it| !it.starts_with(['0', '1']));
            let read = || written.replace("~1", "/").replace("~0", "~").into_boxed_str();
            if foreign { Err(PointerError) } else { Ok(read()) }
        };
        Ok(Self { tokens: rest.split('/').map(token).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |token: &str| token.replace('~', "~0").replace('/', "~1");
        self.tokens.iter().try_for_each(|token| write!(f, "/{}", written(token)))
    }
}

/// What stands at a pointer. Of several values both may be true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UnitsAt {
    /// The largest number.
    pub(super) units: Option<u32>,
    /// Something that is not a number of units.
    pub(super) unusable: bool,
}

impl UnitsAt {
    pub(super) const fn is_absent(self) -> bool {
        self.units.is_none() && !self.unusable
    }

    fn note(&mut self, value: &Value) {
        let text = match value {
            Value::Null => return,
            Value::Number(number) => &number.to_string(),
            // Some vendors write numbers of 64 bits so.
            Value::String(text) => text,
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => return self.unusable = true,
        };
        match units_of(text) {
            Some(units) => self.units = self.units.max(Some(units)),
            None => self.unusable = true,
        }
    }
}

/// A number of units as text: rounded up, and at most what a limit can be. `None` where it is
/// negative or no number.
#[must_use]
pub(super) fn units_of(text: &str) -> Option<u32> {
    let text = text.trim();
    // `inf` and `nan` are numbers to the parser.
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-').then_some(text)?;
    let number: f64 = number.parse().ok()?;
    if number < 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, as more than a limit can be is the same to every limit"
    )]
    Some(number.ceil() as u32)
}

/// What stands at each of these pointers. Of a text that is no JSON, or not only JSON, what was
/// found before that, and `false`.
#[must_use]
pub(super) fn read_units(text: &[u8], pointers: &[&Pointer]) -> (Vec<UnitsAt>, bool) {
    let mut found = vec![UnitsAt::default(); pointers.len()];
    let mut reader = serde_json::Deserializer::from_slice(text);
    let open = (0..pointers.len()).collect();
    let seed = Search { pointers, open, depth: 0, found: &mut found };
    let is_whole = seed.deserialize(&mut reader).is_ok() && reader.end().is_ok();
    (found, is_whole)
}

/// The search below one value, for the pointers that lead there.
struct Search<'s> {
    pointers: &'s [&'s Pointer],
    open: Vec<usize>,
    depth: usize,
    found: &'s mut [UnitsAt],
}

impl Search<'_> {
    /// The same below the member of this name, if a pointer leads there.
    fn below(&mut self, name: &str) -> Option<Search<'_>> {
        let leads = |number: &usize| {
            self.pointers[*number].tokens.get(self.depth).is_some_and(|token| **token == *name)
        };
        let open: Vec<_> = self.open.iter().copied().filter(leads).collect();
        let (pointers, depth) = (self.pointers, self.depth + 1);
        (!open.is_empty()).then_some(Search { pointers, open, depth, found: &mut *self.found })
    }

    /// A pointer ends here, so the value is read as a whole.
    fn note(&mut self, value: &Value) {
        for number in &self.open {
            let mut rest = self.pointers[*number].tokens[self.depth..].iter();
            let value = rest.try_fold(value, |value, token| match value {
                Value::Object(members) => members.get(&**token),
                Value::Array(items) => items.get(token.parse::<usize>().ok()?),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            });
            value.into_iter().for_each(|value| self.found[*number].note(value));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(mut self, reader: D) -> Result<(), D::Error> {
        let ends = |number: &usize| self.pointers[*number].tokens.len() == self.depth;
        if self.open.iter().any(ends) {
            let value = <Value as serde::Deserialize>::deserialize(reader)?;
            self.note(&value);
            return Ok(());
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            match self.below(&name) {
                Some(search) => members.next_value_seed(search)?,
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for place in 0_usize.. {
            let more = match self.below(&place.to_string()) {
                Some(search) => items.next_element_seed(search)?.is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, pointer: &str) -> (Option<u32>, bool, bool) {
        let pointer: Pointer = pointer.parse().unwrap();
        let (found, is_whole) = read_units(text.as_bytes(), &[&pointer]);
        (found[0].units, found[0].unusable, is_whole)
    }

    #[test]
    fn the_largest_number_at_a_pointer_counts() {
        let rows = [
            (r#"{"a":5}"#, "/a", Some(5), false, true),
            (r#"{"a":{"b":[1,{"c":7}]}}"#, "/a/b/1/c", Some(7), false, true),
            (r#"{"a":5,"a":900,"a":6}"#, "/a", Some(900), false, true),
            (r#"{"a":{"b":9},"a":{"b":4}}"#, "/a/b", Some(9), false, true),
            (r#"{"\u0061":5}"#, "/a", Some(5), false, true),
            (r#"{"a/b":5,"c":[[],{}]}"#, "/a~1b", Some(5), false, true),
            (r#"{"a":4.2}"#, "/a", Some(5), false, true),
            (r#"{"a":1e3}"#, "/a", Some(1_000), false, true),
            (r#"{"a":99999999999999999999}"#, "/a", Some(u32::MAX), false, true),
            (r#"{"a":"12"}"#, "/a", Some(12), false, true),
            (r#"{"a":0}"#, "/a", Some(0), false, true),
            (r#"{"a":-0.0}"#, "/a", Some(0), false, true),
            (r#"{"a":-1}"#, "/a", None, true, true),
            (r#"{"a":"many"}"#, "/a", None, true, true),
            (r#"{"a":"inf"}"#, "/a", None, true, true),
            (r#"{"a":true}"#, "/a", None, true, true),
            (r#"{"a":{"b":1}}"#, "/a", None, true, true),
            (r#"{"a":"x","a":7}"#, "/a", Some(7), true, true),
            (r#"{"a":null}"#, "/a", None, false, true),
            (r#"{"b":1}"#, "/a", None, false, true),
            ("[3,4]", "/1", Some(4), false, true),
            ("7", "/a", None, false, true),
            (r#"{"a":5"#, "/a", Some(5), false, false),
            (r#"{"a":5} {"a":6}"#, "/a", Some(5), false, false),
            ("a=5", "/a", None, false, false),
            ("", "/a", None, false, false),
        ];
        for (text, pointer, units, unusable, is_whole) in rows {
            assert_eq!(read(text, pointer), (units, unusable, is_whole), "{text} {pointer}");
        }
    }

    #[test]
    fn several_pointers_are_read_at_once() {
        let pointers = ["/a", "/a/b", "/c/d", "/c/e"].map(|it| it.parse::<Pointer>().unwrap());
        let all: Vec<_> = pointers.iter().collect();
        let (found, _) = read_units(br#"{"c":{"e":1,"d":2},"a":{"b":3}}"#, &all);
        let units: Vec<_> = found.iter().map(|it| (it.units, it.unusable)).collect();
        assert_eq!(units, [(None, true), (Some(3), false), (Some(2), false), (Some(1), false)]);
    }

    #[test]
    fn pointers_are_written_as_they_are_read() {
        for text in ["/a", "/a~1b/0", "/", "/~0"] {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
        for text in ["", "a", "/~2", "/a~"] {
            assert_eq!(text.parse::<Pointer>(), Err(PointerError), "{text}");
        }
    }

    #[test]
    fn deep_texts_are_no_danger() {
        let deep = [&b"[".repeat(200_000)[..], br#"{"a":1}"#].concat();
        assert!(!read_units(&deep, &[&"/0/a".parse().unwrap()]).1);
        let deep = [br#"{"a":"#, &b"[".repeat(200_000)[..]].concat();
        assert!(!read_units(&deep, &[&"/a".parse().unwrap()]).1);
    }
}
