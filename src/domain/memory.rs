//! What has to be saved of the guard, because nothing else that is recorded tells it.

use serde::{Deserialize, Serialize};

use super::alarm::Alarms;
use super::flap::Calmed;
use super::stop::Stops;
use super::storm::Raging;

/// What of the guard cannot be read back from recorded runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Stops in force.
    pub stops: Stops,
    /// The storm that goes on.
    pub storm: Option<Raging>,
    /// Whose changes were forgotten on a person's word.
    pub calmed: Calmed,
    /// Alarms whose end people have not heard of; the engine keeps them.
    pub alarms: Alarms,
}
