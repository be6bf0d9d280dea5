//! Stories of the real binary against real counterparts: what a person would see of each.

mod commands;
mod crash;
mod cross_check;
mod disk;
mod hosts;
mod life;
mod people;
mod probes;
mod seed;
mod telegram;

use crate::support::agent::Agent;
use crate::support::stage::{Host, Target, borrowed};

/// Maps one pair to a host and a target.
fn map(agent: &mut Agent, host: &Host, target: &Target) {
    agent.set(&borrowed(&host.site("DC3")));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url())]);
}
