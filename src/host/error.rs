//! Why a command has no ordinary end: one variant per thing the caller does differently, each with a text for people.

use std::path::PathBuf;
use std::time::Duration;

use russh::keys::Algorithm;

use crate::domain::remedy::RunStatus;

use super::output::Captured;

/// What stood between an order and its exit code.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No TCP connection: name, refusal, no route, no answer.
    #[error("cannot reach {address}: {why}; check the host, the port and the firewall between us")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// The cause.
        why: String,
        /// Where the way ends.
        ends: WayEnds,
    },
    /// TCP answers and SSH does not.
    #[error(
        "{address} accepts connections but {phase} did not come within {}; the SSH server is overloaded, stuck, or this is not its port",
        seconds(*after)
    )]
    Silent {
        /// `host:port`.
        address: String,
        /// What we waited for.
        phase: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The other side ended or broke the SSH handshake.
    #[error("no SSH handshake with {address}: {why}")]
    Handshake {
        /// `host:port`.
        address: String,
        /// The cause and what to do.
        why: String,
        /// It hung up in the middle of it: a full `MaxStartups` does that, and a second try may pass.
        dropped: bool,
    },
    /// The server let none of our credentials in.
    #[error("{0}")]
    Auth(Box<Denial>),
    /// The host shows another key than the one we trust.
    #[error("{0}")]
    HostKeyChanged(Box<KeyTrouble>),
    /// The host is unknown and `SSH_HOST_KEYS=strict`.
    #[error("{0}")]
    HostKeyUnknown(Box<KeyTrouble>),
    /// The file of known hosts cannot be read or written.
    #[error("cannot use the known hosts file {}: {source}; check that it is a file of ours and that the disk has room", path.display())]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Our private key cannot be used.
    #[error("cannot use the SSH key {}: {why}; {fix}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        fix: String,
    },
    /// The command did not end in time; it was told to stop.
    #[error("the command did not end within {} and was stopped; raise COMMAND_TIMEOUT if it needs longer", seconds(*after))]
    TimedOut {
        /// The limit.
        after: Duration,
        /// What it printed until then.
        captured: Box<Captured>,
    },
    /// The connection died in mid-command: whether it had its effect is not known.
    #[error(
        "the connection was lost while the command ran ({why}); it may or may not have finished, look before you repeat it"
    )]
    Lost {
        /// The cause, as far as known.
        why: String,
        /// What it printed until then.
        captured: Box<Captured>,
    },
    /// The server would not run the command.
    #[error("{address} would not run the command: {why}")]
    Refused {
        /// `host:port`, or this machine.
        address: String,
        /// The cause and what to do.
        why: String,
    },
    /// The jump host stood in the way.
    #[error("jump host: {source}")]
    Jump {
        /// What happened there.
        source: Box<HostError>,
    },
    /// It was no longer wanted when the host was ready for it.
    #[error("the command was withheld at the last moment; nothing was run")]
    Withheld,
    /// We are being stopped.
    #[error("the agent is stopping; nothing was run")]
    Closed,
}

/// Where the way to a host ends: what a check may hold against the host, and what only against us.
#[derive(Debug)]
pub enum WayEnds {
    /// At its name: it does not exist, or nobody answered us.
    Name,
    /// The kernel said so.
    Kernel(std::io::Error),
    /// Nobody answered.
    Silence,
    /// At the jump host.
    Jump,
    /// Behind the jump host, which could not reach it.
    BehindJump,
}

/// A login that was refused, and the words for it.
#[derive(Debug, thiserror::Error)]
#[error("{address} refused the login of `{user}`{}: tried {}; the server accepts {}{}; {fix}",
    if *too_many { " after too many attempts" } else { "" }, listed(tried), listed(accepts), quoted(said))]
pub struct Denial {
    /// `host:port`.
    pub address: String,
    /// The user's name.
    pub user: String,
    /// What was offered, in order.
    pub tried: Vec<String>,
    /// The methods that the server says it takes.
    pub accepts: Vec<String>,
    /// The server hung up before it looked at everything.
    pub too_many: bool,
    /// The server's last words.
    pub said: String,
    /// What to do.
    pub fix: String,
}

/// A host key that we do not accept, and the words for it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct KeyTrouble {
    /// `host:port`.
    pub address: String,
    /// The fingerprint that the host showed, `SHA256:…`.
    pub offered: String,
    /// The kind of that key.
    pub(super) algorithm: Algorithm,
    /// The fingerprints that we trust.
    pub trusted: Vec<String>,
    /// The whole story, what it may mean and what to do.
    pub text: String,
}

impl HostError {
    /// The `status` of the record.
    pub fn status(&self) -> RunStatus {
        match self {
            Self::Unreachable { .. }
            | Self::Handshake { .. }
            | Self::KnownHosts { .. }
            | Self::Lost { .. }
            | Self::Withheld
            | Self::Closed => RunStatus::Unreachable,
            Self::Silent { .. } | Self::TimedOut { .. } => RunStatus::Timeout,
            Self::Auth(_) | Self::Key { .. } => RunStatus::AuthFailed,
            Self::HostKeyChanged(_) | Self::HostKeyUnknown(_) => RunStatus::HostKeyMismatch,
            Self::Refused { .. } => RunStatus::Failed,
            Self::Jump { source } => source.status(),
        }
    }

    /// True when the command was handed over: it may have had an effect.
    pub fn started(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Lost { .. })
    }

    /// What the command printed before things went wrong.
    pub fn captured(&self) -> Option<&Captured> {
        match self {
            Self::TimedOut { captured, .. } | Self::Lost { captured, .. } => Some(captured),
            _ => None,
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}
