//! Entering pairs: at the start with what was saved, and at a reload with what is already known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::domain::guard::Memory;
use crate::domain::judge::Judge;
use crate::domain::name::PairName;
use crate::domain::outage::State;
use crate::domain::record::Records;
use crate::domain::step::Seen;

use crate::domain::remedy::Verdict;
use crate::store::Order;

use super::decide::READY_WITHIN;
use super::handle::Reloaded;
use super::ledger::Batch;
use super::plan::{Plan, Plans, Rung};
use super::{Doing, Engine, Pair, Report};

/// What the agent before this one saved.
#[derive(Debug, Default)]
pub struct Saved {
    /// Every pair's state.
    pub states: HashMap<PairName, State>,
    /// Runs that may still count against a budget: the pair and the moment.
    pub runs: Vec<(PairName, Timestamp)>,
    /// Commands that were ordered and whose end nobody saw.
    pub unfinished: Vec<Order>,
    /// Changes of state that may still count as flapping, oldest first: the pair and the moment.
    pub changes: Vec<(PairName, Timestamp)>,
    /// What else the guard remembered.
    pub memory: Memory,
    /// What commands have achieved.
    pub records: Records,
}

impl Engine {
    /// Enters all pairs at the start.
    pub(super) fn enter(&mut self, plans: Plans, mut saved: Saved) {
        let now = self.clock.now();
        for (pair, at) in &saved.runs {
            // The clock may have been set back while we were off; what lies ahead would count for too long.
            self.guard.started(pair, (*at).min(now));
        }
        for (pair, at) in &saved.changes {
            self.guard.changed(pair, (*at).min(now));
        }
        self.records = saved.records;
        let of = plans.pairs.len();
        let mut known = Vec::new();
        for plan in plans.pairs {
            let state = saved.states.remove(&plan.pair);
            known.extend(state.is_some().then(|| plan.pair.clone()));
            self.enter_one(plan, state, of);
        }
        let down: Vec<PairName> = known.iter().filter(|pair| self.is_down(pair)).cloned().collect();
        for pair in &down {
            self.count(pair);
        }
        self.alarms = saved.memory.alarms.clone();
        self.guard.resumed(saved.memory, now, of);
        self.weather_resumed();
        self.miss_witnesses();
        // Only now it is known whose failures are told.
        for pair in known {
            self.hush(&pair);
            self.see(&pair, Seen::Resumed);
        }
        for (pair, state) in saved.states {
            // It was taken out of the configuration while we were off.
            let mut batch = Batch::new(pair, now);
            batch.retired(match &state {
                State::Down(outage) => Some(outage),
                State::Fresh | State::Up { .. } => None,
            });
            self.ledger.record(batch);
        }
        for order in &saved.unfinished {
            self.interrupted(order);
        }
        self.leave(&saved.unfinished);
        self.watched();
    }

    fn is_down(&self, pair: &PairName) -> bool {
        self.pairs.get(pair).is_some_and(|known| known.judge.outage().is_some())
    }

    /// Writes down who is watched from now on.
    fn watched(&self) {
        let mut batch = Batch::of_agent(self.clock.now());
        batch.watched(self.pairs.keys().cloned().collect());
        self.ledger.record(batch);
    }

    /// Gives a command whose end nobody saw its verdict and its record; what follows for its pair is the judge's.
    fn interrupted(&self, order: &Order) {
        let known = self.pairs.get(&order.pair).and_then(|known| rung_of(&known.plan, order));
        let host = known.map_or(order.site.as_str(), |rung| rung.remedy.host());
        self.ledger.audit(self.ledger.interrupted_record(order, host, self.clock.now()));
        let mut batch = Batch::new(order.pair.clone(), self.clock.now());
        batch.judged(order.run, Verdict::Interrupted);
        self.ledger.record(batch);
    }

    /// Leaves hosts alone for as long as a command whose end nobody saw may take: a host never runs two at once.
    fn leave(&mut self, orders: &[Order]) {
        let mut busy: HashMap<String, Duration> = HashMap::new();
        for order in orders {
            let Some(rung) = self.pairs.get(&order.pair).and_then(|known| rung_of(&known.plan, order)) else {
                continue;
            };
            let passed = Duration::try_from(self.clock.now().duration_since(order.at)).unwrap_or_default();
            let left = (rung.limit + READY_WITHIN).saturating_sub(passed);
            let longest = busy.entry(rung.remedy.lane().to_owned()).or_default();
            *longest = left.max(*longest);
        }
        for (host, left) in busy.into_iter().filter(|(_, left)| !left.is_zero()) {
            self.lanes.leave(&host);
            self.rounds.spawn(async move {
                tokio::time::sleep(left).await;
                Report::Over { host }
            });
        }
    }

    /// Gives a host to those who waited until what was left there was over.
    pub(super) fn over(&mut self, host: &str) {
        if self.lanes.over(host) {
            self.next_turn(host);
        }
    }

    fn enter_one(&mut self, plan: Arc<Plan>, state: Option<State>, of: usize) {
        let pair = plan.pair.clone();
        let judge = Judge::new(plan.rules(), state.unwrap_or(State::Fresh));
        if let Some(outage) = judge.outage() {
            self.guard.fell(&pair, outage.since);
            self.narrator.still_down(&pair, outage);
        }
        self.timetable.enter(&pair, plan.backoff.interval(), of);
        self.pairs.insert(pair, Pair::new(plan, judge));
    }

    /// Swaps what is watched: new pairs enter, old ones leave, the rest keep their state under the new rules.
    pub(super) fn reload(&mut self, plans: Plans) -> Reloaded {
        self.guard.set_rules(plans.guard);
        self.gate = Arc::new(Semaphore::new(plans.attempts_at_once));
        self.places = Arc::new(Semaphore::new(plans.remedies_at_once));
        let wanted: HashMap<PairName, Arc<Plan>> =
            plans.pairs.into_iter().map(|plan| (plan.pair.clone(), plan)).collect();
        let gone: Vec<PairName> = self.pairs.keys().filter(|pair| !wanted.contains_key(*pair)).cloned().collect();
        for pair in &gone {
            self.timetable.leave(pair);
            // Its runs and changes still count, should it come back within their window.
            self.guard.rose(pair);
            if let Some(left) = self.pairs.remove(pair) {
                let mut batch = Batch::new(pair.clone(), self.clock.now());
                batch.retired(left.judge.outage());
                self.ledger.record(batch);
            }
        }
        let of = wanted.len();
        let mut reloaded = Reloaded { removed: gone.len(), ..Reloaded::default() };
        for (pair, plan) in wanted {
            if let Some(known) = self.pairs.get_mut(&pair) {
                reloaded.kept += 1;
                known.judge.set_rules(plan.rules());
                if known.judge.outage().is_some() {
                    self.timetable.set_interval(&pair, plan.backoff.interval());
                } else {
                    self.timetable.enter(&pair, plan.backoff.interval(), of);
                }
                let moved = known.plan.url() != plan.url();
                known.plan = plan;
                if moved && known.moved() {
                    self.timetable.at_once(&pair);
                }
                // What is being looked at may be another target by now.
                known.stale = known.doing == Doing::Checking;
            } else {
                reloaded.added += 1;
                self.enter_one(plan, None, of);
            }
        }
        self.weather();
        self.miss_witnesses();
        self.watched();
        reloaded
    }
}

/// What an order was for, as it is planned now. Rung 0 of an incident is what is run on recovery; without one it is a drill.
fn rung_of<'a>(plan: &'a Plan, order: &Order) -> Option<&'a Rung> {
    let is_recovery = order.rung == 0 && order.incident.is_some();
    if is_recovery { plan.recovery.as_deref() } else { plan.rung(order.rung) }
}
