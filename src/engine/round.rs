//! The rounds: what is done for one pair between two decisions. Each reports one thing back to the engine.
//!
//! check = up to N attempts · look = one attempt before a command that had to wait · heal = the intent on disk, then the
//! command · verify = the same probe inside a window

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::name::PairName;
use crate::domain::reading::{Outcome, Reading};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{Run, RunId, RunStatus};
use crate::host::Captured;
use crate::remedy::{Call, Done};

use super::lanes::Veto;
use super::narrate::Narrator;
use super::plan::{Plan, Rung, VerifyRules};
use super::witness::Answer;

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
            Outcome::Blind(_) => (true, true),
        };
        blind |= could_not_look;
        if failed {
            narrator.attempt_failed(&plan, made, &reading);
            if made == 1 {
                plan.ladder.iter().for_each(|rung| rung.remedy.warm());
            }
        }
        if let Some(witnesses) = plan.witnesses.as_ref().filter(|witnesses| failed || witnesses.is_missed()) {
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

/// Looks once at each pair whose command had to wait for its turn; gives the runs that nobody needs any more.
pub async fn look(waited: Vec<(RunId, Arc<Plan>)>, gate: Arc<Semaphore>) -> HashSet<RunId> {
    let looks = waited.into_iter().map(|(run, plan)| {
        let gate = gate.clone();
        async move {
            let _place = gate.acquire().await;
            (plan.attempt().await.outcome == Outcome::Up).then_some(run)
        }
    });
    futures_util::future::join_all(looks).await.into_iter().flatten().collect()
}

/// What became of an order.
pub enum Healed {
    /// It was handed over, or its host could not be reached.
    Ran(Box<Done>),
    /// It was not sent.
    Refused(Refusal),
    /// It was not sent, because those who wanted it are up again: these runs.
    Up(HashSet<RunId>),
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
    /// As many remedies as may be under way at once.
    pub places: Arc<Semaphore>,
}

impl LastLook {
    /// Gives the reason not to send the command that was ordered at `since`.
    async fn objection(self, since: Instant) -> Option<Healed> {
        let wanted = self.looks.len();
        if !self.halt.is_cancelled() && wanted > 0 && since.elapsed() > LONG {
            let mut witnesses: Vec<_> = self.looks.iter().filter_map(|(_, plan)| plan.witnesses.clone()).collect();
            witnesses.dedup_by(|one, other| Arc::ptr_eq(one, other));
            let up = look(self.looks, self.gate).await;
            if up.len() == wanted {
                return Some(Healed::Up(up));
            }
            for witnesses in witnesses {
                let answer = witnesses.ask().await;
                if !answer.is_enough() {
                    let Answer { answered, quorum: needed, .. } = answer;
                    return Some(Healed::Refused(Refusal::CutOff { answered, needed }));
                }
            }
        }
        let stopping = self.halt.is_cancelled().then_some(Refusal::Stopping);
        stopping.or_else(|| self.veto.get().cloned()).map(Healed::Refused)
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
    if !intent.await {
        return Healed::Refused(Refusal::NotRecorded);
    }
    if last_look.halt.is_cancelled() {
        return Healed::Refused(Refusal::Stopping);
    }
    let since = Instant::now();
    let places = last_look.places.clone();
    let _place = places.acquire().await;
    narrator.command_starts(call, &rung.command);
    let mut objection = None;
    let ready = async {
        objection = last_look.objection(since).await;
        objection.is_none()
    };
    let done = caught(&call.pair, rung.remedy.run(call, Box::pin(ready))).await;
    objection.unwrap_or_else(|| Healed::Ran(Box::new(done.unwrap_or_else(|| broken(since.elapsed())))))
}

fn broken(duration: Duration) -> Done {
    let run = Run {
        status: RunStatus::Failed,
        started: true,
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
