//! What was found out about a failing check besides the check itself, right before anything is done about it.

use serde::{Deserialize, Serialize};

use super::name::ServerName;
use super::refusal::Refusal;

/// What speaks for or against the pair being what is broken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// A server it depends on, and that did not answer either.
    pub parent: Option<ServerName>,
    /// What the site's own host sees.
    pub afar: Afar,
}

/// What the site's own host sees of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Afar {
    /// It was not asked, or cannot be reached itself.
    #[default]
    NotAsked,
    /// The same as we.
    Down,
    /// The target answers there.
    Up,
    /// It cannot look; why, and what to do.
    CannotLook(String),
    /// It took the question and gave no answer in time, or lost the connection: what lies between us and it may be all
    /// that is broken.
    NoAnswer {
        /// What became of the question.
        why: String,
        /// It gave none at the failing check before either: whoever waits for one would wait for ever.
        again: bool,
    },
}

impl Afar {
    /// Says what speaks against a remedy.
    pub fn objection(&self) -> Option<Refusal> {
        match self {
            Self::NotAsked | Self::Down | Self::NoAnswer { again: true, .. } => None,
            Self::Up => Some(Refusal::OnlyOurRoute),
            Self::CannotLook(why) => Some(Refusal::NotCrossChecked { why: why.clone() }),
            Self::NoAnswer { why, again: false } => Some(Refusal::NotCrossChecked {
                why: format!("{why}; if it gives no answer at the next failing check either, nobody waits for one"),
            }),
        }
    }

    /// Takes whether the look at the failing check before got no answer; says whether this one did not.
    pub fn unanswered(&mut self, before: bool) -> bool {
        let Self::NoAnswer { again, .. } = self else { return false };
        *again = before;
        true
    }
}

/// Why a failure is not told: something else is told in its place, or somebody said that it need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quiet {
    /// What it depends on is down, and that is told.
    ParentDown,
    /// A maintenance window is open.
    Maintenance,
    /// A storm is told in its place.
    Storm,
    /// That it flaps is told in its place.
    Flapping,
    /// Notices of its server are switched off (`NOTIFY`).
    Off,
}

impl Quiet {
    /// The word used in the API and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ParentDown => "parent_down",
            Self::Maintenance => "maintenance",
            Self::Storm => "storm",
            Self::Flapping => "flapping",
            Self::Off => "off",
        }
    }
}
