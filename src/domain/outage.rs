//! Where a pair stands: never looked at, up, or in an open incident. It is saved as it is.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reading::{Fault, Phases};
use super::remedy::{IncidentId, RunId};

/// Where a pair stands. It is saved as it is and goes on after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Never looked at.
    Fresh,
    /// The last check that could look said `up`.
    Up {
        /// Since when.
        since: Timestamp,
    },
    /// An incident is open.
    Down(Box<Outage>),
}

/// An open incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// Its identity.
    pub incident: IncidentId,
    /// When the first `down` check ended.
    pub since: Timestamp,
    /// k: consecutive `down` checks, from 1.
    pub failures: u32,
    /// Before this moment a restarted agent only looks: no counter moves, no remedy runs.
    pub due: Timestamp,
    /// Why the last check said `down`.
    pub fault: Fault,
    /// Where the last attempt's time went.
    pub phases: Phases,
    /// A command that was ordered and has not ended.
    pub ordered: Option<Ordered>,
    /// The last command that reached its host; credited when a probe inside its verify window sees the target up.
    pub last: Option<Ordered>,
}

/// A command that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// The run.
    pub run: RunId,
    /// Which rung of the ladder, from 1.
    pub rung: u32,
    /// The command's text.
    pub command: String,
    /// From the order to the moment at which it has ended, whatever becomes of us: a restarted agent runs nothing for the
    /// pair before.
    #[serde(rename = "ends_within_ms", with = "super::millis")]
    pub ends_within: Duration,
}
