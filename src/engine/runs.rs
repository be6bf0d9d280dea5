//! Runs: a permitted command gets its host's turn, runs, and is verified.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::judge::Seen;
use crate::domain::name::PairName;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::Verdict;
use crate::remedy::{Call, Done};

use super::handle::HealReport;
use super::lanes::{Member, Turn};
use super::ledger::Batch;
use super::plan::Rung;
use super::{ByHand, Doing, Engine, Report, round};

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
        let Some(Member { call, rung, .. }) = self.lanes.running(&host) else { return };
        let (call, rung, narrator) = (call.clone(), rung.clone(), self.narrator.clone());
        self.counters.commands += 1;
        let (pair, place) = (call.pair.clone(), host.clone());
        self.round(pair, Some(place), async move {
            let done = round::heal(intent, &rung, &call, &narrator).await.map(Box::new);
            Report::Ran { host, done, ended: Instant::now() }
        });
    }

    /// Takes the end of a run on a host, for every pair that shared it, and gives the host to the next.
    pub(super) fn ran(&mut self, host: &str, done: Option<Done>, ended: Instant) {
        let done = done.map(|done| self.ledger.masked(done));
        let members = self.lanes.finish(host);
        if self.lanes.running(host).is_some() {
            // Its intent was handed over long ago; wait until it is on disk.
            let intent = self.ledger.settled(INTENT_WITHIN);
            self.start(host.to_owned(), intent);
        }
        for (place, member) in members.into_iter().enumerate() {
            match &done {
                Some(done) => {
                    if place == 0 {
                        let record = self.ledger.run_record(&member.call, &member.rung, done, self.clock.now());
                        self.ledger.audit(record);
                        self.narrator.ran(&member.call, done);
                    }
                    self.ran_for(member, done, ended);
                }
                None => self.unmet(member, &Refusal::NotRecorded),
            }
        }
    }

    fn ran_for(&mut self, member: Member, done: &Done, ended: Instant) {
        let Member { call, rung, reply } = member;
        let mut batch = Batch::new(call.pair.clone(), self.clock.now());
        batch.ran(&call, done);
        let still_down = done.run.verdict_unless_up();
        if reply.is_some() {
            batch.judged(call.run, still_down.clone());
        } else {
            self.follow(&call.pair, Seen::Ran(done.run.clone()), &mut batch);
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
        if done.run.started && !rung.verify.window.is_zero() && !self.stopping {
            self.open_window(call, rung, ended, by_hand);
        } else {
            self.release(&call.pair, by_hand.is_some());
            answer(by_hand, None);
        }
    }

    fn open_window(&mut self, call: Call, rung: Rung, since: Instant, by_hand: Option<ByHand>) {
        let Some(known) = self.pairs.get_mut(&call.pair) else { return answer(by_hand, None) };
        if by_hand.is_none() {
            known.doing = Doing::Verifying;
        }
        let window = round::verify(known.plan.clone(), rung.verify, since, self.gate.clone());
        self.round(call.pair.clone(), None, async move {
            let up_after = window.await;
            Report::Verified { call, rung, up_after, by_hand }
        });
    }

    /// Takes the end of a verify window.
    pub(super) fn verified(&mut self, call: &Call, rung: &Rung, up_after: Option<Duration>, by_hand: Option<ByHand>) {
        let pair = &call.pair;
        self.narrator.verified(pair, up_after, rung.verify.window);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        if by_hand.is_some() && up_after.is_some() {
            batch.judged(call.run, Verdict::Healed);
        }
        self.follow(pair, Seen::Verified { up_after, command: rung.command.to_string() }, &mut batch);
        self.ledger.record(batch);
        self.release(pair, by_hand.is_some());
        answer(by_hand, up_after);
    }

    /// Ends a run that was never sent.
    pub(super) fn unmet(&mut self, member: Member, refusal: &Refusal) {
        let Member { call, rung, reply } = member;
        let pair = call.pair.clone();
        let command = (*rung.command).to_owned();
        self.narrator.refused(&pair, refusal);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        batch.judged(call.run, Verdict::Skipped(refusal.clone()));
        self.ledger.audit(self.ledger.refusal_record(&call, &rung, refusal, self.clock.now()));
        if reply.is_none() {
            self.follow(&pair, Seen::Refused { command: command.clone(), refusal: refusal.clone() }, &mut batch);
        }
        self.ledger.record(batch);
        self.release(&pair, reply.is_some());
        let verdict = Verdict::Skipped(refusal.clone());
        let report = HealReport { pair, command, run: None, verdict, up_after: None };
        answer(reply.map(|reply| ByHand { reply, report }), None);
    }

    /// Gives the pair back to the timetable; a check that fell due meanwhile is made at once.
    fn release(&mut self, pair: &PairName, by_hand: bool) {
        let Some(known) = self.pairs.get_mut(pair) else { return };
        if by_hand {
            return;
        }
        known.doing = Doing::Waiting;
        if std::mem::take(&mut known.overdue) && self.timetable.due(pair).is_none() {
            self.timetable.at(pair, Instant::now());
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
