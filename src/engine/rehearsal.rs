//! What a drill finds out before it does anything: the looks that a failing check would take, each with its result.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::domain::evidence::{Afar, Evidence};
use crate::domain::reading::{Cause, Fault, Outcome};
use crate::domain::refusal::Refusal;

use super::handle::{DrillReport, DrillStep, Stage};
use super::plan::Plan;

/// The steps of a drill, and what they say for or against the pair being what is broken.
pub struct Rehearsal {
    /// The pair's plan when the drill began.
    pub plan: Arc<Plan>,
    /// True when its own command is to be run.
    pub really: bool,
    /// What would be known when the guard is asked.
    pub evidence: Evidence,
    /// Why it is down already, if it is.
    pub cause: Option<Cause>,
    /// Set when a check that failed now would not be believed.
    pub cut_off: Option<Refusal>,
    steps: Vec<DrillStep>,
}

impl Rehearsal {
    /// Starts without a step.
    pub fn new(plan: Arc<Plan>, really: bool) -> Self {
        Self { plan, really, evidence: Evidence::default(), cause: None, cut_off: None, steps: Vec::new() }
    }

    /// Writes a step down that was begun at `begun`.
    pub fn step(&mut self, name: Stage, ok: bool, detail: String, begun: Instant) {
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.steps.push(DrillStep { name, ok, detail, took_ms });
    }

    /// What it all came to.
    pub fn report(self) -> DrillReport {
        DrillReport { pair: self.plan.pair.clone(), really: self.really, steps: self.steps }
    }

    /// Looks at everything that a failing check would look at.
    pub async fn look(&mut self, gate: &Semaphore) {
        let begun = Instant::now();
        let outcome = {
            let _place = gate.acquire().await;
            self.plan.attempt().await.outcome
        };
        let (ok, detail) = match &outcome {
            Outcome::Up => (true, "up now".to_owned()),
            Outcome::Down(fault) => {
                self.cause = Some(fault.cause);
                (true, format!("down already: {}", said(fault)))
            }
            Outcome::Blind(fault) => (false, format!("could not look: {}", said(fault))),
        };
        self.step(Stage::Probe, ok, detail, begun);
        self.ask_witnesses().await;
        self.ask_parents(gate).await;
        self.ask_afar(outcome == Outcome::Up).await;
    }

    async fn ask_witnesses(&mut self) {
        let Some(witnesses) = self.plan.witnesses.clone() else { return };
        let begun = Instant::now();
        let answer = witnesses.ask().await;
        let (key, of, needed) = (witnesses.key(), answer.of, answer.quorum);
        let detail = if answer.is_enough() {
            format!("enough of the {of} witnesses of {key} answer")
        } else {
            self.cut_off = Some(Refusal::CutOff { answered: answer.answered, needed });
            format!("{} of {of} witnesses of {key} answer, {needed} have to", answer.answered)
        };
        self.step(Stage::Witnesses, answer.is_enough(), detail, begun);
    }

    async fn ask_parents(&mut self, gate: &Semaphore) {
        if self.plan.parents.is_empty() {
            return;
        }
        let begun = Instant::now();
        let plan = self.plan.clone();
        let kit = &plan.kit;
        let looks = plan.parents.iter().map(|parent| async move {
            let _place = gate.acquire().await;
            let reading = parent.target.probe(kit, parent.timeout).await;
            (parent.server.clone(), reading.outcome)
        });
        let answers = futures_util::future::join_all(looks).await;
        let mut told = Vec::new();
        for (server, outcome) in answers {
            match outcome {
                Outcome::Up => told.push(format!("{server} answers")),
                Outcome::Down(fault) | Outcome::Blind(fault) => {
                    told.push(format!("{server} does not answer: {}", said(&fault)));
                    self.evidence.parent.get_or_insert(server);
                }
            }
        }
        self.step(Stage::Dependencies, self.evidence.parent.is_none(), told.join("; "), begun);
    }

    /// Both have to see the same. A pair that is up and declared down is down for its site, too.
    async fn ask_afar(&mut self, up: bool) {
        let Some(afar) = self.plan.afar.clone() else { return };
        let begun = Instant::now();
        let seen = afar.look().await;
        let site = &self.plan.pair.site;
        let (ok, detail) = match (&seen, up) {
            (Afar::Up, true) => (true, format!("{site} reaches it, too")),
            (Afar::Up, false) => (false, format!("{site} reaches it: only our route to it is broken")),
            (Afar::Down, false) => (true, format!("{site} does not reach it either")),
            (Afar::Down, true) => {
                (false, format!("{site} does not reach it, and we do: the cross-check says nothing here"))
            }
            (Afar::CannotLook(why), _) => (false, why.clone()),
            (Afar::NoAnswer { why, .. }, _) => (false, format!("{site} could not be asked: {why}")),
            (Afar::NotAsked, _) => (false, format!("{site} could not be asked: its host let us run nothing")),
        };
        self.evidence.afar = if up && seen == Afar::Up { Afar::Down } else { seen };
        self.step(Stage::CrossCheck, ok, detail, begun);
    }
}

fn said(fault: &Fault) -> String {
    format!("{} ({})", fault.reason, fault.cause)
}
