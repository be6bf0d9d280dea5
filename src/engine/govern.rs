//! What a person decides: that healing stops or goes on, and whether a rung that waits for them may run.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::domain::ladder::Mode;
use crate::domain::remedy::{IncidentId, RunId};
use crate::domain::step::Seen;
use crate::domain::stop::{Scope, Stop};
use crate::message::Line;
use crate::remedy::Call;

use super::decide::ordered;
use super::handle::{Answered, Unmet};
use super::lanes::{Member, Turn, Why};
use super::ledger::Batch;
use super::plan::Rung;
use super::runs::INTENT_WITHIN;
use super::{Doing, Engine, Report};

/// The name of an approval: short enough to type, and another one for each incident and each time it is asked anew.
pub(super) fn approval_id(incident: IncidentId, attempt: u32) -> String {
    // The end of a version 7 identity is random; the beginning is the time.
    let random = incident.0.as_u128() & 0xff_ffff;
    format!("{:06x}", (random + u128::from(attempt) * 0x9e_3779) & 0xff_ffff)
}

impl Engine {
    /// Carries out what a person says of healing, and answers once it is on disk: it has to survive a restart.
    pub(super) fn answer_kept<T: Send + 'static>(
        &mut self,
        done: Result<T, Unmet>,
        reply: oneshot::Sender<Result<T, Unmet>>,
    ) {
        if done.is_err() {
            let _ = reply.send(done);
            return;
        }
        let now = self.clock.now();
        let mut batch = Batch::of_agent(now);
        batch.memory(&self.memory(now));
        let kept = self.ledger.recorded(vec![batch], INTENT_WITHIN);
        self.rounds.spawn(async move {
            // Whoever asked may have gone; what they said stands.
            let _ = reply.send(if kept.await { done } else { Err(Unmet::NotKept) });
            Report::Answered
        });
    }

    /// Stops healing for some or all.
    pub(super) fn stop_healing(&mut self, scope: Scope, by: String, lasts: Option<Duration>) -> Result<Stop, Unmet> {
        self.is_known(&scope)?;
        let since = self.clock.now();
        let until = lasts
            .and_then(|lasts| SignedDuration::try_from(lasts).ok())
            .and_then(|lasts| since.checked_add(lasts).ok());
        let stop = Stop { scope, by, since, until };
        self.narrator.warn(&Line::HealingStopped { stop: &stop, zone: &self.narrator.voice().zone });
        self.guard.stop(stop.clone());
        self.reconsider();
        Ok(stop)
    }

    /// Lets healing go on for some or all.
    pub(super) fn resume_healing(&mut self, scope: &Scope, by: &str) -> Result<usize, Unmet> {
        self.is_known(scope)?;
        let ended = self.guard.resume(scope, self.clock.now());
        self.narrator.info(&Line::HealingResumed { scope: &scope.to_string(), by });
        self.weather();
        Ok(ended)
    }

    fn is_known(&self, scope: &Scope) -> Result<(), Unmet> {
        match scope {
            Scope::All => Ok(()),
            Scope::Site(site) if self.pairs.keys().any(|pair| pair.site == *site) => Ok(()),
            Scope::Site(site) => Err(Unmet::NoSuchSite(site.clone())),
            Scope::Pair(pair) if self.pairs.contains_key(pair) => Ok(()),
            Scope::Pair(pair) => Err(Unmet::NoSuchPair(pair.clone())),
        }
    }

    /// Takes a person's answer to a rung that waits for one. An approved rung runs at once, unless a look sees the pair up.
    pub(super) fn answer_approval(&mut self, id: &str, yes: bool, by: String) -> Result<Answered, Unmet> {
        let now = self.clock.now();
        let asked = |known: &super::Pair| {
            known.judge.outage().and_then(|outage| outage.asked.clone()).filter(|asked| asked.id == id)
        };
        let found = self.pairs.iter().find_map(|(pair, known)| Some((pair.clone(), asked(known)?)));
        let no_such = || Unmet::NoSuchApproval(id.to_owned());
        let (pair, asked) = found.ok_or_else(no_such)?;
        let known = self.pairs.get_mut(&pair).ok_or_else(no_such)?;
        let outage = known.judge.outage().ok_or_else(no_such)?;
        let (incident, attempt, rung) = (outage.incident, outage.failures, asked.rung);
        // A reload may have put another command in its place, or another mode.
        let as_asked = |wanted: &&Rung| wanted.terms.mode == Mode::Approve && *wanted.command == *asked.command;
        let wanted = known.plan.exact(rung).filter(as_asked).cloned().ok_or_else(no_such)?;
        // A stop is a person's word too, and holds until somebody takes it back.
        let permit = self.guard.by_hand().map(drop).and_then(|()| self.guard.stopped(&pair, now));
        if let Err(refusal) = permit
            && yes
        {
            return Err(Unmet::Refused(refusal.as_str()));
        }
        self.narrator.info(&Line::ApprovalAnswered { pair: &pair, command: &wanted.command, yes, by: &by });
        let mut batch = Batch::new(pair.clone(), now);
        known.judge.step(now, Seen::Answered { denied: (!yes).then_some(by) });
        let answered = Answered { pair: pair.clone(), rung, command: wanted.command.to_string(), ordered: yes };
        if yes {
            let run = RunId(Uuid::now_v7());
            let limit = wanted.limit;
            let call = Call { pair: pair.clone(), incident: Some(incident), run, attempt, rung, limit };
            known.judge.step(now, Seen::Permitted(ordered(&call, &wanted)));
            // A check under way is no longer its own: what it saw is of the time before the command.
            (known.doing, known.run) = (Doing::Healing, Some(run));
            batch.state(known.judge.state());
            batch.intended(&call, &wanted);
            self.guard.started(&pair, now);
            let host = wanted.remedy.lane().to_owned();
            self.ledger.record(batch);
            let member = Member { call, rung: wanted, why: Why::Approved, at: now, reply: None };
            if self.lanes.request(&host, member) == Turn::Now {
                // It waited for its answer: the pair is looked at first.
                self.next_turn(&host);
            }
        } else {
            batch.state(known.judge.state());
            self.ledger.record(batch);
        }
        Ok(answered)
    }
}
