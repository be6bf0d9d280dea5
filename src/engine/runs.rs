//! Runs: a permitted command gets its host's turn, runs, and is verified.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::name::PairName;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{RunId, Verdict};
use crate::domain::step::Seen;
use crate::remedy::{Call, Done};

use super::handle::HealReport;
use super::lanes::{Member, Turn};
use super::ledger::Batch;
use super::plan::Rung;
use super::{ByHand, Doing, Engine, Pair, Report, round};

/// How long the intent may take to reach the disk; after that nothing is run.
const INTENT_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Asks for a turn on the command's host; the batch holds the intent.
    pub(super) fn request(&mut self, batch: Batch, member: Member) {
        let host = member.rung.remedy.lane().to_owned();
        let (pair, command) = (member.call.pair.clone(), member.rung.command.clone());
        match self.lanes.request(&host, member) {
            Turn::Now => {
                let intent = self.ledger.recorded(batch, INTENT_WITHIN);
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
        let Some(Member { call, rung, .. }) = self.lanes.running(&host).and_then(<[Member]>::first) else { return };
        let (call, rung, narrator, halt) = (call.clone(), rung.clone(), self.narrator.clone(), self.halt.clone());
        self.rounds.spawn(async move {
            let done = round::heal(intent, &rung, &call, &narrator, &halt).await.map(Box::new);
            Report::Ran { host, done, ended: Instant::now() }
        });
    }

    /// Gives a host to the command that waited for it. Who waited may need it no more, so each pair is looked at first.
    fn next_turn(&mut self, host: &str) {
        while self.lanes.running(host).is_some() {
            let pairs = &self.pairs;
            for member in self.lanes.part(host, |member| member.reply.is_none() && !awaits(pairs, &member.call)) {
                self.unmet(member, &Refusal::Retired);
            }
            if self.lanes.running(host).is_some_and(|members| !members.is_empty()) {
                break;
            }
            self.lanes.finish(host);
        }
        let members = self.lanes.running(host).unwrap_or_default();
        // A person's order is carried out whatever the pair looks like.
        let ordered = members.iter().filter(|member| member.reply.is_none());
        let waited: Vec<_> = ordered
            .filter_map(|member| self.pairs.get(&member.call.pair).map(|known| (member.call.run, known.plan.clone())))
            .collect();
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
        // Its intent was handed over long ago; wait until it is on disk.
        let intent = self.ledger.settled(INTENT_WITHIN);
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
        let Member { call, rung, reply } = member;
        let mut batch = Batch::new(call.pair.clone(), self.clock.now());
        batch.ran(&call, done);
        let still_down = done.run.verdict_unless_up();
        if reply.is_none() && self.is_judged_by(&call) {
            self.follow(&call.pair, Seen::Ran(done.run.clone()), &mut batch);
        } else {
            // By hand, or the incident ended or the pair was taken out while it ran.
            batch.judged(call.run, still_down.clone());
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
        if by_hand.is_none() {
            if known.run != Some(call.run) {
                return;
            }
            known.doing = Doing::Verifying;
        }
        let window = round::verify(known.plan.clone(), rung.verify, since, self.gate.clone());
        self.rounds.spawn(async move {
            let up_after = round::caught(&call.pair, window).await.flatten();
            Report::Verified { call, rung, up_after, by_hand }
        });
    }

    /// Takes the end of a verify window.
    pub(super) fn verified(&mut self, call: &Call, rung: &Rung, up_after: Option<Duration>, by_hand: Option<ByHand>) {
        let pair = &call.pair;
        if by_hand.is_none() && !awaits(&self.pairs, call) {
            return;
        }
        self.narrator.verified(pair, up_after, rung.verify.window);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        if by_hand.is_some() && up_after.is_some() {
            batch.judged(call.run, Verdict::Healed);
        }
        // That an order by hand did not help says nothing about a run of the incident's own.
        if by_hand.is_none() || up_after.is_some() {
            self.follow(pair, Seen::Verified { up_after, command: rung.command.to_string() }, &mut batch);
        }
        self.ledger.record(batch);
        self.release(call);
        answer(by_hand, up_after);
    }

    /// Ends a run that was never sent.
    pub(super) fn unmet(&mut self, member: Member, refusal: &Refusal) {
        let Member { call, rung, reply } = member;
        let pair = call.pair.clone();
        let command = (*rung.command).to_owned();
        self.guard.unsent(&pair);
        self.narrator.refused(&pair, refusal);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        batch.judged(call.run, Verdict::Skipped(refusal.clone()));
        self.ledger.audit(self.ledger.refusal_record(&call, &rung, refusal, self.clock.now()));
        if reply.is_none() && self.is_judged_by(&call) {
            let seen = if *refusal == Refusal::UpAgain {
                Seen::Up
            } else {
                Seen::Refused { command: command.clone(), refusal: refusal.clone() }
            };
            self.follow(&pair, seen, &mut batch);
        }
        self.ledger.record(batch);
        self.release(&call);
        let verdict = Verdict::Skipped(refusal.clone());
        let report = HealReport { pair, command, run: None, verdict, up_after: None };
        answer(reply.map(|reply| ByHand { reply, report }), None);
    }

    /// Gives the pair back to the timetable when this was its run; a check that fell due meanwhile is made at once.
    fn release(&mut self, call: &Call) {
        let is_its_own = |known: &&mut Pair| known.run == Some(call.run);
        let Some(known) = self.pairs.get_mut(&call.pair).filter(is_its_own) else { return };
        (known.doing, known.run) = (Doing::Waiting, None);
        if self.timetable.due(&call.pair).is_none() {
            self.timetable.at_once(&call.pair);
        }
    }
}

/// True while the pair waits for this run or is verified after it.
fn awaits(pairs: &HashMap<PairName, Pair>, call: &Call) -> bool {
    pairs.get(&call.pair).is_some_and(|known| known.run == Some(call.run))
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
