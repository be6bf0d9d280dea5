//! The decisions: what was seen goes to the judge, what follows is carried out in order.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::name::PairName;
use crate::domain::outage::Ordered;
use crate::domain::reading::Outcome;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, RunId};
use crate::domain::step::{Effect, Next, Seen};
use crate::remedy::Call;

use super::lanes::Member;
use super::ledger::Batch;
use super::plan::Rung;
use super::round::Check;
use super::{Doing, Engine, Last, Pair};

/// A command that was permitted and whose intent lies in the batch.
pub(super) struct Permitted {
    pub call: Call,
    pub rung: Rung,
}

/// Time a host usually needs at most to be ready for a command and to kill one that would not end. A host that is slower to
/// let us in than this, at the moment in which we die, may still be at work when its pair is treated again.
const READY_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Takes the end of a check; `None` when it panicked.
    pub(super) fn checked(&mut self, pair: &PairName, serial: u64, check: Option<Check>) {
        let now = self.clock.now();
        let is_its_own = |known: &&mut Pair| known.doing == Doing::Checking && known.check == serial;
        let Some(known) = self.pairs.get_mut(pair).filter(is_its_own) else { return };
        known.doing = Doing::Waiting;
        if std::mem::take(&mut known.stale) {
            if self.timetable.due(pair).is_none() {
                self.timetable.at_once(pair);
            }
            return;
        }
        let Some(check) = check else { return self.see(pair, Seen::Unknown) };
        self.counters.checks += 1;
        self.counters.lateness.add(check.late);
        self.narrator.checked(&known.plan, &check);
        let Check { reading, blind, .. } = check;
        let seen = match &reading.outcome {
            Outcome::Up => Seen::Up,
            Outcome::Blind(_) => Seen::Unknown,
            Outcome::Down(_) if blind => Seen::Unknown,
            Outcome::Down(fault) => {
                Seen::Down { fault: fault.clone(), phases: reading.phases, incident: IncidentId(Uuid::now_v7()) }
            }
        };
        known.last = Some(Last { reading, unknown: seen == Seen::Unknown, at: now });
        self.see(pair, seen);
    }

    /// Tells the judge what was seen, carries out what follows, and writes it down.
    pub(super) fn see(&mut self, pair: &PairName, seen: Seen) {
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        let permitted = self.follow(pair, seen, &mut batch);
        self.write(batch, permitted);
    }

    /// Carries out what follows; gives the command that was permitted, if one was asked for.
    pub(super) fn follow(&mut self, pair: &PairName, seen: Seen, batch: &mut Batch) -> Option<Permitted> {
        let now = self.clock.now();
        let known = self.pairs.get_mut(pair)?;
        let mut effects: VecDeque<Effect> = known.judge.step(now, seen).into();
        let mut permitted = None;
        let mut moved = false;
        while let Some(effect) = effects.pop_front() {
            moved |= !matches!(effect, Effect::Next(_));
            match effect {
                Effect::Opened => {
                    self.guard.fell(pair, now);
                    self.weather();
                    if let Some(outage) = self.pairs.get(pair).and_then(|known| known.judge.outage()) {
                        batch.opened(outage);
                    }
                }
                Effect::Closed { incident, healed_by } => {
                    self.guard.rose(pair);
                    self.weather();
                    batch.closed(incident, healed_by);
                }
                Effect::Ask { attempt, rung } => match self.ask(pair, attempt, rung, batch) {
                    Ok((ordered, wanted)) => {
                        permitted = Some(wanted);
                        effects.extend(self.step(pair, Seen::Permitted(ordered)));
                    }
                    Err((command, refusal)) => {
                        effects.extend(self.step(pair, Seen::Refused { command, refusal }));
                    }
                },
                Effect::Judged { run, verdict } => batch.judged(run, verdict),
                Effect::Tell { incident, news } => {
                    self.narrator.told(pair, &news);
                    batch.tell(incident, news);
                }
                // The caller opens the window: it knows the run.
                Effect::Verify => {}
                Effect::Next(Next::Slot) => self.timetable.at_slot(pair),
                Effect::Next(Next::In(delay)) => self.timetable.at(pair, Instant::now() + delay),
            }
        }
        // A look that moved nothing is not worth a write; the next check is not state.
        if moved && let Some(known) = self.pairs.get(pair) {
            batch.state(known.judge.state());
        }
        permitted
    }

    fn step(&mut self, pair: &PairName, seen: Seen) -> Vec<Effect> {
        let now = self.clock.now();
        self.pairs.get_mut(pair).map(|known| known.judge.step(now, seen)).unwrap_or_default()
    }

    /// Asks the guard; the intent or the refusal goes into the batch.
    fn ask(
        &mut self,
        pair: &PairName,
        attempt: u32,
        rung: u32,
        batch: &mut Batch,
    ) -> Result<(Ordered, Permitted), (String, Refusal)> {
        let now = self.clock.now();
        let watched = self.pairs.len();
        let Some(known) = self.pairs.get_mut(pair) else { return Err((String::new(), Refusal::Stopping)) };
        let (Some(outage), Some(wanted)) = (known.judge.outage(), known.plan.rung(rung).cloned()) else {
            return Err((String::new(), Refusal::Stopping));
        };
        let run = RunId(Uuid::now_v7());
        let (incident, cause) = (outage.incident, outage.fault.cause);
        let decision = if self.halt.is_cancelled() {
            Err(Refusal::Stopping)
        } else {
            self.guard.decide(pair, cause, now, watched)
        };
        let call = Call { pair: pair.clone(), incident: Some(incident), run, attempt, rung, limit: wanted.limit };
        match decision {
            Ok(_permit) => {
                (known.doing, known.run) = (Doing::Healing, Some(run));
                self.guard.started(pair, now);
                batch.intended(&call, &wanted);
                let ends_within = wanted.limit + READY_WITHIN;
                let ordered = Ordered { run, rung, command: wanted.command.to_string(), ends_within };
                Ok((ordered, Permitted { call, rung: wanted }))
            }
            Err(refusal) => {
                self.narrator.refused(pair, &refusal);
                batch.refused(&call, &wanted, &refusal);
                self.ledger.audit(self.ledger.refusal_record(&call, &wanted, &refusal, now));
                Err((wanted.command.to_string(), refusal))
            }
        }
    }

    /// Writes the batch; a permitted command starts once its intent is on disk and its host is free.
    pub(super) fn write(&mut self, batch: Batch, permitted: Option<Permitted>) {
        match permitted {
            Some(Permitted { call, rung }) => self.request(batch, Member { call, rung, reply: None }),
            None => self.ledger.record(batch),
        }
    }
}
