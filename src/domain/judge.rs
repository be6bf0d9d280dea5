//! The judge: one pair's state machine. It is told what was seen and answers with what follows.
//!
//! It does not decide whether a remedy is permitted (`guard`), and it carries nothing out (`engine`). How an incident ends,
//! and what is run then, lives in `recovery`.

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Backoff;
use super::evidence::Quiet;
use super::moment::{later, until};
use super::notice::{Deed, Failed, News};
use super::outage::{Healed, Outage, State, Telling};
use super::reading::{Fault, Phases};
use super::recovery::Aftercare;
use super::remedy::{IncidentId, Run, RunStatus, Verdict};
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
    /// `RECOVERY_SUCCESSES`: successes in a row that end an incident.
    pub successes: u32,
    /// `RECOVERY_HOLD`: how long they have to last.
    pub hold: Duration,
    /// What is run on recovery.
    pub recovery: Aftercare,
    /// Whether it has to be seen up once before anything is run for it.
    pub up_first: bool,
}

/// One pair's state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    pub(super) rules: Rules,
    pub(super) state: State,
    /// Why failures are not told now.
    quiet: Option<Quiet>,
    /// The last rung had run before the check that is being judged.
    helpless: bool,
    /// True from a restart or a gap in time to the first check that counts: until the promised moment it is only looked.
    resumed: bool,
    /// True when that gap was a restart.
    off: bool,
}

impl Judge {
    /// Starts with a state: [`State::Fresh`], or what was saved.
    pub fn new(rules: Rules, state: State) -> Self {
        Self { rules, state, quiet: None, helpless: false, resumed: false, off: false }
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

    /// Takes that it looks at another target now. One that has to be up first has to be so anew.
    pub fn moved(&mut self) {
        if self.rules.up_first && matches!(self.state, State::Up { owed: None, .. }) {
            self.state = State::Fresh;
        }
    }

    /// Says whether failures are told from now on, and if not, why.
    pub fn hush(&mut self, quiet: Option<Quiet>) {
        self.quiet = quiet;
    }

    /// Why failures are not told now.
    pub fn quiet(&self) -> Option<Quiet> {
        self.quiet
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
                    outage.permitted(now, delay, ordered);
                }
                Vec::new()
            }
            Seen::Refused { command, refusal } => {
                if let State::Down(outage) = &mut self.state {
                    outage.refused(&refusal);
                }
                self.deed(now, Deed::Refused { command, refusal })
            }
            Seen::Ran(run) => self.ran(now, run),
            Seen::Verified { run, up_after, command } => match (up_after, &self.state) {
                (Some(after), State::Down(_)) => self.rise(now, Some(Healed { run, command, after }), false),
                (None, _) | (_, State::Fresh | State::Up { .. }) => Vec::new(),
            },
            Seen::Asked { id, rung, command } => {
                let State::Down(outage) = &mut self.state else { return Vec::new() };
                outage.ask(id, rung, command, now);
                Vec::new()
            }
            Seen::Begun { ends, ended_under } => self.begun(now, ends, ended_under),
            Seen::Answered { denied } => {
                if let State::Down(outage) = &mut self.state {
                    outage.answer(denied);
                }
                vec![Effect::Save]
            }
            Seen::RecoveryPermitted(ordered) => self.recovery_permitted(ordered),
            Seen::RecoveryEnded { done } => self.recovery_ended(now, done),
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
            State::Down(outage) if outage.rising.is_some() => Next::In(self.rules.backoff.interval()),
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
        let while_off = std::mem::take(&mut self.off);
        let effects = match &mut self.state {
            State::Fresh => {
                self.state = State::Up { since: now, owed: None };
                // Where it counts that it was up once, a restart must not forget it.
                let save = self.rules.up_first.then_some(Effect::Save);
                save.into_iter().chain([Effect::Next(Next::Slot)]).collect()
            }
            State::Up { .. } => {
                let mut effects = self.recovery_due(now);
                effects.push(Effect::Next(Next::Slot));
                effects
            }
            State::Down(outage) => {
                // It came back before its command was sent.
                outage.ordered = None;
                self.rise(now, None, while_off)
            }
        };
        // While the incident is open, what was ordered in it before the gap may still be at work.
        self.resumed &= self.outage().is_some();
        effects
    }

    fn down(&mut self, now: Timestamp, fault: Fault, phases: Phases, incident: IncidentId) -> Vec<Effect> {
        self.off = false;
        if let State::Down(outage) = &self.state
            && self.resumed
            && now < outage.due
        {
            let next = self.rest(now, outage);
            self.bound(now);
            let mut effects = vec![Effect::Next(Next::In(next))];
            if let State::Down(outage) = &mut self.state
                && outage.rising.take().is_some()
            {
                effects.push(Effect::Save);
            }
            return effects;
        }
        self.resumed = false;
        let mut effects = Vec::new();
        self.helpless = false;
        match &mut self.state {
            State::Down(outage) if outage.standing => {
                // What can be done is done: it is looked at again, and there is no news.
                if outage.rising.take().is_some() {
                    effects.push(Effect::Save);
                }
                let next = self.rules.backoff.delay(outage.failures);
                outage.due = later(now, next);
                effects.push(Effect::Next(Next::In(next)));
                return effects;
            }
            State::Down(outage) => {
                // After a first command the service may only be starting.
                self.helpless =
                    outage.runs >= 2 && outage.last.as_ref().is_some_and(|last| last.rung >= self.rules.rungs);
                outage.rising = None;
                outage.failures = outage.failures.saturating_add(1);
                outage.fault = fault;
                outage.phases = phases;
            }
            State::Fresh | State::Up { .. } => {
                let left = self.left_running();
                let unproven = self.rules.up_first && matches!(self.state, State::Fresh);
                self.state = State::Down(Box::new(Outage {
                    begun: left.is_some(),
                    ends: left.unwrap_or_default(),
                    unproven,
                    ..Outage::opened(incident, now, fault, phases)
                }));
                effects.push(Effect::Opened);
            }
        }
        let attempt = self.failures();
        if self.rules.rungs == 0 {
            effects.extend(self.deed(now, Deed::Nothing));
        } else {
            effects.push(Effect::Ask { attempt });
        }
        effects
    }

    fn ran(&mut self, now: Timestamp, run: Run) -> Vec<Effect> {
        let State::Down(outage) = &mut self.state else { return Vec::new() };
        let Some(ordered) = outage.ordered.take() else { return Vec::new() };
        let verdict = run.verdict_unless_up();
        let started = run.started;
        outage.standing = ordered.once && run.status == RunStatus::Executed;
        outage.begins(&ordered, started);
        let mut effects = vec![Effect::Judged { run: ordered.run, verdict }];
        let command = ordered.command.clone();
        if started {
            outage.runs = outage.runs.saturating_add(1);
            outage.last = Some(ordered);
        }
        effects.extend(self.deed(now, Deed::Command { command, run }));
        if started {
            effects.push(Effect::Verify);
        }
        effects
    }

    fn resume(&mut self, now: Timestamp) -> Vec<Effect> {
        (self.resumed, self.off) = (true, true);
        let State::Down(outage) = &mut self.state else { return self.recovery_interrupted() };
        let Some(ordered) = outage.ordered.take() else { return Vec::new() };
        let mut effects = vec![Effect::Judged { run: ordered.run, verdict: Verdict::Interrupted }];
        let command = ordered.command.clone();
        outage.begins(&ordered, true);
        outage.last = Some(ordered);
        self.bound(now);
        // The pace that was promised before the interruption stands.
        let rest = self.outage().map_or(Duration::ZERO, |outage| until(now, outage.due));
        // People are told whole seconds.
        let rest = Duration::from_secs(rest.as_secs() + u64::from(rest.subsec_nanos() > 0));
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
        let Telling { held, gave_up, asks } = outage.telling(&deed, self.quiet.is_some(), self.helpless, now);
        let news = News::Failed(Failed {
            failures: outage.failures,
            attempts,
            factor: backoff.factor(),
            next,
            fault: outage.fault.clone(),
            phases: outage.phases,
            deed,
            gave_up,
            asks,
            record: None,
            holds: Vec::new(),
        });
        vec![Effect::Tell { incident: outage.incident, news, held }, Effect::Next(Next::In(next))]
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
pub(super) mod tests;
