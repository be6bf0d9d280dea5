//! Why nothing is healed or told, a sentence each: for all pairs, and for one. Nothing is said where nothing is held.

use clap::builder::styling::Style;

use crate::cli::screen::{BAD, ODD, line, moment};
use crate::domain::evidence::Quiet;
use crate::domain::stop::{Scope, Stop};
use crate::engine::handle::{PairState, PairStatus, Status};

/// Characters of a name that somebody gave.
const NAME: usize = 64;

/// What holds for many pairs: who is cut off, and what people stopped.
pub fn of_all(status: &Status) -> Vec<(Style, String)> {
    let cut_off = status.cut_off.iter().map(|(key, since)| {
        let (key, since) = (line(key, NAME), moment(*since));
        (BAD, format!("CUT OFF since {since}: too few witnesses of {key} answer, so failed checks count as unknown"))
    });
    let stops = status.stops.iter().map(|stop| (ODD, stopped(stop)));
    cut_off.chain(stops).collect()
}

fn stopped(stop: &Stop) -> String {
    let (by, since) = (line(&stop.by, NAME), moment(stop.since));
    let until = stop.until.map_or_else(|| "until resumed".to_owned(), |until| format!("until {}", moment(until)));
    let whom = match &stop.scope {
        Scope::All => String::new(),
        scope @ (Scope::Site(_) | Scope::Pair(_)) => format!(" {scope}"),
    };
    format!("STOPPED: {} by {by} since {since}, {until}; to end it: monitor resume{whom}", stop.scope)
}

/// What holds for one pair.
pub fn of_pair(pair: &PairStatus) -> Vec<(Style, String)> {
    let mut notes = Vec::new();
    if let Some(until) = pair.maintenance_until {
        notes.push(format!("in maintenance until {}: nothing is healed and no failure is told", moment(until)));
    }
    if pair.flapping {
        notes.push(format!("flapping, so nothing is healed; to heal it all the same: monitor resume {}", pair.pair));
    }
    if let Some(approval) = &pair.approval {
        let (id, command) = (line(&approval.id, NAME), line(&approval.command, 200));
        notes.push(format!("rung {} waits for a person, monitor approve {id}: {command}", approval.rung));
    }
    let quiet = match pair.quiet.filter(|_| pair.state != PairState::Up) {
        Some(Quiet::ParentDown) => Some("not told: what it depends on is down, and that is told"),
        Some(Quiet::Storm) => Some("not told: the storm is told in its place"),
        // Said above, unless it is over and the failure is about to be told.
        Some(Quiet::Maintenance | Quiet::Flapping) | None => None,
    };
    notes.extend(quiet.map(str::to_owned));
    notes.into_iter().map(|note| (ODD, note)).collect()
}
