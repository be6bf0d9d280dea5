//! Alarms that people were told of, and will be told the end of. They are saved, so that a restart tells none twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::remedy::IncidentId;

/// One alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What stands for its incident, so that the end answers the beginning.
    pub id: IncidentId,
    /// When it began.
    pub since: Timestamp,
}

/// The alarms about the agent itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarms {
    /// A storm.
    pub storm: Option<Alarm>,
    /// Witnesses that do not answer, by the key that names them.
    pub cut_off: BTreeMap<String, Alarm>,
}
