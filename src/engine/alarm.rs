//! Alarms: what is told once in place of many failures (a storm, witnesses that do not answer, a pair that flaps), and
//! whose failures are not told because of them.

use std::collections::HashSet;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::alarm::Told;
use crate::domain::evidence::Quiet;
use crate::domain::expiry;
use crate::domain::flap::Flapping;
use crate::domain::memory::Memory;
use crate::domain::name::{PairName, ServerName};
use crate::domain::notice::{CutOff, News};
use crate::domain::reading::Reading;
use crate::domain::remedy::IncidentId;
use crate::message::Line;

use super::Engine;
use super::ledger::Batch;
use super::round::Check;

/// An alarm that begins.
fn begun(since: Timestamp) -> Told {
    Told { id: IncidentId(Uuid::now_v7()), since }
}

impl Engine {
    /// Says once that a storm began, and once that it ended.
    pub(super) fn weather(&mut self) {
        let (now, of) = (self.clock.now(), self.pairs.len());
        let storm = self.guard.storm(now, of);
        let mut batch = Batch::of_agent(now);
        match (storm, self.alarms.storm) {
            (true, None) => {
                let (told, down) = (begun(now), self.guard.down());
                self.alarms.storm = Some(told);
                self.reconsider();
                self.narrator.warn(&Line::Storm { down, of });
                batch.tell(told.id, None, News::Storm { down, of });
            }
            (false, Some(told)) => {
                self.alarms.storm = None;
                self.narrator.info(&Line::StormOver);
                batch.tell(told.id, None, News::StormOver { since: told.since, down: self.guard.down() });
            }
            (true, Some(_)) | (false, None) => return,
        }
        batch.memory(&self.memory(now));
        self.ledger.record(batch);
    }

    /// What is to be saved beside the pairs.
    pub(super) fn memory(&self, now: Timestamp) -> Memory {
        Memory { alarms: self.alarms.clone(), ..self.guard.memory(now) }
    }

    /// Says in the log what the agent before this one told of and what goes on.
    pub(super) fn weather_resumed(&mut self) {
        if self.alarms.storm.is_some() {
            let (down, of) = (self.guard.down(), self.pairs.len());
            self.narrator.warn(&Line::Storm { down, of });
        }
    }

    /// Has the witnesses asked that were missed last, and forgets those that nobody has any more.
    pub(super) fn miss_witnesses(&mut self) {
        let mut known = HashSet::new();
        for witnesses in self.pairs.values().filter_map(|pair| pair.plan.witnesses.as_ref()) {
            witnesses.set_missed(self.alarms.cut_off.contains_key(witnesses.key()));
            known.insert(witnesses.key());
        }
        let gone: Vec<String> =
            self.alarms.cut_off.keys().filter(|key| !known.contains(key.as_str())).cloned().collect();
        for key in gone {
            self.reconnected(&key);
        }
    }

    /// Says once that witnesses do not answer, and once that they answer again.
    pub(super) fn witnessed(&mut self, pair: &PairName, check: &Check) {
        let Some(answer) = check.witnessed else { return };
        let Some(witnesses) = self.pairs.get(pair).and_then(|known| known.plan.witnesses.clone()) else { return };
        let now = self.clock.now();
        let key = witnesses.key();
        witnesses.set_missed(!answer.is_enough());
        if answer.is_enough() {
            return self.reconnected(key);
        }
        self.deaf(pair);
        if self.alarms.cut_off.contains_key(key) {
            return;
        }
        let told = begun(now);
        self.alarms.cut_off.insert(key.to_owned(), told);
        let cut = CutOff { key: key.to_owned(), answered: answer.answered, of: answer.of, needed: answer.quorum };
        self.narrator.warn(&Line::CutOff { cut: &cut });
        let mut batch = Batch::of_agent(now);
        batch.tell(told.id, None, News::CutOff(cut));
        batch.memory(&self.memory(now));
        self.ledger.record(batch);
    }

    /// Says that witnesses answer again, or are asked no more.
    fn reconnected(&mut self, key: &str) {
        let now = self.clock.now();
        let Some(told) = self.alarms.cut_off.remove(key) else { return };
        self.was_deaf(key);
        let mut batch = Batch::of_agent(now);
        self.narrator.info(&Line::Reconnected { key });
        batch.tell(told.id, None, News::Reconnected { key: key.to_owned(), since: told.since, until: now });
        batch.memory(&self.memory(now));
        self.ledger.record(batch);
    }

    /// Says once that a pair flaps, and once that it does no more.
    pub(super) fn flaps(&mut self, pair: &PairName, batch: &mut Batch) {
        let now = self.clock.now();
        let flapping = self.guard.flapping(pair, now);
        let Some(known) = self.pairs.get(pair) else { return };
        let outage = known.judge.outage();
        let (incident, news) = match (flapping, self.alarms.flapping.contains_key(pair)) {
            (Some(Flapping { since, changes }), false) => {
                let incident = outage.map_or_else(|| IncidentId(Uuid::now_v7()), |outage| outage.incident);
                self.alarms.flapping.insert(pair.clone(), Told { id: incident, since });
                (incident, News::Flapping { since, changes, window_s: self.guard.flap_window().as_secs() })
            }
            (None, true) => {
                let Some(told) = self.alarms.flapping.remove(pair) else { return };
                (told.id, News::Settled { up: outage.is_none() })
            }
            (Some(_), true) | (None, false) => return,
        };
        self.narrator.told(pair, &news);
        self.tell(pair, incident, news, batch);
        batch.memory(&self.memory(now));
    }

    /// Tells people of a pair, unless its notices are switched off.
    pub(super) fn tell(&self, pair: &PairName, incident: IncidentId, news: News, batch: &mut Batch) {
        match self.pairs.get(pair) {
            Some(known) if known.plan.notify => batch.tell(incident, known.plan.environment, news),
            Some(_) => {}
            // It was taken out of the configuration a moment ago.
            None => batch.tell(incident, None, news),
        }
    }

    /// Says once for each threshold that the certificate of a pair's server ends.
    pub(super) fn certificate(&mut self, pair: &PairName, reading: &Reading, batch: &mut Batch) {
        let now = self.clock.now();
        let (Some(ends), Some(known)) = (reading.certificate_ends, self.pairs.get(pair)) else { return };
        let before = self.alarms.expiring.get(&pair.server).copied();
        let Some(told) = expiry::due(before, ends, now, known.plan.target.warns()) else { return };
        let watched: HashSet<&ServerName> = self.pairs.keys().map(|pair| &pair.server).collect();
        self.alarms.expiring.retain(|server, _| watched.contains(server));
        self.alarms.expiring.insert(pair.server.clone(), told);
        let news = News::Expiring { ends, days: told.days };
        self.narrator.told(pair, &news);
        self.tell(pair, IncidentId(Uuid::now_v7()), news, batch);
        batch.memory(&self.memory(now));
    }

    /// Counts a failing pair towards a storm, unless its failure is explained: by what it depends on, by maintenance, or
    /// because it was never up, so that it did not fall.
    pub(super) fn count(&mut self, pair: &PairName) {
        let now = self.clock.now();
        let Some(known) = self.pairs.get(pair) else { return };
        let parent_is_down = known.plan.parents.iter().any(|parent| self.guard.is_down(&parent.server));
        let explained = parent_is_down || known.was_never_up();
        if explained || known.evidence.parent.is_some() || self.guard.maintenance(pair, now).is_some() {
            self.guard.rose(pair);
        } else {
            self.guard.fell(pair, now);
        }
    }

    /// True when the pair's changes are its own: not those of a storm, of maintenance or of what it depends on.
    pub(super) fn is_its_own(&self, pair: &PairName) -> bool {
        let quiet = self.pairs.get(pair).and_then(|known| known.judge.quiet());
        matches!(quiet, None | Some(Quiet::Flapping | Quiet::Off))
    }

    /// Finds out whether failures of a pair are told now.
    pub(super) fn hush(&mut self, pair: &PairName) {
        let (now, watched) = (self.clock.now(), self.pairs.len());
        let Some(known) = self.pairs.get_mut(pair) else { return };
        if let Some(parent) = known.plan.parents.iter().find(|parent| self.guard.is_down(&parent.server)) {
            known.evidence.parent.get_or_insert_with(|| parent.server.clone());
        }
        let off = (!known.plan.notify).then_some(Quiet::Off);
        known.judge.hush(self.guard.quiet(pair, &known.evidence, now, watched).or(off));
    }
}
