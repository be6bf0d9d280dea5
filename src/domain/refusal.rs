//! Why a remedy was not permitted. People and the audit read these reasons; nothing is refused with a bare `false`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One reason for not running a remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The pair's `REMEDY_BUDGET` is spent.
    BudgetSpent {
        /// When the next run is allowed.
        until: Timestamp,
        /// Runs allowed in a window.
        runs: u32,
        /// Length of the window, seconds.
        window_s: u64,
    },
    /// Too many pairs went down together: the observer is suspected.
    Storm {
        /// Pairs down.
        down: usize,
        /// Pairs watched.
        of: usize,
    },
    /// The name of the target does not exist: a command on the site does not mend DNS.
    NameNotFound,
    /// `DRY_RUN` is on.
    DryRun,
    /// The intent could not be written to disk, so the run could not be proved.
    NotRecorded,
    /// The agent is stopping.
    Stopping,
    /// The pair came back before the command was sent.
    UpAgain,
    /// The command waited for its host's turn, and meanwhile the pair was taken out of the configuration.
    Retired,
    /// The configuration changed while the command waited for its turn.
    Changed,
}

impl Refusal {
    /// The word used in records, the API and the message catalogues.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BudgetSpent { .. } => "budget_spent",
            Self::Storm { .. } => "storm",
            Self::NameNotFound => "name_not_found",
            Self::DryRun => "dry_run",
            Self::NotRecorded => "not_recorded",
            Self::Stopping => "stopping",
            Self::UpAgain => "up_again",
            Self::Retired => "retired",
            Self::Changed => "changed",
        }
    }
}
