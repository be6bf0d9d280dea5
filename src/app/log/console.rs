//! Stdout as a sink that never waits for its reader: a stuck or closed pipe costs lines, not time.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Ledger;

/// What a pipe that polls as writable takes without blocking: `PIPE_BUF`, see pipe(7).
const CHUNK: usize = 4096;
/// How long a full pipe may take to drain before lines are dropped; afterwards not at all, until it drains.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

pub(super) struct Console {
    out: File,
    ledger: Arc<Ledger>,
    stuck: bool,
    closed: bool,
}

impl Console {
    pub(super) fn new(out: File, ledger: Arc<Ledger>) -> Self {
        Self { out, ledger, stuck: false, closed: false }
    }
}

impl Write for Console {
    /// Takes the whole line or loses it; a reader that is gone is told once and never tried again.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(line.len());
        }
        let patience = if self.stuck { NO_PATIENCE } else { PATIENCE };
        match push(self.out.as_fd(), line, &patience) {
            Ok(()) => self.stuck = false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stuck = true;
                self.ledger.lost(1);
                self.ledger.tell();
            }
            Err(error) => {
                // A full disk behind a redirected stdout may recover; a closed pipe cannot.
                self.closed = error.kind() == io::ErrorKind::BrokenPipe;
                self.ledger.failed("write to stdout", &error, 1);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what fits without waiting and forgets the rest: for words about the log itself.
pub(super) fn offer(to: BorrowedFd<'_>, text: &[u8]) {
    // There is nowhere left to say that this failed.
    let _ = push(to, text, &NO_PATIENCE);
}

fn push(to: BorrowedFd<'_>, text: &[u8], patience: &Timespec) -> io::Result<()> {
    for chunk in text.chunks(CHUNK) {
        let mut left = chunk;
        while !left.is_empty() {
            let mut fds = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
            match poll(&mut fds, Some(patience)) {
                Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match rustix::io::write(to, left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
