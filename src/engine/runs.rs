//! Runs: a permitted command gets its host's turn, runs, and is verified.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, RunId, Verdict};
use crate::domain::step::Seen;
use crate::remedy::{Call, Done};

use super::decide::ordered;
use super::handle::HealReport;
use super::lanes::{Member, Turn, Why};
use super::ledger::Batch;
use super::plan::{Plan, Rung};
use super::turn::{awaits, objection};
use super::{ByHand, Doing, Engine, Pair, Report, round};

/// How long the intent may take to reach the disk; after that nothing is run.
pub(super) const INTENT_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Asks for a turn on the command's host; the batch holds the intent.
    pub(super) fn request(&mut self, batch: Batch, member: Member) {
        let host = member.rung.remedy.lane().to_owned();
        let (pair, command) = (member.call.pair.clone(), member.rung.command.clone());
        match self.lanes.request(&host, member) {
            Turn::Now => {
                let intent = self.ledger.recorded(vec![batch], INTENT_WITHIN);
                self.start(host, intent);
            }
            turn @ (Turn::Shared | Turn::Waits) => {
                self.narrator.waits(&pair, &command, &host, turn == Turn::Shared);
                self.ledger.record(batch);
            }
        }
    }

    /// Starts what is first on a host's lane, once its intent is on disk.
    fn start(&mut self, host: String, intent: impl Future<Output = bool> + Send + 'static) {
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
            places: self.places.clone(),
        };
        self.rounds.spawn(async move {
            match round::heal(intent, &rung, &call, &narrator, last_look).await {
                round::Healed::Ran(done) => Report::Ran { host, done: Ok(done), ended: Instant::now() },
                round::Healed::Refused(refusal) => Report::Ran { host, done: Err(refusal), ended: Instant::now() },
                round::Healed::Up(up) => Report::Looked { host, up },
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

    /// Gives a host to the command that waited for it. Who waited may need it no more, so each pair is looked at first.
    pub(super) fn next_turn(&mut self, host: &str) {
        while let Some(members) = self.lanes.running(host) {
            let (guard, pairs, now) = (&mut self.guard, &self.pairs, self.clock.now());
            let mut refused: HashMap<RunId, Refusal> = members
                .iter()
                .filter_map(|member| Some((member.call.run, objection(guard, pairs, member, now)?)))
                .collect();
            for member in self.lanes.part(host, |member| refused.contains_key(&member.call.run)) {
                if let Some(refusal) = refused.remove(&member.call.run) {
                    self.unmet(member, &refusal);
                }
            }
            if self.lanes.running(host).is_some_and(|members| !members.is_empty()) {
                break;
            }
            self.lanes.finish(host);
        }
        let members = self.lanes.running(host).unwrap_or_default();
        let waited = self.plans_of(members);
        let Some(first) = members.first().map(|member| member.call.pair.clone()) else { return };
        let (look, host) = (round::look(waited, self.gate.clone()), host.to_owned());
        self.rounds.spawn(async move {
            let up = round::caught(&first, look).await.unwrap_or_default();
            Report::Looked { host, up }
        });
    }

    /// Takes the look at the pairs whose command had to wait: those that came back leave, for the others it is run.
    pub(super) fn looked(&mut self, host: &str, up: &HashSet<RunId>) {
        if self.halt.is_cancelled() {
            return self.ran(host, Err(Refusal::Stopping), Instant::now());
        }
        for member in self.lanes.part(host, |member| up.contains(&member.call.run)) {
            self.unmet(member, &Refusal::UpAgain);
        }
        if self.lanes.running(host).is_some_and(<[Member]>::is_empty) {
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
        self.start(host.to_owned(), intent);
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
        if let Why::Drill { .. } = member.why {
            return self.drill_ran(member, done, ended);
        }
        let heals = member.heals();
        let Member { call, rung, reply, why } = member;
        let mut batch = Batch::new(call.pair.clone(), self.clock.now());
        batch.ran(&call, done);
        if !heals && rung.once && done.run.started {
            // What a person starts stays as long as the pair is down; what a drill starts is ended after it.
            let ended_under = matches!(why, Why::Drill { .. }).then(|| IncidentId(Uuid::now_v7()));
            self.step(&call.pair, Seen::Begun { ends: rung.ends.to_string(), ended_under });
            self.keep_state(&call.pair, &mut batch);
        }
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
        let by_hand = reply.map(|reply| ByHand {
            reply,
            report: HealReport {
                pair: call.pair.clone(),
                command: rung.command.to_string(),
                run: Some(done.run.clone()),
                verdict: still_down,
                up_after: None,
            },
        });
        if done.run.started && !rung.verify.window.is_zero() && !self.halt.is_cancelled() {
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

    fn open_window(&mut self, call: Call, rung: Rung, since: Instant, by_hand: Option<ByHand>) {
        let Some(known) = self.pairs.get_mut(&call.pair) else { return answer(by_hand, None) };
        if by_hand.is_none() && known.run != Some(call.run) {
            return;
        }
        if known.run == Some(call.run) {
            known.doing = Doing::Verifying;
        }
        self.lanes.window_opened(rung.remedy.lane(), &rung);
        let window = round::verify(known.plan.clone(), rung.verify, since, self.gate.clone());
        self.rounds.spawn(async move {
            let up_after = round::caught(&call.pair, window).await.flatten();
            Report::Verified { call, rung, up_after, by_hand }
        });
    }

    /// Takes the end of a verify window.
    pub(super) fn verified(&mut self, call: &Call, rung: &Rung, up_after: Option<Duration>, by_hand: Option<ByHand>) {
        let pair = &call.pair;
        let host = rung.remedy.lane();
        let next = self.lanes.window_closed(host, rung);
        if by_hand.is_none() && !awaits(&self.pairs, call) {
            if next {
                self.next_turn(host);
            }
            return;
        }
        self.narrator.verified(pair, up_after, rung.verify.window);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        // That an order by hand did not help says nothing about a run of the incident's own.
        let mut permitted = None;
        if by_hand.is_none() || up_after.is_some() {
            let command = rung.command.to_string();
            let is_down = self.pairs.get(pair).is_some_and(|known| known.judge.outage().is_some());
            if let Some(after) = up_after.filter(|_| is_down) {
                self.records.healed(pair, &rung.command, after);
            }
            permitted = self.follow(pair, Seen::Verified { run: call.run, up_after, command }, &mut batch);
        }
        self.write(batch, permitted);
        self.release(call);
        answer(by_hand, up_after);
        if next {
            self.next_turn(host);
        }
    }

    /// Ends a run that was never sent.
    pub(super) fn unmet(&mut self, member: Member, refusal: &Refusal) {
        let mut permitted = None;
        let pair = member.call.pair.clone();
        // A harmless drill was never counted.
        if member.why != (Why::Drill { really: false }) {
            self.guard.unsent(&pair);
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
        let report = HealReport { pair, command, run: None, verdict, up_after: None };
        answer(reply.map(|reply| ByHand { reply, report }), None);
    }

    /// Gives the pair back to the timetable when this was its run; a check that fell due meanwhile is made at once.
    pub(super) fn release(&mut self, call: &Call) {
        let is_its_own = |known: &&mut Pair| known.run == Some(call.run);
        let Some(known) = self.pairs.get_mut(&call.pair).filter(is_its_own) else { return };
        (known.doing, known.run) = (Doing::Waiting, None);
        if self.timetable.due(&call.pair).is_none() {
            self.timetable.at_once(&call.pair);
        }
    }
}

/// Answers a person's order.
fn answer(waits: Option<ByHand>, up_after: Option<Duration>) {
    if let Some(ByHand { reply, mut report }) = waits {
        if up_after.is_some() {
            report.verdict = Verdict::Healed;
        }
        report.up_after = up_after;
        // Whoever asked may have gone; the record stands.
        let _ = reply.send(report);
    }
}
