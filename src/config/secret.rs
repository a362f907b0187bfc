//! A reference to a secret → its bytes, which appear in no message and in no `Debug`.

use std::fs::File;
use std::path::Path;

use super::environment::Environment;
use super::files::{cannot_read, read_bounded};
use super::item::SecretRef;

/// No key or token is longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The bytes of a secret; never empty.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Box<[u8]>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretsRead {
    #[default]
    Yes,
    /// `check`, `explain` and `config show` can work where the secrets are not.
    No,
}

impl Secret {
    /// The placeholder of a secret that is not read; a different one for every key.
    pub(super) fn unread(key: &str) -> Self {
        Self(format!("unread:{key}").into_bytes().into())
    }

    /// # Errors
    /// Why the reference cannot be resolved, for a diagnostic.
    pub(super) fn resolve(
        reference: &SecretRef,
        env: &Environment,
        folder: &Path,
    ) -> Result<Self, String> {
        match reference {
            SecretRef::Env(name) => {
                let value = env.value(name);
                let value =
                    value.ok_or_else(|| format!("the variable {name} is not set, or empty"))?;
                let cut = cut(value.as_encoded_bytes());
                cut.map_err(|message| format!("the variable {name} {message}"))
            }
            SecretRef::File(path) => {
                let bytes = File::open(folder.join(&**path))
                    .and_then(|mut file| read_bounded(&mut file, SECRET_BYTES_MAX));
                let bytes = bytes.map_err(|error| format!("{path}: {}", cannot_read(&error)))?;
                let bytes =
                    bytes.ok_or_else(|| format!("{path}: the file is longer than 64KiB"))?;
                cut(&bytes).map_err(|message| format!("{path}: the file {message}"))
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// UTF-8's byte order mark, which some editors put before everything.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes what editors and shells add around a secret: a byte order mark, blanks and line ends.
/// No header carries them there, so they are never part of a secret. What no header can carry
/// inside it is an error.
fn cut(bytes: &[u8]) -> Result<Secret, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16; a secret is read as UTF-8 or ASCII".into());
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii();
    if bytes.is_empty() {
        return Err("is empty, or holds nothing but blanks".into());
    }
    // Positions count from the first byte of the secret itself.
    let found = bytes.iter().position(|byte| byte.is_ascii_control() && *byte != b'\t');
    match found.map(|at| (at, bytes[at])) {
        None => {}
        Some((_, b'\n' | b'\r')) => {
            let lines = String::from_utf8_lossy(bytes).lines().count();
            return Err(format!("has {lines} lines; a secret is one line"));
        }
        Some((at, byte)) => {
            let place = at + 1;
            return Err(format!("has a control character, 0x{byte:02x} at byte {place}"));
        }
    }
    if let Some((at, invisible)) = invisible(bytes) {
        let (place, code) = (at + 1, u32::from(invisible));
        return Err(format!("has an invisible character, U+{code:04X} at byte {place}"));
    }
    Ok(Secret(bytes.into()))
}

/// The first invisible character: copied from a web page, it makes a different secret.
fn invisible(bytes: &[u8]) -> Option<(usize, char)> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.char_indices().find(|(_, c)| {
        matches!(c, '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{feff}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}')
            || matches!(c, '\u{2060}'..='\u{2069}')
            || (c.is_whitespace() && !c.is_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_and_shells_add_around_a_secret_is_removed() {
        let rows: [&[u8]; 9] = [
            b"s3cret",
            b"\xef\xbb\xbfs3cret",
            b" s3cret",
            b"\ts3cret\n",
            b"s3cret \n",
            b"s3cret\r\n",
            b"\n\ns3cret\n\n",
            b"\xef\xbb\xbf  s3cret\r\n\r\n",
            b"s3cret\x0c\n",
        ];
        for written in rows {
            assert_eq!(cut(written).unwrap().bytes(), b"s3cret", "{written:?}");
        }
        assert_eq!(cut("pass phrase ä".as_bytes()).unwrap().bytes(), "pass phrase ä".as_bytes());
    }

    #[test]
    fn a_secret_that_no_header_can_carry_is_an_error_with_its_position() {
        let rows: [(&[u8], &str); 10] = [
            (b"", "empty"),
            (b" \r\n", "empty"),
            (b"\xef\xbb\xbf\n", "empty"),
            (b"one\ntwo\n", "2 lines"),
            (b"one\r\n\r\ntwo", "3 lines"),
            (b"s3c\0ret", "0x00 at byte 4"),
            (b"s3cret\0", "0x00 at byte 7"),
            (b"s3c\x7fret", "0x7f at byte 4"),
            (b"\xff\xfes\x003\0", "UTF-16"),
            ("s3c\u{200b}ret".as_bytes(), "U+200B at byte 4"),
        ];
        for (written, expected) in rows {
            let message = cut(written).unwrap_err();
            assert!(message.contains(expected), "{written:?}: {message}");
            assert!(!message.contains("s3c"), "{message}");
        }
        assert!(cut("key\u{a0}".as_bytes()).unwrap_err().contains("U+00A0"));
        assert!(cut("\u{3000}key".as_bytes()).unwrap_err().contains("U+3000"));
        assert!(cut("key\u{2003}".as_bytes()).unwrap_err().contains("U+2003"));
        assert!(cut("\u{feff}\u{feff}key".as_bytes()).unwrap_err().contains("U+FEFF"));
    }

    #[test]
    fn a_secret_in_a_variable_is_read_like_one_in_a_file() {
        let env = Environment::of([("KEY", " s3cret\n"), ("BAD", "a\u{1}b"), ("BLANK", "  ")]);
        let read = |name: &str| Secret::resolve(&SecretRef::Env(name.into()), &env, Path::new(""));
        assert_eq!(read("KEY").unwrap().bytes(), b"s3cret");
        assert_eq!(
            read("BAD").unwrap_err(),
            "the variable BAD has a control character, 0x01 at byte 2"
        );
        assert!(read("BLANK").unwrap_err().contains("BLANK is empty"));
    }
}
