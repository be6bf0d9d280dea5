//! Pairs that cannot be looked at for long: that is no outage, nothing is healed for it, and yet somebody has to know.
//!
//! What lies with this machine as a whole (its resolver, its network, its resources) is told once for all pairs; what lies
//! with one pair's probe (a missing script, a host key) is told of that pair.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::alarm::Told;
use crate::domain::moment::until;
use crate::domain::name::PairName;
use crate::domain::notice::News;
use crate::domain::reading::{Cause, Fault, Outcome};
use crate::domain::remedy::IncidentId;

use super::Engine;
use super::ledger::Batch;
use super::pair::Pair;

/// Checks in a row that have to be unknown: one alone may be a moment's trouble, however long the interval is.
const CHECKS: u32 = 2;

/// Checks of a pair that could not look, in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unseen {
    pub since: Timestamp,
    checks: u32,
}

impl Unseen {
    /// Counts one more check.
    pub(super) fn count(before: Option<Self>, now: Timestamp) -> Self {
        before
            .map_or(Self { since: now, checks: 1 }, |before| Self { checks: before.checks.saturating_add(1), ..before })
    }
}

/// Whose trouble it is.
enum Trouble {
    /// This machine's: the same for all pairs.
    Ours(Cause),
    /// That of one pair's probe.
    Own,
    /// Told elsewhere, or none.
    Nobodys,
}

fn trouble(cause: Cause) -> Trouble {
    if cause.is_of_this_machine() {
        Trouble::Ours(cause)
    } else if matches!(cause, Cause::CutOff | Cause::Waiting) {
        // The witnesses have an alarm of their own; who only waits for a first report has none.
        Trouble::Nobodys
    } else {
        Trouble::Own
    }
}

/// Pairs that one cause of ours keeps from being looked at.
struct Blinded {
    since: Timestamp,
    pairs: usize,
    fault: Fault,
}

impl Engine {
    /// Says once that pairs could not be looked at for long, and once that they can again.
    pub(super) fn look_for_unseen(&mut self) {
        if self.unknown_after.is_zero() && self.alarms.unseen.is_empty() && self.alarms.blind.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut ours: BTreeMap<&'static str, Blinded> = BTreeMap::new();
        let mut own: BTreeMap<PairName, (Timestamp, Fault)> = BTreeMap::new();
        for (name, pair) in &self.pairs {
            let Some((since, fault)) = long_unseen(pair, now, self.unknown_after) else { continue };
            match trouble(fault.cause) {
                // It was heard before, so a first report is not all that it waits for.
                Trouble::Nobodys if fault.cause == Cause::Waiting => {
                    let every = self.pushes.overdue(&name.server);
                    if every.is_some_and(|every| until(since, now) >= self.unknown_after.saturating_add(every)) {
                        own.insert(name.clone(), (since, fault.clone()));
                    }
                }
                Trouble::Ours(cause) => {
                    let blinded = Blinded { since, pairs: 0, fault: fault.clone() };
                    let all = ours.entry(cause.as_str()).or_insert(blinded);
                    all.since = all.since.min(since);
                    all.pairs += 1;
                }
                Trouble::Own => drop(own.insert(name.clone(), (since, fault.clone()))),
                Trouble::Nobodys => {}
            }
        }
        for (cause, Blinded { since, pairs, fault }) in &ours {
            if !self.alarms.blind.contains_key(*cause) {
                let told = Told { id: IncidentId(Uuid::now_v7()), since: *since };
                self.alarms.blind.insert((*cause).to_owned(), told);
                let of = self.pairs.len();
                self.say(None, told.id, News::Unseen { since: *since, fault: fault.clone(), pairs: *pairs, of });
            }
        }
        for (pair, (since, fault)) in &own {
            if !self.alarms.unseen.contains_key(pair) {
                let told = Told { id: IncidentId(Uuid::now_v7()), since: *since };
                self.alarms.unseen.insert(pair.clone(), told);
                self.say(Some(pair), told.id, News::Unseen { since: *since, fault: fault.clone(), pairs: 1, of: 1 });
            }
        }
        self.seen_again(now);
    }

    /// Ends what was told and is over. What was not looked at since the start is not over.
    fn seen_again(&mut self, now: Timestamp) {
        let blinded = |pair: &Pair, cause: &str| match fault(pair) {
            Some(fault) => pair.last.as_ref().is_some_and(|last| last.unknown) && fault.cause.as_str() == cause,
            None => pair.last.is_none(),
        };
        let over = |cause: &&String| !self.pairs.values().any(|pair| blinded(pair, cause));
        let causes: Vec<String> = self.alarms.blind.keys().filter(over).cloned().collect();
        let over = |pair: &&PairName| match self.pairs.get(*pair) {
            Some(known) => known.last.as_ref().is_some_and(|last| !last.unknown),
            None => true,
        };
        let pairs: Vec<PairName> = self.alarms.unseen.keys().filter(over).cloned().collect();
        for cause in causes {
            if let Some(told) = self.alarms.blind.remove(&cause) {
                self.say(None, told.id, News::SeenAgain { since: told.since, until: now });
            }
        }
        for pair in pairs {
            let Some(told) = self.alarms.unseen.remove(&pair) else { continue };
            // Of a pair that is watched no more there is nothing to tell.
            if self.pairs.contains_key(&pair) {
                self.say(Some(&pair), told.id, News::SeenAgain { since: told.since, until: now });
            }
        }
    }

    /// Tells, and keeps that it was told.
    fn say(&mut self, pair: Option<&PairName>, incident: IncidentId, news: News) {
        let now = self.clock.now();
        let mut batch = pair.map_or_else(|| Batch::of_agent(now), |pair| Batch::new(pair.clone(), now));
        self.narrator.unseen(pair, &news);
        match pair {
            Some(pair) => self.tell(pair, incident, news, &mut batch),
            None => batch.tell(incident, None, news),
        }
        batch.memory(&self.memory(now));
        self.ledger.record(batch);
    }
}

/// Since when and why a pair could not be looked at, if that is long ago.
fn long_unseen(pair: &Pair, now: Timestamp, after: Duration) -> Option<(Timestamp, &Fault)> {
    let unseen = pair.unseen.filter(|unseen| unseen.checks >= CHECKS && until(unseen.since, now) >= after)?;
    (!after.is_zero()).then_some(())?;
    Some((unseen.since, fault(pair)?))
}

fn fault(pair: &Pair) -> Option<&Fault> {
    match &pair.last.as_ref()?.reading.outcome {
        Outcome::Down(fault) | Outcome::Blind(fault) => Some(fault),
        Outcome::Up => None,
    }
}
