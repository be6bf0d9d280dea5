//! The rounds: what is done for one pair between two decisions. Each reports one thing back to the engine.
//!
//! check = up to N attempts · look = one attempt before a command that had to wait · heal = the intent on disk, then the
//! command · verify = the same probe inside a window

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::name::PairName;
use crate::domain::reading::{Cause, Outcome, Reading};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{Run, RunId, RunStatus};
use crate::host::Captured;
use crate::remedy::{Call, Done};

use super::clock::{Clock, JumpDetector};
use super::lanes::Veto;
use super::narrate::Narrator;
use super::plan::{Plan, Rung, VerifyRules};
use super::witness::{Answer, Witnesses};

/// What a check came to.
#[derive(Debug, Clone)]
pub struct Check {
    /// The reading that decided: the first success, or the last attempt's.
    pub reading: Reading,
    /// Attempts made.
    pub made: u32,
    /// True when some attempt could not look: then the check is `unknown` unless an attempt saw it up.
    pub blind: bool,
    /// From the due moment to the start of the first attempt.
    pub late: Duration,
    /// What the witnesses said last, when they were asked.
    pub witnessed: Option<Answer>,
}

/// Makes up to N attempts; the first success ends it. Warms the remedy after the first failed one.
///
/// The witnesses are asked after each attempt that failed, so that the last one lies between two answers: what failed while
/// we were cut off is never held against the target, however short that was.
pub async fn check(plan: Arc<Plan>, due: Instant, gate: Arc<Semaphore>, narrator: Arc<Narrator>) -> Check {
    let mut blind = false;
    let mut late = Duration::ZERO;
    let mut made = 0;
    let mut witnessed = None;
    // Whoever reports to us is not heard while we are cut off, and that has to be known before it counts as silent.
    let reports = plan.target.reports().is_some();
    loop {
        let mut reading = {
            let _place = gate.acquire().await;
            if made == 0 {
                late = due.elapsed();
            }
            plan.attempt().await
        };
        made += 1;
        let (failed, could_not_look) = match &reading.outcome {
            Outcome::Up => (false, false),
            Outcome::Down(_) => (true, false),
            // Nothing failed, it is only too early to say; a line in the log for each such look would be thousands a day.
            Outcome::Blind(fault) if fault.cause == Cause::Waiting => (false, true),
            Outcome::Blind(_) => (true, true),
        };
        blind |= could_not_look;
        if failed {
            narrator.attempt_failed(&plan, made, &reading);
            if made == 1 {
                plan.ladder.iter().for_each(|rung| rung.remedy.warm());
            }
        }
        let wanted = |witnesses: &&Arc<Witnesses>| failed || reports || witnesses.is_missed();
        if let Some(witnesses) = plan.witnesses.as_ref().filter(wanted) {
            let answer = witnesses.ask().await;
            witnessed = Some(answer);
            if failed && !answer.is_enough() {
                reading = Reading::fault(answer.fault(), reading.phases, reading.took);
                return Check { reading, made, blind: true, late, witnessed };
            }
        }
        if !failed || made >= plan.check.attempts {
            return Check { reading, made, blind: blind && failed, late, witnessed };
        }
        tokio::time::sleep(plan.check.retry_delay).await;
    }
}

/// Probes again every `interval` until the window ends; gives the time to the first success.
pub async fn verify(plan: Arc<Plan>, rules: VerifyRules, since: Instant, gate: Arc<Semaphore>) -> Option<Duration> {
    let end = since + rules.window;
    let mut next = since + rules.interval.min(rules.window);
    loop {
        tokio::time::sleep_until(next).await;
        let reading = {
            let _place = gate.acquire().await;
            plan.attempt().await
        };
        if reading.outcome == Outcome::Up {
            return Some(since.elapsed());
        }
        next = (next + rules.interval).max(Instant::now());
        if next > end {
            return None;
        }
    }
}

/// Runs that are not sent for those who wanted them, and why.
pub type Leaves = HashMap<RunId, Refusal>;

/// Looks once more at each pair whose command was not sent yet; gives those for whom it is not sent now.
pub async fn look(waited: Vec<(RunId, Arc<Plan>)>, gate: Arc<Semaphore>) -> Leaves {
    let looks = waited.into_iter().map(|(run, plan)| {
        let gate = gate.clone();
        async move {
            // What a bug of ours keeps from being seen is not held against the pair.
            let seen = caught(&plan.pair, not_down(&plan, &gate)).await;
            seen.unwrap_or(Some(Refusal::Unsure)).map(|refusal| (run, refusal))
        }
    });
    futures_util::future::join_all(looks).await.into_iter().flatten().collect()
}

/// Looks once, between two answers of the witnesses like a check; `None` when the pair is down.
async fn not_down(plan: &Plan, gate: &Semaphore) -> Option<Refusal> {
    let outcome = {
        let _place = gate.acquire().await;
        plan.attempt().await.outcome
    };
    let unsure = match outcome {
        Outcome::Up => return Some(Refusal::UpAgain),
        Outcome::Blind(_) => Some(Refusal::Unsure),
        Outcome::Down(_) => None,
    };
    let Some(witnesses) = &plan.witnesses else { return unsure };
    let answer = witnesses.ask().await;
    if answer.is_enough() {
        return unsure;
    }
    let Answer { answered, quorum: needed, .. } = answer;
    Some(Refusal::CutOff { answered, needed })
}

/// What became of an order.
pub enum Healed {
    /// It was handed over, or its host could not be reached.
    Ran(Box<Done>),
    /// It was not sent.
    Refused(Refusal),
    /// It was not sent, because some of those who wanted it leave: these runs.
    Left(Leaves),
}

/// Getting ready longer than this, the world may have changed since the verdict.
const LONG: Duration = Duration::from_secs(2);

/// What is asked when the host is ready for the command, and before it is sent.
pub struct LastLook {
    /// The stop.
    pub halt: CancellationToken,
    /// The guard's second thought.
    pub veto: Veto,
    /// The limit on attempts under way.
    pub gate: Arc<Semaphore>,
    /// Who wants the run, where they may be up again; empty for a person's order.
    pub looks: Vec<(RunId, Arc<Plan>)>,
    /// Wall time, which goes on while the machine sleeps.
    pub clock: Clock,
    /// What compares it, from the verdict on.
    pub jumps: JumpDetector,
}

impl LastLook {
    /// Gives the reason not to send the command that was ordered at `since`.
    async fn objection(mut self, since: Instant) -> Option<Healed> {
        let overslept = self.jumps.check(&self.clock).is_some();
        if !self.halt.is_cancelled() && !self.looks.is_empty() && (overslept || since.elapsed() > LONG) {
            let leaves = look(self.looks, self.gate).await;
            if !leaves.is_empty() {
                return Some(Healed::Left(leaves));
            }
            if self.jumps.check(&self.clock).is_some() {
                return Some(Healed::Refused(Refusal::Unsure));
            }
        }
        if self.halt.is_cancelled() {
            return Some(Healed::Refused(Refusal::Stopping));
        }
        // From here on it counts as sent, and a veto comes too late.
        self.veto.get_or_init(|| None).clone().map(Healed::Refused)
    }
}

/// Runs a rung once the intent is on disk, unless something speaks against it by the time the host is ready. A remedy that
/// panics may have had an effect.
pub async fn heal(
    intent: impl Future<Output = bool>,
    rung: &Rung,
    call: &Call,
    narrator: &Narrator,
    last_look: LastLook,
) -> Healed {
    let since = Instant::now();
    if !intent.await {
        return Healed::Refused(Refusal::NotRecorded);
    }
    if last_look.halt.is_cancelled() {
        return Healed::Refused(Refusal::Stopping);
    }
    narrator.command_starts(call, &rung.command);
    let mut objection = None;
    let mut sent = false;
    let ready = async {
        objection = last_look.objection(since).await;
        sent = objection.is_none();
        sent
    };
    let done = caught(&call.pair, rung.remedy.run(call, Box::pin(ready))).await;
    objection.unwrap_or_else(|| Healed::Ran(Box::new(done.unwrap_or_else(|| broken(since.elapsed(), sent)))))
}

fn broken(duration: Duration, started: bool) -> Done {
    let run = Run {
        status: RunStatus::Failed,
        started,
        exit_code: None,
        signal: None,
        duration,
        excerpt: String::new(),
        error: "the monitor itself failed while the command ran, so its end is not known; this is a bug of the monitor"
            .to_owned(),
    };
    Done { run, output: Captured::default() }
}

/// Does `work`; when it panics that is said and there is no result, so that no pair is ever forgotten.
pub async fn caught<T>(pair: &PairName, work: impl Future<Output = T>) -> Option<T> {
    let result = AssertUnwindSafe(work).catch_unwind().await.ok();
    if result.is_none() {
        tracing::error!(%pair, "a round of {pair} panicked; this is a bug in the monitor. The pair is checked again.");
    }
    result
}
