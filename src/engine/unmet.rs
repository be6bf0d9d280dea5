//! Why an order that came in through the `Handle` was not carried out.

use crate::domain::name::{PairName, ServerName, SiteName};

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// The engine has stopped or is stopping.
    #[error("the agent is stopping")]
    Stopping,
    /// There is no such pair.
    #[error("there is no pair `{0}`; `monitor status` lists them")]
    NoSuchPair(PairName),
    /// The pair has no remedy.
    #[error("`{0}` has no command; set COMMAND or {site}_COMMAND", site = .0.site)]
    NoRemedy(PairName),
    /// The pair's ladder has no such rung.
    #[error("`{pair}` has {rungs} rung(s); there is no rung {rung}")]
    NoSuchRung {
        /// The pair.
        pair: PairName,
        /// What was asked for.
        rung: u32,
        /// What there is.
        rungs: usize,
    },
    /// Nobody listens to this server.
    #[error("no server that reports to us is called `{name}`; {}", reporting(there))]
    NotReporting {
        /// What was asked for.
        name: String,
        /// Who does report.
        there: Vec<ServerName>,
    },
    /// No server reports by this token.
    #[error("there is nothing here")]
    NoSuchToken,
    /// A stop names a site that no pair has.
    #[error("there is no site `{0}`; `monitor status` lists the pairs")]
    NoSuchSite(SiteName),
    /// No approval of this name is asked for.
    #[error(
        "no approval `{0}` is asked for: it was answered, the pair is up again, the command was changed, or it was never asked; `monitor status` shows those that wait"
    )]
    NoSuchApproval(String),
    /// It is done, and will be forgotten by a restart.
    #[error(
        "done, but it did not reach the disk in time: a restart forgets it; check the space and rights of STATE_DIR, then say it again"
    )]
    NotKept,
    /// The guard says no even to an approved command.
    #[error("nothing was run: {0}")]
    Refused(&'static str),
}

/// Servers that a sentence names.
const NAMED: usize = 50;

fn reporting(there: &[ServerName]) -> String {
    let names: Vec<&str> = there.iter().take(NAMED).map(ServerName::as_str).collect();
    let more = if there.len() > NAMED { ", …" } else { "" };
    match names.as_slice() {
        [] => "no server does: give it a URL such as push://90s".to_owned(),
        names => format!("these report: {}{more}", names.join(", ")),
    }
}
