//! What HEAT does and when: checks at a fixed rate, what follows on a failure, recovery, and the way back. Pure: moments
//! come in as time since the start, wall time only as numbers that are handed on.
//!
//! Processes, signals and files are the business of `heat`; the words of the messages live in `message`.

use std::num::NonZeroU32;
use std::time::Duration;

#[cfg(test)]
mod tests;

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
    /// The moment that [`Heat::wake`] gave has come, or some other.
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

/// When a recovery is given up and begun again.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// At this moment, by a last look.
    Moment { at: Duration, looked: bool },
    /// After so many more failures.
    Failures(u32),
}

/// The machine.
#[derive(Debug)]
pub struct Heat {
    rules: Rules,
    /// When the next check is due.
    next: Duration,
    running: Option<Job>,
    /// A check came due while something ran, and is made up for once.
    owed: bool,
    streak: Option<Streak>,
    /// The threshold was reached and no check has succeeded since.
    fault: bool,
    /// A recovery has run and has to show.
    recovering: Option<Until>,
    /// A recovery begins as soon as what `--fail` names has ended.
    recovery_waits: bool,
    ended: bool,
}

impl Heat {
    /// Begins; the first check is due at once.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            next: Duration::ZERO,
            running: None,
            owed: false,
            streak: None,
            fault: false,
            recovering: None,
            recovery_waits: false,
            ended: false,
        }
    }

    /// The moment at which to step even if nothing happens; `None` while only an end can bring something new.
    pub fn wake(&self) -> Option<Duration> {
        match (self.running, self.recovering) {
            (Some(Job::Recovery), _) => None,
            (Some(_), _) => (!self.owed).then_some(self.next),
            (None, Some(Until::Moment { at, looked: false })) => Some(self.next.min(at)),
            (None, _) => Some(self.next),
        }
    }

    /// Takes what happened at `now`, the time since the start, and says what follows.
    pub fn step(&mut self, now: Duration, seen: Seen) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.ended {
            return effects;
        }
        self.look_at_the_time(now, &mut effects);
        match seen {
            Seen::Time => {}
            Seen::Ended { how, at, pid } => match self.running.take() {
                Some(Job::Check) => self.checked(now, how, Failure { code: 0, at, pid }, &mut effects),
                Some(Job::Fail) => self.failed(how, &mut effects),
                Some(Job::Recovery) => self.recovered(now, how, &mut effects),
                None => {}
            },
            Seen::ReceiverGone => self.end(Trouble::Receiver, &mut effects),
        }
        if self.owed && self.running.is_none() && !self.ended {
            self.check(now, &mut effects);
        }
        effects
    }

    fn look_at_the_time(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let due = self.next <= now;
        if due {
            self.next = after(self.next, self.rules.interval, now);
        }
        match self.running {
            // Its end begins the interval anew.
            Some(Job::Recovery) => {}
            Some(job) => {
                if due && !self.owed {
                    self.owed = true;
                    effects.push(Effect::Note(Note::Overlap(job)));
                }
            }
            None => {
                let last_look = matches!(self.recovering, Some(Until::Moment { at, looked: false }) if at <= now);
                if due || last_look {
                    self.check(now, effects);
                }
            }
        }
    }

    fn check(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(Until::Moment { at, looked }) = &mut self.recovering {
            *looked = *looked || *at <= now;
        }
        self.owed = false;
        self.running = Some(Job::Check);
        effects.push(Effect::Check);
    }

    fn checked(&mut self, now: Duration, how: How, seen: Failure, effects: &mut Vec<Effect>) {
        match how {
            How::Exit(0) => self.succeeded(seen.at, effects),
            How::Exit(code) => self.failure(now, Failure { code, ..seen }, effects),
            How::TimedOut => self.failure(now, Failure { code: TIMED_OUT, ..seen }, effects),
            // Not to be able to look says nothing about what is looked at.
            How::NotNow(why) => effects.push(Effect::Note(Note::NotChecked(why))),
            How::Killed(_) | How::Unstartable(_) => self.end(Trouble::Check(how), effects),
        }
    }

    fn succeeded(&mut self, at: i64, effects: &mut Vec<Effect>) {
        let Some(streak) = self.streak.take() else { return };
        self.recovering = None;
        effects.push(Effect::Note(Note::Succeeded(streak.count)));
        if std::mem::take(&mut self.fault) {
            effects.push(Effect::Signal(Occasion::Success));
            effects.push(Effect::Tell(News::Back { streak, at }));
        }
    }

    fn failure(&mut self, now: Duration, failure: Failure, effects: &mut Vec<Effect>) {
        let before = self.streak.map_or((0, failure), |streak| (streak.count, streak.first));
        let streak = Streak { count: before.0.saturating_add(1), first: before.1, last: failure };
        self.streak = Some(streak);
        effects.push(Effect::Note(Note::Failed(streak)));
        if let Some(until) = &mut self.recovering {
            let over = match until {
                Until::Moment { at, .. } => *at <= now,
                Until::Failures(left) => {
                    *left = left.saturating_sub(1);
                    *left == 0
                }
            };
            if over {
                self.recover(streak, effects);
            }
            return;
        }
        effects.push(Effect::Signal(Occasion::Failure));
        let reached = streak.count >= self.rules.threshold.get();
        if reached && !std::mem::replace(&mut self.fault, true) {
            effects.push(Effect::Signal(Occasion::Fault));
            effects.push(Effect::Tell(News::Fault(streak)));
        }
        self.recovery_waits = reached && self.rules.recovery.is_some();
        if self.rules.fail {
            self.running = Some(Job::Fail);
            effects.push(Effect::Fail(failure));
        } else if self.recovery_waits {
            self.recover(streak, effects);
        }
    }

    /// What `--fail` names has ended: how is nobody's concern but the log's.
    fn failed(&mut self, how: How, effects: &mut Vec<Effect>) {
        if how != How::Exit(0) {
            effects.push(Effect::Note(Note::FailBroken(how)));
        }
        if let (true, Some(streak)) = (self.recovery_waits, self.streak) {
            self.recover(streak, effects);
        }
    }

    fn recover(&mut self, streak: Streak, effects: &mut Vec<Effect>) {
        (self.recovery_waits, self.owed) = (false, false);
        self.running = Some(Job::Recovery);
        effects.push(Effect::Recover(streak));
    }

    fn recovered(&mut self, now: Duration, how: How, effects: &mut Vec<Effect>) {
        if matches!(how, How::Killed(_) | How::Unstartable(_)) {
            self.end(Trouble::Recovery(how), effects);
            return;
        }
        effects.push(Effect::Note(Note::Recovered(how.clone())));
        effects.push(Effect::Tell(News::Recovered(how)));
        self.recovering = Some(match self.rules.recovery {
            Some(Patience::For(time)) => Until::Moment { at: now.saturating_add(time), looked: false },
            Some(Patience::Checks) | None => Until::Failures(self.rules.threshold.get()),
        });
        // A whole interval for what it started to come up.
        self.next = now.saturating_add(self.rules.interval);
    }

    fn end(&mut self, trouble: Trouble, effects: &mut Vec<Effect>) {
        self.ended = true;
        effects.push(Effect::Tell(News::Ended(trouble.clone())));
        effects.push(Effect::End(trouble));
    }
}

/// The first moment after `now` that is a whole number of intervals from `due`.
fn after(due: Duration, interval: Duration, now: Duration) -> Duration {
    let (step, passed) = (interval.as_nanos().max(1), now.saturating_sub(due).as_nanos());
    let nanos = due.as_nanos() + (passed / step + 1) * step;
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}
