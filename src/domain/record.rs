//! What a command has achieved for a pair so far, as an alert quotes it. The report over a period lives in `report`; who
//! keeps the records up to date is `engine`, what they are read from is `store`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one command has achieved for one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How many runs healed the pair.
    pub healed: u32,
    /// How many runs reached the host and were judged.
    pub runs: u32,
    /// The middle of the times to heal; nothing when no run healed.
    #[serde(rename = "median_ms", with = "super::millis::option", default)]
    pub median: Option<Duration>,
}
