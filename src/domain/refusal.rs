//! Why a remedy was not permitted. People and the audit read these reasons; nothing is refused with a bare `false`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{PairName, ServerName};

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
    /// The pair ran a remedy less than `REMEDY_COOLDOWN` ago.
    Cooldown {
        /// When the next run is allowed.
        until: Timestamp,
    },
    /// The pair goes up and down too often (`FLAP_LIMIT`): what heals it for a moment does not heal it.
    Flapping {
        /// Changes of state inside the window.
        changes: u32,
        /// Length of the window, seconds.
        window_s: u64,
    },
    /// A person stopped healing.
    Stopped {
        /// Who.
        by: String,
        /// When.
        since: Timestamp,
        /// When it ends by itself; absent when somebody has to resume it.
        until: Option<Timestamp>,
    },
    /// A maintenance window is open.
    Maintenance {
        /// When it ends.
        until: Timestamp,
    },
    /// What the pair depends on is down itself.
    ParentDown {
        /// The server it depends on.
        parent: ServerName,
    },
    /// The witnesses do not answer: it is we who are cut off.
    CutOff {
        /// Witnesses that answered.
        answered: usize,
        /// Witnesses that have to.
        needed: usize,
    },
    /// The site's own host reaches the target: only the route from us is broken.
    OnlyOurRoute,
    /// `{DC}_CROSS_CHECK` is on and the site's host could not look.
    NotCrossChecked {
        /// Why not, and what to do.
        why: String,
    },
    /// The rung may not run yet (`COMMAND_k_AFTER`).
    TooEarly {
        /// When it may.
        until: Timestamp,
    },
    /// The rung only says what it would do (`COMMAND_k_MODE=dry`).
    DryRung,
    /// The rung waits for a person (`COMMAND_k_MODE=approve`).
    AwaitingApproval {
        /// What to give to `monitor approve`.
        id: String,
    },
    /// A person said no to the rung.
    Denied {
        /// Who.
        by: String,
    },
    /// What was started for the pair is needed by another one that is still down; the last of them to recover ends it.
    StillNeeded {
        /// By whom.
        by: PairName,
    },
    /// The pair fell again before its recovery command was sent.
    DownAgain,
    /// The name of the target does not exist: a command on the site does not mend DNS.
    NameNotFound,
    /// The target answers and does not accept our login: a command on the site does not mend a password.
    LoginRefused,
    /// The target says that it is starting or stopping: a restart would only begin that anew.
    Starting,
    /// Nobody whom we trust stands for the target's certificate: a command on the site does not mend our trust.
    Untrusted,
    /// It comes from a list and was never seen up: what is wrong may be the list.
    NeverUp,
    /// `DRY_RUN` is on.
    DryRun,
    /// The intent could not be written to disk, so the run could not be proved.
    NotRecorded,
    /// The agent is stopping.
    Stopping,
    /// The pair came back before the command was sent.
    UpAgain,
    /// A person's order for the pair is under way: nothing of its own goes beside it.
    ByHand,
    /// It is not certain any more that the pair is down: the look right before sending could not be made, or time was lost.
    Unsure,
    /// The command waited for its host's turn, and meanwhile the pair was taken out of the configuration.
    Retired,
    /// The configuration changed while the command waited for its turn.
    Changed,
    /// A drill asked for a harmless form of it, and it has none.
    NoHarmlessForm,
}

impl Refusal {
    /// The word used in records, the API and the message catalogues.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BudgetSpent { .. } => "budget_spent",
            Self::Storm { .. } => "storm",
            Self::Cooldown { .. } => "cooldown",
            Self::Flapping { .. } => "flapping",
            Self::Stopped { .. } => "stopped",
            Self::Maintenance { .. } => "maintenance",
            Self::ParentDown { .. } => "parent_down",
            Self::CutOff { .. } => "cut_off",
            Self::OnlyOurRoute => "only_our_route",
            Self::NotCrossChecked { .. } => "not_cross_checked",
            Self::TooEarly { .. } => "too_early",
            Self::DryRung => "dry_rung",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Denied { .. } => "denied",
            Self::StillNeeded { .. } => "still_needed",
            Self::DownAgain => "down_again",
            Self::NameNotFound => "name_not_found",
            Self::LoginRefused => "login_refused",
            Self::Starting => "starting",
            Self::Untrusted => "untrusted",
            Self::NeverUp => "never_up",
            Self::DryRun => "dry_run",
            Self::NotRecorded => "not_recorded",
            Self::Stopping => "stopping",
            Self::UpAgain => "up_again",
            Self::ByHand => "by_hand",
            Self::Unsure => "unsure",
            Self::Retired => "retired",
            Self::Changed => "changed",
            Self::NoHarmlessForm => "no_harmless_form",
        }
    }
}
