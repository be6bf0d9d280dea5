//! What a remedy did, and what came of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refusal::Refusal;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// One incident: from the first `down` check of a pair to its next `up`.
    IncidentId
}
id! {
    /// One run of a remedy (or one refusal to run it).
    RunId
}
id! {
    /// One notice in the outbox.
    NoticeId
}

/// The `status` of a `COMMAND_EXECUTED` record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Ran and exited 0.
    Executed,
    /// Ran and exited otherwise, or was killed by a signal; or the host let us in and would not run it.
    Failed,
    /// Did not end within its time, or the host did not answer in time.
    Timeout,
    /// The host could not be reached, or the connection was lost.
    Unreachable,
    /// The host refused our login.
    AuthFailed,
    /// The host showed a key that we do not trust: another than the recorded one, or an unknown one where that is refused.
    HostKeyMismatch,
    /// Not permitted; see [`Refusal`].
    Skipped,
}

impl RunStatus {
    /// The word used in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::AuthFailed => "auth_failed",
            Self::HostKeyMismatch => "host_key_mismatch",
            Self::Skipped => "skipped",
        }
    }
}

/// What one run did, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// How it ended.
    pub status: RunStatus,
    /// True once the command was handed to the host: from then on it may have had an effect.
    pub started: bool,
    /// The exit code, where there was one.
    pub exit_code: Option<i32>,
    /// The signal's name without `SIG`, where one ended it.
    pub signal: Option<String>,
    /// Wall time from the order to the end.
    #[serde(rename = "duration_ms", with = "super::millis")]
    pub duration: Duration,
    /// The last lines of output, printable, secrets masked, at most [`Run::MAX_EXCERPT`] characters.
    pub excerpt: String,
    /// What went wrong and what to do, for people; empty when nothing did.
    pub error: String,
}

impl Run {
    /// Characters of output that travel with a notice.
    pub const MAX_EXCERPT: usize = 600;

    /// The verdict as long as no probe sees the target up.
    pub fn verdict_unless_up(&self) -> Verdict {
        match self.status {
            RunStatus::Executed => Verdict::RanButDown,
            RunStatus::Failed if self.started => Verdict::Failed,
            RunStatus::Failed
            | RunStatus::Timeout
            | RunStatus::Unreachable
            | RunStatus::AuthFailed
            | RunStatus::HostKeyMismatch
            | RunStatus::Skipped => Verdict::CouldNotRun,
        }
    }
}

/// The verdict of a remedy. It comes from probes, never from exit 0 alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A probe after the command saw the target up.
    Healed,
    /// The command exited 0 and the target is still down.
    RanButDown,
    /// The command exited non-zero (or was killed) and the target is still down.
    Failed,
    /// SSH, login, host key or time stood in the way.
    CouldNotRun,
    /// The guard said no.
    Skipped(Refusal),
    /// We were stopped between the order and its outcome.
    Interrupted,
}

impl Verdict {
    /// The word used in records and the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::RanButDown => "ran_but_down",
            Self::Failed => "failed",
            Self::CouldNotRun => "could_not_run",
            Self::Skipped(_) => "skipped",
            Self::Interrupted => "interrupted",
        }
    }
}
