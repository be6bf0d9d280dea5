//! Reports of servers that report to us: taken in, kept across restarts, and acted on at once when they change something.

use std::time::Duration;

use tokio::time::Instant;

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

/// A report is acted on at once, and the next one not before this: whoever has a token decides what is looked at, not how
/// often.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that reports to us.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    pairs: Vec<PairName>,
    /// When it last made us look, or will.
    acted: Option<Instant>,
}

/// What was saved of all reports.
#[derive(Debug, Default)]
pub(super) struct Kept {
    at: Option<Instant>,
    stale: bool,
}

impl Engine {
    /// Listens to those that are watched, and to nobody else.
    pub(super) fn listen(&mut self) {
        let mut before = std::mem::take(&mut self.reporting);
        let expected = self.pairs.values().filter_map(|known| known.plan.target.reports());
        self.pushes.listen_to(expected);
        for (pair, known) in &self.pairs {
            if known.plan.target.reports().is_some() {
                let mut acted = || before.remove(&pair.server).and_then(|reporter| reporter.acted);
                let reporter = self.reporting.entry(pair.server.clone());
                let reporter = reporter.or_insert_with(|| Reporter { pairs: Vec::new(), acted: acted() });
                reporter.pairs.push(pair.clone());
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
            self.keep_pushes_soon();
        }
        if let Some(reporter) = self.reporting.get_mut(server).filter(|_| heard.turned) {
            let now = Instant::now();
            let at = match reporter.acted {
                // A look is to come already.
                Some(acted) if acted > now => acted,
                Some(acted) => now.max(acted + PAUSE),
                None => now,
            };
            reporter.acted = Some(at);
            for pair in &reporter.pairs {
                look_again(&mut self.pairs, &mut self.timetable, pair, at);
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
        for pair in self.reporting.values().flat_map(|reporter| &reporter.pairs) {
            let known = self.pairs.get(pair).and_then(|known| known.plan.witnesses.as_ref());
            if known.is_some_and(|known| known.key() == witnesses) {
                self.pushes.reconnected(&pair.server);
                look_again(&mut self.pairs, &mut self.timetable, pair, Instant::now());
            }
        }
    }

    /// Saves what was heard, when it is time.
    pub(super) fn keep_pushes_at(&mut self, beat: u64) {
        if self.pushes_kept.stale || beat.is_multiple_of(SAVED_EVERY) {
            self.keep_pushes();
        }
    }

    /// Saves what was heard at once, or with the next beat when it was saved a moment ago.
    fn keep_pushes_soon(&mut self) {
        if self.pushes_kept.at.is_some_and(|at| at.elapsed() < PAUSE) {
            self.pushes_kept.stale = true;
        } else {
            self.keep_pushes();
        }
    }

    /// Saves what was heard.
    pub(super) fn keep_pushes(&mut self) {
        self.pushes_kept = Kept { at: Some(Instant::now()), stale: false };
        if let Some(saved) = self.pushes.saved() {
            let mut batch = Batch::of_agent(self.clock.now());
            batch.pushes(saved);
            self.ledger.record(batch);
        }
    }
}

/// Looks soon at a pair that waits, and throws away what is being seen of one that is looked at. Whatever else is under way
/// looks by itself.
fn look_again(pairs: &mut Pairs, timetable: &mut Timetable, pair: &PairName, at: Instant) {
    let Some(known) = pairs.get_mut(pair) else { return };
    match known.doing {
        Doing::Waiting => timetable.no_later_than(pair, at),
        Doing::Checking => known.stale = true,
        Doing::Healing | Doing::Verifying => {}
    }
}
