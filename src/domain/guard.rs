//! The guard: may this remedy run now? It answers with a permit or with the reason why not.
//!
//! What it knows survives restarts because the engine feeds it the recorded runs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::name::PairName;
use super::reading::Cause;
use super::refusal::Refusal;

/// `REMEDY_BUDGET`: so many runs per pair inside a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Runs allowed.
    pub runs: u32,
    /// Length of the window.
    pub window: Duration,
}

/// What the guard goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Runs per pair.
    pub budget: Budget,
    /// `STORM_LIMIT` as a share, 0..=1: more pairs than this going down together are a storm.
    pub storm_share: f64,
    /// Pairs that went down within this time count as together.
    pub storm_window: Duration,
    /// `DRY_RUN`.
    pub dry_run: bool,
}

/// At least so many pairs make a storm; in a set of two, "half" is no evidence.
pub const STORM_MIN: usize = 3;

/// Proof that the guard said yes; nothing runs without one.
#[derive(Debug)]
pub struct Permit(());

/// The guard and its memory.
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    runs: HashMap<PairName, VecDeque<Timestamp>>,
    /// Pairs down now, with the moment they fell.
    down: HashMap<PairName, Timestamp>,
    storm: bool,
}

impl Guard {
    /// Starts without memory.
    pub fn new(rules: Rules) -> Self {
        Self { rules, runs: HashMap::new(), down: HashMap::new(), storm: false }
    }

    /// Takes new rules; what was counted stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Remembers that a remedy of `pair` was started at `at`.
    pub fn started(&mut self, pair: &PairName, at: Timestamp) {
        self.runs.entry(pair.clone()).or_default().push_back(at);
    }

    /// Takes the last run of `pair` back: it was permitted and never sent.
    pub fn unsent(&mut self, pair: &PairName) {
        if let Some(runs) = self.runs.get_mut(pair) {
            runs.pop_back();
        }
    }

    /// Says that the wall clock was set back by `gap`: what was remembered moves with it, or it would count for `gap` longer.
    pub fn set_back(&mut self, gap: Duration) {
        let Ok(gap) = jiff::SignedDuration::try_from(gap) else { return };
        for at in self.runs.values_mut().flatten().chain(self.down.values_mut()) {
            *at = at.checked_sub(gap).unwrap_or(Timestamp::MIN);
        }
    }

    /// Remembers that `pair` fell at `at`.
    pub fn fell(&mut self, pair: &PairName, at: Timestamp) {
        self.down.entry(pair.clone()).or_insert(at);
    }

    /// Remembers that `pair` is up again, or watched no more.
    pub fn rose(&mut self, pair: &PairName) {
        self.down.remove(pair);
    }

    /// Runs of `pair` that still count against its budget.
    pub fn spent(&mut self, pair: &PairName, now: Timestamp) -> u32 {
        let window = self.rules.budget.window;
        let Some(runs) = self.runs.get_mut(pair) else { return 0 };
        runs.retain(|at| age(*at, now) < window);
        let spent = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        if runs.is_empty() {
            self.runs.remove(pair);
        }
        spent
    }

    /// Pairs that are down.
    pub fn down(&self) -> usize {
        self.down.len()
    }

    /// True while too many pairs are down together.
    pub fn storm(&mut self, now: Timestamp, watched: usize) -> bool {
        let recent = self.down.values().filter(|at| age(**at, now) <= self.rules.storm_window).count();
        // Once it has begun, a storm lasts while too many of them stay down: the first re-check must not run what the
        // first check held back.
        self.storm = self.is_storm(recent, watched) || (self.storm && self.is_storm(self.down.len(), watched));
        self.storm
    }

    /// Decides whether a remedy of `pair`, down for `cause`, may run now, among `watched` pairs.
    pub fn decide(&mut self, pair: &PairName, cause: Cause, now: Timestamp, watched: usize) -> Result<Permit, Refusal> {
        if cause == Cause::Dns {
            return Err(Refusal::NameNotFound);
        }
        if self.storm(now, watched) {
            return Err(Refusal::Storm { down: self.down.len(), of: watched });
        }
        let Budget { runs, window } = self.rules.budget;
        if self.spent(pair, now) >= runs {
            let oldest = self.runs.get(pair).and_then(VecDeque::front).copied().unwrap_or(now);
            let until = jiff::SignedDuration::try_from(window).ok().and_then(|w| oldest.checked_add(w).ok());
            return Err(Refusal::BudgetSpent { until: until.unwrap_or(now), runs, window_s: window.as_secs() });
        }
        if self.rules.dry_run {
            return Err(Refusal::DryRun);
        }
        Ok(Permit(()))
    }

    /// Decides whether what was permitted before may still run, after it had to wait for its turn.
    pub fn still(&mut self, now: Timestamp, watched: usize) -> Result<(), Refusal> {
        if self.storm(now, watched) {
            return Err(Refusal::Storm { down: self.down.len(), of: watched });
        }
        if self.rules.dry_run { Err(Refusal::DryRun) } else { Ok(()) }
    }

    /// Takes up a storm after a restart: when too many are down, what was held back is not run now, since nobody remembers
    /// why it was.
    pub fn resumed(&mut self, watched: usize) {
        self.storm = self.is_storm(self.down.len(), watched);
    }

    fn is_storm(&self, count: usize, watched: usize) -> bool {
        count >= STORM_MIN && share(count, watched) > self.rules.storm_share
    }

    /// Permits a person's own order: the budget and the storm limit are against our own zeal, not against theirs.
    pub fn by_hand(&self) -> Result<Permit, Refusal> {
        if self.rules.dry_run { Err(Refusal::DryRun) } else { Ok(Permit(())) }
    }
}

fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "counts of pairs are far below 2^52")]
fn share(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
