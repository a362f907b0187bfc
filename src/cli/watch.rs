//! Whether files of the configuration have changed.
//!
//! They are looked at once a second, because what tells of changes (inotify) knows nothing of the
//! symbolic links that Kubernetes exchanges, nor of network file systems. Looking costs a system
//! call per file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
pub(super) struct Watch {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// The stamps at the last look, if they differed from those of the reading.
    changing: Option<Vec<Option<Stamp>>>,
}

/// What tells one state of a file from another; that of its target, if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        // A folder changes when a file in it appears or vanishes.
        Some(Self {
            inode: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl Watch {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        let mut watch = Self::default();
        watch.now_reads(files);
        watch
    }

    /// Whether something has changed since the last reading, and not since the last look: whoever
    /// writes it has probably finished.
    pub(super) fn has_changed(&mut self) -> bool {
        let stamps: Vec<_> = self.files.iter().map(|(path, _)| Stamp::of(path)).collect();
        if self.files.iter().map(|(_, stamp)| stamp).eq(&stamps) {
            self.changing = None;
            return false;
        }
        let settled = self.changing.as_ref() == Some(&stamps);
        self.changing = Some(stamps);
        settled
    }

    /// The files are about to be read: what changes from now on is a change.
    pub(super) fn note_reading(&mut self) {
        self.files.iter_mut().for_each(|(path, stamp)| *stamp = Stamp::of(path));
        self.changing = None;
    }

    /// These have been read.
    pub(super) fn now_reads(&mut self, files: &[PathBuf]) {
        let known = |path: &PathBuf| self.files.iter().find(|(known, _)| known == path);
        let stamp = |path: &PathBuf| known(path).map_or_else(|| Stamp::of(path), |known| known.1);
        self.files = files.iter().map(|path| (path.clone(), stamp(path))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, "a").unwrap();
        let mut watch = Watch::new(&[file.clone(), folder.path().join("dialects")]);
        assert!(!watch.has_changed());
        std::fs::write(&file, "ab").unwrap();
        assert!(!watch.has_changed(), "it may still be written");
        std::fs::write(&file, "abc").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        watch.note_reading();
        assert!(!watch.has_changed());
        std::fs::create_dir(folder.path().join("dialects")).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed(), "a folder that was not there");
    }

    /// Kubernetes publishes a ConfigMap as links to a folder, and exchanges the link to the folder.
    #[test]
    fn an_exchanged_link_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for version in ["one", "two"] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("a.yaml"), "same").unwrap();
        }
        std::os::unix::fs::symlink("one", path("data")).unwrap();
        std::os::unix::fs::symlink("data/a.yaml", path("a.yaml")).unwrap();
        let mut watch = Watch::new(&[path("a.yaml")]);
        std::os::unix::fs::symlink("two", path("new")).unwrap();
        std::fs::rename(path("new"), path("data")).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }
}
