//! The judge: one pair's state machine. It is told what was seen and answers with what follows.
//!
//! It does not decide whether a remedy is permitted (`guard`), and it carries nothing out (`engine`).

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Backoff;
use super::notice::{Deed, Failed, Healer, News, Recovered};
use super::outage::{Ordered, Outage, State};
use super::reading::{Fault, Phases};
use super::remedy::{IncidentId, Run, RunId, Verdict};
use super::step::{Effect, Next, Seen};

/// What one pair is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Delays.
    pub backoff: Backoff,
    /// Attempts of one check, for the texts.
    pub attempts: u32,
    /// Rungs of the ladder; 0 when the pair has no remedy.
    pub rungs: u32,
}

/// One pair's state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    rules: Rules,
    state: State,
    /// True from a restart or a gap in time to the first check that counts: until the promised moment it is only looked.
    resumed: bool,
    /// True when that gap was a restart.
    off: bool,
}

impl Judge {
    /// Starts with a state: [`State::Fresh`], or what was saved.
    pub fn new(rules: Rules, state: State) -> Self {
        Self { rules, state, resumed: false, off: false }
    }

    /// Where the pair stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The open incident, if there is one.
    pub fn outage(&self) -> Option<&Outage> {
        match &self.state {
            State::Down(outage) => Some(outage),
            State::Fresh | State::Up { .. } => None,
        }
    }

    /// Takes new rules; counters and the open incident stay.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Says that time was lost (suspend, a set clock): until the promised moment the next check only looks.
    pub fn look_again(&mut self) {
        self.resumed = true;
    }

    /// Takes what was seen at `now` and says what follows.
    pub fn step(&mut self, now: Timestamp, seen: Seen) -> Vec<Effect> {
        match seen {
            Seen::Up => self.up(now),
            Seen::Unknown => vec![Effect::Next(self.again(now))],
            Seen::Down { fault, phases, incident } => self.down(now, fault, phases, incident),
            Seen::Permitted(ordered) => {
                let delay = self.rules.backoff.delay(self.failures());
                if let State::Down(outage) = &mut self.state {
                    outage.due = later(now, delay.max(ordered.ends_within));
                    outage.ordered = Some(ordered);
                }
                Vec::new()
            }
            Seen::Refused { command, refusal } => {
                if let State::Down(outage) = &mut self.state {
                    outage.ordered = None;
                }
                self.deed(now, Deed::Refused { command, refusal })
            }
            Seen::Ran(run) => self.ran(now, run),
            Seen::Verified { run, up_after, command } => self.verified(now, run, up_after, command),
            Seen::Resumed => self.resume(now),
        }
    }

    fn failures(&self) -> u32 {
        self.outage().map_or(0, |outage| outage.failures)
    }

    /// The next look when this one moved nothing: an open incident keeps its own pace.
    fn again(&self, now: Timestamp) -> Next {
        match &self.state {
            State::Fresh | State::Up { .. } => Next::Slot,
            State::Down(outage) if self.resumed && now < outage.due => Next::In(self.rest(now, outage)),
            State::Down(outage) => Next::In(self.rules.backoff.delay(outage.failures)),
        }
    }

    /// What is left of the promised delay; never more than the whole of it, also when the clock was set back.
    fn rest(&self, now: Timestamp, outage: &Outage) -> Duration {
        until(now, outage.due).min(self.rules.backoff.delay(outage.failures))
    }

    /// Keeps the promised moment from lying further away than it can have been promised: the clock may have been set back.
    fn bound(&mut self, now: Timestamp) {
        let delay = self.rules.backoff.delay(self.failures());
        if let State::Down(outage) = &mut self.state {
            let busy = outage.last.as_ref().map_or(Duration::ZERO, |last| last.ends_within);
            outage.due = outage.due.min(later(now, delay.max(busy)));
        }
    }

    fn up(&mut self, now: Timestamp) -> Vec<Effect> {
        self.resumed = false;
        let while_off = std::mem::take(&mut self.off);
        match std::mem::replace(&mut self.state, State::Up { since: now }) {
            State::Fresh => vec![Effect::Next(Next::Slot)],
            State::Up { since } => {
                self.state = State::Up { since };
                vec![Effect::Next(Next::Slot)]
            }
            State::Down(outage) => {
                let late = |last: &Ordered| Healer::Late { command: last.command.clone() };
                let by = outage.last.as_ref().map_or(Healer::Itself, late);
                self.recovered(now, &outage, by, None, while_off)
            }
        }
    }

    fn recovered(
        &mut self,
        now: Timestamp,
        outage: &Outage,
        by: Healer,
        healed_by: Option<RunId>,
        while_off: bool,
    ) -> Vec<Effect> {
        let news = News::Recovered(Recovered {
            failures: outage.failures,
            next: self.rules.backoff.interval(),
            down_for: until(outage.since, now),
            by,
            while_off,
        });
        vec![
            Effect::Closed { incident: outage.incident, healed_by },
            Effect::Tell { incident: outage.incident, news },
            Effect::Next(Next::In(self.rules.backoff.interval())),
        ]
    }

    fn down(&mut self, now: Timestamp, fault: Fault, phases: Phases, incident: IncidentId) -> Vec<Effect> {
        self.off = false;
        if let State::Down(outage) = &self.state
            && self.resumed
            && now < outage.due
        {
            let next = self.rest(now, outage);
            self.bound(now);
            return vec![Effect::Next(Next::In(next))];
        }
        self.resumed = false;
        let mut effects = Vec::new();
        match &mut self.state {
            State::Down(outage) => {
                outage.failures = outage.failures.saturating_add(1);
                outage.fault = fault;
                outage.phases = phases;
            }
            State::Fresh | State::Up { .. } => {
                self.state = State::Down(Box::new(Outage {
                    incident,
                    since: now,
                    failures: 1,
                    due: now,
                    fault,
                    phases,
                    ordered: None,
                    last: None,
                }));
                effects.push(Effect::Opened);
            }
        }
        let attempt = self.failures();
        match attempt.min(self.rules.rungs) {
            0 => effects.extend(self.deed(now, Deed::Nothing)),
            rung => effects.push(Effect::Ask { attempt, rung }),
        }
        effects
    }

    fn ran(&mut self, now: Timestamp, run: Run) -> Vec<Effect> {
        let State::Down(outage) = &mut self.state else { return Vec::new() };
        let Some(ordered) = outage.ordered.take() else { return Vec::new() };
        let verdict = run.verdict_unless_up();
        let started = run.started;
        let mut effects = vec![Effect::Judged { run: ordered.run, verdict }];
        let command = ordered.command.clone();
        if started {
            outage.last = Some(ordered);
        }
        effects.extend(self.deed(now, Deed::Command { command, run }));
        if started {
            effects.push(Effect::Verify);
        }
        effects
    }

    fn verified(&mut self, now: Timestamp, run: RunId, up_after: Option<Duration>, command: String) -> Vec<Effect> {
        let Some(after) = up_after else { return Vec::new() };
        match std::mem::replace(&mut self.state, State::Up { since: now }) {
            State::Down(outage) => {
                let mut effects = vec![Effect::Judged { run, verdict: Verdict::Healed }];
                let by = Healer::Command { command, after };
                effects.extend(self.recovered(now, &outage, by, Some(run), false));
                effects
            }
            other @ (State::Fresh | State::Up { .. }) => {
                self.state = other;
                Vec::new()
            }
        }
    }

    fn resume(&mut self, now: Timestamp) -> Vec<Effect> {
        (self.resumed, self.off) = (true, true);
        let State::Down(outage) = &mut self.state else { return Vec::new() };
        let Some(ordered) = outage.ordered.take() else { return Vec::new() };
        let mut effects = vec![Effect::Judged { run: ordered.run, verdict: Verdict::Interrupted }];
        let command = ordered.command.clone();
        outage.last = Some(ordered);
        self.bound(now);
        // The pace that was promised before the interruption stands.
        let rest = self.outage().map_or(Duration::ZERO, |outage| until(now, outage.due));
        effects.extend(self.deed_in(now, Deed::Interrupted { command }, rest));
        effects.retain(|effect| !matches!(effect, Effect::Next(_)));
        effects
    }

    /// Ends a `down` check: what was done is told, and the next check is set.
    fn deed(&mut self, now: Timestamp, deed: Deed) -> Vec<Effect> {
        let next = self.rules.backoff.delay(self.failures());
        self.deed_in(now, deed, next)
    }

    fn deed_in(&mut self, now: Timestamp, deed: Deed, next: Duration) -> Vec<Effect> {
        let Rules { backoff, attempts, .. } = self.rules;
        let State::Down(outage) = &mut self.state else { return Vec::new() };
        outage.due = later(now, next);
        let news = News::Failed(Failed {
            failures: outage.failures,
            attempts,
            factor: backoff.factor(),
            next,
            fault: outage.fault.clone(),
            phases: outage.phases,
            deed,
        });
        vec![Effect::Tell { incident: outage.incident, news }, Effect::Next(Next::In(next))]
    }
}

fn later(now: Timestamp, delay: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(delay).ok().and_then(|d| now.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}

/// From `earlier` to `later`, zero when the clock went back.
fn until(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
