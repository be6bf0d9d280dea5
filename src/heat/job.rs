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
            if may_pass(&error) { How::NotNow(error.to_string()) } else { How::Unstartable(error.to_string()) }
        })?;
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let pid = process.id().unwrap_or_default();
        Ok(Self { job, process, pid, block: Block::new(at, &program.shown), until, overdue: false, status: None })
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
            let run = self.process.run_with(&mut feed, left);
            let status = match self.until {
                Some(until) => timeout_at(until, run).await.ok(),
                None => Some(run.await),
            };
            self.overdue = status.is_none();
            self.status = status;
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
