//! What people were told once in place of many failures, and will be told the end of. It is saved, so that a restart neither
//! tells it again nor forgets the end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::expiry;
use super::name::{PairName, ServerName};
use super::remedy::IncidentId;

/// Something that people were told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What stands for its incident, so that the end answers the beginning.
    pub id: IncidentId,
    /// When it began.
    pub since: Timestamp,
}

/// Every alarm whose end people have not heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarms {
    /// The storm.
    pub storm: Option<Told>,
    /// The witnesses that do not answer, by their key.
    pub cut_off: BTreeMap<String, Told>,
    /// The pairs that flap.
    pub flapping: BTreeMap<PairName, Told>,
    /// The pairs that cannot be looked at.
    pub unseen: BTreeMap<PairName, Told>,
    /// What keeps us from looking at any pair, by the word of its cause.
    pub blind: BTreeMap<String, Told>,
    /// The servers whose certificate ends.
    pub expiring: BTreeMap<ServerName, expiry::Told>,
}
