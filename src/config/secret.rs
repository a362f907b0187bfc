//! A reference to a secret → its bytes. Never a copy in a message, never in `Debug`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::check::SecretRef;
use super::environment::Environment;
use super::layers::cannot_read;

/// No key, token or certificate of ours is longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The bytes of a secret; never empty, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Box<[u8]>);

/// Whether secrets are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretsRead {
    /// They are: the program is to run on them.
    #[default]
    Yes,
    /// They are not: `check`, `explain` and `config show` work where the secrets are not.
    No,
}

impl Secret {
    /// Stands for a secret that is not read; another one for every key.
    pub(super) fn unread(key: &str) -> Self {
        Self(format!("unread:{key}").into_bytes().into())
    }

    /// Resolves a reference, or says why it cannot be.
    pub(super) fn resolve(
        reference: &SecretRef,
        env: &Environment,
        folder: &Path,
    ) -> Result<Self, String> {
        match reference {
            SecretRef::Env(name) => from_variable(name, env),
            SecretRef::File(path) => from_file(&folder.join(&**path), path),
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

fn from_variable(name: &str, env: &Environment) -> Result<Secret, String> {
    let value = env.value(name);
    let value = value.ok_or_else(|| format!("the variable {name} is not set, or empty"))?;
    cut(value.as_encoded_bytes()).map_err(|message| format!("the variable {name} {message}"))
}

fn from_file(path: &Path, written: &str) -> Result<Secret, String> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes));
    let read = read.map_err(|error| format!("{written}: {}", cannot_read(&error)))?;
    if read as u64 > SECRET_BYTES_MAX {
        return Err(format!("{written}: the file is longer than 64KiB"));
    }
    cut(&bytes).map_err(|message| format!("{written}: the file {message}"))
}

/// UTF-8's byte order mark, which some editors put before everything.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes away what editors and shells add around a secret: a byte order mark, blanks and line
/// ends. No header could carry them there, so they are never part of one. What no header can
/// carry inside it is refused.
fn cut(bytes: &[u8]) -> Result<Secret, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16; a secret is read as UTF-8 or ASCII".into());
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii();
    if bytes.is_empty() {
        return Err("is empty, or holds nothing but blanks".into());
    }
    // Places count from the first byte of the secret itself.
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

/// The first character that nobody sees: copied from a page, it makes another secret.
fn invisible(bytes: &[u8]) -> Option<(usize, char)> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.char_indices().find(|(_, c)| {
        matches!(c, '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{feff}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}')
            || matches!(c, '\u{2060}'..='\u{2069}')
            || (c.is_whitespace() && !c.is_ascii())
    })
}

impl SecretRef {
    /// The reference as the file writes it; it says nothing about the value.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Env(name) => format!("{{ env: {name} }}"),
            Self::File(path) => format!("{{ file: {} }}", serde_json::Value::from(&**path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_and_shells_add_is_cut() {
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
    fn what_no_header_can_carry_is_refused_with_its_place() {
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
    fn a_variable_is_read_as_a_file_is() {
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
