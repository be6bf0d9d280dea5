//! A drill: the pair is declared down for the purpose, and the whole chain is walked for real, from the probe to the notice.
//!
//! Only the command is another, a harmless one, unless the drill is ordered with the pair's own. No counter of the judge
//! moves and no incident is opened. What is looked at before the command lives in `rehearsal`.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::ladder::{self, Answers, Choice};
use crate::domain::name::PairName;
use crate::domain::notice::{self, Deed, News};
use crate::domain::reading::Cause;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, RunId, RunStatus};
use crate::message::{Language, Line, why_not};
use crate::remedy::{Call, Done};

use super::handle::{DrillReport, Stage, Unmet};
use super::lanes::{Member, Why};
use super::ledger::Batch;
use super::plan::{Rung, VerifyRules};
use super::rehearsal::Rehearsal;
use super::runs::INTENT_WITHIN;
use super::{Engine, Report, round};

/// Which rung a harmless command is in the records: none of the ladder, so that it counts nowhere.
const NO_RUNG: u32 = 0;

/// A drill under way.
pub struct Drill {
    by: String,
    reply: oneshot::Sender<Result<DrillReport, Unmet>>,
    /// What was found out so far.
    found: Rehearsal,
    /// What is run, as people read it.
    command: String,
    /// What was done, as people are told.
    deed: Deed,
    /// The run that was ordered.
    run: Option<RunId>,
    /// What was handed to the host.
    sent: Option<(Call, Rung)>,
    /// When the last step was begun.
    begun: Instant,
}

impl Drill {
    fn step(&mut self, name: Stage, ok: bool, detail: String) {
        self.found.step(name, ok, detail, self.begun);
        self.begun = Instant::now();
    }

    /// How its effect is proved: by one probe where nothing was sent.
    fn rules(&self) -> VerifyRules {
        let once = VerifyRules { window: Duration::ZERO, interval: Duration::ZERO };
        self.sent.as_ref().map_or(once, |(_, rung)| rung.verify)
    }
}

/// How far a drill has come.
pub enum Progress {
    /// Everything was looked at.
    Looked(Box<Drill>),
    /// The pair was probed after the command; this is when it was seen up.
    Proved(Box<Drill>, Option<Duration>),
}

impl Engine {
    /// Begins a drill.
    pub(super) fn drill(
        &mut self,
        pair: PairName,
        really: bool,
        by: String,
        reply: oneshot::Sender<Result<DrillReport, Unmet>>,
    ) {
        let Some(known) = self.pairs.get(&pair) else {
            let _ = reply.send(Err(Unmet::NoSuchPair(pair)));
            return;
        };
        self.narrator.warn(&Line::Drill { pair: &pair, really, by: &by });
        let found = Rehearsal::new(known.plan.clone(), really);
        let (command, deed, begun) = (String::new(), Deed::Nothing, Instant::now());
        let mut drill = Box::new(Drill { by, reply, found, command, deed, run: None, sent: None, begun });
        let gate = self.gate.clone();
        self.rounds.spawn(async move {
            let looked = round::caught(&pair, drill.found.look(&gate)).await;
            looked.map_or(Report::Answered, |()| Report::Drilled(Progress::Looked(drill)))
        });
    }

    /// Takes what a drill has come to.
    pub(super) fn drilled(&mut self, progress: Progress) {
        match progress {
            Progress::Looked(drill) => self.rehearse(drill),
            Progress::Proved(drill, up_after) => self.conclude(drill, up_after),
        }
    }

    /// Asks the guard, and for a turn on the host.
    fn rehearse(&mut self, mut drill: Box<Drill>) {
        drill.begun = Instant::now();
        let pair = drill.found.plan.pair.clone();
        let Some(own) = drill.found.plan.rung(1).cloned() else {
            drill.step(Stage::Command, true, "this pair has no command: people are told, nothing is healed".to_owned());
            return self.prove(drill, Instant::now());
        };
        let (ok, detail) = self.opinion(&drill.found);
        drill.step(Stage::Guard, ok, detail);
        let really = drill.found.really;
        let command = own.command.to_string();
        let rung = if really {
            own
        } else if let Some(remedy) = own.remedy.harmless() {
            let shown = format!("{} (instead of {command})", remedy.text());
            Rung { command: shown.into(), remedy, ..own }
        } else {
            drill.step(Stage::Command, true, format!("left out, it has no harmless form; --really runs it: {command}"));
            drill.deed = Deed::Refused { command, refusal: Refusal::NoHarmlessForm };
            return self.prove(drill, Instant::now());
        };
        let now = self.clock.now();
        let run = RunId(Uuid::now_v7());
        let number = if really { 1 } else { NO_RUNG };
        let call = Call { pair: pair.clone(), incident: None, run, attempt: 0, rung: number, limit: rung.limit };
        let mut batch = Batch::new(pair.clone(), now);
        let permitted = if self.halt.is_cancelled() { Err(Refusal::Stopping) } else { self.guard.by_hand().map(drop) };
        (drill.run, drill.command) = (Some(run), rung.command.to_string());
        if let Err(refusal) = permitted {
            self.narrator.refused(&pair, &refusal);
            batch.refused(&call, &rung, &refusal);
            self.ledger.audit(self.ledger.refusal_record(&call, &rung, &refusal, now));
            self.ledger.record(batch);
            return self.drill_refused(drill, refusal);
        }
        batch.intended(&call, &rung);
        if really {
            self.guard.started(&pair, now);
            if let Some(known) = self.pairs.get_mut(&pair) {
                known.ordered_by_hand(run);
            }
        }
        self.drills.insert(run, drill);
        self.request(batch, Member { call, rung, why: Why::Drill { really }, at: now, reply: None });
    }

    /// Says what the guard would say if the pair were down now.
    fn opinion(&mut self, found: &Rehearsal) -> (bool, String) {
        let terms = found.plan.ladder.iter().map(|rung| rung.terms);
        let choice = ladder::choose(terms, 1, Duration::ZERO, &Answers::default());
        let (now, watched) = (self.clock.now(), self.pairs.len());
        let cause = found.cause.unwrap_or(Cause::Timeout);
        let decision = match &found.cut_off {
            Some(refusal) => Err(refusal.clone()),
            None => self.guard.decide(&found.plan.pair, cause, &found.evidence, now, watched).map(drop),
        };
        match (decision, choice) {
            (Err(refusal), _) => (false, format!("it would not run the command: {}", self.explained(&refusal))),
            (Ok(()), Some(Choice::Dry(_))) => {
                (false, format!("it would not run the command: {}", self.explained(&Refusal::DryRung)))
            }
            (Ok(()), Some(Choice::Approve(_))) => {
                (true, "it would ask a person first: COMMAND_MODE is approve".to_owned())
            }
            (Ok(()), Some(Choice::TooEarly(_, after))) => {
                (true, format!("it would wait until the pair is down for {} s: COMMAND_AFTER", after.as_secs_f64()))
            }
            (Ok(()), _) => (true, "it would permit the command".to_owned()),
        }
    }

    fn explained(&self, refusal: &Refusal) -> String {
        why_not(refusal, Language::En, &self.narrator.voice().zone)
    }

    /// Takes the end of a drill's command.
    pub(super) fn drill_ran(&mut self, member: Member, done: &Done, ended: Instant) {
        let Member { call, rung, why, .. } = member;
        let mut batch = Batch::new(call.pair.clone(), self.clock.now());
        // Without a verdict: where nothing was down, there was nothing to heal.
        batch.ran(&call, done);
        self.ledger.record(batch);
        let Some(mut drill) = self.drills.remove(&call.run) else { return self.release(&call) };
        let run = done.run.clone();
        let ok = run.status == RunStatus::Executed;
        let end = if ok { "exit code 0".to_owned() } else { format!("{}: {}", run.status.as_str(), run.error) };
        drill.step(Stage::Command, ok, format!("{} on {}: {end}", rung.command, rung.remedy.host()));
        let started = run.started;
        drill.deed = Deed::Command { command: std::mem::take(&mut drill.command), run };
        let really = why == (Why::Drill { really: true });
        if really && !started {
            self.release(&call);
        } else if really {
            self.lanes.window_opened(rung.remedy.lane(), &rung);
            if let Some(known) = self.pairs.get_mut(&call.pair) {
                known.verifies(call.run);
            }
        }
        drill.sent = Some((call, rung)).filter(|_| started);
        self.prove(drill, ended);
    }

    /// Takes that a drill's command was not sent.
    pub(super) fn drill_unmet(&mut self, run: RunId, refusal: &Refusal) {
        if let Some(drill) = self.drills.remove(&run) {
            self.drill_refused(drill, refusal.clone());
        }
    }

    fn drill_refused(&mut self, mut drill: Box<Drill>, refusal: Refusal) {
        drill.step(Stage::Command, false, format!("not run: {}", self.explained(&refusal)));
        drill.deed = Deed::Refused { command: std::mem::take(&mut drill.command), refusal };
        self.prove(drill, Instant::now());
    }

    /// Probes the pair in the verify window of what was run; once where nothing was.
    fn prove(&mut self, drill: Box<Drill>, since: Instant) {
        let rules = drill.rules();
        let (plan, gate) = (drill.found.plan.clone(), self.gate.clone());
        self.rounds.spawn(async move {
            let pair = plan.pair.clone();
            let up_after = round::caught(&pair, round::verify(plan, rules, since, gate)).await.flatten();
            Report::Drilled(Progress::Proved(drill, up_after))
        });
    }

    /// Records and tells what the drill came to, and answers who ordered it.
    fn conclude(&mut self, mut drill: Box<Drill>, up_after: Option<Duration>) {
        let window = drill.rules().window;
        if let Some((call, rung)) = drill.sent.take().filter(|(call, _)| call.rung != NO_RUNG) {
            self.release(&call);
            let host = rung.remedy.lane();
            if self.lanes.window_closed(host, &rung) {
                self.next_turn(host);
            }
        }
        let detail = match (up_after, window) {
            (Some(_), Duration::ZERO) => "one probe saw the pair up".to_owned(),
            (None, Duration::ZERO) => "one probe did not see the pair up".to_owned(),
            (Some(after), _) => format!("a probe saw the pair up {} ms after the command", after.as_millis()),
            (None, window) => format!("no probe saw the pair up within {} s (VERIFY_WINDOW)", window.as_secs_f64()),
        };
        drill.step(Stage::Verify, up_after.is_some(), detail);
        let Drill { by, reply, mut found, deed, run, begun, .. } = *drill;
        let mut batch = Batch::new(found.plan.pair.clone(), self.clock.now());
        let news = notice::Drill { by, really: found.really, deed, up: up_after.is_some() };
        self.tell(&found.plan.pair, IncidentId(Uuid::now_v7()), News::Drill(news), &mut batch);
        let notify = found.plan.notify;
        let outlets = self.ledger.outlets.iter().filter(|_| notify);
        let channels: Vec<String> = outlets.map(|outlet| outlet.channel.clone()).collect();
        // This waits for everything that was written before it, the run too.
        let durable = self.ledger.recorded(vec![batch], INTENT_WITHIN);
        self.rounds.spawn(async move {
            let durable = durable.await;
            let detail = match (durable, run) {
                (true, Some(run)) => format!("recorded {run}"),
                (true, None) => "recorded".to_owned(),
                (false, _) => format!("not on disk within {} s; the log tells why", INTENT_WITHIN.as_secs()),
            };
            found.step(Stage::Record, durable, detail, begun);
            let detail = if !notify {
                "notices of this server are switched off (NOTIFY)".to_owned()
            } else if channels.is_empty() {
                "there is no channel that could tell people".to_owned()
            } else {
                format!("marked as a drill, queued for {}", channels.join(", "))
            };
            found.step(Stage::Message, !channels.is_empty(), detail, Instant::now());
            // Whoever asked may have gone; the record stands.
            let _ = reply.send(Ok(found.report()));
            Report::Answered
        });
    }
}
