//! One run of a check, of what `--fail` names or of a recovery: its process, its output on the way into the log, its end.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::domain::heat::{How, Job};
use crate::host::Exit;
use crate::host::process::{Left, Process, exit};

use super::journal::{Block, Feed, Journal};
use super::program::{Program, may_pass};

/// How long the output of one run is held until its end is known; then it is written as it comes.
const HELD: Duration = Duration::from_mins(1);

/// Something that runs. Dropped while it does, its whole group is killed.
#[derive(Debug)]
pub struct Running {
    /// What it is.
    pub job: Job,
    process: Process,
    /// The number of its process.
    pub pid: u32,
    block: Block,
    until: Option<Instant>,
    /// When its output is no longer held.
    shown: Instant,
    /// Its time ran out: whatever its end looks like now, it is our doing.
    overdue: bool,
    status: Option<io::Result<ExitStatus>>,
}

impl Running {
    /// Starts a program; its block of the log begins at `at`.
    pub fn start(
        job: Job,
        program: &Program,
        variables: &[(&str, String)],
        without: &[&str],
        limit: Option<Duration>,
        at: i64,
    ) -> Result<Self, How> {
        let process = program.start(variables, without).map_err(|error| {
            if may_pass(&error) {
                How::NotNow(error.to_string())
            } else {
                How::Unstartable(program.unstartable(&error))
            }
        })?;
        let now = Instant::now();
        let until = limit.and_then(|limit| now.checked_add(limit));
        let pid = process.id().unwrap_or_default();
        Ok(Self {
            job,
            process,
            pid,
            block: Block::new(at, &program.shown),
            until,
            shown: now + HELD,
            overdue: false,
            status: None,
        })
    }

    /// Waits for its end while its output goes to the log. May be dropped and called again.
    pub async fn ended(&mut self, journal: &mut Journal) -> How {
        let mut feed = Feed { block: &mut self.block, journal };
        if self.status.is_none() && !self.overdue {
            // What a check leaves behind is nobody's; what others leave behind was their purpose.
            let left = match self.job {
                Job::Check => Left::Killed,
                Job::Fail | Job::Recovery => Left::LivesOn,
            };
            let mut held = Some(self.shown);
            self.status = loop {
                let limit = [self.until, held].into_iter().flatten().min();
                let run = self.process.run_with(&mut feed, left);
                let status = match limit {
                    Some(limit) => timeout_at(limit, run).await.ok(),
                    None => Some(run.await),
                };
                if status.is_some() || self.until.is_some_and(|until| until <= Instant::now()) {
                    break status;
                }
                feed.stream();
                held = None;
            };
            self.overdue = self.status.is_none();
        }
        if self.overdue {
            self.process.stop(&mut feed).await;
            return How::TimedOut;
        }
        self.process.read_rest(&mut feed).await;
        match &self.status {
            Some(Ok(status)) => match exit(*status) {
                Exit::Code(code) => How::Exit(code),
                Exit::Signal(name) => How::Killed(name),
            },
            Some(Err(error)) => How::Unstartable(format!("its end could not be read: {error}")),
            None => How::TimedOut,
        }
    }

    /// Ends it and its whole group, politely and then not.
    pub async fn stop(&mut self, journal: &mut Journal) {
        let mut feed = Feed { block: &mut self.block, journal };
        self.process.stop(&mut feed).await;
    }

    /// Gives its block, to be ended.
    pub fn into_block(self) -> Block {
        self.block
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::Kind;
    use super::*;
    use std::ffi::OsString;

    #[tokio::test]
    async fn what_lasts_is_written_as_it_comes_before_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut journal = Journal::start(log.clone(), |_| {}).unwrap();
        let words = ["sh", "-c", "echo one; sleep 0.3; echo two; sleep 1000"].map(OsString::from);
        let program = Program::command(&words, None).unwrap();
        let mut running = Running::start(Job::Check, &program, &[], &[], None, 7).unwrap();
        running.shown = Instant::now() + Duration::from_millis(100);
        let read = || std::fs::read_to_string(&log).unwrap();
        let whole = "7 : INFO : sh -c 'echo one; sleep 0.3; echo two; sleep 1000' :\n> one\n> two\n";
        for _ in 0..1000 {
            let limit = Instant::now() + Duration::from_millis(20);
            assert!(timeout_at(limit, running.ended(&mut journal)).await.is_err(), "it ended");
            if read() == whole {
                break;
            }
        }
        assert_eq!(read(), whole);
        running.stop(&mut journal).await;
        journal.end(running.into_block(), Kind::Err);
        assert_eq!(read(), whole, "nothing is written twice");
    }
}
