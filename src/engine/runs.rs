//! Runs: a permitted command gets its host's turn and a place, and runs. What follows lives in `window`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, RunId, Verdict};
use crate::domain::step::Seen;
use crate::remedy::{Call, Done};

use super::clock::JumpDetector;
use super::decide::ordered;
use super::handle::HealReport;
use super::lanes::{Member, Turn, Why};
use super::ledger::Batch;
use super::plan::Plan;
use super::round::Leaves;
use super::turn::objection;
use super::window::answer;
use super::{ByHand, Engine, Pair, Report, round};

/// How long the intent may take to reach the disk; after that nothing is run.
pub(super) const INTENT_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Asks for a turn on the command's host; the batch holds the intent.
    pub(super) fn request(&mut self, batch: Batch, member: Member) {
        let host = member.rung.remedy.lane().to_owned();
        let (pair, command) = (member.call.pair.clone(), member.rung.command.clone());
        match self.lanes.request(&host, member) {
            Turn::Now => {
                if let Some(place) = self.places.now() {
                    let intent = self.ledger.recorded(vec![batch], INTENT_WITHIN);
                    self.start(host, intent, place);
                } else {
                    // Too many are under way elsewhere: it waits like one whose host is busy.
                    self.ledger.record(batch);
                    self.next_turn(&host);
                }
            }
            turn @ (Turn::Shared | Turn::Waits) => {
                self.narrator.waits(&pair, &command, &host, turn == Turn::Shared);
                self.ledger.record(batch);
            }
        }
    }

    /// Starts what is first on a host's lane, once its intent is on disk.
    fn start(
        &mut self,
        host: String,
        intent: impl Future<Output = bool> + Send + 'static,
        place: OwnedSemaphorePermit,
    ) {
        let members = self.lanes.running(&host).unwrap_or_default();
        let Some(Member { call, rung, .. }) = members.first() else { return };
        // A person's order is carried out whatever the pair looks like.
        let looks = if members.iter().all(Member::heals) { self.plans_of(members) } else { Vec::new() };
        let (call, rung, narrator) = (call.clone(), rung.clone(), self.narrator.clone());
        let last_look = round::LastLook {
            halt: self.halt.clone(),
            veto: self.lanes.veto(&host),
            gate: self.gate.clone(),
            looks,
            clock: self.clock,
            jumps: JumpDetector::new(&self.clock),
        };
        self.rounds.spawn(async move {
            match round::heal(intent, &rung, &call, &narrator, last_look).await {
                round::Healed::Ran(done) => Report::Ran { host, done: Ok(done), ended: Instant::now() },
                round::Healed::Refused(refusal) => Report::Ran { host, done: Err(refusal), ended: Instant::now() },
                round::Healed::Left(leaves) => Report::Looked { host, leaves, place },
            }
        });
    }

    /// The runs that heal an incident, with what is looked at.
    fn plans_of(&self, members: &[Member]) -> Vec<(RunId, Arc<Plan>)> {
        let healing = members.iter().filter(|member| member.heals());
        healing
            .filter_map(|member| self.pairs.get(&member.call.pair).map(|known| (member.call.run, known.plan.clone())))
            .collect()
    }

    /// Holds back what was permitted and could not be sent yet, where the guard says no by now.
    pub(super) fn reconsider(&mut self) {
        let (guard, pairs, now) = (&mut self.guard, &self.pairs, self.clock.now());
        self.lanes.object(|member| objection(guard, pairs, member, now));
    }

    /// Gives a host to the command that waited for it, once there is a place for it too.
    pub(super) fn next_turn(&mut self, host: &str) {
        if !self.is_wanted(host) {
            return;
        }
        if let Some(place) = self.places.now() {
            return self.placed(host, Some(place));
        }
        let (places, halt, host) = (self.places.clone(), self.halt.clone(), host.to_owned());
        self.rounds.spawn(async move {
            let place = tokio::select! {
                () = halt.cancelled() => None,
                place = places.wait() => place,
            };
            Report::Placed { host, place }
        });
    }

    /// Takes that there is a place; none when we are stopping. Who waited may need it no more, so each pair is looked at
    /// first.
    pub(super) fn placed(&mut self, host: &str, place: Option<OwnedSemaphorePermit>) {
        let Some(place) = place.filter(|_| !self.halt.is_cancelled()) else {
            return self.ran(host, Err(Refusal::Stopping), Instant::now());
        };
        if !self.is_wanted(host) {
            return;
        }
        let waited = self.plans_of(self.lanes.running(host).unwrap_or_default());
        let (look, host) = (round::look(waited, self.gate.clone()), host.to_owned());
        self.rounds.spawn(async move {
            let leaves = look.await;
            Report::Looked { host, leaves, place }
        });
    }

    /// Takes those out of whose turn it is who may not have it any more; false when the host is idle then.
    fn is_wanted(&mut self, host: &str) -> bool {
        while let Some(members) = self.lanes.running(host) {
            let (guard, pairs, now) = (&mut self.guard, &self.pairs, self.clock.now());
            // Who wants what a person ordered for the same pair shares that run.
            let shares = |one: &Member| members.iter().any(|other| other.call.pair == one.call.pair && !other.heals());
            let leaves: Leaves = members
                .iter()
                .filter_map(|member| Some((member, objection(guard, pairs, member, now)?)))
                .filter(|(member, refusal)| *refusal != Refusal::ByHand || !shares(member))
                .map(|(member, refusal)| (member.call.run, refusal))
                .collect();
            self.leave_turn(host, leaves);
            if self.lanes.running(host).is_some_and(|members| !members.is_empty()) {
                return true;
            }
            self.lanes.finish(host);
        }
        false
    }

    fn leave_turn(&mut self, host: &str, mut leaves: Leaves) {
        for member in self.lanes.part(host, |member| leaves.contains_key(&member.call.run)) {
            if let Some(refusal) = leaves.remove(&member.call.run) {
                self.unmet(member, &refusal);
            }
        }
    }

    /// Takes the last look at the pairs whose command was not sent yet: some leave, for the others it is run.
    pub(super) fn looked(&mut self, host: &str, leaves: Leaves, place: OwnedSemaphorePermit) {
        if self.halt.is_cancelled() {
            return self.ran(host, Err(Refusal::Stopping), Instant::now());
        }
        self.leave_turn(host, leaves);
        if self.lanes.running(host).is_some_and(<[Member]>::is_empty) {
            drop(place);
            self.lanes.finish(host);
            return self.next_turn(host);
        }
        // Until now it only waited: from now on it may be at work, whatever becomes of us.
        let begins = self.lanes.running(host).unwrap_or_default().iter().filter(|member| member.heals());
        let begins: Vec<_> = begins.map(|member| (member.call.clone(), ordered(&member.call, &member.rung))).collect();
        for (call, ordered) in begins {
            if self.is_judged_by(&call) {
                self.step(&call.pair, Seen::Permitted(ordered));
            }
        }
        // Its intent was handed over long ago, and may have been lost to a full disk: it is handed over again.
        let intents = self.lanes.running(host).unwrap_or_default().iter().map(|member| {
            let mut batch = Batch::new(member.call.pair.clone(), self.clock.now());
            batch.intended(&member.call, &member.rung);
            if let Some(known) = self.pairs.get(&member.call.pair) {
                batch.state(known.judge.state());
            }
            batch
        });
        let intent = self.ledger.recorded(intents.collect(), INTENT_WITHIN);
        self.start(host.to_owned(), intent, place);
    }

    /// Takes the end of a run on a host, for every pair that shared it, and gives the host to the next.
    pub(super) fn ran(&mut self, host: &str, done: Result<Done, Refusal>, ended: Instant) {
        let done = done.map(|done| self.ledger.masked(done));
        let members = self.lanes.finish(host);
        self.next_turn(host);
        self.counters.commands += u64::from(done.is_ok());
        for (place, member) in members.into_iter().enumerate() {
            match &done {
                Ok(done) => {
                    if place == 0 {
                        let record = self.ledger.run_record(&member.call, &member.rung, done, self.clock.now());
                        self.ledger.audit(record);
                        self.narrator.ran(&member.call, done);
                    }
                    self.ran_for(member, done, ended);
                }
                Err(refusal) => self.unmet(member, refusal),
            }
        }
    }

    fn ran_for(&mut self, member: Member, done: &Done, ended: Instant) {
        if member.why == Why::Recovery {
            return self.recovery_ran(&member, done);
        }
        if begins(&member, done) {
            // What a person starts stays as long as the pair is down; what a drill starts is ended after it.
            let ended_under = (member.why != Why::Person).then(|| IncidentId(Uuid::now_v7()));
            let mut batch = Batch::new(member.call.pair.clone(), self.clock.now());
            self.step(&member.call.pair, Seen::Begun { ends: member.rung.ends.to_string(), ended_under });
            self.keep_state(&member.call.pair, &mut batch);
            self.ledger.record(batch);
        }
        if let Why::Drill { .. } = member.why {
            return self.drill_ran(member, done, ended);
        }
        let heals = member.heals();
        let Member { call, rung, reply, .. } = member;
        let mut batch = Batch::new(call.pair.clone(), self.clock.now());
        batch.ran(&call, done);
        let still_down = done.run.verdict_unless_up();
        if heals && self.is_judged_by(&call) {
            self.follow(&call.pair, Seen::Ran(done.run.clone()), &mut batch);
        } else {
            // By hand, or the incident ended or the pair was taken out while it ran. Where nothing was down, a command that
            // succeeded has no verdict: there was nothing to heal.
            if call.incident.is_some() || still_down != Verdict::RanButDown {
                batch.judged(call.run, still_down.clone());
            }
        }
        // After the alert, which quotes what was before.
        if call.incident.is_some() {
            self.records.ran(&call.pair, &rung.command, &done.run);
        }
        self.ledger.record(batch);
        let was_up = call.incident.is_none() && self.pairs.get(&call.pair).is_some_and(Pair::is_seen_up);
        let by_hand = reply.map(|reply| ByHand {
            reply,
            report: HealReport {
                pair: call.pair.clone(),
                command: rung.command.to_string(),
                run: Some(done.run.clone()),
                verdict: still_down,
                up_after: None,
                was_up,
            },
        });
        let is_proved = done.run.started && !rung.verify.window.is_zero() && !self.is_elsewhere(&call);
        if is_proved && !self.halt.is_cancelled() {
            self.open_window(call, rung, ended, by_hand);
        } else {
            self.release(&call);
            answer(by_hand, None);
        }
    }

    /// True while the pair's open incident waits for the end of this run.
    fn is_judged_by(&self, call: &Call) -> bool {
        let outage = self.pairs.get(&call.pair).and_then(|known| known.judge.outage());
        outage.and_then(|outage| outage.ordered.as_ref()).is_some_and(|ordered| ordered.run == call.run)
    }

    /// Ends a run that was never sent.
    pub(super) fn unmet(&mut self, member: Member, refusal: &Refusal) {
        let mut permitted = None;
        let pair = member.call.pair.clone();
        // A harmless drill was never counted.
        if member.why != (Why::Drill { really: false }) {
            self.guard.unsent(&pair, member.at);
        }
        self.narrator.refused(&pair, refusal);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        if member.why == Why::Recovery {
            self.recovery_unmet(&member, refusal, &mut batch);
        }
        let heals = member.heals();
        let Member { call, rung, reply, .. } = member;
        let command = (*rung.command).to_owned();
        batch.judged(call.run, Verdict::Skipped(refusal.clone()));
        self.ledger.audit(self.ledger.refusal_record(&call, &rung, refusal, self.clock.now()));
        if heals && self.is_judged_by(&call) {
            let seen = if *refusal == Refusal::UpAgain {
                Seen::Up
            } else {
                // What keeps it from being run may be what keeps it from being told.
                self.hush(&pair);
                Seen::Refused { command: command.clone(), refusal: refusal.clone() }
            };
            permitted = self.follow(&pair, seen, &mut batch);
        }
        self.write(batch, permitted);
        self.release(&call);
        self.drill_unmet(call.run, refusal);
        let verdict = Verdict::Skipped(refusal.clone());
        let report = HealReport { pair, command, run: None, verdict, up_after: None, was_up: false };
        answer(reply.map(|reply| ByHand { reply, report }), None);
    }
}

/// True when something was begun that has to be ended, and not in an incident of the pair's own.
fn begins(member: &Member, done: &Done) -> bool {
    let by_hand = matches!(member.why, Why::Person | Why::Drill { really: true });
    by_hand && member.rung.once && done.run.started
}
