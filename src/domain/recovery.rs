//! How an incident ends: so many successes in a row, for so long; and what is run then.
//!
//! The rest of the pair's state machine is `judge`.

use jiff::{SignedDuration, Timestamp};

use super::evidence::Quiet;
use super::judge::Judge;
use super::moment::{later, until};
use super::notice::{Deed, Healer, News, Recovered};
use super::outage::{Healed, Ordered, Outage, Owed, Rising, State};
use super::remedy::{IncidentId, Verdict};
use super::step::{Effect, Next};

/// What is run when an incident ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aftercare {
    /// Nothing.
    #[default]
    Nothing,
    /// Something that is run once, whatever comes of it.
    Once,
    /// Something that can be repeated, and is until it succeeded.
    UntilDone,
}

impl Judge {
    /// Takes a success while an incident is open, `healed` when it lay in a verify window.
    pub(super) fn rise(&mut self, now: Timestamp, healed: Option<Healed>, while_off: bool) -> Vec<Effect> {
        let rules = self.rules;
        let State::Down(outage) = &mut self.state else { return Vec::new() };
        let rising = outage.rising.get_or_insert(Rising { since: now, successes: 0, healed: None });
        rising.successes = rising.successes.saturating_add(1);
        rising.healed = rising.healed.take().or(healed);
        if rising.successes < rules.successes || until(rising.since, now) < rules.hold {
            return vec![Effect::Save, Effect::Next(Next::In(rules.backoff.interval()))];
        }
        let (incident, since) = (outage.incident, rising.since);
        if let Some(ordered) = outage.ordered.take() {
            outage.begins(&ordered, true);
        }
        let owed = match rules.recovery {
            Aftercare::Nothing => false,
            // What was held back from people was not the pair's own outage: a storm, maintenance, another pair's.
            Aftercare::Once => outage.told || !outage.held,
            // What was never begun needs no end: if it runs, somebody else wants it to.
            Aftercare::UntilDone => outage.begun,
        };
        let command = outage.ends.clone();
        let owed = owed.then_some(Owed { incident, command, tries: 0, due: now, ordered: None });
        match std::mem::replace(&mut self.state, State::Up { since, owed }) {
            State::Down(outage) => self.recovered(now, *outage, while_off),
            State::Fresh | State::Up { .. } => Vec::new(),
        }
    }

    fn recovered(&mut self, now: Timestamp, outage: Outage, while_off: bool) -> Vec<Effect> {
        let Outage { incident, since, failures, told, held, last, rising, .. } = outage;
        let (up_since, healed) = rising.map_or((now, None), |rising| (rising.since, rising.healed));
        let healed_by = healed.as_ref().map(|healed| healed.run);
        let mut effects: Vec<Effect> =
            healed_by.iter().map(|run| Effect::Judged { run: *run, verdict: Verdict::Healed }).collect();
        let by = match (healed, last) {
            (Some(Healed { command, after, .. }), _) => Healer::Command { command, after },
            (None, Some(Ordered { command, .. })) => Healer::Late { command },
            (None, None) => Healer::Itself,
        };
        let next = self.rules.backoff.interval();
        let news = News::Recovered(Recovered { failures, next, down_for: until(since, up_since), by, while_off });
        // Whoever heard of the failure hears of its end, unless all of it is told as one.
        let held = (held && !told) || self.quiet() == Some(Quiet::Flapping);
        effects.extend([Effect::Closed { incident, healed_by }, Effect::Tell { incident, news, held }]);
        effects.extend(self.recovery_due(now));
        effects.push(Effect::Next(Next::In(next)));
        effects
    }

    /// Takes that something was begun by a person or a drill.
    pub(super) fn begun(&mut self, now: Timestamp, ends: String, ended_under: Option<IncidentId>) -> Vec<Effect> {
        match (&mut self.state, ended_under) {
            (State::Down(outage), _) => (outage.begun, outage.ends) = (true, ends),
            (State::Up { owed, .. }, Some(incident)) => {
                *owed = Some(Owed { incident, command: ends, tries: 0, due: now, ordered: None });
            }
            (State::Fresh | State::Up { .. }, _) => return Vec::new(),
        }
        vec![Effect::Save]
    }

    /// What was begun in an incident that is over, and was not ended yet.
    pub(super) fn left_running(&self) -> Option<String> {
        match &self.state {
            State::Up { owed: Some(owed), .. } if self.rules.recovery == Aftercare::UntilDone => {
                Some(owed.command.clone())
            }
            State::Fresh | State::Up { .. } | State::Down(_) => None,
        }
    }

    /// Takes the plan that is in force now: see [`State::disown`].
    pub fn disown(&mut self, recovery: Option<&str>) -> Option<(IncidentId, String)> {
        self.state.disown(recovery)
    }

    /// Takes that the ladder is another one: what was asked, and what is standing, was of the old one.
    pub fn ladder_changed(&mut self) {
        if let State::Down(outage) = &mut self.state {
            outage.asked = None;
            (outage.standing, outage.gave_up, outage.runs) = (false, false, 0);
        }
    }

    /// Takes that this machine was started anew: what was running on it is not.
    pub fn machine_restarted(&mut self) {
        if let State::Down(outage) = &mut self.state {
            outage.standing = false;
        }
    }

    /// Moves every moment with a wall clock that was set back by `gap`.
    pub fn set_back(&mut self, gap: SignedDuration) {
        let back = |at: &mut Timestamp| *at = at.checked_sub(gap).unwrap_or(Timestamp::MIN);
        match &mut self.state {
            State::Fresh => {}
            State::Up { since, owed } => {
                back(since);
                if let Some(owed) = owed {
                    back(&mut owed.due);
                }
            }
            State::Down(outage) => {
                back(&mut outage.since);
                back(&mut outage.due);
                if let Some(rising) = &mut outage.rising {
                    back(&mut rising.since);
                }
                if let Some(asked) = &mut outage.asked {
                    back(&mut asked.since);
                }
            }
        }
    }

    /// Asks for what is to be run on recovery, when it is due.
    pub(super) fn recovery_due(&self, now: Timestamp) -> Vec<Effect> {
        match &self.state {
            State::Up { owed: Some(Owed { incident, tries, due, ordered: None, .. }), .. }
                if now >= *due && self.rules.recovery != Aftercare::Nothing =>
            {
                vec![Effect::AskRecovery { incident: *incident, attempt: tries.saturating_add(1) }]
            }
            State::Fresh | State::Up { .. } | State::Down(_) => Vec::new(),
        }
    }

    pub(super) fn recovery_permitted(&mut self, by: Ordered) -> Vec<Effect> {
        let State::Up { owed: Some(Owed { ordered, .. }), .. } = &mut self.state else { return Vec::new() };
        *ordered = Some(by);
        vec![Effect::Save]
    }

    pub(super) fn recovery_ended(&mut self, now: Timestamp, done: bool) -> Vec<Effect> {
        let backoff = self.rules.backoff;
        let State::Up { owed, .. } = &mut self.state else { return Vec::new() };
        *owed = owed.take().filter(|_| !done).map(|left| {
            let tries = left.tries.saturating_add(1);
            Owed { tries, due: later(now, backoff.delay(tries)), ordered: None, ..left }
        });
        vec![Effect::Save]
    }

    /// Takes up what was being run on recovery when we were stopped: it is run again only where that does no harm, and only
    /// once a check has seen the pair up.
    pub(super) fn recovery_interrupted(&mut self) -> Vec<Effect> {
        let again = self.rules.recovery == Aftercare::UntilDone;
        let State::Up { owed: place, .. } = &mut self.state else { return Vec::new() };
        let Some(owed) = place else { return Vec::new() };
        let Some(Ordered { run, command, .. }) = owed.ordered.take() else { return Vec::new() };
        let mut effects = vec![Effect::Judged { run, verdict: Verdict::Interrupted }, Effect::Save];
        if !again {
            let news = News::Aftercare { deed: Deed::Interrupted { command } };
            effects.push(Effect::Tell { incident: owed.incident, news, held: false });
            *place = None;
        }
        effects
    }
}

impl State {
    /// Takes the plan that is in force now, with what it runs on recovery: gives what was begun under another plan, and
    /// that this one would not end.
    pub fn disown(&mut self, recovery: Option<&str>) -> Option<(IncidentId, String)> {
        let fits = |ends: &str| recovery.is_some_and(|recovery| ends.is_empty() || ends == recovery);
        match self {
            Self::Down(outage) if outage.begun && !fits(&outage.ends) => {
                (outage.begun, outage.standing) = (false, false);
                Some((outage.incident, std::mem::take(&mut outage.ends)))
            }
            Self::Up { owed, .. } => {
                let left = owed.take_if(|owed| owed.ordered.is_none() && !fits(&owed.command))?;
                // A command that is gone needs no word: nothing of it was run.
                (!left.command.is_empty()).then_some((left.incident, left.command))
            }
            Self::Fresh | Self::Down(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
