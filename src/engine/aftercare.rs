//! Aftercare: what is run once a pair is up again (`RECOVERY_COMMAND`, services that are stopped again).

use uuid::Uuid;

use crate::domain::ladder::Mode;
use crate::domain::name::PairName;
use crate::domain::notice::{Deed, News};
use crate::domain::outage::{Ordered, Outage};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, RunId, RunStatus};
use crate::domain::step::Seen;
use crate::remedy::{Call, Done};

use super::Engine;
use super::decide::{Permitted, READY_WITHIN};
use super::lanes::{Member, Why, is_same_deed};
use super::ledger::Batch;
use super::plan::Rung;
use super::turn::is_owed;

/// Which rung a run on recovery is in the records: none of the ladder.
const NO_RUNG: u32 = 0;

impl Engine {
    /// Asks the guard; the intent or the refusal goes into the batch.
    pub(super) fn ask_recovery(
        &mut self,
        pair: &PairName,
        incident: IncidentId,
        attempt: u32,
        batch: &mut Batch,
    ) -> Option<Permitted> {
        let now = self.clock.now();
        let wanted = self.pairs.get(pair)?.plan.recovery.clone()?;
        let run = RunId(Uuid::now_v7());
        let limit = wanted.limit;
        let call = Call { pair: pair.clone(), incident: Some(incident), run, attempt, rung: NO_RUNG, limit };
        if let Some(by) = self.needed_by(pair, &wanted) {
            // The last of them to recover ends it.
            let refusal = Refusal::StillNeeded { by };
            self.narrator.refused(pair, &refusal);
            batch.refused(&call, &wanted, &refusal);
            self.ledger.audit(self.ledger.refusal_record(&call, &wanted, &refusal, now));
            self.step(pair, Seen::RecoveryEnded { done: true });
            return None;
        }
        let decision = if self.halt.is_cancelled() {
            Err(Refusal::Stopping)
        } else {
            let dry = (wanted.terms.mode == Mode::Dry).then_some(Refusal::DryRung);
            let permit = self.guard.decide_recovery(pair, now, wanted.remedy.repeatable());
            permit.map(drop).and_then(|()| dry.map_or(Ok(()), Err))
        };
        match decision {
            Ok(()) => {
                self.guard.started(pair, now);
                batch.intended(&call, &wanted);
                let command = wanted.command.to_string();
                let ends_within = limit + READY_WITHIN;
                let ordered = Ordered { run, rung: NO_RUNG, command, ends_within, once: false, ends: String::new() };
                self.step(pair, Seen::RecoveryPermitted(ordered));
                Some(Permitted { call, rung: (*wanted).clone(), why: Why::Recovery })
            }
            Err(refusal) => {
                self.narrator.refused(pair, &refusal);
                batch.refused(&call, &wanted, &refusal);
                self.ledger.audit(self.ledger.refusal_record(&call, &wanted, &refusal, now));
                self.recovery_refused(pair, incident, attempt, wanted.command.to_string(), refusal, batch);
                None
            }
        }
    }

    /// Another pair that is down and for which the same was begun, or is being begun.
    fn needed_by(&self, pair: &PairName, wanted: &Rung) -> Option<PairName> {
        let needs = |known: &super::Pair| {
            let begins = |outage: &Outage| outage.begun || outage.ordered.as_ref().is_some_and(|ordered| ordered.once);
            known.judge.outage().is_some_and(begins)
                && known.plan.recovery.as_deref().is_some_and(|other| is_same_deed(other, wanted))
        };
        self.pairs.iter().find(|(name, known)| *name != pair && needs(known)).map(|(name, _)| name.clone())
    }

    /// Takes the end of a run on recovery. Only trouble is told: that it is up again, people know.
    pub(super) fn recovery_ran(&mut self, member: &Member, done: &Done) {
        let Member { call, rung, .. } = member;
        let pair = &call.pair;
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        batch.ran(call, done);
        let executed = done.run.status == RunStatus::Executed;
        if !executed {
            batch.judged(call.run, done.run.verdict_unless_up());
        }
        if is_owed(&self.pairs, member) {
            self.step(pair, Seen::RecoveryEnded { done: executed || !rung.remedy.repeatable() });
            self.keep_state(pair, &mut batch);
        }
        if !executed && call.attempt.is_power_of_two() {
            let deed = Deed::Command { command: rung.command.to_string(), run: done.run.clone() };
            self.tell_aftercare(pair, call.incident, deed, &mut batch);
        }
        self.ledger.record(batch);
    }

    /// Takes that a run on recovery was permitted and not sent.
    pub(super) fn recovery_unmet(&mut self, member: &Member, refusal: &Refusal, batch: &mut Batch) {
        let Member { call, rung, .. } = member;
        if let Some(incident) = call.incident.filter(|_| is_owed(&self.pairs, member)) {
            let command = rung.command.to_string();
            self.recovery_refused(&call.pair, incident, call.attempt, command, refusal.clone(), batch);
            self.keep_state(&call.pair, batch);
        }
    }

    fn recovery_refused(
        &mut self,
        pair: &PairName,
        incident: IncidentId,
        attempt: u32,
        command: String,
        refusal: Refusal,
        batch: &mut Batch,
    ) {
        let again = self
            .pairs
            .get(pair)
            .and_then(|known| known.plan.recovery.as_ref())
            .is_some_and(|rung| rung.remedy.repeatable());
        // What only has to wait was not run yet, so it still is once.
        let waits = matches!(
            refusal,
            Refusal::Stopped { .. }
                | Refusal::Maintenance { .. }
                | Refusal::BudgetSpent { .. }
                | Refusal::Cooldown { .. }
                | Refusal::NotRecorded
                | Refusal::Stopping
        );
        self.step(pair, Seen::RecoveryEnded { done: !again && !waits });
        let expected = matches!(refusal, Refusal::Maintenance { .. } | Refusal::Stopping);
        if attempt.is_power_of_two() && !expected {
            self.tell_aftercare(pair, Some(incident), Deed::Refused { command, refusal }, batch);
        }
    }

    pub(super) fn tell_aftercare(
        &mut self,
        pair: &PairName,
        incident: Option<IncidentId>,
        deed: Deed,
        batch: &mut Batch,
    ) {
        let Some(incident) = incident else { return };
        let news = News::Aftercare { deed };
        self.narrator.told(pair, &news);
        self.tell(pair, incident, news, batch);
    }

    /// Puts the pair's state into the batch.
    pub(super) fn keep_state(&self, pair: &PairName, batch: &mut Batch) {
        if let Some(known) = self.pairs.get(pair) {
            batch.state(known.judge.state());
        }
    }
}
