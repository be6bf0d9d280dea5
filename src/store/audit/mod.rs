//! The audit: a file of records, each bound to the one before it by a hash, so that changing, removing, reordering or
//! inserting one is seen. Records are not a log; what a record of a command holds lives in `command`.
//!
//! One line is `{"seq":N,"prev":"HEX","kind":"K","record":{…},"hash":"HEX"}`. `hash` is the SHA-256 of the very bytes of
//! the line without `,"hash":"HEX"` and without the line end; `prev` is the `hash` of the line before, 64 zeros for
//! `seq` 1. So anybody can check a line without us:
//!
//! ```text
//! sed -n 7p audit.jsonl | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum
//! sed -n 7p audit.jsonl | jq -r .hash
//! ```
//!
//! Lines cut off at the end leave a sound chain: whoever keeps the [`Head`] elsewhere (the database, the log) sees it.

mod command;
mod line;
mod verify;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

pub use command::CommandRecord;
pub use line::{Head, MAX_LINE};
pub use verify::{Broken, Verification, Verified, verify};

/// Bytes of lines kept in memory while the file cannot be written.
pub const MOST_PENDING: usize = 16 * 1024 * 1024;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A command was run: [`CommandRecord`].
    Command,
    /// A command was not permitted.
    Refusal,
    /// The guard changed its mind about a pair or about all.
    Guard,
    /// The agent started.
    Start,
    /// The agent stopped.
    Stop,
    /// The configuration changed.
    Config,
}

/// Why a record is not in the file.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file could not be opened or read.
    #[error("the audit file {} cannot be opened; see that its folder exists and belongs to this user", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Its last line is not a record, so nothing can be bound to it.
    #[error("the last line of the audit file {} is no record ({what}); keep the file as evidence: move it away and start again", path.display())]
    Tail {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Not written now; the record waits in memory and goes with the next one.
    #[error("the audit file cannot be written; {waiting} records wait in memory")]
    Later {
        /// Records that wait.
        waiting: usize,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Too much waits already: the record is lost.
    #[error("the audit file cannot be written and too much waits already; the record is lost")]
    Full,
    /// The record cannot be written as JSON, or is longer than a line may be.
    #[error("the record cannot be written: {0}")]
    Unwritable(String),
}

/// The open audit; clones share it.
#[derive(Debug, Clone)]
pub struct AuditLog {
    tail: Arc<Mutex<Tail>>,
    /// Beside the lock, which is held while the disk takes its time.
    waiting: Arc<AtomicUsize>,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The last record; `seq` 0 in a new file.
    pub head: Head,
    /// Where a half-written last line was moved, after a crash.
    pub torn: Option<PathBuf>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    /// Length of what is known to be on disk.
    length: u64,
    /// The last record, written or waiting.
    head: Head,
    waiting: VecDeque<String>,
    waiting_bytes: usize,
}

impl AuditLog {
    /// Opens or creates the file (mode 0600) and finds its last record; a line torn by a crash is moved to `PATH.torn`.
    ///
    /// Only the end is read. [`verify`] proves the rest.
    ///
    /// # Errors
    /// `Open` and `Tail`.
    pub fn open(path: &Path) -> Result<(Self, Opened), AuditError> {
        let failed = |source| AuditError::Open { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        let (whole, rest, last) = end_of(&mut file).map_err(failed)?;
        let torn = if rest.is_empty() {
            None
        } else {
            let aside = beside(path);
            let mut to = OpenOptions::new().append(true).create(true).mode(0o600).open(&aside).map_err(failed)?;
            to.write_all(&rest).and_then(|()| to.write_all(b"\n")).and_then(|()| to.sync_all()).map_err(failed)?;
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(failed)?;
            Some(aside)
        };
        let head = if whole == 0 {
            Head::genesis()
        } else {
            let parsed = line::read(&last).map_err(|what| AuditError::Tail { path: path.to_owned(), what })?;
            Head { seq: parsed.seq, hash: parsed.hash.to_owned() }
        };
        sync_folder(path).map_err(failed)?;
        let tail = Tail { file, length: whole, head: head.clone(), waiting: VecDeque::new(), waiting_bytes: 0 };
        Ok((Self { tail: Arc::new(Mutex::new(tail)), waiting: Arc::default() }, Opened { head, torn }))
    }

    /// Appends a record and waits until it is on disk; gives the new head, to be kept elsewhere. Blocks for one `fsync`:
    /// from async code call [`AuditLog::append`].
    ///
    /// # Errors
    /// After `Later` the record is kept and goes first with the next append or [`AuditLog::flush`].
    pub fn append_now(&self, kind: Kind, record: &impl Serialize) -> Result<Head, AuditError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, head) = line::write(&tail.head, kind, record).map_err(AuditError::Unwritable)?;
        if tail.waiting_bytes + text.len() > MOST_PENDING {
            // What waits may be writable by now: room is worth one more try.
            self.write(&mut tail).map_err(|_| AuditError::Full)?;
        }
        tail.waiting_bytes += text.len();
        tail.waiting.push_back(text);
        tail.head = head;
        self.write(&mut tail)
    }

    /// [`AuditLog::append_now`] on a blocking thread.
    pub async fn append(&self, kind: Kind, record: impl Serialize + Send + 'static) -> Result<Head, AuditError> {
        let log = self.clone();
        let done = tokio::task::spawn_blocking(move || log.append_now(kind, &record)).await;
        done.map_err(|error| AuditError::Unwritable(error.to_string()))?
    }

    /// Writes what waits; gives the head, which is on disk then. Runs on a blocking thread.
    ///
    /// # Errors
    /// `Later`: it waits on.
    pub async fn flush(&self) -> Result<Head, AuditError> {
        let log = self.clone();
        let work = move || log.write(&mut log.tail.lock().unwrap_or_else(PoisonError::into_inner));
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| AuditError::Unwritable(error.to_string()))?
    }

    /// Records that wait because the file could not be written. Never blocks.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn write(&self, tail: &mut Tail) -> Result<Head, AuditError> {
        let written = tail.flush();
        let waiting = tail.waiting.len();
        self.waiting.store(waiting, Ordering::Relaxed);
        written.map_err(|source| AuditError::Later { waiting, source })?;
        Ok(tail.head.clone())
    }

    /// Puts another file in place, to see what becomes of records that cannot be written.
    #[cfg(test)]
    pub(crate) fn swap_file(&self, file: File) -> File {
        std::mem::replace(&mut self.tail.lock().unwrap().file, file)
    }
}

impl Tail {
    /// Writes all that waits; on an error the file is cut back, so that a half-written line is never followed by another.
    fn flush(&mut self) -> std::io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // What an earlier failure could not cut off.
        self.file.set_len(self.length)?;
        let bytes: Vec<u8> = self.waiting.iter().flat_map(|line| line.bytes()).collect();
        if let Err(error) = self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }
}

/// Gives the length up to the last line end, the bytes after it, and the last whole line.
fn end_of(file: &mut File) -> std::io::Result<(u64, Vec<u8>, Vec<u8>)> {
    let length = file.metadata()?.len();
    // Two lines are enough: the last whole one and a torn one.
    let from = length.saturating_sub(2 * MAX_LINE as u64 + 2);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let rest = bytes.split_off(end);
    let last = bytes.split(|byte| *byte == b'\n').rev().nth(1).unwrap_or_default().to_vec();
    Ok((length - rest.len() as u64, rest, last))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    PathBuf::from(name)
}

/// A new file survives a power cut only when its folder does.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
