//! Stdout as a sink that never waits for its reader: a stuck or closed pipe costs lines, not time.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Ledger;

/// What a pipe that polls as writable takes without blocking: `PIPE_BUF`, see pipe(7).
const CHUNK: usize = 4096;
/// How long a full pipe may take to drain before the line is dropped; afterwards not at all, until it drains. Under the
/// 100 ms that `WorkerGuard` waits for room in the queue: past them it prints to stdout itself, which would hang for ever.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

pub(super) struct Console {
    out: File,
    ledger: Arc<Ledger>,
    stuck: bool,
    /// The last line was cut in the middle: the next one starts with a line break.
    torn: bool,
    closed: bool,
}

impl Console {
    pub(super) fn new(out: File, ledger: Arc<Ledger>) -> Self {
        Self { out, ledger, stuck: false, torn: false, closed: false }
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        let (written, result) = push(self.out.as_fd(), text, if self.stuck { NO_PATIENCE } else { PATIENCE });
        self.stuck = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if written > 0 {
            self.torn = result.is_err();
        }
        result
    }
}

impl Write for Console {
    /// Takes the whole line or loses it; a reader that is gone is told once and never tried again.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(line.len());
        }
        let mended = if self.torn { self.put(b"\n") } else { Ok(()) };
        match mended.and_then(|()| self.put(line)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ledger.lost(1),
            Err(error) => {
                // A full disk behind a redirected stdout may recover; a closed pipe cannot.
                self.closed = error.kind() == io::ErrorKind::BrokenPipe;
                self.ledger.failed("write to stdout", &error, 1);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ledger.tell();
        Ok(())
    }
}

/// Writes what fits without waiting and forgets the rest: for words about the log itself.
pub(super) fn offer(to: BorrowedFd<'_>, text: &[u8]) {
    // There is nowhere left to say that this failed.
    let _ = push(to, text, NO_PATIENCE);
}

/// Writes while the reader keeps up, waiting for it once in all; returns how many bytes went out, too.
fn push(to: BorrowedFd<'_>, text: &[u8], mut patience: Timespec) -> (usize, io::Result<()>) {
    let mut left = text;
    while !left.is_empty() {
        let mut room = writable(to, NO_PATIENCE);
        if matches!(room, Ok(false)) {
            room = writable(to, std::mem::replace(&mut patience, NO_PATIENCE));
        }
        let chunk = left.get(..CHUNK).unwrap_or(left);
        let sent = match room {
            Ok(true) => rustix::io::write(to, chunk).map_err(io::Error::from),
            Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error),
        };
        match sent {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (text.len() - left.len(), Err(error)),
        }
    }
    (text.len(), Ok(()))
}

/// Whether a chunk can be written without blocking, after waiting at most `patience`. A broken pipe is "writable": the
/// write then says so.
fn writable(to: BorrowedFd<'_>, patience: Timespec) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
    match poll(&mut fds, Some(&patience)) {
        Ok(ready) => Ok(ready > 0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_reader_that_wakes_up_gets_whole_lines_again() {
        let (mut reader, writer) = io::pipe().unwrap();
        let ledger = Arc::new(Ledger::new());
        let mut console = Console::new(File::from(OwnedFd::from(writer)), Arc::clone(&ledger));
        let line = [b"x".repeat(9_999), b"\n".to_vec()].concat();
        while ledger.health().dropped == 0 {
            console.write_all(&line).unwrap();
        }
        let mut drained = vec![0; 40_000];
        reader.read_exact(&mut drained).unwrap();
        console.write_all(b"awake\n").unwrap();
        drop(console);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("x\nawake\n"), "{:?}", rest.get(rest.len().saturating_sub(20)..));
        assert_eq!(ledger.health().dropped, 1);
    }
}
