//! Values → JSON text, written straight into a buffer.
//!
//! Problems and log lines are made of few kinds of members and are written for every failed
//! call: a text without anything to escape is copied in one piece. What has to be escaped is
//! serde's to write.

use serde::Serialize;

/// Writes one object.
pub fn object(out: &mut Vec<u8>, tell: impl FnOnce(&mut Members<'_>)) {
    out.push(b'{');
    let start = out.len();
    tell(&mut Members { out });
    close(out, start, b'}');
}

/// Ends what began at `start`, instead of the comma behind its last part.
fn close(out: &mut Vec<u8>, start: usize, bracket: u8) {
    if start < out.len() {
        out.pop();
    }
    out.push(bracket);
}

/// The members of an object that is being written.
#[derive(Debug)]
pub struct Members<'a> {
    out: &'a mut Vec<u8>,
}

impl Members<'_> {
    /// A text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.member(name, |out| quoted(out, text));
    }

    /// A text, or null.
    pub fn text_or_null(&mut self, name: &'static str, text: Option<&str>) {
        self.member(name, |out| match text {
            Some(text) => quoted(out, text),
            None => null(out),
        });
    }

    /// Whatever serde can write: numbers, truths, trees; what it cannot is null.
    pub fn value<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.member(name, |out| written(out, value));
    }

    /// An object inside this one, or null.
    pub fn object_or_null<T>(
        &mut self,
        name: &'static str,
        value: Option<&T>,
        tell: impl FnOnce(&T, &mut Members<'_>),
    ) {
        self.member(name, |out| match value {
            Some(value) => object(out, |members| tell(value, members)),
            None => null(out),
        });
    }

    /// A list of objects.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        list: &[T],
        tell: impl Fn(&T, &mut Members<'_>),
    ) {
        self.member(name, |out| {
            out.push(b'[');
            let start = out.len();
            for item in list {
                object(out, |members| tell(item, members));
                out.push(b',');
            }
            close(out, start, b']');
        });
    }

    fn member(&mut self, name: &'static str, value: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(is_plain(name), "the program's own names need no escapes: {name}");
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        value(self.out);
        self.out.push(b',');
    }
}

/// Writes a text in quotes.
fn quoted(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.reserve(text.len() + 3);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        written(out, text);
    }
}

/// Bytes of a text as JSON, with its quotes.
#[must_use]
pub fn quoted_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..b' ' => 6,
        _ => 1,
    };
    if is_plain(text) { text.len() + 2 } else { text.bytes().map(escaped).sum::<usize>() + 2 }
}

/// Whether nothing in a text has to be escaped. It has no early end, so that the compiler looks at
/// many bytes in one step.
fn is_plain(text: &str) -> bool {
    let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    !text.bytes().fold(false, |found, byte| found | is_special(byte))
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn written<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        null(out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_member_is_written() {
        let mut out = Vec::new();
        object(&mut out, |members| {
            members.text("a", "x\"\n");
            members.text_or_null("b", None);
            members.value("c", &7);
            members.value("d", &Some(8));
            members.value("e", &true);
            members.value("f", &json!([1, "y"]));
            members.object_or_null("g", Some(&9), |nine, members| members.value("h", nine));
            members.object_or_null("i", None::<&u64>, |_, _| ());
            members.objects("j", &[1, 2], |number, members| members.value("k", number));
            members.objects("l", &[(); 0], |(), _| ());
            members.object_or_null("m", Some(&()), |(), _| ());
            members.value("n", &f64::NAN);
        });
        let expected = concat!(
            r#"{"a":"x\"\n","b":null,"c":7,"d":8,"e":true,"f":[1,"y"],"g":{"h":9},"i":null,"#,
            r#""j":[{"k":1},{"k":2}],"l":[],"m":{},"n":null}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn texts_are_written_as_serde_writes_them(
            plain in "[a-zäß🙂~ -]{0,40}",
            odd in "(?s:.{0,2})[\u{0}-\u{7f}]{0,2}",
            more in "[#-Z!]{0,20}",
        ) {
            let text = plain + &odd + &more;
            let mut out = Vec::new();
            quoted(&mut out, &text);
            prop_assert_eq!(out.len(), quoted_bytes(&text));
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }
    }
}
