//! The guard: may this remedy run now? It answers with a permit or with the reason why not.
//!
//! What it knows survives restarts: the engine feeds it the recorded runs and changes, and saves its [`Memory`].

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::alarm::Alarms;
use super::evidence::{Evidence, Quiet};
use super::flap::{self, Changes, Flapping};
use super::maintenance::Calendar;
use super::memory::Memory;
use super::moment::{later, until};
use super::name::{PairName, ServerName};
use super::reading::Cause;
use super::refusal::Refusal;
use super::stop::{Scope, Stop, Stops};
use super::storm::{self, Sample, Weather};

/// `REMEDY_BUDGET`: so many runs per pair inside a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Runs allowed.
    pub runs: u32,
    /// Length of the window.
    pub window: Duration,
}

/// What the guard goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Runs per pair.
    pub budget: Budget,
    /// `REMEDY_COOLDOWN`: between two runs of one pair.
    pub cooldown: Duration,
    /// Too many pairs down together.
    pub storm: storm::Rules,
    /// Too many changes of one pair.
    pub flap: flap::Limit,
    /// Planned times.
    pub maintenance: Calendar,
    /// `DRY_RUN`.
    pub dry_run: bool,
}

/// Proof that the guard said yes; nothing runs without one.
#[derive(Debug)]
pub struct Permit(());

/// The guard and its memory.
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    runs: HashMap<PairName, VecDeque<Timestamp>>,
    weather: Weather,
    changes: Changes,
    stops: Stops,
}

impl Guard {
    /// Starts without memory.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            runs: HashMap::new(),
            weather: Weather::default(),
            changes: Changes::default(),
            stops: Stops::default(),
        }
    }

    /// Takes new rules; what was counted stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Remembers that a remedy of `pair` was started at `at`.
    pub fn started(&mut self, pair: &PairName, at: Timestamp) {
        self.runs.entry(pair.clone()).or_default().push_back(at);
    }

    /// Takes the run of `pair` back that was permitted at `at` and never sent.
    pub fn unsent(&mut self, pair: &PairName, at: Timestamp) {
        if let Some(runs) = self.runs.get_mut(pair)
            && let Some(its_own) = runs.iter().rposition(|started| *started <= at)
        {
            runs.remove(its_own);
        }
    }

    /// Says that the wall clock was set back by `gap`: what was remembered moves with it, or it would count for `gap` longer.
    pub fn set_back(&mut self, gap: Duration) {
        let Ok(gap) = SignedDuration::try_from(gap) else { return };
        for at in self.runs.values_mut().flatten() {
            *at = at.checked_sub(gap).unwrap_or(Timestamp::MIN);
        }
        self.weather.set_back(gap);
        self.changes.set_back(gap);
        self.stops.set_back(gap);
    }

    /// Remembers that `pair` is down since `at`.
    pub fn fell(&mut self, pair: &PairName, at: Timestamp) {
        self.weather.fell(pair, at);
    }

    /// Remembers that `pair` is up again, or watched no more.
    pub fn rose(&mut self, pair: &PairName) {
        self.weather.rose(pair);
    }

    /// Remembers that `pair` went down or came up at `at`.
    pub fn changed(&mut self, pair: &PairName, at: Timestamp) {
        self.changes.add(&self.rules.flap, pair, at);
    }

    /// Says whether `pair` flaps.
    pub fn flapping(&mut self, pair: &PairName, now: Timestamp) -> Option<Flapping> {
        self.changes.flapping(&self.rules.flap, pair, now)
    }

    /// The window in which changes count.
    pub fn flap_window(&self) -> Duration {
        self.rules.flap.window
    }

    /// Runs of `pair` that still count against its budget.
    pub fn spent(&mut self, pair: &PairName, now: Timestamp) -> u32 {
        let window = self.rules.budget.window.max(self.rules.cooldown);
        let budget = self.rules.budget.window;
        let Some(runs) = self.runs.get_mut(pair) else { return 0 };
        runs.retain(|at| until(*at, now) < window);
        let spent = runs.iter().filter(|at| until(**at, now) < budget).count();
        if runs.is_empty() {
            self.runs.remove(pair);
        }
        u32::try_from(spent).unwrap_or(u32::MAX)
    }

    /// Pairs that are down.
    pub fn down(&self) -> usize {
        self.weather.down()
    }

    /// True when the server of any pair that is down is this one.
    pub fn is_down(&self, server: &ServerName) -> bool {
        self.weather.is_down(server)
    }

    /// True while too many pairs are down together.
    pub fn storm(&mut self, now: Timestamp, watched: usize) -> bool {
        self.weather.rages(&self.rules.storm, now, watched)
    }

    /// True when others should be looked at before a failure is believed.
    pub fn wants_sample(&self, watched: usize) -> bool {
        self.weather.wants_sample(&self.rules.storm, watched)
    }

    /// How many of a sample have to fail to make a storm of it, together with `pair`.
    pub fn needed(&self, pair: &PairName, now: Timestamp, watched: usize, looked: usize) -> usize {
        self.weather.needed(&self.rules.storm, pair, now, watched, looked)
    }

    /// Takes a sample of others that was made because `pair` failed.
    pub fn sampled(&mut self, pair: &PairName, now: Timestamp, watched: usize, sample: Sample) {
        self.weather.sampled(&self.rules.storm, pair, now, watched, sample);
    }

    /// Stops healing for some or all.
    pub fn stop(&mut self, stop: Stop) {
        self.stops.add(stop);
    }

    /// Lets healing go on, on a person's word: that ends what they stopped, and the hold on pairs that flap; for all pairs
    /// a storm too. Gives how many stops ended.
    pub fn resume(&mut self, scope: &Scope, now: Timestamp) -> usize {
        self.changes.forget(&self.rules.flap, scope, now);
        if *scope == Scope::All {
            self.weather.overrule();
        }
        self.stops.end(scope)
    }

    /// When the maintenance of `pair` that is under way ends.
    pub fn maintenance(&self, pair: &PairName, now: Timestamp) -> Option<Timestamp> {
        self.rules.maintenance.until(pair, now)
    }

    /// Stops in force.
    pub fn stops(&self, now: Timestamp) -> impl Iterator<Item = &Stop> {
        self.stops.in_force(now)
    }

    /// Says whether a failure of `pair` is told, and if not, why.
    pub fn quiet(&mut self, pair: &PairName, evidence: &Evidence, now: Timestamp, watched: usize) -> Option<Quiet> {
        if evidence.parent.is_some() {
            Some(Quiet::ParentDown)
        } else if self.rules.maintenance.until(pair, now).is_some() {
            Some(Quiet::Maintenance)
        } else if self.storm(now, watched) {
            Some(Quiet::Storm)
        } else {
            self.flapping(pair, now).map(|_| Quiet::Flapping)
        }
    }

    /// Decides whether a remedy of `pair`, down for `cause`, may run now, among `watched` pairs.
    pub fn decide(
        &mut self,
        pair: &PairName,
        cause: Cause,
        evidence: &Evidence,
        now: Timestamp,
        watched: usize,
    ) -> Result<Permit, Refusal> {
        if let Some(parent) = &evidence.parent {
            return Err(Refusal::ParentDown { parent: parent.clone() });
        }
        match cause {
            Cause::Dns => return Err(Refusal::NameNotFound),
            Cause::Login => return Err(Refusal::LoginRefused),
            Cause::Starting => return Err(Refusal::Starting),
            Cause::Untrusted => return Err(Refusal::Untrusted),
            _ => {}
        }
        self.unhindered(pair, now, watched)?;
        if let Some(refusal) = evidence.afar.objection() {
            return Err(refusal);
        }
        self.affordable(pair, now)?;
        if self.rules.dry_run { Err(Refusal::DryRun) } else { Ok(Permit(())) }
    }

    /// Decides whether what is run on the recovery of `pair` may run now. What is repeated until it is done ends what was
    /// begun, and has no budget: two machines would serve.
    pub fn decide_recovery(&mut self, pair: &PairName, now: Timestamp, repeated: bool) -> Result<Permit, Refusal> {
        self.stopped(pair, now)?;
        if !repeated {
            self.in_budget(pair, now)?;
        }
        if self.rules.dry_run { Err(Refusal::DryRun) } else { Ok(Permit(())) }
    }

    /// Decides whether what was permitted before may still run, after it had to wait for its turn.
    pub fn still(&mut self, pair: &PairName, now: Timestamp, watched: usize) -> Result<(), Refusal> {
        self.unhindered(pair, now, watched)?;
        if self.rules.dry_run { Err(Refusal::DryRun) } else { Ok(()) }
    }

    /// Permits a person's own order: the budget and the storm limit are against our own zeal, not against theirs.
    pub fn by_hand(&self) -> Result<Permit, Refusal> {
        if self.rules.dry_run { Err(Refusal::DryRun) } else { Ok(Permit(())) }
    }

    /// Refuses what the time forbids, whatever the pair did before.
    fn unhindered(&mut self, pair: &PairName, now: Timestamp, watched: usize) -> Result<(), Refusal> {
        self.stopped(pair, now)?;
        if self.storm(now, watched) {
            return Err(Refusal::Storm { down: self.weather.down(), of: watched });
        }
        match self.flapping(pair, now) {
            Some(Flapping { changes, .. }) => {
                Err(Refusal::Flapping { changes, window_s: self.rules.flap.window.as_secs() })
            }
            None => Ok(()),
        }
    }

    /// Refuses what a person stopped, or planned to be left alone.
    pub fn stopped(&self, pair: &PairName, now: Timestamp) -> Result<(), Refusal> {
        if let Some(Stop { by, since, until, .. }) = self.stops.of(pair, now) {
            return Err(Refusal::Stopped { by: by.clone(), since: *since, until: *until });
        }
        self.rules.maintenance.until(pair, now).map_or(Ok(()), |until| Err(Refusal::Maintenance { until }))
    }

    /// Refuses what the pair's own runs forbid.
    fn affordable(&mut self, pair: &PairName, now: Timestamp) -> Result<(), Refusal> {
        self.in_budget(pair, now)?;
        let last = self.runs.get(pair).and_then(VecDeque::back);
        match last.filter(|at| until(**at, now) < self.rules.cooldown).map(|last| later(*last, self.rules.cooldown)) {
            Some(until) => Err(Refusal::Cooldown { until }),
            None => Ok(()),
        }
    }

    fn in_budget(&mut self, pair: &PairName, now: Timestamp) -> Result<(), Refusal> {
        let Budget { runs, window } = self.rules.budget;
        let spent = self.spent(pair, now);
        let known = self.runs.get(pair);
        if spent >= runs {
            let counted = known.and_then(|known| known.iter().find(|at| until(**at, now) < window));
            let until = counted.map_or(now, |oldest| later(*oldest, window));
            return Err(Refusal::BudgetSpent { until, runs, window_s: window.as_secs() });
        }
        Ok(())
    }

    /// What is to be saved.
    pub fn memory(&self, now: Timestamp) -> Memory {
        let mut stops = Stops::default();
        self.stops.in_force(now).cloned().for_each(|stop| stops.add(stop));
        let calmed = self.changes.calmed().clone();
        Memory { stops, storm: self.weather.raging(), calmed, alarms: Alarms::default() }
    }

    /// Takes up whose changes were forgotten, before those that are known are fed.
    pub fn calm(&mut self, calmed: flap::Calmed) {
        self.changes.calm(calmed);
    }

    /// Takes up what was saved, once every pair that is down was entered.
    pub fn resumed(&mut self, memory: Memory, now: Timestamp, watched: usize) {
        self.stops = memory.stops;
        memory.alarms.flapping.iter().for_each(|(pair, told)| self.changes.resumed(pair, told.since));
        self.weather.resumed(&self.rules.storm, memory.storm, now, watched);
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
