//! Floor 3: what is run to heal a pair, one file per kind.
//!
//! A remedy says *what* is run; *where* it runs is a `host`. Whether it may run is the guard's business, whether it
//! healed is the probe's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::name::PairName;
use crate::domain::remedy::{IncidentId, Run, RunId};
use crate::host::Captured;

pub mod command;
mod shell;
pub mod signal;
pub mod systemd;
pub mod webhook;

/// Every kind, in the order the reference lists them.
pub const KINDS: &[&str] = &[command::KIND, systemd::KIND, signal::KIND, webhook::KIND];

/// One order to run a remedy.
#[derive(Debug, Clone)]
pub struct Call {
    /// The pair it is run for.
    pub pair: PairName,
    /// The incident, unless a person ordered it for a pair that is up.
    pub incident: Option<IncidentId>,
    /// The run.
    pub run: RunId,
    /// Which `down` check of the incident this is, from 1; 0 when a person ordered it.
    pub attempt: u32,
    /// Which rung of the ladder, from 1.
    pub rung: u32,
    /// The time it has.
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Done {
    /// How it ended.
    pub run: Run,
    /// What it printed.
    pub output: Captured,
}

/// Something that can be run to heal a pair.
pub trait Remedy: Send + Sync {
    /// The machine it runs on, as `dc_host` in the records.
    fn host(&self) -> &str;

    /// What exclusivity goes by: remedies of one lane never run at once.
    fn lane(&self) -> &str {
        self.host()
    }

    /// What exactly is run, secrets and all: never shown, only compared. Equal texts by an equal login are the same run.
    fn text(&self) -> &str;

    /// Gets ready in the background, because a check is about to say `down`. Returns at once.
    fn warm(&self) {}

    /// True when it may be run again safely after an interruption or a failure, whatever came of it the first time: what is
    /// run on recovery is then repeated until it succeeded.
    fn repeatable(&self) -> bool {
        false
    }

    /// Looks whether it could be run, and runs nothing; says what was found, or what is wrong and what to do. `None` where
    /// its host says all there is to say.
    fn check(&self) -> Option<BoxFuture<'_, Result<String, String>>> {
        None
    }

    /// The same way to the same host with nothing done there, for drills; its text holds no secret. `None` where nothing
    /// can be sent that does nothing.
    fn harmless(&self) -> Option<Arc<dyn Remedy>> {
        None
    }

    /// Runs it once, within `call.limit`. Every fault is part of [`Done`]. `ready` is asked right before the command is
    /// handed over; on its no nothing is run.
    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done>;
}

/// The last lines of output, as many as fit [`Run::MAX_EXCERPT`] characters.
pub fn excerpt(output: &str) -> String {
    let text = output.trim_end();
    let skip = text.chars().count().saturating_sub(Run::MAX_EXCERPT);
    let tail: String = text.chars().skip(skip).collect();
    // A line that was cut in the middle is dropped, unless it is all there is.
    match tail.split_once('\n') {
        Some((_, whole)) if skip > 0 => whole.to_owned(),
        _ => tail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_whole_last_lines() {
        assert_eq!(excerpt("one\ntwo\n"), "one\ntwo");
        let long = (0..200).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let short = excerpt(&long);
        assert!(short.chars().count() <= Run::MAX_EXCERPT);
        assert!(short.starts_with("line ") && short.ends_with("line 199"), "{short}");
        assert_eq!(excerpt(&"x".repeat(1000)).len(), Run::MAX_EXCERPT);
    }
}
