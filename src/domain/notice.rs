//! One thing worth telling people. How it is worded lives in `message`, where it goes in `notify`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::name::PairName;
use super::reading::{Fault, Phases};
use super::record::Record;
use super::refusal::Refusal;
use super::remedy::{IncidentId, NoticeId, Run};

/// A notice as it waits in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its place in the outbox; version 7, so that order of creation is order of delivery.
    pub id: NoticeId,
    /// Whom it is about; absent when it is the agent itself.
    #[serde(default)]
    pub pair: Option<PairName>,
    /// The incident it belongs to, or what stands for one; repeats answer the first message of it.
    pub incident: IncidentId,
    /// When it happened (not when it is delivered).
    pub at: Timestamp,
    /// What its server serves, where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// What happened.
    pub news: News,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A check said `down`.
    Failed(Failed),
    /// The pair is up again.
    Recovered(Recovered),
    /// The pair goes up and down too often; its changes are not told one by one.
    Flapping {
        /// The first change that counted.
        since: Timestamp,
        /// Changes inside the window.
        changes: u32,
        /// Length of the window, seconds.
        window_s: u64,
    },
    /// The pair flaps no more.
    Settled {
        /// Where it stands.
        up: bool,
    },
    /// The pair was down, and is watched no more: nobody will say that it recovered.
    Retired {
        /// How long its incident lasted until then.
        down_for: Duration,
    },
    /// What was run on recovery did not succeed, or was not permitted.
    Aftercare {
        /// What was done.
        deed: Deed,
    },
    /// Too many pairs went down together.
    Storm {
        /// Pairs known to be down.
        down: usize,
        /// Pairs watched.
        of: usize,
    },
    /// A storm is over.
    StormOver {
        /// When it began.
        since: Timestamp,
        /// Pairs that are still down.
        down: usize,
    },
    /// Too few witnesses answer.
    CutOff(CutOff),
    /// Enough witnesses answer again.
    Reconnected {
        /// The key that names the witnesses.
        key: String,
        /// When they were first missed.
        since: Timestamp,
        /// When they answered again.
        until: Timestamp,
    },
    /// It could not be looked at for long; without a pair: several could not, for a reason that lies with this machine.
    Unseen {
        /// Since when.
        since: Timestamp,
        /// Why, in the last check.
        fault: Fault,
        /// Pairs that could not be looked at.
        pairs: usize,
        /// Pairs watched.
        of: usize,
    },
    /// It can be looked at again.
    SeenAgain {
        /// Since when it could not.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// The certificate that the target shows ends soon.
    Expiring {
        /// When.
        ends: Timestamp,
        /// The threshold that was reached, in days; 0 once it has ended.
        days: u16,
    },
    /// A drill: everything for real, but for what was declared.
    Drill(Drill),
}

/// Too few witnesses answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// The key that names the witnesses, such as `WITNESSES`.
    pub key: String,
    /// Witnesses that answered.
    pub answered: usize,
    /// Witnesses asked.
    pub of: usize,
    /// Witnesses that have to answer.
    pub needed: usize,
}

/// What a drill came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Who ordered it.
    pub by: String,
    /// True when the pair's own command was run.
    pub really: bool,
    /// What was done.
    pub deed: Deed,
    /// True when a probe afterwards saw the pair up.
    pub up: bool,
}

/// A check said `down`, and this is what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// k: consecutive `down` checks of the incident, from 1.
    pub failures: u32,
    /// Attempts of one check (`CHECK_ATTEMPTS`).
    pub attempts: u32,
    /// `BACKOFF_FACTOR`.
    pub factor: f64,
    /// Delay to the next check.
    pub next: Duration,
    /// Why the last attempt was not up.
    pub fault: Fault,
    /// Where the last attempt's time went.
    pub phases: Phases,
    /// What was done about it.
    pub deed: Deed,
    /// True once in an incident: the last rung has run, and the pair is still down.
    #[serde(default)]
    pub gave_up: bool,
    /// True when a person's approval is asked for, and was not before.
    #[serde(default)]
    pub asks: bool,
    /// What the command has achieved for this pair so far.
    #[serde(default)]
    pub record: Option<Record>,
    /// Pairs that depend on this one and are held as long as it is down; with the first failure only.
    #[serde(default)]
    pub holds: Vec<PairName>,
}

/// What was done about a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A command was ordered; `run` says how that went.
    Command {
        /// The command's text.
        command: String,
        /// What it did.
        run: Run,
    },
    /// The guard refused the command.
    Refused {
        /// The command's text.
        command: String,
        /// Why it was not run.
        refusal: Refusal,
    },
    /// We were stopped while the command ran; whether it had an effect is not known.
    Interrupted {
        /// The command's text.
        command: String,
    },
    /// The pair has no command.
    Nothing,
}

/// The pair is up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// k at the end of the incident.
    pub failures: u32,
    /// Delay to the next check.
    pub next: Duration,
    /// How long the incident lasted.
    pub down_for: Duration,
    /// Who healed it.
    pub by: Healer,
    /// True when it happened while the agent was off, so the moment is not known.
    pub while_off: bool,
}

/// Who healed it, as far as probes can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Healer {
    /// A probe inside the verify window of this command saw the target up.
    Command {
        /// The command's text.
        command: String,
        /// From the end of the command to the probe that saw it up.
        after: Duration,
    },
    /// It came back after this command ran, later than its verify window: whether it was the command is not known.
    Late {
        /// The command's text.
        command: String,
    },
    /// No command ran, and it came back.
    Itself,
}
