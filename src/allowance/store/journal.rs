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
pub(super) struct Journal {
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
    pub(super) fn open(dir: &Path, clock: Clock) -> Result<(Self, Recovered), StateError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::allowance::recovered::{AccountId, RecordedAllowance};
    use crate::allowance::unit_record::{AllowanceRecord, SettledUnits, UnitRecord};

    fn account(key: &str, outstanding: u64, now: Moment) -> Line {
        let settled = vec![
            SettledUnits { at: now.minus(Duration::from_secs(7)).as_nanos(), units: 3 },
            SettledUnits { at: now.plus(Duration::from_secs(1)).as_nanos(), units: 1 },
        ];
        let (taken, since) = (now, now.minus(Duration::from_secs(3_600)));
        let window = Duration::from_secs(60);
        let units = UnitRecord { taken, since, window, outstanding, settled };
        let records = vec![AllowanceRecord { name: "hour".into(), calls: "".into(), units }];
        Line::Account(AccountId { group: "upstream a".into(), key: key.into() }, records)
    }

    fn group(since: Moment) -> Line {
        let allowance = RecordedAllowance { name: "hour".into(), calls: "".into(), since };
        Line::Group("upstream a".into(), vec![allowance])
    }

    fn opened(dir: &Path) -> (Journal, Recovered) {
        Journal::open(dir, Clock::start_with_past()).unwrap()
    }

    /// A journal with two accounts, of which the first was written twice.
    fn written(dir: &Path) -> String {
        let (mut journal, recovered) = opened(dir);
        assert!(recovered.accounts.is_empty() && !recovered.damaged);
        assert!(journal.wants_rewrite() && journal.append(&[Line::Stopped]).is_err());
        let now = journal.clock.now();
        journal.rewrite(&[group(now), account("one", 5, now)]).unwrap();
        assert!(!journal.wants_rewrite());
        journal.append(&[account("two", 6, now), account("one", 7, now)]).unwrap();
        fs::read_to_string(journal.path()).unwrap()
    }

    fn outstanding(recovered: &Recovered) -> Vec<(String, u64)> {
        let mut all: Vec<_> = recovered.accounts.iter().collect();
        all.sort_by_key(|(id, _)| Arc::clone(&id.key));
        all.iter().map(|(id, all)| (id.key.to_string(), all[0].units.outstanding)).collect()
    }

    fn expected() -> Vec<(String, u64)> {
        vec![("one".to_owned(), 7), ("two".to_owned(), 6)]
    }

    #[test]
    fn the_latest_line_of_an_account_counts_and_times_stay_where_they_were() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let (journal, recovered) = opened(dir.path());
        assert!(!recovered.damaged);
        assert_eq!((outstanding(&recovered), recovered.stopped), (expected(), None));
        let now = journal.clock.now();
        let units = &recovered.accounts.values().next().unwrap()[0].units;
        let age = |at: Moment| now.since(at).as_secs();
        assert_eq!((age(units.since), age(recovered.groups["upstream a"][0].since)), (3_600, 0));
        assert_eq!(age(Moment::from_nanos(units.settled[0].at)), 7);
        assert!(now < Moment::from_nanos(units.settled[1].at));
    }

    #[test]
    fn an_orderly_end_is_known_until_something_else_is_written() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        for (line, known) in [(Line::Stopped, true), (group(Moment::START), false)] {
            let (mut journal, _) = opened(dir.path());
            let now = journal.clock.now();
            let lines = [account("one", 7, now), account("two", 6, now), line];
            journal.rewrite(&lines).unwrap();
            drop(journal);
            assert_eq!(opened(dir.path()).1.stopped.is_some(), known);
        }
    }

    /// Cut off at any byte or with any byte changed, the file is known to be damaged, or says what
    /// was safe before.
    #[test]
    fn a_damaged_file_is_never_believed() {
        let dir = tempfile::tempdir().unwrap();
        let text = written(dir.path());
        let (stamp, now) = {
            let (journal, _) = opened(dir.path());
            (journal.stamp(), journal.clock.now())
        };
        let last_line = text.trim_end().rfind('\n').unwrap() + 1;
        for cut in 0..text.len() {
            let recovered = recover(&text.as_bytes()[..cut], &stamp, now).unwrap();
            assert!(!recovered.damaged, "the last line was being written");
            if last_line < cut {
                let before = vec![("one".to_owned(), 5), ("two".to_owned(), 6)];
                assert_eq!(outstanding(&recovered), before, "{cut}");
            }
        }
        for changed in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[changed] ^= 1;
            let recovered = recover(&bytes, &stamp, now).unwrap();
            // A line without its end, at the end of the file, is one that was being written.
            assert!(recovered.damaged || changed == text.len() - 1, "{changed}");
        }
        let empty = recover(b"", &stamp, now).unwrap();
        assert!(!empty.damaged && empty.groups.is_empty());
        for text in ["garbage\n", "\n", "\0\0\0\n", &text[text.find('\n').unwrap() + 1..]] {
            assert!(recover(text.as_bytes(), &stamp, now).unwrap().damaged, "{text:?}");
        }
    }

    #[test]
    fn after_a_new_start_of_the_machine_the_wall_clock_tells_how_much_time_passed() {
        let stamp = |boot: &str, since_boot: u64, wall: u64| Stamp {
            boot: boot.to_owned(),
            since_boot: since_boot * 1_000_000_000,
            wall: wall * 1_000_000_000,
        };
        let now = Moment::from_millis(1_000_000);
        let text = line::encode(&group(now), &stamp("a", 100, 5_000), now);
        let rows = [
            (stamp("a", 130, 9_999), 30),
            (stamp("b", 3, 5_040), 40),
            (stamp("b", 3, 4_000), 0),
            (stamp("", 3, 5_050), 50),
        ];
        for (later, passed) in rows {
            let (line, taken) = line::decode(text.trim_end().as_bytes(), &later, now).unwrap();
            assert_eq!(now.since(taken).as_secs(), passed, "{later:?}");
            assert_eq!(line, group(taken));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::start_with_past();
        let error = |dir: &Path| Journal::open(dir, clock).unwrap_err().to_string();
        let (first, _) = opened(&dir.path().join("new"));
        assert!(error(&dir.path().join("new")).contains("in use by another process"));
        drop(first);
        assert!(error(&dir.path().join("no/such")).contains("cannot be created"));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(error(&dir.path().join("file")).contains("cannot be created"));
        let newer = dir.path().join("newer");
        let (mut journal, _) = opened(&newer);
        journal.rewrite(&[]).unwrap();
        let line = journal.encode(&[Line::Version(VERSION + 1)]);
        fs::write(journal.path(), line).unwrap();
        drop(journal);
        assert!(error(&newer).contains("of version 2"));
    }

    #[test]
    fn a_file_that_grew_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = opened(dir.path());
        let now = journal.clock.now();
        journal.rewrite(&[group(now)]).unwrap();
        let lines: Vec<_> = (0..100).map(|_| account("one", 5, now)).collect();
        while !journal.wants_rewrite() {
            journal.append(&lines).unwrap();
        }
        let grown = journal.bytes;
        assert!(REWRITTEN_FROM < grown && grown < 2 * REWRITTEN_FROM);
        journal.rewrite(&[group(now), account("one", 6, now)]).unwrap();
        drop(journal);
        assert_eq!(outstanding(&opened(dir.path()).1), [("one".to_owned(), 6)]);
    }
}
