//! Weighing: what is found out right after a check failed and before anything is done about it.
//!
//! Does what it depends on answer? Do others fail too (the sample)? Does the site's own host reach it? All at once; what
//! follows from it is the guard's.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::domain::evidence::{Afar, Evidence};
use crate::domain::name::{PairName, ServerName};
use crate::domain::outage::State;
use crate::domain::reading::{Cause, Fault, Outcome, Reading};
use crate::domain::storm::Sample;

use super::plan::Plan;
use super::round::Check;
use super::{Engine, Report, round};

/// Others that are looked at when one fell: enough to tell a storm from bad luck, few enough to be no load.
const SAMPLE: usize = 20;

/// What was found out.
pub struct Weighed {
    pub evidence: Evidence,
    pub sample: Option<Sample>,
}

/// Others to look at, and how many of them have to fail until it is a storm.
pub struct Others {
    plans: Vec<Arc<Plan>>,
    needed: usize,
}

/// One sample at a time: those who want one meanwhile share the next.
#[derive(Default)]
pub struct Sampler(Mutex<Option<(Instant, Sample)>>);

impl Sampler {
    async fn ask(&self, others: Others, gate: &Semaphore) -> Sample {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((_, sample)) = last.filter(|(began, _)| *began >= asked) {
            return sample;
        }
        let began = Instant::now();
        let sample = look(others, gate).await;
        *last = Some((began, sample));
        sample
    }
}

/// Looks until it is certain whether enough of them fail.
async fn look(Others { plans, needed }: Others, gate: &Semaphore) -> Sample {
    let mut looked = plans.len();
    let mut looks: FuturesUnordered<_> = plans
        .iter()
        .map(|plan| async move {
            let _place = gate.acquire().await;
            fails(&round::caught(&plan.pair, plan.attempt()).await?)
        })
        .collect();
    let mut failing = 0;
    while failing < needed && failing + looks.len() >= needed {
        match looks.next().await {
            Some(Some(fails)) => failing += usize::from(fails),
            // Whom a bug of ours keeps from being looked at, or who has nothing to say yet, says nothing about the others.
            Some(None) => looked -= 1,
            None => break,
        }
    }
    Sample { looked, failing }
}

/// Whether this look failed; nothing for one that came too early to say.
fn fails(reading: &Reading) -> Option<bool> {
    match &reading.outcome {
        Outcome::Up => Some(false),
        Outcome::Blind(fault) if fault.cause == Cause::Waiting => None,
        Outcome::Blind(_) | Outcome::Down(_) => Some(true),
    }
}

/// Finds out everything at once.
async fn weigh(plan: &Plan, fault: &Fault, others: Option<Others>, sampler: &Sampler, gate: &Semaphore) -> Weighed {
    let sample = async {
        match others {
            Some(others) => Some(sampler.ask(others, gate).await),
            None => None,
        }
    };
    let afar = async {
        match plan.afar.as_ref().filter(|_| fault.cause.may_be_the_route()) {
            Some(afar) => afar.look().await,
            None => Afar::NotAsked,
        }
    };
    let (sample, parent, afar) = tokio::join!(sample, failing_parent(plan, gate), afar);
    Weighed { evidence: Evidence { parent, afar }, sample }
}

async fn failing_parent(plan: &Plan, gate: &Semaphore) -> Option<ServerName> {
    let looks = plan.parents.iter().map(|parent| async move {
        let _place = gate.acquire().await;
        let reading = round::caught(&plan.pair, parent.target.probe(&plan.kit, parent.timeout)).await?;
        fails(&reading)?.then(|| parent.server.clone())
    });
    futures_util::future::join_all(looks).await.into_iter().flatten().next()
}

impl Engine {
    /// Finds out what has to be known about a check that failed; gives it back when there is nothing to find out.
    pub(super) fn weigh(&mut self, pair: &PairName, serial: u64, check: Check) -> Option<Check> {
        let Outcome::Down(fault) = check.reading.outcome.clone() else { return Some(check) };
        let Some(known) = self.pairs.get(pair) else { return Some(check) };
        let plan = known.plan.clone();
        let others = self.others(&plan);
        let afar = plan.afar.is_some() && fault.cause.may_be_the_route();
        if others.is_none() && plan.parents.is_empty() && !afar {
            return Some(check);
        }
        let (gate, sampler, pair) = (self.gate.clone(), self.sampler.clone(), pair.clone());
        self.rounds.spawn(async move {
            let weighing = weigh(&plan, &fault, others, &sampler, &gate);
            let weighed = round::caught(&pair, weighing).await;
            Report::Weighed { pair, serial, check, weighed }
        });
        None
    }

    /// Chooses others that are believed to be up, of as many servers as there are.
    fn others(&self, plan: &Plan) -> Option<Others> {
        let watched = self.pairs.len();
        if plan.ladder.is_empty() || !self.guard.wants_sample(watched) {
            return None;
        }
        let mut seen: HashSet<&ServerName> = HashSet::from([&plan.pair.server]);
        // Where it begins differs from check to check, so that not always the same ones are asked.
        let from = usize::try_from(self.serial).unwrap_or_default().wrapping_mul(SAMPLE) % watched.max(1);
        let around = self.pairs.values().skip(from).chain(self.pairs.values().take(from));
        let is_up = |state: &State| matches!(state, State::Up { .. } | State::Fresh);
        let plans: Vec<Arc<Plan>> = around
            // What depends on others may be down because of them, what was never up may never be: both tell nothing about us.
            .filter(|other| is_up(other.judge.state()) && other.plan.parents.is_empty() && !other.was_never_up())
            .filter(|other| seen.insert(&other.plan.pair.server))
            .take(SAMPLE)
            .map(|other| other.plan.clone())
            .collect();
        let needed = self.guard.needed(&plan.pair, self.clock.now(), watched, plans.len());
        (!plans.is_empty()).then_some(Others { plans, needed })
    }
}
