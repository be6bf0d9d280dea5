//! Orders that come in through the `Handle`.

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::name::PairName;
use crate::domain::outage::{Outage, State};
use crate::domain::reading::Outcome;
use crate::domain::remedy::{RunId, Verdict};
use crate::remedy::Call;

use super::handle::{
    Approval, CheckCounters, Denied, HealReport, Order, PairState, PairStatus, ProbeReport, Status, Unmet,
};
use super::lanes::{Member, Why};
use super::ledger::Batch;
use super::{Engine, Pair, Report, round};

impl Engine {
    /// Carries out one order. Whoever asked may be gone by the time of the answer; that changes nothing.
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Ready(reply) => {
                let _ = reply.send(());
            }
            Order::Missed(lasted, reply) => {
                self.pushes.all_cut_off(lasted);
                let _ = reply.send(());
            }
            Order::Push { server, pair, word, reply } => {
                let _ = reply.send(self.heard(&server, pair.as_ref(), word));
            }
            Order::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Order::Probe(pair, reply) => self.probe_now(&pair, reply),
            Order::Heal { pair, rung, reply, refused } => {
                if let Err(unmet) = self.heal_now(&pair, rung, reply) {
                    let _ = refused.send(unmet);
                }
            }
            Order::Reload(plans, reply) => {
                let _ = reply.send(self.reload(*plans));
            }
            Order::Stop { scope, by, lasts, reply } => {
                let stopped = self.stop_healing(scope, by, lasts);
                self.answer_kept(stopped, reply);
            }
            Order::Resume { scope, by, reply } => {
                let resumed = self.resume_healing(&scope, &by);
                self.answer_kept(resumed, reply);
            }
            Order::Answer { id, yes, by, reply } => {
                let answered = self.answer_approval(&id, yes, by);
                if yes {
                    // That it is on its way; nothing is sent before its intent is on disk.
                    let _ = reply.send(answered);
                } else {
                    self.answer_kept(answered, reply);
                }
            }
            Order::Drill { pair, really, by, reply } => self.drill(pair, really, by, reply),
        }
    }

    fn probe_now(&mut self, pair: &PairName, reply: oneshot::Sender<Result<ProbeReport, Unmet>>) {
        let Some(known) = self.pairs.get(pair) else {
            let _ = reply.send(Err(Unmet::NoSuchPair(pair.clone())));
            return;
        };
        let (name, url) = (pair.clone(), known.plan.url().to_owned());
        let check = round::check(known.plan.clone(), Instant::now(), self.gate.clone(), self.narrator.clone());
        self.rounds.spawn(async move {
            if let Some(round::Check { reading, made, .. }) = round::caught(&name, check).await {
                let _ = reply.send(Ok(ProbeReport { pair: name, url, reading, made }));
            }
            Report::Answered
        });
    }

    fn heal_now(&mut self, pair: &PairName, rung: u32, reply: oneshot::Sender<HealReport>) -> Result<(), Unmet> {
        let now = self.clock.now();
        let known = self.pairs.get(pair).ok_or_else(|| Unmet::NoSuchPair(pair.clone()))?;
        let rungs = known.plan.ladder.len();
        let index = usize::try_from(rung).ok().and_then(|rung| rung.checked_sub(1));
        let wanted = match index.and_then(|index| known.plan.ladder.get(index)) {
            Some(wanted) => wanted.clone(),
            None if rungs == 0 => return Err(Unmet::NoRemedy(pair.clone())),
            None => return Err(Unmet::NoSuchRung { pair: pair.clone(), rung, rungs }),
        };
        let incident = known.judge.outage().map(|outage| outage.incident);
        let call =
            Call { pair: pair.clone(), incident, run: RunId(Uuid::now_v7()), attempt: 0, rung, limit: wanted.limit };
        let mut batch = Batch::new(pair.clone(), now);
        match self.guard.by_hand() {
            Ok(_permit) => {
                self.guard.started(pair, now);
                batch.intended(&call, &wanted);
                if let Some(known) = self.pairs.get_mut(pair) {
                    known.ordered_by_hand(call.run);
                }
                self.request(batch, Member { call, rung: wanted, why: Why::Person, at: now, reply: Some(reply) });
            }
            Err(refusal) => {
                self.narrator.refused(pair, &refusal);
                batch.refused(&call, &wanted, &refusal);
                self.ledger.audit(self.ledger.refusal_record(&call, &wanted, &refusal, now));
                self.ledger.record(batch);
                let command = wanted.command.to_string();
                let verdict = Verdict::Skipped(refusal);
                let (run, up_after, was_up) = (None, None, false);
                let _ = reply.send(HealReport { pair: pair.clone(), command, run, verdict, up_after, was_up });
            }
        }
        Ok(())
    }

    fn status(&mut self) -> Status {
        let at = self.clock.now();
        let mut names: Vec<PairName> = self.pairs.keys().cloned().collect();
        names.sort();
        let pairs = names
            .iter()
            .filter_map(|name| {
                let spent = self.guard.spent(name, at);
                let flapping = self.guard.flapping(name, at).is_some();
                let next = self.timetable.due(name);
                let pair = self.pairs.get(name)?;
                let maintenance_until = self.guard.maintenance(name, at);
                Some(PairStatus { flapping, maintenance_until, ..pair_status(name, pair, next, spent) })
            })
            .collect();
        let lateness = &self.counters.lateness;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.counters.started_at,
            at,
            storm: self.guard.storm(at, self.pairs.len()),
            stops: self.guard.stops(at).cloned().collect(),
            cut_off: self.alarms.cut_off.iter().map(|(key, told)| (key.clone(), told.since)).collect(),
            checks: CheckCounters {
                made: self.counters.checks,
                commands: self.counters.commands,
                late_p50_ms: lateness.percentile_ms(0.5),
                late_p99_ms: lateness.percentile_ms(0.99),
            },
            pairs,
        }
    }
}

fn pair_status(name: &PairName, pair: &Pair, next: Option<Instant>, budget_spent: u32) -> PairStatus {
    let reading = pair.last.as_ref().map(|last| &last.reading);
    let (fault, blind) = match reading.map(|reading| &reading.outcome) {
        Some(Outcome::Down(fault)) => (Some(fault.clone()), pair.last.as_ref().is_some_and(|last| last.unknown)),
        Some(Outcome::Blind(fault)) => (Some(fault.clone()), true),
        Some(Outcome::Up) | None => (None, false),
    };
    let (state, since) = match pair.judge.state() {
        State::Fresh => (PairState::Fresh, None),
        State::Up { since, .. } => (PairState::Up, Some(*since)),
        State::Down(outage) => (PairState::Down, Some(outage.since)),
    };
    let outage = pair.judge.outage();
    PairStatus {
        pair: name.clone(),
        url: pair.plan.url().to_owned(),
        environment: pair.plan.environment,
        notify: pair.plan.notify,
        certificate_ends: reading.and_then(|reading| reading.certificate_ends),
        state: if blind { PairState::Unknown } else { state },
        doing: pair.doing,
        since,
        incident: outage.map(|outage| outage.incident),
        failures: outage.map_or(0, |outage| outage.failures),
        response_ms: reading
            .filter(|reading| reading.phases.first_byte.is_some())
            .map(|reading| reading.took.as_secs_f64() * 1000.0),
        phases: reading.map(|reading| reading.phases),
        fault: fault.or_else(|| outage.map(|outage| outage.fault.clone())),
        checked_at: pair.last.as_ref().map(|last| last.at),
        next_check_s: next.map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64()),
        budget_spent,
        quiet: outage.and(pair.judge.quiet()),
        flapping: false,
        maintenance_until: None,
        unknown_since: pair.unseen.filter(|_| blind).map(|unseen| unseen.since),
        denied: outage.map(|outage| denied(pair, outage)).unwrap_or_default(),
        approval: outage.and_then(|outage| outage.asked.as_ref()).map(|asked| Approval {
            id: asked.id.clone(),
            pair: name.clone(),
            rung: asked.rung,
            command: pair.plan.rung(asked.rung).map(|rung| rung.command.to_string()).unwrap_or_default(),
            since: asked.since,
        }),
    }
}

/// What a person said no to, of the ladder as it is now.
fn denied(pair: &Pair, outage: &Outage) -> Vec<Denied> {
    let command = |rung: u32| pair.plan.exact(rung).map(|rung| &*rung.command);
    let said_no = outage.answers(command).denied.into_iter();
    said_no.map(|(rung, by)| Denied { rung, command: command(rung).unwrap_or_default().to_owned(), by }).collect()
}
