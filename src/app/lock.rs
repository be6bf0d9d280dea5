//! One agent per `STATE_DIR`: two healers would run everything twice. Two that share a configuration file and not the
//! folder may be meant, so they are only noticed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Holds the folder as long as it lives; the kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the folder cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum Held {
    /// Another agent has it.
    #[error(
        "another agent (process {holder}) is already working in STATE_DIR {}; stop it first, or give this one its own STATE_DIR",
        dir.display()
    )]
    ByAnother {
        /// The folder.
        dir: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The folder cannot be used.
    #[error("cannot use STATE_DIR {}: {source}; it must be a folder that this user may write to", dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Takes the folder, which is made if it is missing.
pub fn take(dir: &Path) -> Result<Lock, Held> {
    let unusable = |source| Held::Unusable { dir: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let path = dir.join("monitor.lock");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(unusable)?;
            file.rewind().map_err(unusable)?;
            writeln!(file, "{}", std::process::id()).map_err(unusable)?;
            Ok(Lock { _file: file })
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(20).read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "unknown" } else { holder }.to_owned();
            Err(Held::ByAnother { dir: dir.to_owned(), holder })
        }
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// A configuration file that an agent goes by, marked by an advisory lock that nobody but agents looks at: editors,
/// copies and `check` do not notice it. An editor that replaces the file takes the mark away; then nothing is noticed.
#[derive(Debug)]
pub struct Marked {
    file: File,
}

impl Marked {
    /// Marks the file; `None` where it cannot be opened, which harms nothing.
    pub fn take(path: &Path) -> Option<Self> {
        let marked = Self { file: File::open(path).ok()? };
        // Where another agent looks around in this very moment, the mark is made at our own next look.
        let _ = marked.file.try_lock_shared();
        Some(marked)
    }

    /// True while another agent has marked the same file. Never waits.
    pub fn is_shared(&self) -> bool {
        let alone = self.file.try_lock();
        // Whatever came of it: the mark is a shared one, and a lock that could not be had may have lost it.
        let _ = self.file.try_lock_shared();
        matches!(alone, Err(TryLockError::WouldBlock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_holds_the_folder_and_the_third_gets_it_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        let second = take(dir.path()).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        take(dir.path()).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let told = take(Path::new("/proc/nowhere")).unwrap_err().to_string();
        assert!(told.contains("STATE_DIR /proc/nowhere"), "{told}");
    }

    #[test]
    fn two_that_mark_one_file_see_each_other_until_one_is_gone_and_nobody_else_notices() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        assert!(Marked::take(&path).is_none());
        std::fs::write(&path, "INTERVAL=30\n").unwrap();
        let first = Marked::take(&path).unwrap();
        assert!(!first.is_shared());
        let second = Marked::take(&path).unwrap();
        for _ in 0..2 {
            assert!(first.is_shared() && second.is_shared());
        }
        std::fs::write(&path, "INTERVAL=60\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "INTERVAL=60\n");
        drop(first);
        assert!(!second.is_shared());
    }
}
