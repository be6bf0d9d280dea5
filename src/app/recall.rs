//! What the agent before this one saved, as the engine takes it up.

use std::collections::HashMap;

use crate::domain::guard::Memory;
use crate::domain::name::PairName;
use crate::domain::outage::State;
use crate::engine::ledger::MEMORY;

pub(super) fn states(saved: &[(PairName, String)]) -> HashMap<PairName, State> {
    let read = |(pair, json): &(PairName, String)| match serde_json::from_str(json) {
        Ok(state) => Some((pair.clone(), state)),
        Err(error) => {
            tracing::error!(%pair, "the saved state of {pair} cannot be read, it begins anew: {error}");
            None
        }
    };
    saved.iter().filter_map(read).collect()
}

pub(super) fn memory(settings: &[(String, String)]) -> Memory {
    let saved = settings.iter().find(|(key, _)| key == MEMORY).map(|(_, value)| serde_json::from_str(value));
    saved
        .transpose()
        .unwrap_or_else(|error| {
            tracing::error!(
                "what the guard remembered cannot be read; stops and storms of before are forgotten: {error}"
            );
            None
        })
        .unwrap_or_default()
}
