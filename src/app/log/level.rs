//! `LOG_LEVEL` to a filter. What it may say is read in `config::log`.

use tracing_subscriber::EnvFilter;

use super::LogError;

/// Characters that are shown of a value that means nothing.
const SHOWN: usize = 80;

pub(super) fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let found = || level.trim().escape_debug().take(SHOWN).collect();
    crate::config::log::filter(level).map_err(|expected| LogError::Level { found: found(), expected })
}
