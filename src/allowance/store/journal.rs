//! The file of records: lines are appended and synced, and a later line replaces an earlier one of
//! the same account. Once most of it is out of date, it is written anew.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::line::{self, Line, Stamp, VERSION};
use crate::allowance::recovered::Recovered;
use crate::clock::Clock;
use crate::time::{Moment, nanos};

const NAME: &str = "allowances.journal";
const NEW_NAME: &str = "allowances.journal.new";
const LOCK_NAME: &str = "lock";

/// More than the records of as many accounts as can be configured take.
const BYTES_MAX: u64 = 1 << 30;

/// A file that is smaller is not worth writing anew.
const REWRITTEN_FROM: u64 = 1 << 20;

/// It is written anew when it has grown to so many times its size after the last time.
const GROWTH: u64 = 4;

/// The journal of one state directory, which no other process uses meanwhile.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// `None` until it has been written anew, also after an error.
    file: Option<File>,
    bytes: u64,
    rewritten_bytes: u64,
    boot: String,
    clock: Clock,
    /// Locked as long as it is open.
    _lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug)]
pub struct StateError {
    dir: PathBuf,
    reason: StateErrorReason,
}

#[derive(Debug)]
enum StateErrorReason {
    Missing(io::Error),
    Locked,
    Newer(u32),
    TooLarge,
    Unreadable(io::Error),
    Unwritable(io::Error),
}

impl Journal {
    /// Opens the journal of a directory, which is created if it is missing.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(in crate::allowance) fn open(
        dir: &Path,
        clock: Clock,
    ) -> Result<(Self, Recovered), StateError> {
        let failed = |reason| StateError { dir: dir.to_owned(), reason };
        if !dir.is_dir() {
            let created = fs::DirBuilder::new().mode(0o700).create(dir);
            created.map_err(|error| failed(StateErrorReason::Missing(error)))?;
        }
        let lock = new_file().truncate(false).open(dir.join(LOCK_NAME));
        let lock = lock.map_err(|error| failed(StateErrorReason::Unwritable(error)))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => failed(StateErrorReason::Locked),
            TryLockError::Error(error) => failed(StateErrorReason::Unwritable(error)),
        })?;
        let mut journal = Self {
            dir: dir.to_owned(),
            file: None,
            bytes: 0,
            rewritten_bytes: 0,
            boot: boot_id(),
            clock,
            _lock: lock,
        };
        let content = match fs::metadata(journal.path()) {
            Ok(metadata) if BYTES_MAX < metadata.len() => {
                return Err(failed(StateErrorReason::TooLarge));
            }
            Ok(_) => fs::read(journal.path()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let content = content.map_err(|error| failed(StateErrorReason::Unreadable(error)))?;
        let recovered = recover(&content, &journal.stamp(), clock.now());
        let recovered = recovered.map_err(|it| failed(StateErrorReason::Newer(it)))?;
        journal.bytes = content.len() as u64;
        Ok((journal, recovered))
    }

    /// Whether most of the file is out of date, so that all records have to be written anew.
    pub(super) const fn wants_rewrite(&self) -> bool {
        let kept = self.rewritten_bytes.saturating_mul(GROWTH);
        let worth_it = REWRITTEN_FROM < self.bytes && kept < self.bytes;
        self.file.is_none() || worth_it
    }

    /// Appends records, which are safe when this returns.
    ///
    /// # Errors
    /// They may or may not be safe. The next time all records have to be written anew.
    pub(super) fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let text = self.encode(lines);
        let file = self.file.take();
        let mut file = file.ok_or_else(|| io::Error::other("it has to be written anew"))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.bytes += text.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Replaces the file by one with these records only.
    ///
    /// # Errors
    /// The old file is still there, or the new one.
    pub(super) fn rewrite(&mut self, lines: &[Line]) -> io::Result<()> {
        self.file = None;
        let text = self.encode(&[Line::Version(VERSION)]) + &self.encode(lines);
        let new = self.dir.join(NEW_NAME);
        let mut file = new_file().truncate(true).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&new, self.path())?;
        File::open(&self.dir)?.sync_all()?;
        (self.bytes, self.rewritten_bytes) = (text.len() as u64, text.len() as u64);
        self.file = Some(file);
        Ok(())
    }

    /// Turns a failure to write into what is said at the start.
    pub(super) fn unwritable(&self, error: io::Error) -> StateError {
        StateError { dir: self.dir.clone(), reason: StateErrorReason::Unwritable(error) }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    fn encode(&self, lines: &[Line]) -> String {
        let (stamp, now) = (self.stamp(), self.clock.now());
        lines.iter().map(|line| line::encode(line, &stamp, now)).collect()
    }

    fn stamp(&self) -> Stamp {
        let wall = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_boot = nanos(self.clock.since_boot());
        Stamp { boot: self.boot.clone(), since_boot, wall: nanos(wall) }
    }
}

/// What the lines of a file say. The last line may be incomplete: then its writing was never
/// confirmed, and nothing of it was used.
///
/// # Errors
/// The version of a newer format.
fn recover(content: &[u8], stamp: &Stamp, now: Moment) -> Result<Recovered, u32> {
    let mut recovered = Recovered::default();
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    let complete = lines.filter_map(|line| line.strip_suffix(b"\n"));
    for (number, text) in complete.enumerate() {
        recovered.stopped = None;
        match line::decode(text, stamp, now) {
            Some((Line::Version(version), _)) if VERSION < version => return Err(version),
            Some((Line::Version(_), _)) if number == 0 => {}
            Some((Line::Group(name, allowances), _)) if 0 < number => {
                recovered.groups.insert(name, allowances);
            }
            Some((Line::Account(id, records), _)) if 0 < number => {
                recovered.accounts.insert(id, records);
            }
            Some((Line::Stopped, at)) if 0 < number => recovered.stopped = Some(at),
            Some(_) | None => recovered.damaged = true,
        }
    }
    Ok(recovered)
}

fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Which start of the machine this is; empty where the system does not tell, and then the wall
/// clock is all there is.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        match &self.reason {
            StateErrorReason::Missing(error) => write!(
                f,
                "the state directory `{dir}` cannot be created: {error}. Create it and give it to \
                 the user that runs evenkeel, or change `state.dir`"
            ),
            StateErrorReason::Locked => write!(
                f,
                "the state directory `{dir}` is in use by another process: two that share it would \
                 each spend the whole allowance. Stop the other one, or give this one a `state.dir` \
                 of its own"
            ),
            StateErrorReason::Newer(version) => write!(
                f,
                "the records in `{dir}` are of version {version}, and this program knows versions \
                 up to {VERSION}: use the newer program, or move `{NAME}` away, after which what \
                 was spent counts as unknown"
            ),
            StateErrorReason::TooLarge => write!(
                f,
                "`{NAME}` in `{dir}` is larger than {BYTES_MAX} bytes, so it is not of this \
                 program: move it away"
            ),
            StateErrorReason::Unreadable(error) => write!(
                f,
                "the records in `{dir}` cannot be read: {error}. Let the user that runs evenkeel \
                 read and write the directory"
            ),
            StateErrorReason::Unwritable(error) => write!(
                f,
                "the state directory `{dir}` cannot be written: {error}. Let the user that runs \
                 evenkeel write it, and leave some space on its disk"
            ),
        }
    }
}

impl std::error::Error for StateError {}
