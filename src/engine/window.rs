//! The verify window after a run. What a pair waits for meanwhile lives in `pair`.
//!
//! A window proves a run only for the target and the incident that it was run for.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::remedy::Verdict;
use crate::domain::step::Seen;
use crate::remedy::Call;

use super::ledger::Batch;
use super::plan::Rung;
use super::turn::awaits;
use super::{ByHand, Engine, Pair, Report, round};

impl Engine {
    /// True when the run was begun for a target that its pair has no more.
    pub(super) fn is_elsewhere(&self, call: &Call) -> bool {
        self.pairs.get(&call.pair).is_some_and(|known| known.aside.is_elsewhere(call.run))
    }

    /// True while the incident that the run was ordered in is open.
    fn is_open(&self, call: &Call) -> bool {
        let outage = self.pairs.get(&call.pair).and_then(|known| known.judge.outage());
        outage.is_some_and(|outage| call.incident == Some(outage.incident))
    }

    /// Looks for the effect of a run.
    pub(super) fn open_window(&mut self, call: Call, rung: Rung, since: Instant, by_hand: Option<ByHand>) {
        let Some(known) = self.pairs.get_mut(&call.pair) else { return answer(by_hand, None) };
        if by_hand.is_none() && known.run != Some(call.run) {
            return;
        }
        known.verifies(call.run);
        self.lanes.window_opened(rung.remedy.lane(), &rung);
        let window = round::verify(known.plan.clone(), rung.verify, since, self.gate.clone());
        self.rounds.spawn(async move {
            let up_after = round::caught(&call.pair, window).await.flatten();
            Report::Verified { call, rung, up_after, by_hand }
        });
    }

    /// Takes the end of a verify window.
    pub(super) fn verified(&mut self, call: &Call, rung: &Rung, up_after: Option<Duration>, by_hand: Option<ByHand>) {
        let host = rung.remedy.lane();
        let next = self.lanes.window_closed(host, rung);
        if self.is_elsewhere(call) {
            answer(by_hand, None);
        } else if by_hand.is_some() || awaits(&self.pairs, call) {
            self.proved(call, rung, up_after, by_hand.is_some());
            answer(by_hand, up_after);
        }
        self.release(call);
        if next {
            self.next_turn(host);
        }
    }

    fn proved(&mut self, call: &Call, rung: &Rung, up_after: Option<Duration>, by_hand: bool) {
        let pair = &call.pair;
        self.narrator.verified(pair, up_after, rung.verify.window);
        let mut batch = Batch::new(pair.clone(), self.clock.now());
        let mut permitted = None;
        // That an order by hand did not help says nothing about a run of the incident's own; and what it was ordered for
        // may be over.
        if self.is_open(call) && (!by_hand || up_after.is_some()) {
            if let Some(after) = up_after {
                self.records.healed(pair, &rung.command, after);
            }
            let command = rung.command.to_string();
            permitted = self.follow(pair, Seen::Verified { run: call.run, up_after, command }, &mut batch);
        }
        self.write(batch, permitted);
    }

    /// Ends what the pair waited for. A check that fell due meanwhile is made at once, and so is the first one of a new
    /// target.
    pub(super) fn release(&mut self, call: &Call) {
        let moved = self.is_elsewhere(call);
        let is_over = |known: &mut Pair| known.over(call.run);
        let waits_no_more = self.pairs.get_mut(&call.pair).is_some_and(is_over);
        if waits_no_more && (moved || self.timetable.due(&call.pair).is_none()) {
            self.timetable.at_once(&call.pair);
        }
    }
}

/// Answers a person's order.
pub(super) fn answer(waits: Option<ByHand>, up_after: Option<Duration>) {
    if let Some(ByHand { reply, mut report }) = waits {
        if up_after.is_some() {
            report.verdict = Verdict::Healed;
        }
        report.up_after = up_after;
        // Whoever asked may have gone; the record stands.
        let _ = reply.send(report);
    }
}
