//! Stories of the real binary against real counterparts: what a person would see of each.

mod commands;
mod crash;
mod cross_check;
mod discovery;
mod disk;
mod guards;
mod hosts;
mod life;
mod networks;
mod once;
mod people;
mod probes;
mod push;
mod seed;
mod telegram;

use serde_json::Value;

use crate::support::agent::{Agent, LIMIT};
use crate::support::sshd::wait_until;
use crate::support::stage::{Host, Target, borrowed};

/// Maps one pair to a host and a target.
fn map(agent: &mut Agent, host: &Host, target: &Target) {
    agent.set(&borrowed(&host.site("DC3")));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url())]);
}

/// Asks `monitor status --json` again and again until this holds for its answer; gives that answer.
fn stands(agent: &Agent, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    tokio::task::block_in_place(|| {
        let mut last = String::new();
        let mut answer = Value::Null;
        let held = wait_until(LIMIT, || {
            last = agent.beside(&["status", "--json"]).1;
            answer = serde_json::from_str(&last).unwrap_or_default();
            !answer.is_null() && so(&answer)
        });
        assert!(held, "{what} did not come about within {LIMIT:?}: {last}");
        answer
    })
}

/// Pairs in this state.
fn pairs_in(state: &str, status: &Value) -> usize {
    status["pairs"].as_array().unwrap().iter().filter(|pair| pair["state"] == state).count()
}
