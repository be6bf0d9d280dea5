//! What is read off the attempts that the engine makes: its checks, and how its verify windows end without success.
//!
//! The engine writes neither down. A check is known by two things: a command is warmed after its first failed attempt, and
//! all its attempts are made in one task.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task;

use crate::domain::name::PairName;
use crate::domain::reading::Fault;
use crate::domain::remedy::{IncidentId, RunId};
use crate::engine::plan::Plan;

use super::event::{Event, Verdict, What};
use super::tape::Tape;

/// What is known of one pair while the tape runs.
pub struct Track {
    pub(super) plan: Arc<Plan>,
    /// A failed attempt that may turn out to be the first of a check.
    pub(super) failed: Option<Failing>,
    /// Checks under way of which an attempt failed. There is one; of a pair without a ladder there may seem to be more,
    /// because nothing tells its checks from looks at it as one of a sample.
    pub(super) failing: Vec<Failing>,
    /// Where the last check stands, until something follows from it.
    pub(super) check: Option<usize>,
    /// What would be the last check of a pair without a ladder, if something follows from it.
    pub(super) maybe: Option<Failing>,
    /// The moment that was promised for the next one.
    pub(super) due: Option<Timestamp>,
    pub(super) incident: Option<IncidentId>,
    /// The command that was ordered and has not ended.
    pub(super) ordered: Option<RunId>,
    pub(super) window: Option<Window>,
    /// The last attempt that saw it up.
    pub(super) up: Option<Duration>,
}

/// Failed attempts of one round.
#[derive(Clone)]
pub struct Failing {
    /// The round: all attempts of a check are made in one task, and nobody else's are.
    round: Option<task::Id>,
    made: u32,
    /// The last of them.
    at: Duration,
    fault: Fault,
}

/// A verify window.
pub struct Window {
    pub(super) ended: Duration,
    pub(super) until: Duration,
    pub(super) looks: Vec<Duration>,
}

impl Track {
    /// Starts with nothing known.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            failed: None,
            failing: Vec::new(),
            check: None,
            maybe: None,
            due: None,
            incident: None,
            ordered: None,
            window: None,
            up: None,
        }
    }
}

impl Tape {
    /// Takes the end of one attempt, made in the round that asks.
    pub fn attempt(&mut self, at: Duration, pair: &PairName, fault: Option<&Fault>) {
        if self.tracks.get(pair).and_then(|track| track.window.as_ref()).is_some_and(|window| at > window.until) {
            self.close_window(pair);
        }
        let round = task::try_id();
        let Some(track) = self.tracks.get_mut(pair) else { return };
        let of = track.plan.check.attempts;
        let known = track.failing.iter_mut().find(|failing| failing.round == round);
        let Some(fault) = fault else {
            // One of an open incident counts towards its end; those inside a window belong to the command.
            let counts = track.incident.is_some() && track.ordered.is_none() && track.window.is_none();
            let attempts = known.map_or(1, |failing| failing.made + 1);
            (track.failed, track.up) = (None, Some(at));
            if attempts > 1 {
                track.failing.clear();
            }
            if attempts > 1 || counts {
                self.push(at, pair, What::Check { verdict: Verdict::Up, attempts, of, cause: None, reason: None });
            }
            return;
        };
        if let Some(failing) = known {
            (failing.made, failing.at, failing.fault) = (failing.made + 1, at, fault.clone());
        } else {
            let first = Failing { round, made: 1, at, fault: fault.clone() };
            if track.plan.ladder.is_empty() {
                track.failing.push(first);
            } else {
                track.failed = Some(first);
                if let Some(window) = &mut track.window {
                    window.looks.push(at);
                }
            }
        }
        self.finish(pair);
    }

    /// Takes the word that a command may soon be wanted: the failed attempt before it was the first of a check.
    pub fn warmed(&mut self, pair: &PairName) {
        let Some(track) = self.tracks.get_mut(pair) else { return };
        let Some(first) = track.failed.take() else { return };
        // What it was before ended unseen: nobody could have looked.
        let ended = std::mem::replace(&mut track.failing, vec![first]);
        if let Some(window) = &mut track.window {
            // It was no look: the window had ended before.
            window.looks.pop();
            self.close_window(pair);
        }
        for failing in ended {
            self.check(pair, &failing);
        }
        self.finish(pair);
    }

    /// Ends the check that has made all its attempts.
    fn finish(&mut self, pair: &PairName) {
        let Some(track) = self.tracks.get_mut(pair) else { return };
        let of = track.plan.check.attempts;
        let Some(done) = track.failing.iter().find(|failing| failing.made >= of).cloned() else { return };
        track.failing.clear();
        if of == 1 && track.plan.ladder.is_empty() {
            track.maybe = Some(done);
        } else {
            let place = self.check(pair, &done);
            if let Some(track) = self.tracks.get_mut(pair) {
                track.check = Some(place);
            }
        }
    }

    fn check(&mut self, pair: &PairName, failing: &Failing) -> usize {
        let of = self.tracks.get(pair).map_or(failing.made, |track| track.plan.check.attempts);
        let (cause, reason) = (Some(failing.fault.cause.as_str()), Some(failing.fault.reason.clone()));
        self.push(
            failing.at,
            pair,
            What::Check { verdict: Verdict::Unknown, attempts: failing.made, of, cause, reason },
        );
        self.events.len().saturating_sub(1)
    }

    /// Something followed from the last check of this pair: it counted.
    pub(super) fn counted(&mut self, pair: &PairName) {
        let maybe = self.tracks.get_mut(pair).and_then(|track| track.maybe.take());
        let place = match maybe {
            Some(failing) => Some(self.check(pair, &failing)),
            None => self.tracks.get_mut(pair).and_then(|track| track.check.take()),
        };
        if let Some(Event { what: What::Check { verdict, .. }, .. }) =
            place.and_then(|place| self.events.get_mut(place))
        {
            *verdict = Verdict::Down;
        }
    }

    /// Ends a verify window in which nobody was seen up.
    fn close_window(&mut self, pair: &PairName) {
        let Some(window) = self.tracks.get_mut(pair).and_then(|track| track.window.take()) else { return };
        if let Some(last) = window.looks.last().copied() {
            self.push(last, pair, What::Verify { healed: false, after: last.saturating_sub(window.ended) });
        }
    }

    /// Ends what ended unseen: verify windows, and checks that made no other attempt when it was time for one.
    pub(super) fn end_unseen(&mut self, at: Duration) {
        let over = |track: &Track| track.window.as_ref().is_some_and(|window| window.until <= at);
        let pairs: Vec<PairName> =
            self.tracks.iter().filter(|(_, track)| over(track)).map(|(pair, _)| pair.clone()).collect();
        for pair in &pairs {
            self.close_window(pair);
        }
        // Checks that ended unseen: what else would make another attempt by now.
        let mut unseen = Vec::new();
        for (pair, Track { plan, failing, .. }) in &self.tracks {
            let pause = plan.check.retry_delay.saturating_add(plan.check.timeout.saturating_mul(2));
            let ended =
                failing.iter().filter(|failing| !plan.ladder.is_empty() && failing.at.saturating_add(pause) < at);
            unseen.extend(ended.map(|failing| (pair.clone(), failing.clone())));
        }
        for (pair, failing) in &unseen {
            self.check(pair, failing);
        }
    }
}
