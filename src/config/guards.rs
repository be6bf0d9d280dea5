//! What keeps the agent from acting wrongly.

use std::time::Duration;

use crate::domain::guard::{Budget, Rules};
use crate::env::{Group, Key, Scope, Scoped, duration, value};
use crate::message::SaferDefault;

use super::{pace, pairs, site};

/// Runs per pair and time.
pub const REMEDY_BUDGET: Key<Budget> = Key::new(Scope::Global, "REMEDY_BUDGET", budget)
    .about("Commands that may run for one pair within a time, as `runs/time`; when it is spent, people are told and nothing runs until the window moves on.", "20/1h")
    .default("20/1h");
/// Share of pairs that may go down together.
pub const STORM_LIMIT: Key<f64> = Key::new(Scope::Global, "STORM_LIMIT", share)
    .about("When at least 3 pairs, and more than this share of all, go down within one interval, the observer is suspected and nothing is healed until enough are up again. 100 % turns it off.", "50%")
    .default("50%");
/// Nothing is run.
pub const DRY_RUN: Key<bool> = Key::new(Scope::Global, "DRY_RUN", value::flag)
    .about("Do everything but run commands; notices and records say what would have run.", "true")
    .default("false");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Guards",
    intro: "What keeps the agent from acting wrongly. Every refusal is recorded with its reason and told.",
    keys: &[REMEDY_BUDGET.info(), STORM_LIMIT.info(), DRY_RUN.info()],
};

/// Pairs that go down within this time, or within one interval if that is longer, went down together.
const STORM_WINDOW: Duration = Duration::from_mins(1);

/// Reads the section.
pub fn read(global: &Scoped<'_>) -> Option<Rules> {
    let (budget, storm_share, dry_run) = (global.get(&REMEDY_BUDGET), global.get(&STORM_LIMIT), global.get(&DRY_RUN));
    let interval = global.optional(&pace::INTERVAL).flatten().unwrap_or_default();
    Some(Rules {
        budget: budget?,
        storm_share: storm_share?,
        storm_window: interval.max(STORM_WINDOW),
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
        row(global, SaferDefault::VerifyWindow, &pairs::VERIFY_WINDOW),
        row(global, SaferDefault::CommandTimeout, &pairs::COMMAND_TIMEOUT),
        row(global, SaferDefault::CheckTimeout, &pace::CHECK_TIMEOUT),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn budget(text: &str) -> Result<Budget, String> {
    let expected = || "expected runs and a time, such as 20/1h".to_owned();
    let (runs, window) = text.split_once('/').ok_or_else(expected)?;
    let runs = value::whole(runs, &(0..=100_000)).map_err(|_| expected())?;
    let window = duration::parse(window.trim()).ok().filter(|window| !window.is_zero()).ok_or_else(expected)?;
    Ok(Budget { runs, window })
}

fn share(text: &str) -> Result<f64, String> {
    let bare = text.trim().strip_suffix('%').unwrap_or(text).trim();
    value::number(bare, &(0.0..=100.0))
        .map(|percent| percent / 100.0)
        .map_err(|_| "expected a share from 0% to 100%, such as 50%".to_owned())
}
