//! Where a pair stands: never looked at, up, or in an open incident. It is saved as it is.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ladder::Answers;
use super::moment::later;
use super::notice::Deed;
use super::reading::{Fault, Phases};
use super::refusal::Refusal;
use super::remedy::{IncidentId, RunId};

/// Where a pair stands. It is saved as it is and goes on after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Never looked at.
    Fresh,
    /// The last check that could look said `up`.
    Up {
        /// Since when.
        since: Timestamp,
        /// What is still to be run because it came up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owed: Option<Owed>,
    },
    /// An incident is open.
    Down(Box<Outage>),
}

/// An open incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all of them can hold at once")]
pub struct Outage {
    /// Its identity.
    pub incident: IncidentId,
    /// When the first `down` check ended.
    pub since: Timestamp,
    /// k: consecutive `down` checks, from 1.
    pub failures: u32,
    /// Before this moment a restarted agent only looks: no counter moves, no remedy runs.
    pub due: Timestamp,
    /// Why the last check said `down`.
    pub fault: Fault,
    /// Where the last attempt's time went.
    pub phases: Phases,
    /// A command that was ordered and has not ended.
    pub ordered: Option<Ordered>,
    /// The last command that reached its host; credited when a probe inside its verify window sees the target up.
    pub last: Option<Ordered>,
    /// People were told of a failure.
    #[serde(default)]
    pub told: bool,
    /// A failure was held back from them. When none was told, they are not told that it is over either.
    #[serde(default)]
    pub held: bool,
    /// Rungs that were run, or that said what they would do: what a guard refused does not climb the ladder.
    #[serde(default)]
    pub climbed: u32,
    /// Commands that reached their host.
    #[serde(default)]
    pub runs: u32,
    /// People were told that healing does not help.
    #[serde(default)]
    pub gave_up: bool,
    /// People were told that the budget is spent, and it still is.
    #[serde(default)]
    pub spent: bool,
    /// Something was begun that has to be ended on recovery: services were started, or may have been.
    #[serde(default)]
    pub begun: bool,
    /// What ends what was begun, as people read it; empty when that is not known.
    #[serde(default)]
    pub ends: String,
    /// What was run needs no second run in this outage: the standby is on.
    #[serde(default)]
    pub standing: bool,
    /// It is up again, and not yet for long enough.
    #[serde(default)]
    pub rising: Option<Rising>,
    /// It was never seen up, and it has to be before anything is run for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// The approval that is asked for.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// The answers to those that were.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// How a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Telling {
    /// Not at all.
    pub held: bool,
    /// With the word that healing does not help.
    pub gave_up: bool,
    /// As a question to a person.
    pub asks: bool,
}

/// A person's answer to a rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The rung.
    pub rung: u32,
    /// Its command, as it was when they answered: another one is another question.
    pub command: String,
    /// Who said no; absent for a yes.
    pub denied: Option<String>,
}

impl Outage {
    /// An incident that opens at `now`, of which nothing was told and for which nothing was run.
    pub fn opened(incident: IncidentId, now: Timestamp, fault: Fault, phases: Phases) -> Self {
        Self {
            incident,
            since: now,
            failures: 1,
            due: now,
            fault,
            phases,
            ordered: None,
            last: None,
            told: false,
            held: false,
            climbed: 0,
            runs: 0,
            gave_up: false,
            spent: false,
            begun: false,
            ends: String::new(),
            standing: false,
            rising: None,
            unproven: false,
            asked: None,
            answers: Vec::new(),
        }
    }

    /// Takes that a command was permitted; the pair is looked at again after `delay`, or once it must have ended.
    pub(super) fn permitted(&mut self, now: Timestamp, delay: Duration, ordered: Ordered) {
        self.due = later(now, delay.max(ordered.ends_within));
        // An order is given again when its turn comes.
        let again = self.ordered.as_ref().is_some_and(|known| known.run == ordered.run);
        self.climbed = self.climbed.saturating_add(u32::from(!again));
        self.ordered = Some(ordered);
    }

    /// Takes that a command was refused, before or after it was permitted.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let unsent = self.ordered.take().is_some();
        let dry = matches!(refusal, Refusal::DryRun | Refusal::DryRung);
        self.climbed = (self.climbed + u32::from(dry)).saturating_sub(u32::from(unsent));
    }

    /// Takes that a command may have had its effect: what it begins has to be ended.
    pub(super) fn begins(&mut self, ordered: &Ordered, started: bool) {
        if ordered.once && started {
            self.begun = true;
            self.ends.clone_from(&ordered.ends);
        }
    }

    /// Decides how a failure is told, and remembers that it was.
    pub(super) fn telling(&mut self, deed: &Deed, quiet: bool, helpless: bool, now: Timestamp) -> Telling {
        let gave_up = helpless && !quiet && !self.gave_up;
        self.gave_up |= gave_up;
        // That the budget is spent is said once.
        let spent = matches!(deed, Deed::Refused { refusal: Refusal::BudgetSpent { .. }, .. });
        let known = std::mem::replace(&mut self.spent, spent && !quiet) && spent;
        let held = quiet || (known && !gave_up);
        self.told |= !held;
        self.held |= quiet;
        let awaits = matches!(deed, Deed::Refused { refusal: Refusal::AwaitingApproval { .. }, .. });
        let asks = awaits && self.asked.as_ref().is_some_and(|asked| asked.since == now);
        Telling { held, gave_up, asks }
    }

    /// Asks a person for a rung; one that is asked already keeps its beginning.
    pub(super) fn ask(&mut self, id: String, rung: u32, command: String, now: Timestamp) {
        let known = self.asked.take().filter(|asked| asked.id == id);
        self.asked = known.or(Some(Asked { id, rung, command, since: now }));
    }

    /// Takes a person's answer to what was asked.
    pub(super) fn answer(&mut self, denied: Option<String>) {
        if let Some(Asked { rung, command, .. }) = self.asked.take() {
            self.answers.push(Answer { rung, command, denied });
        }
    }

    /// The answers that are about the ladder as it is now.
    pub fn answers<'a>(&self, command: impl Fn(u32) -> Option<&'a str>) -> Answers {
        let mut answers = Answers::default();
        for Answer { rung, denied, .. } in self.answers.iter().filter(|one| command(one.rung) == Some(&one.command)) {
            match denied {
                Some(by) => answers.denied.push((*rung, by.clone())),
                None => answers.approved.push(*rung),
            }
        }
        answers
    }
}

/// A pair that is up again while its incident is still open (`RECOVERY_SUCCESSES`, `RECOVERY_HOLD`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rising {
    /// The first success.
    pub since: Timestamp,
    /// Successes in a row.
    pub successes: u32,
    /// The run that is credited, when the first of them lay in its verify window.
    pub healed: Option<Healed>,
}

/// A run whose verify window saw the pair up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// The run.
    pub run: RunId,
    /// The command's text.
    pub command: String,
    /// From the end of the command to the probe that saw it up.
    #[serde(rename = "after_ms", with = "super::millis")]
    pub after: Duration,
}

/// An approval that is asked for (`COMMAND_k_MODE=approve`). It ends with the answer, the rung or the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What to give to `monitor approve`.
    pub id: String,
    /// The rung.
    pub rung: u32,
    /// Its command, as people read it.
    #[serde(default)]
    pub command: String,
    /// When it was asked for first.
    pub since: Timestamp,
}

/// What is to be run because a pair came up (`RECOVERY_COMMAND`, or services that are stopped again).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The incident that ended.
    pub incident: IncidentId,
    /// What is to be run, as people read it; empty when that is not known.
    #[serde(default)]
    pub command: String,
    /// Runs that did not succeed.
    pub tries: u32,
    /// Not before this moment.
    pub due: Timestamp,
    /// The run that is under way.
    pub ordered: Option<Ordered>,
}

/// A command that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// The run.
    pub run: RunId,
    /// Which rung of the ladder, from 1.
    pub rung: u32,
    /// The command's text.
    pub command: String,
    /// From the order to the moment at which it has ended, whatever becomes of us: a restarted agent runs nothing for the
    /// pair before.
    #[serde(rename = "ends_within_ms", with = "super::millis")]
    pub ends_within: Duration,
    /// A success is not repeated within the incident.
    #[serde(default)]
    pub once: bool,
    /// What ends what it begins, as people read it; empty when nothing does.
    #[serde(default)]
    pub ends: String,
}
