//! Reloads: what is watched is swapped as a whole; incidents and counters stay, and what no longer fits is let go, aloud.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::name::PairName;
use crate::domain::notice::Deed;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::IncidentId;

use super::handle::Reloaded;
use super::lanes::is_same_deed;
use super::ledger::Batch;
use super::plan::{Plan, Plans, Rung};
use super::{Doing, Engine};

impl Engine {
    /// Swaps what is watched: new pairs enter, old ones leave, the rest keep their state under the new rules.
    pub(super) fn reload(&mut self, plans: Plans) -> Reloaded {
        self.guard.set_rules(plans.guard);
        // Who was let in before counts on.
        if plans.attempts_at_once != self.attempts_at_once {
            self.gate = Arc::new(Semaphore::new(plans.attempts_at_once));
            self.attempts_at_once = plans.attempts_at_once;
        }
        self.places.resize(plans.remedies_at_once);
        self.unknown_after = plans.unknown_after;
        let wanted: HashMap<PairName, Arc<Plan>> =
            plans.pairs.into_iter().map(|plan| (plan.pair.clone(), plan)).collect();
        let gone: Vec<PairName> = self.pairs.keys().filter(|pair| !wanted.contains_key(*pair)).cloned().collect();
        for pair in &gone {
            self.timetable.leave(pair);
            // Its runs and changes still count, should it come back within their window.
            self.guard.rose(pair);
            self.alarms.flapping.remove(pair);
            if let Some(mut left) = self.pairs.remove(pair) {
                let mut batch = Batch::new(pair.clone(), self.clock.now());
                if let Some((incident, command)) = left.judge.disown(None) {
                    self.left_running(pair, incident, command, Refusal::Retired, &mut batch);
                }
                batch.retired(left.judge.outage(), left.plan.environment);
                self.ledger.record(batch);
            }
        }
        let of = wanted.len();
        let mut reloaded = Reloaded { removed: gone.len(), removed_pairs: gone, ..Reloaded::default() };
        for (pair, plan) in wanted {
            if let Some(known) = self.pairs.get_mut(&pair) {
                reloaded.kept += 1;
                if !is_same_ladder(&known.plan.ladder, &plan.ladder) {
                    known.judge.ladder_changed();
                }
                known.judge.set_rules(plan.rules());
                if known.judge.outage().is_some() {
                    self.timetable.set_interval(&pair, plan.backoff.interval());
                } else {
                    self.timetable.enter(&pair, plan.backoff.interval(), of);
                }
                let moved = known.plan.url() != plan.url();
                // What is being looked at, or how, may be another by now; anything else takes no look away: a list that
                // changes often would keep a slow failure from ever being judged.
                let same = known.plan.looks_like(&plan);
                known.stale |= !same && known.doing == Doing::Checking;
                known.plan = if same { known.plan.renewed(&plan) } else { plan };
                if moved {
                    known.judge.moved();
                }
                if moved && known.moved() {
                    self.timetable.at_once(&pair);
                }
            } else {
                reloaded.added += 1;
                reloaded.added_pairs.push(pair);
                self.enter_one(plan, None, of);
            }
        }
        self.listen();
        for pair in self.pairs.keys().cloned().collect::<Vec<_>>() {
            self.disown(&pair);
        }
        self.weather();
        self.miss_witnesses();
        self.reconsider();
        self.watched();
        reloaded.added_pairs.sort();
        reloaded.removed_pairs.sort();
        reloaded
    }

    /// Says what was begun for a pair and is not ended by the plan in force: nobody but a person can end it now.
    pub(super) fn disown(&mut self, pair: &PairName) {
        let Some(known) = self.pairs.get_mut(pair) else { return };
        let recovery = known.plan.recovery.clone();
        let Some((incident, command)) = known.judge.disown(recovery.as_deref().map(|rung| &*rung.command)) else {
            return;
        };
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        self.left_running(pair, incident, command, Refusal::Changed, &mut batch);
        self.keep_state(pair, &mut batch);
        self.ledger.record(batch);
    }

    pub(super) fn left_running(
        &mut self,
        pair: &PairName,
        incident: IncidentId,
        command: String,
        refusal: Refusal,
        batch: &mut Batch,
    ) {
        self.narrator.refused(pair, &refusal);
        self.tell_aftercare(pair, Some(incident), Deed::Refused { command, refusal }, batch);
    }
}

/// True when both run the same at the same places, in the same way.
fn is_same_ladder(one: &[Rung], other: &[Rung]) -> bool {
    let same =
        |(one, other): (&Rung, &Rung)| is_same_deed(one, other) && one.terms == other.terms && one.once == other.once;
    one.len() == other.len() && one.iter().zip(other).all(same)
}
