//! Floor 6: HEAT, a monitor of one command on one machine: it checks, sends signals, runs scripts, writes
//! its log and tells people.
//!
//! What follows on what is decided in `domain::heat`, without a clock; here are the clock, the processes and the files. The
//! command line is read in `cli`, the channel to people is built in `app`.

mod job;
mod journal;
mod lines;
mod program;
mod receiver;
mod signal;
mod tell;
mod watch;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::heat::{Patience, Rules};
use crate::engine::clock::Clock;

pub use program::Program;
pub use signal::SignalName;
pub use tell::People;

use journal::Journal;
use receiver::Receiver;
use watch::Watch;

/// Everything that HEAT goes by.
#[derive(Debug)]
pub struct Orders {
    /// What tells whether all is well.
    pub check: Program,
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// How long one run of anything may take; for ever if `None`.
    pub timeout: Option<Duration>,
    /// Run on a failure.
    pub fail: Option<Program>,
    /// Run at the threshold.
    pub recovery: Option<Program>,
    /// How long a recovery has to show; for as many checks as the threshold if `None`.
    pub recovery_timeout: Option<Duration>,
    /// Failures in a row that make a fault.
    pub threshold: NonZeroU32,
    /// Who receives signals; we ourselves if `None`.
    pub pid: Option<Pid>,
    /// What is sent when.
    pub signals: Signals,
    /// The log.
    pub log: PathBuf,
    /// Variables of our own environment that nothing we run may see.
    pub hidden: Vec<&'static str>,
}

/// Which signal is sent when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signals {
    /// On each failure outside of recovery.
    pub failure: Option<SignalName>,
    /// At the threshold.
    pub fault: Option<SignalName>,
    /// On the first success after that.
    pub success: Option<SignalName>,
}

/// Why HEAT did not begin, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The log cannot be used.
    #[error("the log {} cannot be written: {source}; check the path and its rights, or name another with --log", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The process that is to receive signals is not there, or cannot be sent any.
    #[error("--pid: {0}")]
    Receiver(String),
    /// What it leans on was stopped.
    #[error("{0}")]
    Trouble(String),
}

/// Watches until `stop`, or until what it leans on is stopped. `complain` writes to standard error.
pub async fn run(
    orders: Orders,
    people: Option<People>,
    clock: Clock,
    stop: CancellationToken,
    complain: fn(&str),
) -> Result<(), Ended> {
    let receiver = match orders.pid {
        Some(pid) => Receiver::hold(pid).map_err(Ended::Receiver)?,
        None => Receiver::Ourselves,
    };
    let journal = Journal::start(orders.log.clone(), complain)
        .map_err(|source| Ended::Log { path: orders.log.clone(), source })?;
    let (news, queue) = mpsc::channel(tell::QUEUE);
    let ended = CancellationToken::new();
    let check = orders.check.shown.clone();
    let recovery = orders.recovery.as_ref().map(|program| program.shown.clone()).unwrap_or_default();
    let news = people.is_some().then_some(news);
    let watch = async {
        let outcome = Watch::new(orders, receiver, journal, clock, news, complain).run(&stop).await;
        ended.cancel();
        outcome
    };
    let tell = async {
        if let Some(people) = &people {
            tell::deliver(people, &check, &recovery, clock, queue, ended.clone(), complain).await;
        }
    };
    let (outcome, ()) = tokio::join!(watch, tell);
    outcome
}

impl Orders {
    fn rules(&self) -> Rules {
        let patience = self.recovery_timeout.map_or(Patience::Checks, Patience::For);
        Rules {
            interval: self.interval,
            threshold: self.threshold,
            fail: self.fail.is_some(),
            recovery: self.recovery.as_ref().map(|_| patience),
        }
    }
}
