//! What the agent before this one saved, as the engine takes it up.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::guard::Rules;
use crate::domain::memory::Memory;
use crate::domain::name::PairName;
use crate::domain::outage::State;
use crate::domain::record::Records;
use crate::engine;
use crate::engine::ledger::{MEMORY, PUSHES};
use crate::probe::wire::Pushes;
use crate::store::{KEPT_DAYS, Saved, Store, StoreError, Write};

/// Reads it all.
pub(super) async fn read(
    store: &Store,
    saved: &Saved,
    rules: &Rules,
    now: Timestamp,
) -> Result<engine::Saved, StoreError> {
    let before = |window: Duration| now - SignedDuration::try_from(window).unwrap_or_default();
    let kept = SignedDuration::from_hours(24 * KEPT_DAYS);
    Ok(engine::Saved {
        states: states(&saved.states),
        runs: store.last_runs(None, before(rules.budget.window.max(rules.cooldown))).await?,
        unfinished: saved.unfinished.clone(),
        interrupted: saved.interrupted.clone(),
        changes: store.last_changes(before(rules.flap.window)).await?,
        memory: memory(&saved.settings),
        pushes: pushes(&saved.settings).into(),
        rebooted: rebooted(&saved.settings),
        // Nobody waits for what is only quoted.
        records: store.records(now - kept).await.unwrap_or_else(|error| {
            tracing::warn!("what commands achieved before cannot be read, alerts do not quote it: {error}");
            Records::default()
        }),
    })
}

fn states(saved: &[(PairName, String)]) -> HashMap<PairName, State> {
    let read = |(pair, json): &(PairName, String)| match serde_json::from_str(json) {
        Ok(state) => Some((pair.clone(), state)),
        Err(error) => {
            tracing::error!(%pair, "the saved state of {pair} cannot be read, it begins anew: {error}");
            None
        }
    };
    saved.iter().filter_map(read).collect()
}

/// The setting that holds which start of this machine the last agent ran in.
const BOOT: &str = "boot_id";

/// Which start of this machine this is: <https://docs.kernel.org/admin-guide/sysctl/kernel.html#random>.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// What is to be saved, so that the next agent knows whether the machine was started anew.
pub(super) fn this_boot() -> Vec<Write> {
    boot_id().map(|value| Write::Setting { key: BOOT.to_owned(), value }).into_iter().collect()
}

fn rebooted(settings: &[(String, String)]) -> bool {
    let before = settings.iter().find(|(key, _)| key == BOOT).map(|(_, id)| id);
    before.zip(boot_id()).is_some_and(|(before, now)| *before != now)
}

fn memory(settings: &[(String, String)]) -> Memory {
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

fn pushes(settings: &[(String, String)]) -> Pushes {
    let saved = settings.iter().find(|(key, _)| key == PUSHES).map(|(_, value)| Pushes::restored(value));
    saved
        .transpose()
        .unwrap_or_else(|error| {
            tracing::error!("what servers had reported cannot be read; it is waited for their next reports: {error}");
            None
        })
        .unwrap_or_default()
}
