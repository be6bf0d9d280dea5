//! Storms: too many pairs down together speak against the observer, not against them.
//!
//! What the guard refuses because of one lives in `guard`; looking at others (the sample) is the engine's.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::moment::until;
use super::name::PairName;

/// At least so many pairs make a storm; in a set of two, "half" is no evidence.
pub const STORM_MIN: usize = 3;

/// What a storm is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// `STORM_LIMIT` as a share, 0..=1: more pairs than this going down together are a storm.
    pub share: f64,
    /// Pairs that went down within this time count as together.
    pub window: Duration,
    /// `STORM_QUIET`: it is over once so long not too many were down.
    pub quiet: Duration,
}

/// Pairs that were believed to be up, and were looked at once because another one fell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Looked at.
    pub looked: usize,
    /// Of these, not up.
    pub failing: usize,
}

/// A storm that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raging {
    /// When it began.
    pub since: Timestamp,
    /// When too many were last seen down.
    pub last: Timestamp,
}

/// Who is down, and whether that is a storm.
#[derive(Debug, Default)]
pub struct Weather {
    /// Pairs down now, with the moment they fell.
    down: HashMap<PairName, Timestamp>,
    raging: Option<Raging>,
    /// A person said that it is real: no storm is declared until not too many are down.
    overruled: bool,
}

impl Weather {
    /// Remembers that `pair` fell at `at`.
    pub fn fell(&mut self, pair: &PairName, at: Timestamp) {
        self.down.entry(pair.clone()).or_insert(at);
    }

    /// Remembers that `pair` is up again, or watched no more.
    pub fn rose(&mut self, pair: &PairName) {
        self.down.remove(pair);
    }

    /// Pairs that are down.
    pub fn down(&self) -> usize {
        self.down.len()
    }

    /// True when the server of any pair that is down is this one.
    pub fn is_down(&self, server: &super::name::ServerName) -> bool {
        self.down.keys().any(|pair| pair.server == *server)
    }

    /// Moves what is remembered with a wall clock that was set back by `gap`.
    pub fn set_back(&mut self, gap: SignedDuration) {
        let back = |at: &mut Timestamp| *at = at.checked_sub(gap).unwrap_or(Timestamp::MIN);
        self.down.values_mut().for_each(back);
        if let Some(raging) = &mut self.raging {
            back(&mut raging.since);
            back(&mut raging.last);
        }
    }

    /// True when others should be looked at before this one is believed: nobody knows yet, and it could be a storm.
    pub fn wants_sample(&self, rules: &Rules, watched: usize) -> bool {
        self.raging.is_none() && !self.overruled && rules.share < 1.0 && watched >= STORM_MIN
    }

    /// How many of a sample of `looked` have to fail to make a storm of it, together with `pair` that just failed; the look
    /// may end as soon as that is decided.
    pub fn needed(&self, rules: &Rules, pair: &PairName, now: Timestamp, watched: usize, looked: usize) -> usize {
        let more = usize::from(!self.down.contains_key(pair));
        let storm = |failing: &usize| self.would_be(rules, now, watched, more, Sample { looked, failing: *failing });
        (0..=looked).find(storm).unwrap_or(looked + 1)
    }

    /// Takes a sample that was made because `pair` failed: its share stands for all that are believed to be up.
    pub fn sampled(&mut self, rules: &Rules, pair: &PairName, now: Timestamp, watched: usize, sample: Sample) {
        let more = usize::from(!self.down.contains_key(pair));
        if !self.overruled && self.would_be(rules, now, watched, more, sample) {
            self.runtil(now);
        }
    }

    fn would_be(&self, rules: &Rules, now: Timestamp, watched: usize, more: usize, sample: Sample) -> bool {
        if sample.looked == 0 {
            return false;
        }
        let rest = watched.saturating_sub(self.down.len() + more);
        let failing = rest.saturating_mul(sample.failing) / sample.looked;
        is_storm(rules, self.recent(rules, now) + more + failing, watched)
    }

    fn recent(&self, rules: &Rules, now: Timestamp) -> usize {
        self.down.values().filter(|at| until(**at, now) <= rules.window).count()
    }

    /// True while too many pairs are down together, and for the quiet time after that.
    pub fn rages(&mut self, rules: &Rules, now: Timestamp, watched: usize) -> bool {
        let many = is_storm(rules, self.down.len(), watched);
        if !many {
            self.overruled = false;
        }
        // Once it has begun, it lasts while too many of them stay down: the first re-check must not run what the first
        // check held back.
        if is_storm(rules, self.recent(rules, now), watched) || (self.raging.is_some() && many) {
            self.runtil(now);
        } else if self.raging.is_some_and(|raging| until(raging.last, now) >= rules.quiet) {
            self.raging = None;
        }
        self.raging.is_some() && !self.overruled
    }

    fn runtil(&mut self, now: Timestamp) {
        self.raging = Some(Raging { since: self.raging.map_or(now, |raging| raging.since), last: now });
    }

    /// The storm that goes on.
    pub fn raging(&self) -> Option<Raging> {
        self.raging.filter(|_| !self.overruled)
    }

    /// Takes a person's word that what is down is down.
    pub fn overrule(&mut self) {
        if self.raging.take().is_some() {
            self.overruled = true;
        }
    }

    /// Takes up a storm after a restart. When nobody knows of one and too many are down, what was held back is not run
    /// now, since nobody remembers why it was.
    pub fn resumed(&mut self, rules: &Rules, raging: Option<Raging>, now: Timestamp, watched: usize) {
        // Nobody saw whether it was quiet while we were off: the quiet time begins anew.
        self.raging = raging.map(|raging| Raging { last: now, ..raging });
        if is_storm(rules, self.down.len(), watched) {
            self.runtil(now);
        }
    }
}

fn is_storm(rules: &Rules, count: usize, watched: usize) -> bool {
    count >= STORM_MIN && share(count, watched) > rules.share
}

#[expect(clippy::cast_precision_loss, reason = "counts of pairs are far below 2^52")]
fn share(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { share: 0.5, window: Duration::from_mins(1), quiet: Duration::from_mins(5) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn pair(n: usize) -> PairName {
        format!("DC1:SRV{n}").parse().unwrap()
    }

    fn fallen(count: usize, second: i64) -> Weather {
        let mut weather = Weather::default();
        (0..count).for_each(|n| weather.fell(&pair(n), at(second)));
        weather
    }

    #[test]
    fn one_that_falls_with_its_whole_sample_makes_a_storm_and_one_alone_does_not() {
        for (failing, storm) in [(20, true), (11, true), (10, false), (2, false), (0, false)] {
            let mut weather = fallen(1, 0);
            weather.sampled(&RULES, &pair(0), at(0), 200, Sample { looked: 20, failing });
            assert_eq!(weather.rages(&RULES, at(0), 200), storm, "{failing} of 20 fail");
            assert_eq!(
                failing >= Weather::default().needed(&RULES, &pair(1), at(0), 200, 20),
                storm,
                "{failing} of 20 decide"
            );
        }
    }

    #[test]
    fn a_storm_is_over_after_a_quiet_time_and_not_before() {
        let mut weather = fallen(6, 0);
        assert!(weather.rages(&RULES, at(1), 10));
        assert!(weather.rages(&RULES, at(1000), 10), "as long as they stay down");
        (0..4).for_each(|n| weather.rose(&pair(n)));
        assert!(weather.rages(&RULES, at(1001), 10), "it may come back");
        assert!(weather.rages(&RULES, at(1299), 10));
        assert!(!weather.rages(&RULES, at(1300), 10));
    }

    #[test]
    fn a_person_overrules_a_storm_until_not_too_many_are_down() {
        let mut weather = fallen(6, 0);
        assert!(weather.rages(&RULES, at(1), 10));
        weather.overrule();
        assert!(!weather.rages(&RULES, at(2), 10) && weather.raging().is_none());
        (0..6).for_each(|n| weather.rose(&pair(n)));
        assert!(!weather.rages(&RULES, at(1000), 10));
        (0..6).for_each(|n| weather.fell(&pair(n), at(2000)));
        assert!(weather.rages(&RULES, at(2000), 10), "the next one counts again");
    }

    #[test]
    fn two_of_two_are_no_storm_and_slow_decay_is_none_either() {
        assert!(!fallen(2, 0).rages(&RULES, at(1), 2));
        let mut slow = Weather::default();
        for n in 1..=9 {
            let now = at(i64::try_from(n).unwrap() * 1000);
            slow.fell(&pair(n), now);
            assert!(!slow.rages(&RULES, now, 10));
        }
    }
}
