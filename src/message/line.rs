//! What the log can say. How it is worded lives in `log`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::name::{PairName, SiteName};
use crate::domain::notice::CutOff;
use crate::domain::reading::Fault;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::RunStatus;
use crate::domain::stop::Stop;

/// One line of the log.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "each field is named after its word in the glossary; the variants say when they are written"
)]
pub enum Line<'a> {
    /// The first line of a run.
    Started { interval: Duration },
    /// The timing of checks: `BACKOFF_FACTOR`, `MAX_INTERVAL`, `CHECK_ATTEMPTS`, `CHECK_RETRY_DELAY`.
    Limits { factor: f64, max_interval: Duration, attempts: u32, retry_delay: Duration },
    /// The pairs, in the order of `MAPPINGS`.
    Watching { pairs: &'a [PairName] },
    /// Who we are, for whoever finds two of us: `file` is absent when the process environment says everything.
    Identity { file: Option<&'a str>, state_dir: &'a str, process: u32 },
    /// Another agent goes by the same file.
    NotAlone { file: &'a str },
    /// One attempt of a check was not up.
    AttemptFailed { pair: &'a PairName, url: &'a str, attempt: u32, of: u32, fault: &'a Fault },
    /// A check said `down`; the attempts' own lines say why.
    CheckDown { pair: &'a PairName, url: &'a str, response_ms: u64, made: u32, of: u32 },
    /// A check said `up`; written only with `LOG_SUCCESS_REQUESTS`.
    CheckUp { pair: &'a PairName, url: &'a str, ms: u64 },
    /// We could not look.
    CheckUnknown { pair: &'a PairName, url: &'a str, fault: &'a Fault },
    /// A command is about to be sent.
    CommandStart { site: &'a SiteName, attempt: u32, command: &'a str },
    /// The same command already runs, or waits, on that host: its result is shared.
    CommandShared { pair: &'a PairName, host: &'a str, command: &'a str },
    /// Another command runs on that host; this one waits for its turn.
    CommandWaits { pair: &'a PairName, host: &'a str, command: &'a str },
    /// A command exited 0.
    CommandOk { site: &'a SiteName, attempt: u32 },
    /// A command ended otherwise or never began.
    CommandFailed { site: &'a SiteName, attempt: u32, status: RunStatus, reason: &'a str },
    /// A probe inside the verify window saw the target up.
    VerifyHealed { pair: &'a PairName, after: Duration },
    /// The verify window passed and the target is still down.
    VerifyStillDown { pair: &'a PairName, window: Duration },
    /// An incident ended.
    Recovered { pair: &'a PairName, failures: u32, down_for: Duration },
    /// An incident ended while the agent was off.
    RecoveredWhileOff { pair: &'a PairName },
    /// An incident of an earlier run goes on.
    StillDown { pair: &'a PairName, since: Timestamp, zone: &'a TimeZone },
    /// The guard refused a command.
    Refused { pair: &'a PairName, refusal: &'a Refusal, zone: &'a TimeZone },
    /// A command was running when the agent was stopped or died.
    Interrupted { pair: &'a PairName, command: &'a str },
    /// A channel did not take a notice; it is tried again.
    NoticeUndelivered { channel: &'a str, pair: Option<&'a PairName>, why: &'a str, next: Duration },
    /// A channel refused even the least text of a notice; it is given up.
    NoticeDropped { channel: &'a str, pair: Option<&'a PairName>, why: &'a str },
    /// A channel takes nothing until a person changes something; its notices wait.
    ChannelBroken { channel: &'a str, why: &'a str, next: Duration },
    /// A channel that was broken took a notice.
    ChannelBack { channel: &'a str },
    /// The chat has another id now.
    ChatMoved { channel: &'a str, chat: &'a str },
    /// A default that makes us safer than the seed, with the value in force.
    SaferDefault { what: SaferDefault, value: &'a str },
    /// Nothing will be run.
    DryRun,
    /// A new configuration is in force.
    Reloaded { pairs: usize },
    /// A new configuration had mistakes.
    ReloadRefused { problems: &'a str },
    /// The API listens on a port.
    Listening { address: &'a str },
    /// The agent was asked to stop.
    Stopping,
    /// The last line of a run.
    Stopped,
    /// Wall clock and monotonic clock went apart, or the machine slept.
    ClockJump { gap: Duration },
    /// A host key was seen for the first time.
    HostKeyLearned { site: &'a SiteName, fingerprint: &'a str },
    /// Too many pairs went down together.
    Storm { down: usize, of: usize },
    /// A storm ended.
    StormOver,
    /// Too few witnesses answer.
    CutOff { cut: &'a CutOff },
    /// Enough witnesses answer again.
    Reconnected { key: &'a str },
    /// A pair goes up and down too often.
    Flapping { pair: &'a PairName, since: Timestamp, changes: u32, zone: &'a TimeZone },
    /// A pair flaps no more.
    Settled { pair: &'a PairName, up: bool },
    /// Pairs could not be looked at for long; without a pair: several.
    Unseen {
        pair: Option<&'a PairName>,
        since: Timestamp,
        fault: &'a Fault,
        pairs: usize,
        of: usize,
        zone: &'a TimeZone,
    },
    /// They can be looked at again.
    SeenAgain { pair: Option<&'a PairName>, since: Timestamp, zone: &'a TimeZone },
    /// The certificate that a target shows ends soon.
    Expiring { pair: &'a PairName, ends: Timestamp, zone: &'a TimeZone },
    /// The last rung has run and the pair is still down.
    GaveUp { pair: &'a PairName },
    /// A person stopped healing for some or all.
    HealingStopped { stop: &'a Stop, zone: &'a TimeZone },
    /// A person let healing go on.
    HealingResumed { scope: &'a str, by: &'a str },
    /// A person answered a rung that waited for them.
    ApprovalAnswered { pair: &'a PairName, command: &'a str, yes: bool, by: &'a str },
    /// A person began a drill.
    Drill { pair: &'a PairName, really: bool, by: &'a str },
    /// The store does not take what happened.
    StoreTrouble { why: &'a str },
    /// The store works again.
    StoreBack,
    /// Others can read the file with the secrets.
    EnvReadable { path: &'a str },
}

/// A default that makes us safer than the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaferDefault {
    /// Commands of one pair in a time.
    RemedyBudget,
    /// Share of pairs that may go down together.
    StormLimit,
    /// What happens to an unknown host key.
    SshHostKeys,
    /// Probing after a command.
    VerifyWindow,
    /// Time of one command.
    CommandTimeout,
    /// Time of one attempt.
    CheckTimeout,
    /// Changes of one pair in a time.
    FlapLimit,
}

impl SaferDefault {
    /// Every one, in the order they are printed at start.
    pub const ALL: [Self; 7] = [
        Self::RemedyBudget,
        Self::StormLimit,
        Self::SshHostKeys,
        Self::VerifyWindow,
        Self::CommandTimeout,
        Self::CheckTimeout,
        Self::FlapLimit,
    ];

    /// Gives the key that changes it.
    pub fn key(self) -> &'static str {
        match self {
            Self::RemedyBudget => "REMEDY_BUDGET",
            Self::StormLimit => "STORM_LIMIT",
            Self::SshHostKeys => "SSH_HOST_KEYS",
            Self::VerifyWindow => "VERIFY_WINDOW",
            Self::CommandTimeout => "COMMAND_TIMEOUT",
            Self::CheckTimeout => "CHECK_TIMEOUT",
            Self::FlapLimit => "FLAP_LIMIT",
        }
    }
}
