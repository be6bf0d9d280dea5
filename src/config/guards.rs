//! What keeps the agent from acting wrongly.

use std::time::Duration;

use crate::domain::flap::Limit;
use crate::domain::guard::{Budget, Rules};
use crate::domain::maintenance::Calendar;
use crate::domain::storm;
use crate::env::{Group, Key, Scope, Scoped, duration, value};
use crate::message::SaferDefault;

use super::{ladder, pace, site};

/// Runs per pair and time.
pub const REMEDY_BUDGET: Key<Budget> = Key::new(Scope::Global, "REMEDY_BUDGET", budget)
    .about("Commands that may run for one pair within a time, as `runs/time`; when it is spent, people are told and nothing runs until the window moves on.", "20/1h")
    .default("20/1h");
/// Share of pairs that may go down together.
pub const STORM_LIMIT: Key<f64> = Key::new(Scope::Global, "STORM_LIMIT", share)
    .about("When at least 3 pairs, and more than this share of all, go down within one interval, the observer is suspected and nothing is healed until not too many are down. A sample of others is looked at before the first command. 100 % turns it off.", "50%")
    .default("50%");
/// Between two runs of one pair.
pub const REMEDY_COOLDOWN: Key<Duration> = Key::new(Scope::Global, "REMEDY_COOLDOWN", value::duration)
    .about("Time between two commands for one pair; a check that fails earlier runs nothing.", "2m")
    .default("0s");
/// Over all hosts.
pub const REMEDIES_AT_ONCE: Key<usize> = Key::new(Scope::Global, "REMEDIES_AT_ONCE", places)
    .about("Commands under way at once over all hosts, 1 to 10000; one host never runs two at once.", "50")
    .default("50");
/// When a storm is over.
pub const STORM_QUIET: Key<Duration> = Key::new(Scope::Global, "STORM_QUIET", value::duration)
    .about("How long not too many pairs may be down until a storm counts as over and healing goes on.", "5m")
    .default("5m");
/// Changes of one pair.
pub const FLAP_LIMIT: Key<Limit> = Key::new(Scope::Global, "FLAP_LIMIT", flap)
    .about("Changes between up and down within a time, as `changes/time`, from which on a pair is told once as flapping and not healed until it is calmer. 0 turns it off.", "12/1h")
    .default("12/1h");
/// Nothing is run.
pub const DRY_RUN: Key<bool> = Key::new(Scope::Global, "DRY_RUN", value::flag)
    .about("Do everything but run commands; notices and records say what would have run.", "true")
    .default("false");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Guards",
    intro: "What keeps the agent from acting wrongly. Every refusal is recorded with its reason and told.",
    keys: &[
        REMEDY_BUDGET.info(),
        REMEDY_COOLDOWN.info(),
        REMEDIES_AT_ONCE.info(),
        STORM_LIMIT.info(),
        STORM_QUIET.info(),
        FLAP_LIMIT.info(),
        DRY_RUN.info(),
    ],
};

/// Pairs that go down within this time, or within one interval if that is longer, went down together.
const STORM_WINDOW: Duration = Duration::from_mins(1);

/// Reads the section.
pub fn read(global: &Scoped<'_>) -> Option<Rules> {
    let (budget, share, dry_run) = (global.get(&REMEDY_BUDGET), global.get(&STORM_LIMIT), global.get(&DRY_RUN));
    let (cooldown, quiet, flap) = (global.get(&REMEDY_COOLDOWN), global.get(&STORM_QUIET), global.get(&FLAP_LIMIT));
    let interval = global.optional(&pace::INTERVAL).flatten().unwrap_or_default();
    Some(Rules {
        budget: budget?,
        cooldown: cooldown?,
        storm: storm::Rules { share: share?, window: interval.max(STORM_WINDOW), quiet: quiet? },
        flap: flap?,
        maintenance: Calendar::default(),
        dry_run: dry_run?,
    })
}

/// Safer defaults that nobody changed, with the value in force.
pub fn safer(global: &Scoped<'_>) -> Vec<(SaferDefault, String)> {
    fn row<T>(global: &Scoped<'_>, what: SaferDefault, key: &Key<T>) -> Option<(SaferDefault, String)> {
        let crate::env::Absent::Default(text) = key.absent else { return None };
        (!global.set_by_user(key)).then(|| (what, text.to_owned()))
    }
    [
        row(global, SaferDefault::RemedyBudget, &REMEDY_BUDGET),
        row(global, SaferDefault::StormLimit, &STORM_LIMIT),
        row(global, SaferDefault::SshHostKeys, &site::SSH_HOST_KEYS),
        row(global, SaferDefault::VerifyWindow, &ladder::VERIFY_WINDOW),
        row(global, SaferDefault::CommandTimeout, &ladder::COMMAND_TIMEOUT),
        row(global, SaferDefault::CheckTimeout, &pace::CHECK_TIMEOUT),
        row(global, SaferDefault::FlapLimit, &FLAP_LIMIT),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn budget(text: &str) -> Result<Budget, String> {
    let (runs, window) = rate(text).ok_or_else(|| "expected runs and a time, such as 20/1h".to_owned())?;
    Ok(Budget { runs, window })
}

fn flap(text: &str) -> Result<Limit, String> {
    let expected = || "expected changes and a time, at least 4 of them, such as 12/1h, or 0".to_owned();
    if text.trim() == "0" {
        return Ok(Limit { changes: 0, window: Duration::from_hours(1) });
    }
    // Fewer than four changes are one outage and its end, or two: nothing flaps.
    let (changes, window) = rate(text).filter(|(changes, _)| *changes == 0 || *changes >= 4).ok_or_else(expected)?;
    Ok(Limit { changes, window })
}

fn rate(text: &str) -> Option<(u32, Duration)> {
    let (count, window) = text.split_once('/')?;
    let count = value::whole(count, &(0..=100_000)).ok()?;
    let window = duration::parse(window.trim()).ok().filter(|window| !window.is_zero())?;
    Some((count, window))
}

fn places(text: &str) -> Result<usize, String> {
    value::whole(text, &(1..=10_000))
}

fn share(text: &str) -> Result<f64, String> {
    let bare = text.trim().strip_suffix('%').unwrap_or(text).trim();
    value::number(bare, &(0.0..=100.0))
        .map(|percent| percent / 100.0)
        .map_err(|_| "expected a share from 0% to 100%, such as 50%".to_owned())
}
