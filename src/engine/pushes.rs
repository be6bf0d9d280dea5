//! Reports of servers that report to us: taken in, kept across restarts, and acted on at once when they change something.

use crate::domain::name::{PairName, ServerName};
use crate::domain::push::Word;
use crate::message::one_line;

use super::Engine;
use super::handle::{Doing, Unmet};
use super::ledger::Batch;
use super::pair::Pairs;
use super::timetable::Timetable;

/// Characters kept of what a report says.
pub const MAX_WORDS: usize = 150;

/// Beats between two saves. What a crash forgets is silence, and only so much of it.
const SAVED_EVERY: u64 = 60;

impl Engine {
    /// Listens to those that are watched, and to nobody else.
    pub(super) fn listen(&mut self) {
        self.reporting.clear();
        let expected = self.pairs.values().filter_map(|known| known.plan.target.reports());
        self.pushes.listen_to(expected);
        for (pair, known) in &self.pairs {
            if known.plan.target.reports().is_some() {
                self.reporting.entry(pair.server.clone()).or_default().push(pair.clone());
            }
        }
    }

    /// Takes a report. One that changes something is not left to wait for the next check.
    pub(super) fn heard(&mut self, server: &ServerName, pair: Option<&PairName>, word: Word) -> Result<(), Unmet> {
        if let Some(pair) = pair.filter(|pair| !self.pairs.contains_key(*pair)) {
            return Err(Unmet::NoSuchPair(pair.clone()));
        }
        let word = match word {
            Word::Well => Word::Well,
            Word::Trouble(what) => Word::Trouble(one_line(&what, MAX_WORDS)),
        };
        let Some(heard) = self.pushes.hear(server, word) else {
            return Err(Unmet::NotReporting { name: server.to_string(), there: self.pushes.servers() });
        };
        if heard.trouble {
            self.keep_pushes();
        }
        if heard.turned {
            for pair in self.reporting.get(server).into_iter().flatten() {
                look_again(&mut self.pairs, &mut self.timetable, pair);
            }
        }
        Ok(())
    }

    /// Says that this pair could not reach us: whoever was silent meanwhile is not held to it.
    pub(super) fn deaf(&self, pair: &PairName) {
        if self.reporting.contains_key(&pair.server) {
            self.pushes.cut_off(&pair.server);
        }
    }

    /// Says that nobody could reach us until now whose witnesses are these. What was seen of them before is thrown away.
    pub(super) fn was_deaf(&mut self, witnesses: &str) {
        for pair in self.reporting.values().flatten() {
            let known = self.pairs.get(pair).and_then(|known| known.plan.witnesses.as_ref());
            if known.is_some_and(|known| known.key() == witnesses) {
                self.pushes.cut_off(&pair.server);
                look_again(&mut self.pairs, &mut self.timetable, pair);
            }
        }
    }

    /// Saves what was heard, when it is time.
    pub(super) fn keep_pushes_at(&self, beat: u64) {
        if beat.is_multiple_of(SAVED_EVERY) {
            self.keep_pushes();
        }
    }

    /// Saves what was heard.
    pub(super) fn keep_pushes(&self) {
        if let Some(saved) = self.pushes.saved() {
            let mut batch = Batch::of_agent(self.clock.now());
            batch.pushes(saved);
            self.ledger.record(batch);
        }
    }
}

/// Looks at once at a pair that waits, and throws away what is being seen of one that is looked at. Whatever else is under way
/// looks by itself.
fn look_again(pairs: &mut Pairs, timetable: &mut Timetable, pair: &PairName) {
    let Some(known) = pairs.get_mut(pair) else { return };
    match known.doing {
        Doing::Waiting => timetable.at_once(pair),
        Doing::Checking => known.stale = true,
        Doing::Healing | Doing::Verifying => {}
    }
}
