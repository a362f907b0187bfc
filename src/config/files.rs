//! Bounded reads of files, with messages that do not depend on the system.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// No configuration is longer; a longer file is the wrong one.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// # Errors
/// Why the file cannot be read as text, for a diagnostic.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    text_of(&mut File::open(path).map_err(|error| cannot_read(&error))?)
}

/// # Errors
/// Why the input cannot be read as text, for a diagnostic.
pub(super) fn text_of(reader: &mut dyn Read) -> Result<String, String> {
    let bytes = read_bounded(reader, CONFIG_BYTES_MAX).map_err(|error| cannot_read(&error))?;
    let bytes = bytes.ok_or("the file is longer than 1MiB")?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("the file is not UTF-8: byte {at} is not part of a character")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// All bytes, or `None` when there are more than the bound.
pub(super) fn read_bounded(reader: &mut dyn Read, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = reader.take(max + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|_| read as u64 <= max))
}

/// Why a file cannot be read.
pub(super) fn cannot_read(error: &io::Error) -> String {
    let known = [
        (ErrorKind::NotFound, "the file does not exist"),
        (ErrorKind::PermissionDenied, "the file may not be read"),
        (ErrorKind::IsADirectory, "this is a folder, not a file"),
    ];
    let known = known.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| format!("the file cannot be read: {error}"), |(_, words)| (*words).into())
}
