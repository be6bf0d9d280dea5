//! What happens in a plan: one event each, as machines read it and as people do.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::cli::screen::span;
use crate::domain::name::{PairName, SiteName};
use crate::domain::remedy::RunStatus;
use crate::env::duration;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// From the start.
    #[serde(rename = "t_s", serialize_with = "seconds")]
    pub at: Duration,
    /// Whom it concerns; absent when it concerns this machine, or a digest that concerns several.
    pub pair: Option<PairName>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The story: what is probed goes down.
    Breaks,
    /// The story: it is up again.
    Mends,
    /// The story: this machine loses its network.
    NetworkLost,
    /// The story: it has its network again.
    NetworkBack,
    /// A check of which at least one attempt failed, or one of a pair whose incident is open.
    Check {
        /// What the engine took it for.
        verdict: Verdict,
        /// Attempts made.
        attempts: u32,
        /// Attempts a check has at the most.
        of: u32,
        /// Class of the last attempt's fault.
        cause: Option<&'static str>,
        /// The fault in words.
        reason: Option<String>,
    },
    /// The guard permits a rung.
    Permit {
        /// Which, from 1.
        rung: u32,
        /// Which `down` check of the incident it answers, from 1.
        attempt: u32,
        /// The command.
        command: String,
    },
    /// A rung is not run.
    Refusal {
        /// Which, from 1.
        rung: u32,
        /// Which `down` check of the incident it was for, from 1.
        attempt: u32,
        /// The command.
        command: String,
        /// True when it had been permitted, and something spoke against it before it was sent.
        withdrawn: bool,
        /// The reason's word, as in records.
        reason: &'static str,
        /// The reason for people.
        why: String,
    },
    /// A command is handed to its host.
    CommandStart {
        /// Which rung, from 1.
        rung: u32,
        /// Where.
        site: SiteName,
        /// The command.
        command: String,
    },
    /// A command ends, for each pair that it was run for.
    CommandEnd {
        /// Which rung, from 1.
        rung: u32,
        /// The command.
        command: String,
        /// How.
        status: RunStatus,
        /// From its start.
        #[serde(rename = "took_s", serialize_with = "seconds")]
        took: Duration,
    },
    /// The verify window after a command is over, or a probe inside it sees the pair up.
    Verify {
        /// Whether it is up.
        healed: bool,
        /// From the end of the command to the last probe.
        #[serde(rename = "after_s", serialize_with = "seconds")]
        after: Duration,
    },
    /// The next check is set.
    NextCheck {
        /// So long from now.
        #[serde(rename = "in_s", serialize_with = "seconds")]
        after: Duration,
    },
    /// A notice is written to the outbox.
    Notice {
        /// `down`, `up`, or the word of an alarm: `storm`, `storm_over`, `cut_off`, `reconnected`, `flapping`, `settled`,
        /// `aftercare`.
        news: &'static str,
        /// k: consecutive `down` checks of the incident.
        #[serde(skip_serializing_if = "Option::is_none")]
        failures: Option<u32>,
        /// What was done, or who is thanked: the status of the run, the word of the refusal, `nothing`; or `command`,
        /// `late`, `itself`.
        #[serde(skip_serializing_if = "Option::is_none")]
        deed: Option<&'static str>,
    },
    /// A message goes out.
    Message {
        /// Notices it tells: several make a digest.
        notices: usize,
        /// True when the phone stays quiet.
        silent: bool,
        /// Its text without its markup.
        text: String,
    },
}

/// What the engine takes a check for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Some attempt saw it up.
    Up,
    /// It counts.
    Down,
    /// Nothing followed from it.
    Unknown,
}

impl What {
    /// Says it to people, in one sentence.
    pub fn said(&self) -> String {
        match self {
            Self::Breaks => "goes down".to_owned(),
            Self::Mends => "is up again".to_owned(),
            Self::NetworkLost => "our own network goes down".to_owned(),
            Self::NetworkBack => "our own network is back".to_owned(),
            Self::Check { verdict: Verdict::Up, attempts, of, .. } => format!("check: up, attempt {attempts} of {of}"),
            Self::Check { verdict, attempts, of, reason, .. } => {
                let word = if *verdict == Verdict::Down { "DOWN," } else { "unknown, so nothing follows;" };
                let reason = reason.as_deref().unwrap_or_default();
                format!("check: {word} {attempts} of {of} attempts failed ({reason})")
            }
            Self::Permit { rung: 0, .. } => "guard: the recovery command may run".to_owned(),
            Self::Permit { rung, attempt, .. } => format!("guard: rung {rung} may run, failing check {attempt}"),
            Self::Refusal { rung, why, .. } => format!("guard: {} is not run: {why}", called(*rung)),
            Self::CommandStart { rung, site, command } => format!("{} starts on {site}: {command}", called(*rung)),
            Self::CommandEnd { rung, status, took, .. } => {
                let (took, status) = (duration::shown(*took), status.as_str().replace('_', " "));
                format!("{} ended after {took}: {status}", called(*rung))
            }
            Self::Verify { healed: true, after } => format!("verify: HEALED, up {} after it", duration::shown(*after)),
            Self::Verify { healed: false, after } => {
                format!("verify: still down {} after it", duration::shown(*after))
            }
            Self::NextCheck { after } => format!("next check in {}", duration::shown(*after)),
            Self::Notice { news, .. } => format!("told: {}", news.replace('_', " ")),
            Self::Message { notices, silent, text } => {
                let quiet = if *silent { ", silent" } else { "" };
                let digest = if *notices > 1 { format!(", a digest of {notices}") } else { String::new() };
                format!("message{digest}{quiet}: {}", text.lines().next().unwrap_or_default())
            }
        }
    }

    /// True for what another event tells people, too.
    pub fn is_told_twice(&self) -> bool {
        matches!(self, Self::Notice { .. })
    }

    /// Events of one key are told in one line: what is said, without what differs from pair to pair.
    pub fn key(&self, pair: Option<&PairName>) -> String {
        match self {
            Self::Refusal { rung, reason, .. } => format!("refusal {rung} {reason}"),
            Self::Verify { healed, .. } => format!("verify {healed}"),
            Self::CommandStart { rung, command, .. } => format!("start {rung} {command}"),
            _ => match pair {
                Some(pair) => self.said().replace(&pair.to_string(), "…"),
                None => self.said(),
            },
        }
    }
}

/// What is run on recovery is no rung of the ladder.
fn called(rung: u32) -> String {
    if rung == 0 { "the recovery command".to_owned() } else { format!("rung {rung}") }
}

/// Seconds to the millisecond.
pub fn rounded(time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a year are exact in 53 bits")]
    let millis = time.as_millis() as f64;
    millis / 1000.0
}

pub(super) fn seconds<S: Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(rounded(*time))
}

#[expect(clippy::ref_option, reason = "serde hands a reference over")]
pub(super) fn maybe_seconds<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => out.serialize_f64(rounded(*time)),
        None => out.serialize_none(),
    }
}

/// Whole seconds in two units, as the other tables show them.
pub fn long(time: Duration) -> String {
    span(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
