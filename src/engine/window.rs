//! The verify window after a run, and what a pair waits for until its next check.
//!
//! A window proves a run only for the target and the incident that it was run for.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::remedy::{RunId, Verdict};
use crate::domain::step::Seen;
use crate::remedy::Call;

use super::ledger::Batch;
use super::plan::Rung;
use super::turn::awaits;
use super::{ByHand, Doing, Engine, Pair, Report, round};

/// Runs of a pair that its own does not tell of.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// Those that people ordered, oldest first, and how far each is.
    by_hand: Vec<(RunId, Doing)>,
    /// Those that were begun for the target that the pair had before a reload: what is seen now is none of their doing.
    elsewhere: HashSet<RunId>,
}

impl Aside {
    /// True when the run was begun for another target.
    pub(super) fn is_elsewhere(&self, run: RunId) -> bool {
        self.elsewhere.contains(&run)
    }
}

impl Pair {
    /// Takes a person's order. No check and no run of its own goes beside it: what was seen of a service that is being
    /// restarted would be acted on.
    pub(super) fn ordered_by_hand(&mut self, run: RunId) {
        self.aside.by_hand.push((run, Doing::Healing));
        if self.run.is_none() {
            (self.doing, self.run) = (Doing::Healing, Some(run));
        }
    }

    /// Says that the effect of this run is being looked for.
    pub(super) fn verifies(&mut self, run: RunId) {
        if self.run == Some(run) {
            self.doing = Doing::Verifying;
        }
        for (_, doing) in self.aside.by_hand.iter_mut().filter(|(one, _)| *one == run) {
            *doing = Doing::Verifying;
        }
    }

    /// Says that the pair has another target now. What would be seen up in an open window is that one, so nothing waits
    /// for a window any more; true when the pair can be checked at once.
    pub(super) fn moved(&mut self) -> bool {
        let Aside { by_hand, elsewhere } = &mut self.aside;
        elsewhere.extend(self.run);
        elsewhere.extend(by_hand.iter().map(|(run, _)| *run));
        by_hand.retain(|(_, doing)| *doing != Doing::Verifying);
        self.doing == Doing::Verifying && self.hand_over()
    }

    /// Ends a run; true when the pair waits for nothing any more because of that.
    fn over(&mut self, run: RunId) -> bool {
        self.aside.by_hand.retain(|(one, _)| *one != run);
        self.aside.elsewhere.remove(&run);
        self.run == Some(run) && self.hand_over()
    }

    /// Goes on to wait for a person's order that is still under way; true when there is none.
    fn hand_over(&mut self) -> bool {
        let next = self.aside.by_hand.first();
        (self.doing, self.run) = next.map_or((Doing::Waiting, None), |(run, doing)| (*doing, Some(*run)));
        self.run.is_none()
    }
}

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
