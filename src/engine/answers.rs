//! What an order comes to. The orders, and where everything stands, live in `handle`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::name::PairName;
use crate::domain::reading::Reading;
use crate::domain::remedy::{Run, Verdict};

/// The answer to a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The pair.
    pub pair: PairName,
    /// Its URL as people may see it.
    pub url: String,
    /// The deciding reading.
    pub reading: Reading,
    /// Attempts made.
    pub made: u32,
}

/// The answer to a person's order to heal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealReport {
    /// The pair.
    pub pair: PairName,
    /// The command's text.
    pub command: String,
    /// How it ended; absent when it was refused.
    pub run: Option<Run>,
    /// What came of it.
    pub verdict: Verdict,
    /// From the end of the command to the probe that saw the pair up.
    #[serde(rename = "up_after_ms", with = "crate::domain::millis::option", default)]
    pub up_after: Option<Duration>,
    /// True when the last check before the command saw it up: there was nothing to heal.
    #[serde(default)]
    pub was_up: bool,
}

/// The answer to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The pair.
    pub pair: PairName,
    /// The rung.
    pub rung: u32,
    /// The command's text.
    pub command: String,
    /// True when it was ordered; what became of it is told.
    pub ordered: bool,
}

/// What a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Pairs that are new.
    pub added: usize,
    /// Pairs that are gone.
    pub removed: usize,
    /// Pairs that stay.
    pub kept: usize,
    /// Which are new, by name.
    #[serde(default)]
    pub added_pairs: Vec<PairName>,
    /// Which are gone, by name.
    #[serde(default)]
    pub removed_pairs: Vec<PairName>,
    /// Which stay with something else than before, by name.
    #[serde(default)]
    pub changed: Vec<Changed>,
    /// Every key whose value is another one now.
    #[serde(default)]
    pub changed_keys: Vec<String>,
    /// Keys that were changed since the start and are read at the start only: their new values are not in force.
    #[serde(default)]
    pub restart_keys: Vec<String>,
}

/// A pair that a reload kept and changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The pair.
    pub pair: PairName,
    /// Its own keys, its server's and its site's.
    pub keys: Vec<String>,
}

/// A rung that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What to give to `monitor approve`.
    pub id: String,
    /// The pair.
    pub pair: PairName,
    /// The rung.
    pub rung: u32,
    /// The command's text.
    pub command: String,
    /// When it was asked for first.
    pub since: Timestamp,
}

/// A rung that a person does not want to run in this incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The rung.
    pub rung: u32,
    /// The command's text.
    pub command: String,
    /// Who said no.
    pub by: String,
}

/// What a drill came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The pair.
    pub pair: PairName,
    /// True when its own command was to be run.
    pub really: bool,
    /// Every step, in order; what a pair does not have is no step of its drill.
    pub steps: Vec<DrillStep>,
}

impl DrillReport {
    /// True when every step went as it should.
    pub fn is_fine(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }
}

/// One step of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStep {
    /// Which.
    pub name: Stage,
    /// Whether it went as it should.
    pub ok: bool,
    /// What came of it, for people.
    pub detail: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// A step of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What the probe sees now.
    Probe,
    /// Whether enough witnesses answer.
    Witnesses,
    /// Whether what it depends on answers.
    Dependencies,
    /// What the site's own host sees.
    CrossCheck,
    /// What the guard would say.
    Guard,
    /// The command on its host.
    Command,
    /// The probe inside the verify window.
    Verify,
    /// The run and the notice on disk.
    Record,
    /// The notice on its way.
    Message,
}

impl Stage {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Witnesses => "witnesses",
            Self::Dependencies => "dependencies",
            Self::CrossCheck => "cross-check",
            Self::Guard => "guard",
            Self::Command => "command",
            Self::Verify => "verify",
            Self::Record => "record",
            Self::Message => "message",
        }
    }
}
