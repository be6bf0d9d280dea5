//! Stops: a person's word that nothing is healed, for all pairs, a site or one pair. Checks and notices go on.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::name::{PairName, SiteName};

/// For whom a stop holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything.
    All,
    /// The pairs of one site.
    Site(SiteName),
    /// One pair.
    Pair(PairName),
}

impl Scope {
    /// True when it holds for `pair`.
    pub fn covers(&self, pair: &PairName) -> bool {
        match self {
            Self::All => true,
            Self::Site(site) => pair.site == *site,
            Self::Pair(one) => pair == one,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all pairs"),
            Self::Site(site) => site.fmt(f),
            Self::Pair(pair) => pair.fmt(f),
        }
    }
}

/// One stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// For whom.
    pub scope: Scope,
    /// Who said so.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// When it ends by itself; absent when somebody has to resume it.
    pub until: Option<Timestamp>,
}

/// Every stop in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stops(Vec<Stop>);

impl Stops {
    /// Adds a stop; it replaces the one of the same scope.
    pub fn add(&mut self, stop: Stop) {
        self.0.retain(|old| old.scope != stop.scope);
        self.0.push(stop);
    }

    /// Ends what holds for `scope` or for part of it; gives how many that were.
    pub fn end(&mut self, scope: &Scope) -> usize {
        let before = self.0.len();
        self.0.retain(|stop| match (scope, &stop.scope) {
            (Scope::All, _) => false,
            (Scope::Site(site), Scope::Pair(pair)) => pair.site != *site,
            (one, other) => one != other,
        });
        before - self.0.len()
    }

    /// The stop that holds for `pair`: of several, the one that lasts longest.
    pub fn of(&self, pair: &PairName, now: Timestamp) -> Option<&Stop> {
        let lasts = |stop: &&Stop| stop.until.unwrap_or(Timestamp::MAX);
        self.in_force(now).filter(|stop| stop.scope.covers(pair)).max_by_key(lasts)
    }

    /// What is in force.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Stop> {
        self.0.iter().filter(move |stop| stop.until.is_none_or(|until| now < until))
    }

    /// Moves what is remembered with a wall clock that was set back by `gap`.
    pub fn set_back(&mut self, gap: SignedDuration) {
        let back = |at: &mut Timestamp| *at = at.checked_sub(gap).unwrap_or(Timestamp::MIN);
        for stop in &mut self.0 {
            back(&mut stop.since);
            stop.until.iter_mut().for_each(back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(scope: Scope, until: Option<i64>) -> Stop {
        let until = until.map(|second| Timestamp::from_second(second).unwrap());
        Stop { scope, by: "anna".into(), since: Timestamp::UNIX_EPOCH, until }
    }

    #[test]
    fn the_longest_of_several_is_the_reason_and_resuming_the_whole_ends_its_parts() {
        let (pair, other): (PairName, PairName) = ("DC1:SRV1".parse().unwrap(), "DC2:SRV1".parse().unwrap());
        let (one, site) = (Scope::Pair(pair.clone()), Scope::Site(pair.site.clone()));
        let now = Timestamp::from_second(50).unwrap();
        let mut stops = Stops::default();
        stops.add(stop(one.clone(), Some(40)));
        assert_eq!(stops.of(&pair, now), None, "it is over");
        stops.add(stop(one.clone(), Some(60)));
        stops.add(stop(site.clone(), None));
        assert_eq!(stops.of(&pair, now).map(|stop| &stop.scope), Some(&site));
        assert_eq!(stops.of(&other, now), None);
        assert_eq!(stops.end(&one), 1, "the site's stays");
        assert!(stops.of(&pair, now).is_some());
        stops.add(stop(one, None));
        assert_eq!(stops.end(&site), 2);
        assert_eq!(stops.end(&Scope::All), 0);
    }
}
