//! Entering pairs: at the start with what was saved, and at a reload with what is already known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::judge::Judge;
use crate::domain::memory::Memory;
use crate::domain::name::PairName;
use crate::domain::outage::State;
use crate::domain::record::Records;
use crate::domain::refusal::Refusal;
use crate::domain::step::Seen;

use crate::domain::remedy::Verdict;
use crate::probe::wire::Pushes;
use crate::store::Order;

use super::decide::READY_WITHIN;
use super::ledger::Batch;
use super::plan::{Plan, Plans, Rung};
use super::{Engine, Pair, Report};

/// What the agent before this one saved.
#[derive(Debug, Default)]
pub struct Saved {
    /// Every pair's state.
    pub states: HashMap<PairName, State>,
    /// Runs that may still count against a budget: the pair and the moment.
    pub runs: Vec<(PairName, Timestamp)>,
    /// Commands that were ordered and whose end nobody saw.
    pub unfinished: Vec<Order>,
    /// The latest ones that were found unfinished at an earlier start; their hosts may still be at work.
    pub interrupted: Vec<Order>,
    /// Changes of state that may still count as flapping, oldest first: the pair and the moment.
    pub changes: Vec<(PairName, Timestamp)>,
    /// What else the guard remembered.
    pub memory: Memory,
    /// What commands have achieved.
    pub records: Records,
    /// What servers had reported; the probes look at the same.
    pub pushes: Arc<Pushes>,
    /// True when this machine was started anew since: what was running on it is not.
    pub rebooted: bool,
}

impl Engine {
    /// Enters all pairs at the start.
    pub(super) fn enter(&mut self, plans: Plans, mut saved: Saved) {
        let now = self.clock.now();
        for (pair, at) in &saved.runs {
            // The clock may have been set back while we were off; what lies ahead would count for too long.
            self.guard.started(pair, (*at).min(now));
        }
        self.guard.calm(std::mem::take(&mut saved.memory.calmed));
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
        self.alarms.flapping.retain(|pair, _| self.pairs.contains_key(pair));
        self.guard.resumed(saved.memory, now, of);
        self.weather_resumed();
        self.miss_witnesses();
        // Only now it is known whose failures are told.
        for pair in known {
            self.disown(&pair);
            if let Some(known) = self.pairs.get_mut(&pair).filter(|_| saved.rebooted) {
                known.judge.machine_restarted();
            }
            self.hush(&pair);
            self.see(&pair, Seen::Resumed);
        }
        for (pair, mut state) in saved.states {
            // It was taken out of the configuration while we were off.
            let mut batch = Batch::new(pair.clone(), now);
            if let Some((incident, command)) = state.disown(None) {
                self.left_running(&pair, incident, command, Refusal::Retired, &mut batch);
            }
            let outage = match &state {
                State::Down(outage) => Some(&**outage),
                State::Fresh | State::Up { .. } => None,
            };
            batch.retired(outage, None);
            self.ledger.record(batch);
        }
        self.listen();
        for order in &saved.unfinished {
            self.interrupted(order);
        }
        self.leave(saved.unfinished.iter().chain(&saved.interrupted));
        self.watched();
    }

    fn is_down(&self, pair: &PairName) -> bool {
        self.pairs.get(pair).is_some_and(|known| known.judge.outage().is_some())
    }

    /// Writes down who is watched from now on.
    pub(super) fn watched(&self) {
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
    fn leave<'a>(&mut self, orders: impl Iterator<Item = &'a Order>) {
        let mut busy: HashMap<String, Duration> = HashMap::new();
        for order in orders {
            let of_pair = self.pairs.get(&order.pair).and_then(|known| rung_of(&known.plan, order));
            // Of a pair that was taken out, others of its site know the host.
            let rungs = || self.pairs.values().flat_map(|known| known.plan.ladder.iter());
            let Some(rung) = of_pair.or_else(|| rungs().find(|rung| rung.site == order.site)) else { continue };
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

    pub(super) fn enter_one(&mut self, plan: Arc<Plan>, state: Option<State>, of: usize) {
        let pair = plan.pair.clone();
        let judge = Judge::new(plan.rules(), state.unwrap_or(State::Fresh));
        if let Some(outage) = judge.outage() {
            self.guard.fell(&pair, outage.since);
            self.narrator.still_down(&pair, outage);
        }
        self.timetable.enter(&pair, plan.backoff.interval(), of);
        self.pairs.insert(pair, Pair::new(plan, judge));
    }
}

/// What an order was for, as it is planned now. Rung 0 of an incident is what is run on recovery; without one it is a drill.
fn rung_of<'a>(plan: &'a Plan, order: &Order) -> Option<&'a Rung> {
    let is_recovery = order.rung == 0 && order.incident.is_some();
    if is_recovery { plan.recovery.as_deref() } else { plan.rung(order.rung) }
}
