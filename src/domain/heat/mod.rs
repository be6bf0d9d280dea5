//! What HEAT does and when: checks at a fixed rate, what follows on a failure, recovery, and the way back. Pure: moments
//! come in as time since the start, wall time only as numbers that are handed on.
//!
//! What it is told and what it answers is in `step`. Processes, signals and files are the business of `heat`; the words of the messages live in `message`.

mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use step::{Effect, Failure, How, Job, News, Note, Occasion, Patience, Rules, Seen, Streak, TIMED_OUT, Trouble};

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
#[expect(clippy::struct_excessive_bools, reason = "what is owed, due and over are asked one by one, in any mixture")]
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
    /// A recovery is to follow if the check that is owed fails, too.
    pending: bool,
    /// A recovery has run and has to show.
    recovering: Option<Until>,
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
            pending: false,
            recovering: None,
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
        self.pending = false;
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
        if std::mem::take(&mut self.pending) {
            self.recover(streak, effects);
            return;
        }
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
        if self.reached(streak) && !std::mem::replace(&mut self.fault, true) {
            effects.push(Effect::Signal(Occasion::Fault));
            effects.push(Effect::Tell(News::Fault(streak)));
        }
        if self.rules.fail {
            self.running = Some(Job::Fail);
            effects.push(Effect::Fail(failure));
        } else if self.rules.recovery.is_some() && self.reached(streak) {
            self.recover(streak, effects);
        }
    }

    fn reached(&self, streak: Streak) -> bool {
        streak.count >= self.rules.threshold.get()
    }

    /// What `--fail` names has ended: how is nobody's concern but the log's.
    fn failed(&mut self, how: How, effects: &mut Vec<Effect>) {
        if how != How::Exit(0) {
            effects.push(Effect::Note(Note::FailBroken(how)));
        }
        // It is not run during a recovery, so one that is due has waited for it.
        match (self.rules.recovery, self.streak) {
            // It may have repaired what it was told of, and that was an interval ago: look before anything is done.
            (Some(_), Some(streak)) if self.reached(streak) && self.owed => self.pending = true,
            (Some(_), Some(streak)) if self.reached(streak) => self.recover(streak, effects),
            _ => {}
        }
    }

    fn recover(&mut self, streak: Streak, effects: &mut Vec<Effect>) {
        self.owed = false;
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
