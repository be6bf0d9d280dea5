//! What a site does in place of a command becomes a remedy.

use std::sync::Arc;

use crate::config::Act;
use crate::host::Host;
use crate::remedy::Remedy;
use crate::remedy::signal::Signal;
use crate::remedy::systemd::{Action, Systemd};
use crate::remedy::webhook::Webhook;

/// Where a site's commands run: the host, its name in the records, and the address that exclusivity goes by.
#[derive(Clone)]
pub struct Spot {
    /// The host; none for a site that has no commands.
    pub host: Option<Arc<Host>>,
    /// `dc_host` in the records.
    pub name: String,
    /// What exclusivity goes by.
    pub lane: String,
}

/// Builds what is done at a failing check; `None` when units have no host, which a checked configuration does not say.
pub fn build(act: &Act, spot: Spot, hooks: &reqwest::Client) -> Option<Arc<dyn Remedy>> {
    Some(match act {
        Act::Units { units, mode } => Arc::new(Systemd::new(spot.host?, spot.name, spot.lane, mode.action(), units)),
        Act::Signal(order) => Arc::new(Signal::new(order.clone())),
        Act::Hook(hook) => Arc::new(Webhook::new(hooks.clone(), hook.clone())?),
    })
}

/// Builds what is done on recovery, where something is: units that were started for the incident are stopped.
pub fn ending(act: &Act, spot: Spot) -> Option<(String, Arc<dyn Remedy>)> {
    let (Act::Units { units, .. }, Some(text)) = (act, act.ending()) else { return None };
    Some((text, Arc::new(Systemd::new(spot.host?, spot.name, spot.lane, Action::Stop, units))))
}
