//! A pair as the engine holds it, and what it waits for until its next check.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::evidence::Evidence;
use crate::domain::judge::Judge;
use crate::domain::name::PairName;
use crate::domain::outage::State;
use crate::domain::reading::{Outcome, Reading};
use crate::domain::remedy::RunId;

use super::handle::Doing;
use super::plan::Plan;
use super::unseen::Unseen;

/// Every pair. In no order that means anything, and yet in the same one each time, so that one story has one end.
pub(super) type Pairs = HashMap<PairName, Pair, BuildHasherDefault<DefaultHasher>>;

/// One pair as the engine holds it.
pub(super) struct Pair {
    pub plan: Arc<Plan>,
    pub judge: Judge,
    pub doing: Doing,
    /// The check under way, or the last one; a report of any other is of a pair that was taken out and entered again.
    pub check: u64,
    /// What the check under way sees is thrown away: time was lost meanwhile, or the pair has another plan now.
    pub stale: bool,
    /// The run it waits for, is healed by or is verified after.
    pub run: Option<RunId>,
    /// Runs beside it, or of another target.
    pub aside: Aside,
    pub last: Option<Last>,
    /// Since when it could not be looked at.
    pub unseen: Option<Unseen>,
    /// What was found out about its last failure.
    pub evidence: Evidence,
    /// The look from its site at the last failing check got no answer.
    pub unanswered: bool,
}

impl Pair {
    pub(super) fn new(plan: Arc<Plan>, judge: Judge) -> Self {
        Self {
            plan,
            judge,
            doing: Doing::Waiting,
            check: 0,
            stale: false,
            run: None,
            aside: Aside::default(),
            last: None,
            unseen: None,
            evidence: Evidence::default(),
            unanswered: false,
        }
    }

    /// Takes a person's order. No check and no run of its own goes beside it: what was seen of a service that is being
    /// restarted would be acted on.
    pub(super) fn ordered_by_hand(&mut self, run: RunId) {
        self.aside.by_hand.push((run, Doing::Healing));
        if self.run.is_none() {
            (self.doing, self.run) = (Doing::Healing, Some(run));
        }
    }

    /// True when it is up and the last look said so, too.
    pub(super) fn is_seen_up(&self) -> bool {
        let seen = self.last.as_ref().is_some_and(|last| last.reading.outcome == Outcome::Up);
        seen && matches!(self.judge.state(), State::Up { .. })
    }

    /// True when it has to be seen up once and was not.
    pub(super) fn was_never_up(&self) -> bool {
        self.plan.up_first
            && match self.judge.state() {
                State::Fresh => true,
                State::Up { .. } => false,
                State::Down(outage) => outage.unproven,
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
    pub(super) fn over(&mut self, run: RunId) -> bool {
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

pub(super) struct Last {
    pub reading: Reading,
    /// Some attempt of that check could not look.
    pub unknown: bool,
    pub at: Timestamp,
}

/// Runs of a pair that its own does not tell of.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// Those that people ordered, oldest first, and how far each is.
    by_hand: Vec<(RunId, Doing)>,
    /// Those that were begun for the target that the pair had before a reload: what is seen now is none of their doing.
    elsewhere: HashSet<RunId>,
}

impl Aside {
    /// True while a person's order is under way.
    pub(super) fn is_by_hand(&self) -> bool {
        !self.by_hand.is_empty()
    }

    /// True when the run was begun for another target.
    pub(super) fn is_elsewhere(&self, run: RunId) -> bool {
        self.elsewhere.contains(&run)
    }
}
