//! What a server serves: a word that people read beside its name, and nothing is decided by.

use serde::{Deserialize, Serialize};

/// What a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Environment {
    /// Developers.
    Dev,
    /// Those who try what comes next.
    Stage,
    /// Customers.
    Live,
}

impl Environment {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Stage, Self::Live];

    /// The word in configuration, messages and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "DEV",
            Self::Stage => "STAGE",
            Self::Live => "LIVE",
        }
    }
}
