//! Everything that can be written, one variant per fact. How it becomes SQL lives in `apply`.

use jiff::Timestamp;

use crate::domain::name::{PairName, SiteName};
use crate::domain::notice::Notice;
use crate::domain::reading::Cause;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, NoticeId, RunId, RunStatus, Verdict};

/// One fact to keep.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A pair went down.
    IncidentOpened {
        /// The incident.
        id: IncidentId,
        /// Whose.
        pair: PairName,
        /// When.
        at: Timestamp,
        /// Class of the fault.
        cause: Cause,
        /// The fault in words.
        reason: String,
    },
    /// A pair came back.
    IncidentClosed {
        /// The incident.
        id: IncidentId,
        /// When.
        at: Timestamp,
        /// How it ended.
        closing: Closing,
    },
    /// A command is about to be run; must be recorded before it is.
    RunIntended(Order),
    /// A command was wanted and not permitted.
    RunRefused {
        /// What was wanted.
        order: Order,
        /// Why not.
        refusal: Refusal,
    },
    /// A command ended.
    RunEnded(Box<Ended>),
    /// Probes judged a command.
    RunJudged {
        /// The run.
        run: RunId,
        /// What came of it.
        verdict: Verdict,
        /// When.
        at: Timestamp,
    },
    /// The engine's saved state of one pair; replaces the older one.
    PairState {
        /// Whose.
        pair: PairName,
        /// The engine's own JSON, at most 1 MiB.
        state_json: String,
        /// When.
        at: Timestamp,
    },
    /// Exactly these pairs are watched from now on: those that are new begin now, those that are gone are forgotten here.
    Watched {
        /// The pairs.
        pairs: Vec<PairName>,
        /// When.
        at: Timestamp,
    },
    /// A pair is watched no more: its saved state goes, its history stays.
    PairForgotten {
        /// Whose.
        pair: PairName,
    },
    /// A notice waits for one channel.
    NoticeQueued {
        /// The notice.
        notice: Box<Notice>,
        /// The channel.
        channel: String,
    },
    /// A channel took a notice.
    NoticeDelivered {
        /// The notice.
        id: NoticeId,
        /// The channel.
        channel: String,
        /// When.
        at: Timestamp,
        /// The channel's own name of the message.
        message_ref: Option<String>,
    },
    /// A channel will never take a notice.
    NoticeDead {
        /// The notice.
        id: NoticeId,
        /// The channel.
        channel: String,
        /// When we gave up.
        at: Timestamp,
        /// Why.
        why: String,
    },
    /// A channel did not take a notice this time.
    NoticeRetry {
        /// The notice.
        id: NoticeId,
        /// The channel.
        channel: String,
        /// Tries so far.
        tries: u32,
        /// When to try again.
        next_at: Timestamp,
        /// Why it failed.
        why: String,
    },
    /// The first message of an incident, which repeats answer.
    Thread {
        /// The incident.
        incident: IncidentId,
        /// The channel.
        channel: String,
        /// The channel's own name of the message.
        message_ref: String,
    },
    /// A chat got another id.
    ChannelMoved {
        /// The channel.
        channel: String,
        /// Its old id.
        from: String,
        /// Its new id.
        to: String,
    },
    /// One named value; replaces the older one.
    Setting {
        /// Its name.
        key: String,
        /// The value, at most 1 MiB.
        value: String,
    },
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// A probe inside a command's verify window saw the pair up.
    Healed {
        /// By this run.
        by: RunId,
    },
    /// It came back without a command of ours to thank.
    Recovered,
    /// The pair is watched no more.
    Retired,
}

/// A command that is wanted for a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The run.
    pub run: RunId,
    /// The incident it serves; a drill or an order by hand has none.
    pub incident: Option<IncidentId>,
    /// Whose.
    pub pair: PairName,
    /// Where it runs.
    pub site: SiteName,
    /// The command's text, secrets masked.
    pub command: String,
    /// Rung of the ladder, from 1.
    pub rung: u32,
    /// k: consecutive `down` checks of the incident, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// How it ended; none when we were stopped meanwhile and cannot know.
    pub status: Option<RunStatus>,
    /// The exit code, where there was one.
    pub exit_code: Option<i32>,
    /// The signal's name, where one ended it.
    pub signal: Option<String>,
    /// Wall time from the order to the end.
    pub duration_ms: u64,
    /// Bytes of all its output.
    pub output_bytes: u64,
    /// SHA-256 of all its output, hexadecimal.
    pub output_sha256: String,
    /// True when the kept output is not all of it.
    pub truncated: bool,
    /// Head and tail of its output, printable, secrets masked.
    pub output: String,
    /// What went wrong, for people; empty when nothing did.
    pub error: String,
}
