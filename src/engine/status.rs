//! Where everything stands, as people and programs read it. Asking for it is `handle`'s, filling it in `orders`'.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::environment::Environment;
use crate::domain::evidence::Quiet;
use crate::domain::name::PairName;
use crate::domain::reading::{Fault, Phases};
use crate::domain::remedy::IncidentId;
use crate::domain::stop::Stop;

use super::answers::{Approval, Denied};

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// When the agent was started.
    pub started_at: Timestamp,
    /// When this was asked.
    pub at: Timestamp,
    /// True while too many pairs are down together, so that nothing is healed.
    pub storm: bool,
    /// What people stopped.
    #[serde(default)]
    pub stops: Vec<Stop>,
    /// Witnesses that do not answer, by their key, with the moment they were first missed.
    #[serde(default)]
    pub cut_off: BTreeMap<String, Timestamp>,
    /// Counters of the engine.
    pub checks: CheckCounters,
    /// Every pair, by name.
    pub pairs: Vec<PairStatus>,
}

/// Counters since the start, and how punctual the last checks were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckCounters {
    /// Checks made.
    pub made: u64,
    /// Commands run.
    pub commands: u64,
    /// Median lateness of the last checks, milliseconds.
    pub late_p50_ms: f64,
    /// 99th percentile of the lateness of the last checks, milliseconds.
    pub late_p99_ms: f64,
}

/// Where one pair stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairStatus {
    /// Its name, `DC-SRV`.
    pub pair: PairName,
    /// Its URL as people may see it.
    pub url: String,
    /// What its server serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Whether people are told of it.
    #[serde(default = "told")]
    pub notify: bool,
    /// When the certificate that its server shows ends, where that is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
    /// The state.
    pub state: PairState,
    /// What the engine is doing with it.
    pub doing: Doing,
    /// Since when it is up or down.
    pub since: Option<Timestamp>,
    /// The open incident.
    pub incident: Option<IncidentId>,
    /// k: consecutive `down` checks.
    pub failures: u32,
    /// Time to the answer of the last reading, milliseconds; absent when there was no answer.
    pub response_ms: Option<f64>,
    /// Phase timings of the last reading.
    pub phases: Option<Phases>,
    /// Why the last reading was not up.
    pub fault: Option<Fault>,
    /// When the last check ended.
    pub checked_at: Option<Timestamp>,
    /// Seconds to the next check; absent while one is under way.
    pub next_check_s: Option<f64>,
    /// Runs that count against the budget.
    pub budget_spent: u32,
    /// Why its failures are not told.
    #[serde(default)]
    pub quiet: Option<Quiet>,
    /// True while it goes up and down too often to be healed.
    #[serde(default)]
    pub flapping: bool,
    /// When its maintenance ends, while it is under way.
    #[serde(default)]
    pub maintenance_until: Option<Timestamp>,
    /// The approval that it waits for.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// Rungs to which a person said no in this incident.
    #[serde(default)]
    pub denied: Vec<Denied>,
    /// Since when it could not be looked at, while it cannot.
    #[serde(default)]
    pub unknown_since: Option<Timestamp>,
}

/// What an agent from before the field did.
fn told() -> bool {
    true
}

/// The state of a pair, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// Not looked at yet.
    Fresh,
    /// Up.
    Up,
    /// Down.
    Down,
    /// The last check could not look.
    Unknown,
}

/// What the engine is doing with a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Waiting for the next check.
    Waiting,
    /// Checking.
    Checking,
    /// Running its remedy, or waiting for the host's turn.
    Healing,
    /// Probing inside the verify window.
    Verifying,
}
