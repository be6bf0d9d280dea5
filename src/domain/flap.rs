//! Flapping: a pair that goes up and down too often is one piece of news, and no remedy has helped it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::moment::until;
use super::name::PairName;
use super::stop::Scope;

/// `FLAP_LIMIT`: so many changes of state inside a sliding window are flapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Changes; 0 turns it off.
    pub changes: u32,
    /// Length of the window.
    pub window: Duration,
}

/// A pair that flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// The first change that counted.
    pub since: Timestamp,
    /// Changes inside the window.
    pub changes: u32,
}

/// The changes of every pair that changed lately.
#[derive(Debug, Default)]
pub struct Changes {
    pairs: HashMap<PairName, Pair>,
    calmed: Calmed,
}

/// Whose changes count only from a moment on, because a person said so. It is saved, as the changes before it are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calmed(Vec<(Scope, Timestamp)>);

#[derive(Debug, Default)]
struct Pair {
    at: VecDeque<Timestamp>,
    since: Option<Timestamp>,
}

impl Changes {
    /// Remembers that `pair` changed its state at `at`.
    pub fn add(&mut self, limit: &Limit, pair: &PairName, at: Timestamp) {
        let is_forgotten = self.calmed.0.iter().any(|(scope, since)| at <= *since && scope.covers(pair));
        if limit.changes == 0 || is_forgotten {
            return;
        }
        let known = self.pairs.entry(pair.clone()).or_default();
        known.at.push_back(at);
        // Twice the limit is as much as the end of it needs.
        let keep = usize::try_from(limit.changes).unwrap_or(usize::MAX).saturating_mul(2);
        while known.at.len() > keep {
            known.at.pop_front();
        }
        known.settle(limit, at);
    }

    /// Says whether `pair` flaps. Once it does, it does until half as many changes are left in the window.
    pub fn flapping(&mut self, limit: &Limit, pair: &PairName, now: Timestamp) -> Option<Flapping> {
        let known = self.pairs.get_mut(pair)?;
        known.settle(limit, now);
        let flapping =
            known.since.map(|since| Flapping { since, changes: u32::try_from(known.at.len()).unwrap_or(u32::MAX) });
        if known.at.is_empty() {
            self.pairs.remove(pair);
        }
        flapping
    }

    /// Takes up that `pair` flaps since then, after a restart that may have forgotten the changes which began it.
    pub fn resumed(&mut self, pair: &PairName, since: Timestamp) {
        self.pairs.entry(pair.clone()).or_default().since.get_or_insert(since);
    }

    /// Forgets the changes of those pairs until now, on a person's word.
    pub fn forget(&mut self, limit: &Limit, scope: &Scope, now: Timestamp) {
        self.pairs.retain(|pair, _| !scope.covers(pair));
        self.calmed.0.retain(|(old, since)| old != scope && until(*since, now) < limit.window);
        self.calmed.0.push((scope.clone(), now));
    }

    /// Whose changes were forgotten.
    pub fn calmed(&self) -> &Calmed {
        &self.calmed
    }

    /// Takes up whose changes were forgotten before a restart; what is added after this is held against it.
    pub fn calm(&mut self, calmed: Calmed) {
        self.calmed = calmed;
    }

    /// Moves what is remembered with a wall clock that was set back by `gap`.
    pub fn set_back(&mut self, gap: SignedDuration) {
        let back = |at: &mut Timestamp| *at = at.checked_sub(gap).unwrap_or(Timestamp::MIN);
        self.calmed.0.iter_mut().for_each(|(_, since)| back(since));
        for known in self.pairs.values_mut() {
            known.at.iter_mut().for_each(back);
            known.since.iter_mut().for_each(back);
        }
    }
}

impl Pair {
    fn settle(&mut self, limit: &Limit, now: Timestamp) {
        self.at.retain(|at| until(*at, now) < limit.window);
        let count = u32::try_from(self.at.len()).unwrap_or(u32::MAX);
        if limit.changes > 0 && count >= limit.changes {
            self.since = self.since.or_else(|| self.at.front().copied());
        } else if limit.changes == 0 || count <= limit.changes / 2 {
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { changes: 6, window: Duration::from_hours(1) };

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
    }

    #[test]
    fn it_begins_at_the_limit_and_ends_at_half_of_it() {
        let pair: PairName = "DC1:SRV1".parse().unwrap();
        let mut changes = Changes::default();
        for minute in 0..5 {
            changes.add(&LIMIT, &pair, at(minute));
            assert_eq!(changes.flapping(&LIMIT, &pair, at(minute)), None);
        }
        changes.add(&LIMIT, &pair, at(5));
        let flapping = Flapping { since: at(0), changes: 6 };
        assert_eq!(changes.flapping(&LIMIT, &pair, at(5)), Some(flapping));
        assert!(changes.flapping(&LIMIT, &pair, at(61)).is_some(), "four are left");
        assert_eq!(changes.flapping(&LIMIT, &pair, at(62)), None, "three are left");
        assert_eq!(changes.flapping(&LIMIT, &pair, at(600)), None);
        assert!(changes.pairs.is_empty(), "what is over is forgotten");
    }

    #[test]
    fn a_limit_of_zero_turns_it_off() {
        let (pair, off): (PairName, _) = ("DC1:SRV1".parse().unwrap(), Limit { changes: 0, ..LIMIT });
        let mut changes = Changes::default();
        (0..50).for_each(|minute| changes.add(&off, &pair, at(minute)));
        assert_eq!(changes.flapping(&off, &pair, at(50)), None);
    }
}
