//! What the machine is told, and what it answers; how one follows from the other is in [`super`].

use std::num::NonZeroU32;
use std::time::Duration;

/// The exit code of a check that took too long: the one that timeout(1) gives.
pub const TIMED_OUT: i32 = 124;

/// What is to be done when.
#[derive(Debug, Clone)]
pub struct Rules {
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// Failures in a row that make a fault.
    pub threshold: NonZeroU32,
    /// Whether something is run on each failure.
    pub fail: bool,
    /// How long a recovery has to show, if there is one at all.
    pub recovery: Option<Patience>,
}

/// How long a recovery has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// So long after its end.
    For(Duration),
    /// For as many checks as the threshold has.
    Checks,
}

/// What is run; one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// The check.
    Check,
    /// What `--fail` names.
    Fail,
    /// What `--recovery` names.
    Recovery,
}

/// How something that was to be run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It exited with this code.
    Exit(i32),
    /// It took too long and was ended by us.
    TimedOut,
    /// Somebody else ended it, by this signal.
    Killed(String),
    /// It cannot be started, and will not be by waiting.
    Unstartable(String),
    /// The machine could not start it just now.
    NotNow(String),
}

/// One failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Its exit code.
    pub code: i32,
    /// When it ended, in seconds of the epoch.
    pub at: i64,
    /// The number of its process.
    pub pid: u32,
}

/// Failures since the last success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    /// How many.
    pub count: u32,
    /// The first.
    pub first: Failure,
    /// The latest.
    pub last: Failure,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The moment that [`super::Heat::wake`] gave has come, or some other.
    Time,
    /// What ran has ended.
    Ended {
        /// How.
        how: How,
        /// When, in seconds of the epoch.
        at: i64,
        /// The number of its process; 0 when it never had one.
        pid: u32,
    },
    /// The process that receives signals is gone.
    ReceiverGone,
}

/// When a signal is sent, if one is set for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A check failed, and no recovery is under way.
    Failure,
    /// The threshold was reached.
    Fault,
    /// A check succeeded after the threshold had been reached.
    Success,
}

/// What is worth telling people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The threshold was reached.
    Fault(Streak),
    /// A recovery ended so.
    Recovered(How),
    /// A check succeeded after the threshold had been reached.
    Back {
        /// What is over.
        streak: Streak,
        /// When the check ended that succeeded, in seconds of the epoch.
        at: i64,
    },
    /// Nothing is watched any more.
    Ended(Trouble),
}

/// What cannot be gone on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The check was stopped.
    Check(How),
    /// The recovery was stopped.
    Recovery(How),
    /// The process that receives signals is gone.
    Receiver,
}

/// What is only worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A check failed.
    Failed(Streak),
    /// A check succeeded after so many failures.
    Succeeded(u32),
    /// An interval came due while this ran.
    Overlap(Job),
    /// What `--fail` names did not end well.
    FailBroken(How),
    /// A recovery ended so.
    Recovered(How),
    /// The check could not be started this time.
    NotChecked(String),
}

/// What follows, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Run the check.
    Check,
    /// Run what `--fail` names.
    Fail(Failure),
    /// Run what `--recovery` names.
    Recover(Streak),
    /// Send the signal of this occasion.
    Signal(Occasion),
    /// Tell people.
    Tell(News),
    /// Write a line.
    Note(Note),
    /// Stop everything: nothing is watched any more.
    End(Trouble),
}
