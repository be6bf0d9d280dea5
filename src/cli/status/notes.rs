//! Why nothing is healed or told, a sentence each: for all pairs, and for one. Nothing is said where nothing is held.

use clap::builder::styling::Style;
use jiff::{SignedDuration, Timestamp};

use crate::cli::screen::{BAD, ODD, line, moment};
use crate::domain::evidence::Quiet;
use crate::domain::stop::{Scope, Stop};
use crate::engine::handle::{PairState, PairStatus, Status};

/// A certificate that ends sooner than this is worth a line, whatever `TLS_DAYS` says.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
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
pub fn of_pair(pair: &PairStatus, now: Timestamp) -> Vec<(Style, String)> {
    let mut notes = Vec::new();
    if let Some(ends) = pair.certificate_ends
        && ends.duration_since(now) < SOON
    {
        let verb = if ends <= now { "ended" } else { "ends" };
        notes.push(format!("its certificate {verb} at {}", moment(ends)));
    }
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
    for denied in &pair.denied {
        let (by, command) = (line(&denied.by, NAME), line(&denied.command, 200));
        notes.push(format!("rung {} was denied by {by}, so it does not run in this incident: {command}", denied.rung));
    }
    if let Some(since) = pair.unknown_since {
        notes.push(format!(
            "cannot be looked at since {}: that does not count as down, and nothing is healed",
            moment(since)
        ));
    }
    let quiet = match pair.quiet.filter(|_| pair.state != PairState::Up) {
        Some(Quiet::ParentDown) => Some("not told: what it depends on is down, and that is told"),
        Some(Quiet::Storm) => Some("not told: the storm is told in its place"),
        Some(Quiet::Off) => Some("not told: NOTIFY is off"),
        // Said above, unless it is over and the failure is about to be told.
        Some(Quiet::Maintenance | Quiet::Flapping) | None => None,
    };
    notes.extend(quiet.map(str::to_owned));
    notes.into_iter().map(|note| (ODD, note)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::handle::{Approval, CheckCounters, Denied, Doing};

    fn pair(state: PairState) -> PairStatus {
        PairStatus {
            pair: "DC3-SRV4".parse().unwrap(),
            url: String::new(),
            environment: None,
            notify: true,
            certificate_ends: None,
            state,
            doing: Doing::Waiting,
            since: None,
            incident: None,
            failures: 0,
            response_ms: None,
            phases: None,
            fault: None,
            checked_at: None,
            next_check_s: None,
            budget_spent: 0,
            quiet: None,
            flapping: false,
            maintenance_until: None,
            approval: None,
            denied: Vec::new(),
            unknown_since: None,
        }
    }

    fn said(notes: Vec<(Style, String)>) -> String {
        notes.into_iter().map(|(_, note)| note + "\n").collect()
    }

    #[test]
    fn a_pair_that_is_held_by_nothing_says_nothing_and_each_hold_says_what_to_do() {
        assert_eq!(said(of_pair(&pair(PairState::Up), Timestamp::UNIX_EPOCH)), "");
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let approval = Approval {
            id: "3fa9c1".to_owned(),
            pair: "DC3-SRV4".parse().unwrap(),
            rung: 2,
            command: "reboot \u{1b}[2J".to_owned(),
            since: at,
        };
        let held = PairStatus {
            flapping: true,
            maintenance_until: Some(at),
            approval: Some(approval),
            quiet: Some(Quiet::ParentDown),
            denied: vec![Denied { rung: 3, command: "halt \u{7}".to_owned(), by: "anna".to_owned() }],
            unknown_since: Some(at),
            ..pair(PairState::Down)
        };
        let text = said(of_pair(&held, Timestamp::UNIX_EPOCH));
        for part in [
            "in maintenance until 20",
            "monitor resume DC3-SRV4",
            "monitor approve 3fa9c1: reboot",
            "depends on",
            "rung 3 was denied by anna, so it does not run in this incident: halt",
            "cannot be looked at since 20",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }

    #[test]
    fn stops_and_lost_witnesses_are_said_with_who_since_and_until() {
        let at: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let stop = |scope, until| Stop { scope, by: "anna\u{7}".to_owned(), since: at, until };
        let site = Scope::Site(crate::domain::name::SiteName::new("DC3").unwrap());
        let mut status = Status {
            version: String::new(),
            pid: 1,
            started_at: at,
            at,
            storm: false,
            stops: vec![stop(Scope::All, None), stop(site, Some(at))],
            cut_off: [("WITNESSES".to_owned(), at)].into(),
            checks: CheckCounters::default(),
            pairs: Vec::new(),
        };
        let text = said(of_all(&status));
        for part in ["CUT OFF since 20", "of WITNESSES", "STOPPED: all pairs by anna", "until resumed", "resume DC3\n"]
        {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(!text.contains('\u{7}'), "{text:?}");
        (status.stops, status.cut_off) = (Vec::new(), std::collections::BTreeMap::new());
        assert_eq!(said(of_all(&status)), "");
    }
}
