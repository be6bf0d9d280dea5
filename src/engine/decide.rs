//! The decisions: what was seen goes to the judge, what follows is carried out in order.
//!
//! A check that failed is weighed first (`weigh`); only then it is judged.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::ladder::{self, Choice};
use crate::domain::name::PairName;
use crate::domain::notice::{Deed, News};
use crate::domain::outage::{Asked, Ordered};
use crate::domain::reading::Outcome;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, RunId};
use crate::domain::step::{Effect, Next, Seen};
use crate::remedy::Call;

use super::lanes::{Member, Why};
use super::ledger::Batch;
use super::plan::Rung;
use super::round::Check;
use super::unseen::Unseen;
use super::weigh::Weighed;
use super::{Doing, Engine, Last, Pair};

/// A command that was permitted and whose intent lies in the batch.
pub(super) struct Permitted {
    pub call: Call,
    pub rung: Rung,
    pub why: Why,
}

/// Time a host usually needs at most to be ready for a command and to kill one that would not end. A host that is slower to
/// let us in than this, at the moment in which we die, may still be at work when its pair is treated again.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Takes the end of a check; `None` when it panicked. One that failed is weighed before it is judged.
    pub(super) fn checked(&mut self, pair: &PairName, serial: u64, check: Option<Check>) {
        if !self.is_awaited(pair, serial) {
            return;
        }
        let Some(check) = check else {
            self.end_check(pair);
            return self.see(pair, Seen::Unknown);
        };
        self.witnessed(pair, &check);
        // The witnesses may answer for the first time again, and what was silent until now could not reach us.
        if !self.is_awaited(pair, serial) {
            return;
        }
        match &check.reading.outcome {
            Outcome::Down(_) if !check.blind => {
                if let Some(check) = self.weigh(pair, serial, check) {
                    self.judge(pair, check);
                }
            }
            Outcome::Up | Outcome::Down(_) | Outcome::Blind(_) => self.judge(pair, check),
        }
    }

    /// Takes what was found out about a check that failed.
    pub(super) fn weighed(&mut self, pair: &PairName, serial: u64, check: Check, weighed: Option<Weighed>) {
        if !self.is_awaited(pair, serial) {
            return;
        }
        // What could not be found out because of a bug of ours is not held for the pair.
        let Some(Weighed { mut evidence, sample }) = weighed else {
            self.end_check(pair);
            return self.see(pair, Seen::Unknown);
        };
        if let Some(sample) = sample.filter(|_| evidence.parent.is_none()) {
            self.guard.sampled(pair, self.clock.now(), self.pairs.len(), sample);
            self.weather();
        }
        if let Some(known) = self.pairs.get_mut(pair) {
            known.unanswered = evidence.afar.unanswered(known.unanswered);
            known.evidence = evidence;
        }
        self.judge(pair, check);
    }

    /// True when this is the check that the pair waits for, and nothing happened meanwhile that makes it worth nothing.
    fn is_awaited(&mut self, pair: &PairName, serial: u64) -> bool {
        let is_its_own = |known: &&mut Pair| known.doing == Doing::Checking && known.check == serial;
        let Some(known) = self.pairs.get_mut(pair).filter(is_its_own) else { return false };
        if !std::mem::take(&mut known.stale) {
            return true;
        }
        known.doing = Doing::Waiting;
        if self.timetable.due(pair).is_none() {
            self.timetable.at_once(pair);
        }
        false
    }

    fn end_check(&mut self, pair: &PairName) {
        if let Some(known) = self.pairs.get_mut(pair) {
            known.doing = Doing::Waiting;
        }
    }

    /// Judges a check by all that is known.
    fn judge(&mut self, pair: &PairName, check: Check) {
        let now = self.clock.now();
        self.end_check(pair);
        let Some(known) = self.pairs.get_mut(pair) else { return };
        self.counters.checks += 1;
        self.counters.lateness.add(check.late);
        self.narrator.checked(&known.plan, &check);
        let Check { reading, blind, .. } = check;
        let mut batch = Batch::new(pair.clone(), now);
        let seen = match &reading.outcome {
            Outcome::Up => Seen::Up,
            Outcome::Blind(_) => Seen::Unknown,
            Outcome::Down(_) if blind => Seen::Unknown,
            Outcome::Down(fault) => {
                Seen::Down { fault: fault.clone(), phases: reading.phases, incident: IncidentId(Uuid::now_v7()) }
            }
        };
        let opens = known.judge.outage().is_none();
        self.certificate(pair, &reading, &mut batch);
        if let Some(known) = self.pairs.get_mut(pair) {
            let unknown = seen == Seen::Unknown;
            known.unanswered &= seen != Seen::Up;
            known.unseen = unknown.then(|| Unseen::count(known.unseen, now));
            known.last = Some(Last { reading, unknown, at: now });
        }
        match seen {
            Seen::Down { .. } => {
                self.count(pair);
                self.hush(pair);
                if opens && self.is_its_own(pair) {
                    self.guard.changed(pair, now);
                    self.hush(pair);
                }
            }
            // Up again, if not yet for long enough: nobody has to wait for it any more.
            Seen::Up => self.guard.rose(pair),
            _ => {}
        }
        self.flaps(pair, &mut batch);
        let permitted = self.follow(pair, seen, &mut batch);
        self.flaps(pair, &mut batch);
        self.write(batch, permitted);
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
                    self.weather();
                    if let Some(outage) = self.pairs.get(pair).and_then(|known| known.judge.outage()) {
                        batch.opened(outage);
                    }
                }
                Effect::Closed { incident, healed_by } => {
                    self.guard.rose(pair);
                    if self.is_its_own(pair) {
                        self.guard.changed(pair, now);
                    }
                    self.weather();
                    batch.closed(incident, healed_by);
                }
                Effect::Ask { attempt } => match self.ask(pair, attempt, batch) {
                    Ok((ordered, wanted)) => {
                        permitted = Some(wanted);
                        effects.extend(self.step(pair, Seen::Permitted(ordered)));
                    }
                    Err((command, refusal)) => {
                        effects.extend(self.step(pair, Seen::Refused { command, refusal }));
                    }
                },
                Effect::AskRecovery { incident, attempt } => {
                    permitted = self.ask_recovery(pair, incident, attempt, batch);
                }
                Effect::Judged { run, verdict } => batch.judged(run, verdict),
                Effect::Tell { incident, mut news, held } => {
                    self.narrator.told(pair, &news);
                    if !held {
                        self.complete(pair, &mut news);
                        let environment = self.pairs.get(pair).and_then(|known| known.plan.environment);
                        batch.tell(incident, environment, news);
                    }
                }
                // Saved with all else below; and the caller opens the window: it knows the run.
                Effect::Save | Effect::Verify => {}
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

    /// Adds to a notice what the judge does not know.
    fn complete(&self, pair: &PairName, news: &mut News) {
        let (News::Failed(failed), Some(known)) = (news, self.pairs.get(pair)) else { return };
        if failed.failures == 1 {
            failed.holds = known.plan.holds.to_vec();
        }
        if let Deed::Command { command, .. } | Deed::Refused { command, .. } = &failed.deed {
            failed.record = self.records.of(pair, command);
        }
    }

    pub(super) fn step(&mut self, pair: &PairName, seen: Seen) -> Vec<Effect> {
        let now = self.clock.now();
        self.pairs.get_mut(pair).map(|known| known.judge.step(now, seen)).unwrap_or_default()
    }

    /// Asks the ladder and the guard; the intent or the refusal goes into the batch.
    fn ask(
        &mut self,
        pair: &PairName,
        attempt: u32,
        batch: &mut Batch,
    ) -> Result<(Ordered, Permitted), (String, Refusal)> {
        let now = self.clock.now();
        let watched = self.pairs.len();
        let stopping = || (String::new(), Refusal::Stopping);
        let Some(known) = self.pairs.get_mut(pair) else { return Err(stopping()) };
        let Some(outage) = known.judge.outage() else { return Err(stopping()) };
        let lasted = Duration::try_from(now.duration_since(outage.since)).unwrap_or_default();
        let terms = known.plan.ladder.iter().map(|rung| rung.terms);
        let command = |rung: u32| known.plan.exact(rung).map(|rung| &*rung.command);
        let answers = outage.answers(command);
        let choice = ladder::choose(terms, outage.climbed.saturating_add(1), lasted, &answers).ok_or_else(stopping)?;
        let (rung, hindrance) = match choice {
            Choice::Run(rung) => (rung, None),
            Choice::Dry(rung) => (rung, Some(Refusal::DryRung)),
            Choice::Denied(rung, by) => (rung, Some(Refusal::Denied { by })),
            Choice::TooEarly(rung, after) => {
                let after = jiff::SignedDuration::try_from(after).unwrap_or_default();
                let until = outage.since.checked_add(after).unwrap_or(now);
                (rung, Some(Refusal::TooEarly { until }))
            }
            Choice::Approve(rung) => {
                let text = known.plan.rung(rung).map(|rung| &*rung.command);
                let asked = |asked: &&Asked| asked.rung == rung && Some(asked.command.as_str()) == text;
                let id = outage
                    .asked
                    .as_ref()
                    .filter(asked)
                    .map_or_else(|| super::govern::approval_id(outage.incident, attempt), |asked| asked.id.clone());
                (rung, Some(Refusal::AwaitingApproval { id }))
            }
        };
        let wanted = known.plan.rung(rung).cloned().ok_or_else(stopping)?;
        let run = RunId(Uuid::now_v7());
        let (incident, cause) = (outage.incident, outage.fault.cause);
        let decision = if self.halt.is_cancelled() {
            Err(Refusal::Stopping)
        } else if outage.unproven && known.plan.up_first {
            Err(Refusal::NeverUp)
        } else {
            let permit = self.guard.decide(pair, cause, &known.evidence, now, watched);
            permit.map(drop).and_then(|()| hindrance.map_or(Ok(()), Err))
        };
        let call = Call { pair: pair.clone(), incident: Some(incident), run, attempt, rung, limit: wanted.limit };
        match decision {
            Ok(()) => {
                (known.doing, known.run) = (Doing::Healing, Some(run));
                self.guard.started(pair, now);
                batch.intended(&call, &wanted);
                Ok((ordered(&call, &wanted), Permitted { call, rung: wanted, why: Why::Verdict }))
            }
            Err(refusal) => {
                if let Refusal::AwaitingApproval { id } = &refusal {
                    let command = wanted.command.to_string();
                    known.judge.step(now, Seen::Asked { id: id.clone(), rung, command });
                }
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
            Some(Permitted { call, rung, why }) => {
                let at = self.clock.now();
                self.request(batch, Member { call, rung, why, at, reply: None });
            }
            None => self.ledger.record(batch),
        }
    }
}

/// The order as the judge keeps it.
pub(super) fn ordered(call: &Call, rung: &Rung) -> Ordered {
    Ordered {
        run: call.run,
        rung: call.rung,
        command: rung.command.to_string(),
        ends_within: rung.limit + READY_WITHIN,
        once: rung.once,
        ends: rung.ends.to_string(),
    }
}
