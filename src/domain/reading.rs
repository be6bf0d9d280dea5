//! What one probe saw. A probe never fails: whatever went wrong *is* the reading.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One attempt's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What was seen.
    pub outcome: Outcome,
    /// Where the time went.
    pub phases: Phases,
    /// From the first byte of work to the answer or the fault.
    #[serde(rename = "took_ms", with = "super::millis")]
    pub took: Duration,
    /// When the server's certificate ends, where that is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
}

/// Up, down, or: we could not look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target answered as expected.
    Up,
    /// The target did not answer as expected.
    Down(Fault),
    /// We could not look; this never condemns a target.
    Blind(Fault),
}

/// Why a reading is not up: a cause for machines and a short reason for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The class of the fault.
    pub cause: Cause,
    /// One line, at most [`Fault::MAX_REASON`] characters, without control characters, secrets or text a target could abuse.
    pub reason: String,
}

impl Fault {
    /// Characters kept of a reason.
    pub const MAX_REASON: usize = 200;

    /// Keeps one printable line of `reason`, at most [`Fault::MAX_REASON`] characters.
    pub fn new(cause: Cause, reason: impl AsRef<str>) -> Self {
        let line = reason.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c });
        Self { cause, reason: line.take(Self::MAX_REASON).collect::<String>().trim().to_owned() }
    }
}

/// The class of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The name does not exist (the resolver answered and said so).
    Dns,
    /// Nobody listens on the port.
    Refused,
    /// The network says that the host cannot be reached.
    Unreachable,
    /// No answer within the time of one attempt.
    Timeout,
    /// The TLS handshake failed, or the certificate is not of this time or name.
    Tls,
    /// Nobody whom we trust stands for the certificate: our trust is wrong, or somebody sits on the way.
    Untrusted,
    /// An HTTP status outside the accepted range.
    Status,
    /// The connection was closed or reset before the answer was complete.
    Reset,
    /// Too many redirects, a loop, or one that cannot be followed.
    Redirect,
    /// The answer is not of the protocol.
    Protocol,
    /// The answer is of the protocol and does not say what is wanted.
    Content,
    /// The target answers and does not accept our login.
    Login,
    /// The target says that it is starting or stopping and takes nothing yet.
    Starting,
    /// A command that looks ended with another exit code than 0.
    Exit,
    /// The target, which should report to us, did not, or reported trouble.
    Silence,
    /// Blind: the resolver did not answer.
    Resolver,
    /// Blind: this machine has no network.
    Network,
    /// Blind: this machine is out of descriptors, ports or memory.
    Exhausted,
    /// Blind: this machine does not let us look.
    Denied,
    /// Blind: the target reports to us, and its first report may still come.
    Waiting,
    /// Blind: too few witnesses answer, so it is we who are cut off.
    CutOff,
}

impl Cause {
    /// The word used in records, the API and the message catalogues.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Untrusted => "untrusted",
            Self::Status => "status",
            Self::Reset => "reset",
            Self::Redirect => "redirect",
            Self::Protocol => "protocol",
            Self::Content => "content",
            Self::Login => "login",
            Self::Starting => "starting",
            Self::Exit => "exit",
            Self::Silence => "silence",
            Self::Resolver => "resolver",
            Self::Network => "network",
            Self::Exhausted => "exhausted",
            Self::Denied => "denied",
            Self::Waiting => "waiting",
            Self::CutOff => "cut_off",
        }
    }

    /// True when nobody answered: the target may be fine, and only our route to it be broken.
    pub fn may_be_the_route(self) -> bool {
        match self {
            Self::Refused | Self::Unreachable | Self::Timeout | Self::Tls | Self::Untrusted | Self::Reset => true,
            Self::Dns
            | Self::Status
            | Self::Redirect
            | Self::Protocol
            | Self::Content
            | Self::Login
            | Self::Starting
            | Self::Exit
            | Self::Silence
            | Self::Resolver
            | Self::Network
            | Self::Exhausted
            | Self::Denied
            | Self::Waiting
            | Self::CutOff => false,
        }
    }

    /// True for faults of this machine as a whole: they are the same for every target.
    pub fn is_of_this_machine(self) -> bool {
        match self {
            Self::Resolver | Self::Network | Self::Exhausted => true,
            Self::Dns
            | Self::Refused
            | Self::Unreachable
            | Self::Timeout
            | Self::Tls
            | Self::Untrusted
            | Self::Status
            | Self::Reset
            | Self::Redirect
            | Self::Protocol
            | Self::Content
            | Self::Login
            | Self::Starting
            | Self::Exit
            | Self::Silence
            | Self::Denied
            | Self::Waiting
            | Self::CutOff => false,
        }
    }

    /// True for faults of the observer, which say nothing about the target.
    pub fn is_blind(self) -> bool {
        match self {
            Self::Resolver | Self::Network | Self::Exhausted | Self::Denied | Self::Waiting | Self::CutOff => true,
            Self::Dns
            | Self::Refused
            | Self::Unreachable
            | Self::Timeout
            | Self::Tls
            | Self::Untrusted
            | Self::Status
            | Self::Reset
            | Self::Redirect
            | Self::Protocol
            | Self::Content
            | Self::Login
            | Self::Starting
            | Self::Exit
            | Self::Silence => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long each phase took; `None` where it was not reached or does not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Name to addresses.
    #[serde(rename = "dns_ms", with = "super::millis::option", default)]
    pub dns: Option<Duration>,
    /// TCP handshake.
    #[serde(rename = "connect_ms", with = "super::millis::option", default)]
    pub connect: Option<Duration>,
    /// TLS handshake.
    #[serde(rename = "tls_ms", with = "super::millis::option", default)]
    pub tls: Option<Duration>,
    /// Request sent to first byte of the answer.
    #[serde(rename = "first_byte_ms", with = "super::millis::option", default)]
    pub first_byte: Option<Duration>,
}

impl Reading {
    /// Builds the reading of a target that answered as expected.
    pub fn up(phases: Phases, took: Duration) -> Self {
        Self { outcome: Outcome::Up, phases, took, certificate_ends: None }
    }

    /// Builds the reading of a fault: blind when the cause lies with us, down otherwise.
    pub fn fault(fault: Fault, phases: Phases, took: Duration) -> Self {
        let outcome = if fault.cause.is_blind() { Outcome::Blind(fault) } else { Outcome::Down(fault) };
        Self { outcome, phases, took, certificate_ends: None }
    }
}
