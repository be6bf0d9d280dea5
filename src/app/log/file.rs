//! The log file: rotation as Python's `RotatingFileHandler` does it, and repair of a file or folder that somebody removed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing_rolling_file::{RollingConditionBase, RollingFileAppenderBase};

use super::{Ledger, LogError};

/// Owner writes, group reads, nobody else: a log holds host names and command output.
const MODE: u32 = 0o640;
/// Between two looks whether the path still names our file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failed rotation: each try shifts the backups, so it must not be repeated for every line.
const ROTATE_AGAIN: Duration = Duration::from_mins(1);

#[derive(Clone, Copy)]
pub(super) struct Rotation {
    pub(super) max_bytes: u64,
    pub(super) backups: usize,
}

/// What `open` found the path to be.
pub(super) struct Target {
    /// The rotating file; none when the path is stdout's own pipe or terminal.
    pub(super) sink: Option<LogFile>,
    /// Whether stdout is something else and wants its own copy.
    pub(super) stdout_too: bool,
}

/// Opens the file, or finds that it is stdout.
pub(super) fn open(
    path: &Path,
    rotation: Rotation,
    stdout: Option<&File>,
    ledger: &Arc<Ledger>,
) -> Result<Target, LogError> {
    if path.to_str().is_none() {
        return Err(LogError::NotUtf8 { path: path.to_owned() });
    }
    let stdout_id = stdout.and_then(|out| out.metadata().ok()).map(|meta| (meta.dev(), meta.ino()));
    // `/dev/stdout` may be a pipe whose reader is gone: opening it again would wait for ever.
    if let Ok(meta) = fs::metadata(path) {
        let kind = meta.file_type();
        if !kind.is_file() && stdout_id == Some((meta.dev(), meta.ino())) {
            return Ok(Target { sink: None, stdout_too: true });
        }
        if kind.is_dir() || kind.is_fifo() || kind.is_socket() {
            return Err(LogError::NotAFile { path: path.to_owned() });
        }
    }
    let mut sink = LogFile::closed(path, rotation, Arc::clone(ledger));
    sink.reopen().map_err(|source| LogError::Open { path: path.to_owned(), source })?;
    let same = stdout_id.is_some() && sink.opened.as_ref().map(|opened| opened.id) == stdout_id;
    if let Some(out) = stdout.filter(|_| same) {
        append_only(out);
    }
    Ok(Target { sink: Some(sink), stdout_too: !same })
}

/// `> monitor.log` leaves stdout at offset 0: without this a panic's text would overwrite the first lines.
fn append_only(stream: impl AsFd) {
    if let Ok(flags) = rustix::fs::fcntl_getfl(&stream) {
        // A terminal or pipe does not mind; a refusal leaves things as the shell made them.
        let _ = rustix::fs::fcntl_setfl(&stream, flags | rustix::fs::OFlags::APPEND);
    }
}

struct Opened {
    appender: RollingFileAppenderBase,
    id: (u64, u64),
    regular: bool,
    bytes: u64,
}

/// A sink that always takes the line: what it cannot write it counts.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    ledger: Arc<Ledger>,
    opened: Option<Opened>,
    look_every: Duration,
    looked: Option<Instant>,
    no_rotation_before: Option<Instant>,
}

impl LogFile {
    fn closed(path: &Path, rotation: Rotation, ledger: Arc<Ledger>) -> Self {
        let path = path.to_owned();
        let (opened, looked, no_rotation_before) = (None, None, None);
        Self { path, rotation, ledger, opened, look_every: LOOK_EVERY, looked, no_rotation_before }
    }

    /// Opens the path anew, making its folder and the file where they are missing.
    fn reopen(&mut self) -> io::Result<()> {
        self.opened = None;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().append(true).create(true).mode(MODE).open(&self.path)?;
        // The condition is ours (see `rotate_before`), so the appender gets one that never holds: its own is a line late
        // and complains with `eprintln!`, which panics when stderr is closed.
        let appender = RollingFileAppenderBase::new(&self.path, RollingConditionBase::new(), self.rotation.backups)?;
        let meta = fs::metadata(&self.path)?;
        let id = (meta.dev(), meta.ino());
        self.opened = Some(Opened { appender, id, regular: meta.is_file(), bytes: meta.len() });
        Ok(())
    }

    /// Once a second: does the path still name the file we write to? Another program may have moved or removed it.
    fn look(&mut self, now: Instant) -> io::Result<()> {
        if self.looked.is_some_and(|at| now.duration_since(at) < self.look_every) {
            return Ok(());
        }
        self.looked = Some(now);
        let there = fs::metadata(&self.path).ok().map(|meta| (meta.dev(), meta.ino()));
        if there.is_none() || there != self.opened.as_ref().map(|opened| opened.id) {
            self.reopen()?;
        }
        Ok(())
    }

    /// Python's rule: roll over when this line would reach the limit; never with a limit or a backup count of 0.
    fn rotate_before(&mut self, line: u64, now: Instant) -> io::Result<()> {
        let Some(opened) = &mut self.opened else { return Ok(()) };
        let Rotation { max_bytes, backups } = self.rotation;
        let due = max_bytes > 0 && backups > 0 && opened.bytes > 0 && opened.bytes + line >= max_bytes;
        if !due || !opened.regular || self.no_rotation_before.is_some_and(|at| now < at) {
            return Ok(());
        }
        let rolled = opened.appender.rollover().and_then(|()| {
            fs::set_permissions(&self.path, Permissions::from_mode(MODE))?;
            fs::metadata(&self.path)
        });
        match rolled {
            Ok(meta) => {
                (opened.id, opened.bytes) = ((meta.dev(), meta.ino()), meta.len());
                self.no_rotation_before = None;
                Ok(())
            }
            Err(error) => {
                self.no_rotation_before = Some(now + ROTATE_AGAIN);
                // The appender may have renamed half of the files: look at once what the path names now.
                self.looked = None;
                self.look(now)?;
                Err(error)
            }
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let now = Instant::now();
        let bytes = line.len() as u64;
        if let Err(error) = self.look(now) {
            self.ledger.failed("open the log file again", &error, 0);
        }
        if let Err(error) = self.rotate_before(bytes, now) {
            self.ledger.failed("rotate the log file", &error, 0);
        }
        match &mut self.opened {
            Some(opened) => match opened.appender.write(line) {
                Ok(_) => opened.bytes += bytes,
                Err(error) => self.ledger.failed("write the log file", &error, 1),
            },
            None => self.ledger.lost(1),
        }
        Ok(line.len())
    }

    /// What a full disk refuses stays in the appender's buffer (8 KiB) and is written when there is room again.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(opened) = &mut self.opened
            && let Err(error) = opened.appender.flush()
        {
            self.ledger.failed("write the log file", &error, 0);
        }
        self.ledger.tell();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_file(path: &Path, max_bytes: u64, backups: usize) -> (LogFile, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::new());
        let mut file = LogFile::closed(path, Rotation { max_bytes, backups }, Arc::clone(&ledger));
        file.look_every = Duration::ZERO;
        file.reopen().unwrap();
        (file, ledger)
    }

    fn put(file: &mut LogFile, line: &str) {
        file.write_all(line.as_bytes()).unwrap();
        file.flush().unwrap();
    }

    #[test]
    fn a_removed_file_and_a_removed_folder_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/monitor.log");
        let (mut file, ledger) = log_file(&path, 0, 3);
        put(&mut file, "one\n");
        fs::remove_file(&path).unwrap();
        put(&mut file, "two\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        fs::remove_dir_all(dir.path().join("deep")).unwrap();
        put(&mut file, "three\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert_eq!(ledger.health().errors, 0);
    }

    #[test]
    fn a_file_that_another_program_moved_away_is_followed_by_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monitor.log");
        let (mut file, _ledger) = log_file(&path, 0, 3);
        put(&mut file, "one\n");
        fs::rename(&path, dir.path().join("archived")).unwrap();
        put(&mut file, "two\n");
        assert_eq!(fs::read_to_string(dir.path().join("archived")).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_costs_lines_and_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        let path = folder.join("monitor.log");
        let (mut file, ledger) = log_file(&path, 0, 3);
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "a file where the folder was").unwrap();
        put(&mut file, "lost\n");
        let health = ledger.health();
        assert!(health.errors >= 1 && health.dropped == 1, "{health:?}");
        assert!(health.last_error.unwrap().starts_with("open the log file again: "));
        fs::remove_file(&folder).unwrap();
        put(&mut file, "back\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "back\n");
    }

    #[test]
    fn a_rotation_that_fails_does_not_eat_the_backups_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monitor.log");
        fs::write(dir.path().join("monitor.log.2"), "old").unwrap();
        // The folder moves on to `.2`, where no file can replace it: the second rotation fails.
        fs::create_dir_all(dir.path().join("monitor.log.1/kept")).unwrap();
        let (mut file, ledger) = log_file(&path, 10, 2);
        for _ in 0..20 {
            put(&mut file, "12345678\n");
        }
        let health = ledger.health();
        assert!(health.errors == 1 && health.dropped == 0, "{health:?}");
        let lines = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default().lines().count();
        assert!(lines("monitor.log") >= 1);
    }

    #[test]
    fn a_full_disk_is_counted_and_swallowed() {
        let (mut file, ledger) = log_file(Path::new("/dev/full"), 10, 3);
        for _ in 0..5 {
            put(&mut file, "12345678\n");
        }
        let health = ledger.health();
        assert_eq!(health.errors, 5);
        assert!(health.last_error.unwrap().contains("No space left"));
        assert!(!Path::new("/dev/full.1").exists(), "a device must never be rotated");
    }
}
