//! One agent per `STATE_DIR`: two healers would run everything twice.

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
}
