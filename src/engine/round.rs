//! The rounds: what is done for one pair between two decisions. Each reports one thing back to the engine.
//!
//! check = up to N attempts · heal = the intent on disk, then the command · verify = the same probe inside a window

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::domain::reading::{Outcome, Reading};
use crate::remedy::{Call, Done};

use super::narrate::Narrator;
use super::plan::{Plan, Rung, VerifyRules};

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
}

/// Makes up to N attempts; the first success ends it. Warms the remedy after the first failed one.
pub async fn check(plan: Arc<Plan>, due: Instant, gate: Arc<Semaphore>, narrator: Arc<Narrator>) -> Check {
    let mut blind = false;
    let mut late = Duration::ZERO;
    let mut made = 0;
    loop {
        let reading = {
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
        if !failed || made >= plan.check.attempts {
            return Check { reading, made, blind: blind && failed, late };
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

/// Runs a rung once the intent is on disk; `None` when it did not get there.
pub async fn heal(intent: impl Future<Output = bool>, rung: &Rung, call: &Call, narrator: &Narrator) -> Option<Done> {
    if !intent.await {
        return None;
    }
    narrator.command_starts(call, &rung.command);
    Some(rung.remedy.run(call).await)
}
