//! What the judge is told, and what it answers.

use std::time::Duration;

use super::notice::News;
use super::outage::Ordered;
use super::reading::{Fault, Phases};
use super::refusal::Refusal;
use super::remedy::{IncidentId, Run, RunId, Verdict};

/// What was seen, in the order of one round.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A check: some attempt saw the target up.
    Up,
    /// A check: we could not look.
    Unknown,
    /// A check: every attempt saw the target down.
    Down {
        /// Why the last attempt was not up.
        fault: Fault,
        /// Where its time went.
        phases: Phases,
        /// The identity of the incident, should this open one.
        incident: IncidentId,
    },
    /// The guard permitted the command that [`Effect::Ask`] asked for, and its intent is about to be written.
    Permitted(Ordered),
    /// The guard refused it.
    Refused {
        /// The command's text.
        command: String,
        /// Why.
        refusal: Refusal,
    },
    /// The command ended, one way or another.
    Ran(Run),
    /// The verify window after a command ended, or a probe inside it saw the target up.
    Verified {
        /// The run whose window it is.
        run: RunId,
        /// From the end of the command to the probe that saw it up; `None` when none did.
        up_after: Option<Duration>,
        /// The command's text.
        command: String,
    },
    /// A person's approval is asked for; the guard refused because of that.
    Asked {
        /// What to give to `monitor approve`.
        id: String,
        /// The rung.
        rung: u32,
        /// Its command, as people read it.
        command: String,
    },
    /// Something was begun outside the judge's own orders: by a person, or for a drill.
    Begun {
        /// What ends it, as people read it.
        ends: String,
        /// The incident that the end is recorded under when none is open; absent when a person wants it to stay.
        ended_under: Option<IncidentId>,
    },
    /// A person answered what is asked.
    Answered {
        /// Who said no; absent for a yes.
        denied: Option<String>,
    },
    /// The guard permitted what [`Effect::AskRecovery`] asked for, and its intent is about to be written.
    RecoveryPermitted(Ordered),
    /// It ended, was refused, or was given up.
    RecoveryEnded {
        /// True when nothing of it is left to do.
        done: bool,
    },
    /// The agent was started again after it was stopped at any point.
    Resumed,
}

/// What follows, in order.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "effects live for one step, in a list of a few")]
pub enum Effect {
    /// An incident was opened.
    Opened,
    /// The incident was closed with this verdict.
    Closed {
        /// The incident.
        incident: IncidentId,
        /// The run that is credited; absent when none is.
        healed_by: Option<RunId>,
    },
    /// A remedy is wanted; the guard is to be asked.
    Ask {
        /// Which `down` check of the incident this is, from 1.
        attempt: u32,
    },
    /// What is run on recovery is wanted; the guard is to be asked.
    AskRecovery {
        /// The incident that ended.
        incident: IncidentId,
        /// Which try this is, from 1.
        attempt: u32,
    },
    /// The run's verdict as far as it is known.
    Judged {
        /// The run.
        run: RunId,
        /// Its verdict.
        verdict: Verdict,
    },
    /// People are to be told.
    Tell {
        /// The incident it belongs to.
        incident: IncidentId,
        /// What happened.
        news: News,
        /// True when people are not told, because something else is told in its place.
        held: bool,
    },
    /// The state changed, and nothing else follows.
    Save,
    /// Probe again inside the verify window of the command that just ended.
    Verify,
    /// When to check next.
    Next(Next),
}

/// When to check next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// At the pair's own slot of the fixed rate.
    Slot,
    /// This long from now.
    In(Duration),
}
