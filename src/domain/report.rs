//! How pairs fared in a period and whether their commands help: pure arithmetic over what was recorded. Where the records
//! are read lives in `store`, how the report is shown in `cli`; what an alert quotes of a command lives in `record`.
//!
//! A run that two pairs shared counts once for each pair: each row answers whether it helped *this* pair. So rows of
//! commands are not to be added up over pairs.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::PairName;
use super::record::{ENOUGH_RUNS, median};

/// One incident as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Whose.
    pub pair: PairName,
    /// When it began.
    pub opened_at: Timestamp,
    /// When and how it ended; nothing while it is open.
    pub closed: Option<(Timestamp, Ending)>,
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A probe inside a command's verify window saw the pair up.
    Healed,
    /// It came back, and no command can be thanked for certain.
    Recovered,
    /// The pair was taken out of the configuration while it was down.
    Retired,
}

/// One run of a command, or one refusal to run it, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Whose.
    pub pair: PairName,
    /// The command's text.
    pub command: String,
    /// Rung of the ladder, from 1.
    pub rung: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// From the moment the command was sent to the probe that saw the pair up, where that is known.
    pub took: Option<Duration>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A probe saw the pair up.
    Healed,
    /// It exited 0 and the pair stayed down.
    RanButDown,
    /// It exited otherwise and the pair stayed down.
    Failed,
    /// SSH, login, host key or time stood in the way.
    CouldNotRun,
    /// The agent was stopped meanwhile.
    Interrupted,
    /// It was not permitted, for the reason that this word names.
    Refused(String),
    /// A person ordered it while nothing was down, so there was nothing to heal.
    NotNeeded,
    /// It has no verdict yet.
    UnderWay,
}

/// How pairs fared in a period, and whether their commands help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Begin of the period.
    pub since: Timestamp,
    /// End of the period, usually now.
    pub until: Timestamp,
    /// True when there was more on record than is read at once, so that the end of the period is missing.
    pub incomplete: bool,
    /// Every pair that is watched or was down in the period, by name.
    pub pairs: Vec<PairReport>,
    /// Every command that was wanted in the period, by pair and rung.
    pub commands: Vec<CommandReport>,
}

/// How one pair fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairReport {
    /// The pair.
    pub pair: PairName,
    /// Incidents that lie in the period, or a part of them.
    pub incidents: u32,
    /// Of these, how many a command healed in the period.
    pub healed: u32,
    /// How many ended in the period without a command to thank for certain.
    pub recovered: u32,
    /// How many ended in the period because the pair was taken out of the configuration.
    pub retired: u32,
    /// How many were open at the end of the period.
    pub open: u32,
    /// Time down inside the period; where incidents overlap, it counts once.
    pub downtime_s: f64,
    /// Mean time to repair: the mean whole length of the incidents that were healed or recovered in the period.
    pub mttr_s: Option<f64>,
    /// Since when the pair is watched, where that is known.
    pub watched_since: Option<Timestamp>,
    /// Share of the watched part of the period in which no incident was open, rounded down; nothing when it is not known
    /// since when the pair is watched.
    pub availability_percent: Option<f64>,
}

/// What one command did for one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandReport {
    /// The pair.
    pub pair: PairName,
    /// Its rung of the pair's ladder when it was last wanted, from 1.
    pub rung: u32,
    /// The command's text.
    pub command: String,
    /// Runs that reached the host and were judged: `healed + ran_but_down + failed`.
    pub runs: u32,
    /// Runs that healed the pair.
    pub healed: u32,
    /// Runs that exited 0 and left the pair down.
    pub ran_but_down: u32,
    /// Runs that exited otherwise and left the pair down.
    pub failed: u32,
    /// SSH, login, host key or time stood in the way.
    pub could_not_run: u32,
    /// The agent was stopped meanwhile; whether it helped is not known.
    pub interrupted: u32,
    /// A person ordered it while nothing was down.
    pub not_needed: u32,
    /// Runs without a verdict yet.
    pub under_way: u32,
    /// Refusals by the word of their reason; a refusal is no run.
    pub refused: BTreeMap<String, u32>,
    /// The middle of the times from sending the command to the probe that saw the pair up.
    pub median_s: Option<f64>,
    /// True when it had [`ENOUGH_RUNS`] runs or more in the period and none healed.
    pub never_helped: bool,
}

/// A report while its records are read, one after the other.
#[derive(Debug)]
pub struct Draft {
    since: Timestamp,
    until: Timestamp,
    pairs: BTreeMap<PairName, PairSum>,
    commands: BTreeMap<(PairName, String), CommandSum>,
}

#[derive(Debug, Default)]
struct PairSum {
    watched_since: Option<Timestamp>,
    incidents: u32,
    healed: u32,
    recovered: u32,
    retired: u32,
    open: u32,
    downtime: Duration,
    /// The part of it that lies in the time in which the pair is known to be watched.
    watched_downtime: Duration,
    /// Down up to here is counted.
    counted: Option<Timestamp>,
    repairs: u32,
    repair_time: Duration,
}

#[derive(Debug, Default)]
struct CommandSum {
    rung: u32,
    healed: u32,
    ran_but_down: u32,
    failed: u32,
    could_not_run: u32,
    interrupted: u32,
    not_needed: u32,
    under_way: u32,
    refused: BTreeMap<String, u32>,
    times: Vec<Duration>,
}

impl Draft {
    /// Begins a report of `since..until`.
    pub fn new(since: Timestamp, until: Timestamp) -> Self {
        Self { since, until, pairs: BTreeMap::new(), commands: BTreeMap::new() }
    }

    /// Takes since when a pair is watched; to be told before its incidents.
    pub fn watched(&mut self, pair: PairName, since: Timestamp) {
        self.pairs.entry(pair).or_default().watched_since = Some(since);
    }

    /// Takes an incident; those of one pair come in the order in which they were opened. One outside the period counts for
    /// nothing.
    pub fn incident(&mut self, incident: &Incident) {
        let closed = incident.closed.filter(|(at, _)| *at <= self.until);
        let over = incident.opened_at < self.since && closed.is_some_and(|(at, _)| at <= self.since);
        if over || incident.opened_at >= self.until {
            return;
        }
        let sum = self.pairs.entry(incident.pair.clone()).or_default();
        let begin = incident.opened_at.max(self.since).max(sum.counted.unwrap_or(Timestamp::MIN));
        let end = closed.map_or(self.until, |(at, _)| at);
        sum.counted = Some(sum.counted.map_or(end, |counted| counted.max(end)));
        sum.downtime += until(begin, end);
        if let Some(since) = sum.watched_since {
            sum.watched_downtime += until(begin.max(since), end);
        }
        sum.incidents += 1;
        match closed {
            None => sum.open += 1,
            Some((_, Ending::Retired)) => sum.retired += 1,
            Some((at, ending)) => {
                match ending {
                    Ending::Healed => sum.healed += 1,
                    Ending::Recovered | Ending::Retired => sum.recovered += 1,
                }
                sum.repairs += 1;
                sum.repair_time += until(incident.opened_at, at);
            }
        }
    }

    /// Takes a run or a refusal of the period; those of one command come in the order in which they were wanted.
    pub fn action(&mut self, action: Action) {
        let sum = self.commands.entry((action.pair, action.command)).or_default();
        sum.rung = action.rung;
        let counter = match action.outcome {
            Outcome::Healed => {
                sum.times.extend(action.took);
                &mut sum.healed
            }
            Outcome::RanButDown => &mut sum.ran_but_down,
            Outcome::Failed => &mut sum.failed,
            Outcome::CouldNotRun => &mut sum.could_not_run,
            Outcome::Interrupted => &mut sum.interrupted,
            Outcome::NotNeeded => &mut sum.not_needed,
            Outcome::UnderWay => &mut sum.under_way,
            Outcome::Refused(reason) => sum.refused.entry(reason).or_default(),
        };
        *counter += 1;
    }

    /// Ends the report; `incomplete` when not every record was taken.
    pub fn finish(self, incomplete: bool) -> Report {
        let Self { since, until, pairs, commands } = self;
        let pairs = pairs.into_iter().map(|(pair, sum)| sum.finish(pair, since, until)).collect();
        let mut commands: Vec<_> =
            commands.into_iter().map(|((pair, command), sum)| sum.finish(pair, command)).collect();
        commands.sort_by(|a: &CommandReport, b| (&a.pair, a.rung).cmp(&(&b.pair, b.rung)));
        Report { since, until, incomplete, pairs, commands }
    }
}

impl PairSum {
    fn finish(self, pair: PairName, since: Timestamp, end: Timestamp) -> PairReport {
        let watched = self.watched_since.map(|begin| until(begin.max(since), end)).filter(|watched| !watched.is_zero());
        PairReport {
            pair,
            incidents: self.incidents,
            healed: self.healed,
            recovered: self.recovered,
            retired: self.retired,
            open: self.open,
            downtime_s: seconds(self.downtime),
            mttr_s: self.repair_time.checked_div(self.repairs).map(seconds),
            watched_since: self.watched_since,
            availability_percent: watched.map(|watched| availability(self.watched_downtime, watched)),
        }
    }
}

impl CommandSum {
    fn finish(mut self, pair: PairName, command: String) -> CommandReport {
        let runs = self.healed + self.ran_but_down + self.failed;
        CommandReport {
            pair,
            rung: self.rung,
            command,
            runs,
            healed: self.healed,
            ran_but_down: self.ran_but_down,
            failed: self.failed,
            could_not_run: self.could_not_run,
            interrupted: self.interrupted,
            not_needed: self.not_needed,
            under_way: self.under_way,
            refused: self.refused,
            median_s: median(&mut self.times).map(seconds),
            never_helped: runs >= ENOUGH_RUNS && self.healed == 0,
        }
    }
}

/// Rounded down to four decimals, so that no time down ever reads as 100 %.
fn availability(down: Duration, watched: Duration) -> f64 {
    let share = 1.0 - down.as_secs_f64() / watched.as_secs_f64();
    (share.clamp(0.0, 1.0) * 1e6).floor() / 1e4
}

/// Seconds to the millisecond, which is what is recorded.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// From `earlier` to `later`, zero when the clock went back.
fn until(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
