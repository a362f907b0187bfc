//! A reference to a secret → its bytes. Never a copy in a message, never in `Debug`.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::check::SecretRef;
use super::environment::Environment;
use super::layers::cannot_read;

/// No key, token or certificate of ours is longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The bytes of a secret; never empty, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Box<[u8]>);

impl Secret {
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
    Ok(Secret(value.as_bytes().into()))
}

fn from_file(path: &Path, written: &str) -> Result<Secret, String> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes));
    let read = read.map_err(|error| format!("{written}: {}", cannot_read(&error)))?;
    if read as u64 > SECRET_BYTES_MAX {
        return Err(format!("{written}: the file is longer than 64KiB"));
    }
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    bytes.truncate(end.map_or(0, |last| last + 1));
    if bytes.is_empty() {
        Err(format!("{written}: the file is empty"))
    } else {
        Ok(Secret(bytes.into()))
    }
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
