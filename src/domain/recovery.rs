//! How an incident ends: so many successes in a row, for so long; and what is run then.
//!
//! The rest of the pair's state machine is `judge`.

use jiff::Timestamp;

use super::evidence::Quiet;
use super::judge::Judge;
use super::moment::{later, until};
use super::notice::{Deed, Healer, News, Recovered};
use super::outage::{Healed, Ordered, Outage, Owed, Rising, State};
use super::remedy::Verdict;
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
        let owed = match rules.recovery {
            Aftercare::Nothing => None,
            // What was never begun needs no end: if it runs, somebody else wants it to.
            Aftercare::UntilDone if !outage.begun => None,
            Aftercare::Once | Aftercare::UntilDone => Some(Owed { incident, tries: 0, due: now, ordered: None }),
        };
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

    /// Asks for what is to be run on recovery, when it is due.
    pub(super) fn recovery_due(&self, now: Timestamp) -> Vec<Effect> {
        match &self.state {
            State::Up { owed: Some(Owed { incident, tries, due, ordered: None }), .. }
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

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
