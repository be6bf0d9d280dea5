//! Where a command runs: this machine or one behind SSH. An order goes in, its exit and bounded output come out.
//!
//! Whether a command may run is the guard's business (`domain`), what it is is the remedy's, and whether it helped only
//! probes can say.

mod error;
pub mod local;
pub mod output;
pub mod process;
pub mod ssh;

use std::time::Duration;

use crate::domain::remedy::RunStatus;

pub use error::{Denial, HostError, KeyTrouble, WayEnds};
pub use local::LocalHost;
pub use output::Captured;
pub use ssh::{HostKeyPolicy, Jump, SshHost, SshSite};

/// One command to run.
#[derive(Debug, Clone)]
pub struct Order {
    /// Shell text, as `COMMAND` holds it; a POSIX `sh` reads it.
    pub shell: String,
    /// Variables that the command finds in its environment, `MONITOR_PAIR` and its like. They are visible to the host's
    /// other users: no secrets.
    pub env: Vec<(String, String)>,
    /// Time the command itself may take. Connecting has limits of its own.
    pub limit: Duration,
}

/// How a command ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it: its name without `SIG`.
    Signal(String),
}

/// A command that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// What it printed.
    pub captured: Captured,
    /// From the moment it was handed over to its end.
    pub duration: Duration,
    /// A process that it left behind still held its output when we stopped listening.
    pub left_open: bool,
}

impl Finished {
    /// The `status` of the record.
    pub fn status(&self) -> RunStatus {
        match self.exit {
            Exit::Code(0) => RunStatus::Executed,
            Exit::Code(_) | Exit::Signal(_) => RunStatus::Failed,
        }
    }
}

/// The end of a run.
pub type RunResult = Result<Finished, HostError>;

/// What `check --online` tells about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// `host:port`, or `this machine`.
    pub address: String,
    /// The fingerprint of the host's key, where there is one.
    pub host_key: Option<String>,
    /// What let us in: `key file …`, `agent …`, `password`, `keyboard-interactive`; empty on this machine.
    pub login: String,
    /// From nothing to the end of `true`.
    pub took: Duration,
}

/// A place where commands run.
#[derive(Debug)]
pub enum Host {
    /// Over SSH.
    Ssh(SshHost),
    /// Here.
    Local(LocalHost),
}

impl Host {
    /// Runs one order and returns its end; it is handed over at most once. `ready` is asked right before that, when all
    /// that takes time is done: on its no the order ends in [`HostError::Withheld`] and nothing is run.
    pub async fn run(&self, order: &Order, ready: impl Future<Output = bool> + Send) -> RunResult {
        match self {
            Self::Ssh(host) => host.run(order, ready).await,
            Self::Local(host) => host.run(order, ready).await,
        }
    }

    /// Opens a connection in the background, so that a command that may come soon need not wait for it.
    pub fn warm(&self) {
        match self {
            Self::Ssh(host) => host.warm(),
            Self::Local(_) => {}
        }
    }

    /// Logs in anew and runs `true`.
    pub async fn check(&self) -> Result<CheckReport, HostError> {
        match self {
            Self::Ssh(host) => host.check().await,
            Self::Local(host) => host.check().await,
        }
    }

    /// Closes what is open and waits for every background task of this host. Await your runs first: a command that is still
    /// running loses its connection. Later orders end in [`HostError::Closed`].
    pub async fn close(&self) {
        match self {
            Self::Ssh(host) => host.close().await,
            Self::Local(_) => {}
        }
    }
}
