//! Alarms: what is told once in place of many failures. A storm, witnesses that do not answer, a pair that flaps.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::alarm::{Alarm, Alarms};
use crate::domain::flap::Flapping;
use crate::domain::name::PairName;
use crate::domain::notice::{CutOff, News};
use crate::domain::remedy::IncidentId;
use crate::message::Line;

use super::Engine;
use super::ledger::Batch;
use super::round::Check;
use super::witness::Witnesses;

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
                batch.tell(told.id, News::Storm { down, of });
            }
            (false, Some(told)) => {
                self.alarms.storm = None;
                self.narrator.info(&Line::StormOver);
                batch.tell(told.id, News::StormOver { since: told.since, down: self.guard.down() });
            }
            (true, Some(_)) | (false, None) => return,
        }
        batch.memory(&self.guard.memory(now, &self.alarms));
        self.ledger.record(batch);
    }

    /// Takes up what the agent before this one told of, as far as it still holds.
    pub(super) fn alarms_resumed(&mut self, alarms: Alarms) {
        self.alarms = alarms;
        self.witnesses_changed();
        self.weather();
    }

    /// Lets the witnesses that are missed be asked until they are back, also when they were built anew.
    pub(super) fn witnesses_changed(&mut self) {
        let plans = self.pairs.values().filter_map(|known| known.plan.witnesses.as_ref());
        let there: HashMap<&str, &Arc<Witnesses>> = plans.map(|witnesses| (witnesses.key(), witnesses)).collect();
        self.alarms.cut_off.retain(|key, _| {
            let Some(witnesses) = there.get(key.as_str()) else { return false };
            witnesses.set_missed(true);
            true
        });
    }

    /// Says once that witnesses do not answer, and once that they answer again.
    pub(super) fn witnessed(&mut self, pair: &PairName, check: &Check) {
        let Some(answer) = check.witnessed else { return };
        let Some(witnesses) = self.pairs.get(pair).and_then(|known| known.plan.witnesses.clone()) else { return };
        let now = self.clock.now();
        let key = witnesses.key();
        witnesses.set_missed(!answer.is_enough());
        let mut batch = Batch::of_agent(now);
        if answer.is_enough() {
            let Some(told) = self.alarms.cut_off.remove(key) else { return };
            self.narrator.info(&Line::Reconnected { key });
            batch.tell(told.id, News::Reconnected { key: key.to_owned(), since: told.since, until: now });
        } else {
            if self.alarms.cut_off.contains_key(key) {
                return;
            }
            let told = begun(now);
            self.alarms.cut_off.insert(key.to_owned(), told);
            let cut = CutOff { key: key.to_owned(), answered: answer.answered, of: answer.of, needed: answer.quorum };
            self.narrator.warn(&Line::CutOff { cut: &cut });
            batch.tell(told.id, News::CutOff(cut));
        }
        batch.memory(&self.guard.memory(now, &self.alarms));
        self.ledger.record(batch);
    }

    /// Says once that a pair flaps, and once that it does no more.
    pub(super) fn flaps(&mut self, pair: &PairName, batch: &mut Batch) {
        let flapping = self.guard.flapping(pair, self.clock.now());
        let window_s = self.guard.flap_window().as_secs();
        let Some(known) = self.pairs.get_mut(pair) else { return };
        if flapping.is_some() == std::mem::replace(&mut known.flapping, flapping.is_some()) {
            return;
        }
        let outage = known.judge.outage();
        let incident = outage.map_or_else(|| IncidentId(Uuid::now_v7()), |outage| outage.incident);
        let news = match flapping {
            Some(Flapping { since, changes }) => News::Flapping { since, changes, window_s },
            None => News::Settled { up: outage.is_none() },
        };
        self.narrator.told(pair, &news);
        batch.tell(incident, news);
    }
}

fn begun(since: Timestamp) -> Alarm {
    Alarm { id: IncidentId(Uuid::now_v7()), since }
}
