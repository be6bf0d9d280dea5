//! What the engine says in the log. How it is worded lives in `message`; here is when, at which level, with which fields.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::name::{PairName, SiteName};
use crate::domain::notice::{Deed, News};
use crate::domain::outage::Outage;
use crate::domain::reading::{Cause, Outcome, Reading};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::RunStatus;
use crate::message::{Language, Line, line};
use crate::remedy::{Call, Done};

use super::plan::Plan;
use super::round::Check;

/// How the log speaks.
#[derive(Debug, Clone)]
pub struct Voice {
    /// `LANGUAGE`.
    pub language: Language,
    /// `LOG_SUCCESS_REQUESTS`.
    pub successes: bool,
    /// The reader's time zone.
    pub zone: TimeZone,
}

/// Writes the engine's lines.
pub struct Narrator {
    voice: RwLock<Voice>,
}

impl Narrator {
    /// Starts with a voice.
    pub fn new(voice: Voice) -> Self {
        Self { voice: RwLock::new(voice) }
    }

    /// Speaks otherwise from now on; for a reload.
    pub fn set_voice(&self, voice: Voice) {
        *self.voice.write().unwrap_or_else(PoisonError::into_inner) = voice;
    }

    /// The voice in force.
    pub fn voice(&self) -> Voice {
        self.voice.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn text(&self, said: &Line<'_>) -> String {
        line(said, self.voice.read().unwrap_or_else(PoisonError::into_inner).language)
    }

    /// Writes one line that concerns no pair.
    pub fn info(&self, said: &Line<'_>) {
        tracing::info!("{}", self.text(said));
    }

    /// Writes one line that wants attention.
    pub fn warn(&self, said: &Line<'_>) {
        tracing::warn!("{}", self.text(said));
    }

    /// Writes one line about something that is broken.
    pub fn error(&self, said: &Line<'_>) {
        tracing::error!("{}", self.text(said));
    }

    pub(super) fn attempt_failed(&self, plan: &Plan, attempt: u32, reading: &Reading) {
        let (Outcome::Down(fault) | Outcome::Blind(fault)) = &reading.outcome else { return };
        let (pair, of) = (&plan.pair, plan.check.attempts);
        let said = self.text(&Line::AttemptFailed { pair, url: plan.url(), attempt, of, fault });
        let took_ms = millis(reading.took);
        tracing::warn!(%pair, attempt, of, cause = fault.cause.as_str(), took_ms, "{said}");
    }

    pub(super) fn checked(&self, plan: &Plan, check: &Check) {
        let (pair, url) = (&plan.pair, plan.url());
        let answered = check.reading.phases.first_byte.is_some();
        let response_ms = if answered { millis(check.reading.took) } else { 0 };
        match &check.reading.outcome {
            Outcome::Up => {
                if self.voice.read().unwrap_or_else(PoisonError::into_inner).successes {
                    tracing::info!(%pair, response_ms, "{}", self.text(&Line::CheckUp { pair, url, ms: response_ms }));
                }
            }
            Outcome::Blind(fault) if fault.cause == Cause::Waiting => {
                tracing::debug!(%pair, cause = fault.cause.as_str(), "{pair} ({url}): {}", fault.reason);
            }
            Outcome::Blind(fault) => self.unknown(plan, fault),
            Outcome::Down(fault) if check.blind => self.unknown(plan, fault),
            Outcome::Down(fault) => {
                let (made, of) = (check.made, plan.check.attempts);
                let said = self.text(&Line::CheckDown { pair, url, response_ms, made, of });
                tracing::warn!(%pair, response_ms, made, of, cause = fault.cause.as_str(), "{said}");
            }
        }
    }

    fn unknown(&self, plan: &Plan, fault: &crate::domain::reading::Fault) {
        let (pair, url) = (&plan.pair, plan.url());
        let said = self.text(&Line::CheckUnknown { pair, url, fault });
        tracing::warn!(%pair, cause = fault.cause.as_str(), "{said}");
    }

    pub(super) fn command_starts(&self, call: &Call, command: &str) {
        let (site, attempt) = (&call.pair.site, call.attempt);
        let said = self.text(&Line::CommandStart { site, attempt, command });
        tracing::info!(pair = %call.pair, run_id = %call.run, attempt, rung = call.rung, "{said}");
    }

    pub(super) fn waits(&self, pair: &PairName, command: &str, host: &str, shared: bool) {
        let said = if shared {
            Line::CommandShared { pair, host, command }
        } else {
            Line::CommandWaits { pair, host, command }
        };
        tracing::info!(%pair, host, shared, "{}", self.text(&said));
    }

    pub(super) fn ran(&self, call: &Call, done: &Done) {
        let (site, attempt): (&SiteName, u32) = (&call.pair.site, call.attempt);
        let (pair, run) = (&call.pair, &done.run);
        if run.status == RunStatus::Executed {
            let said = self.text(&Line::CommandOk { site, attempt });
            tracing::info!(%pair, duration_ms = millis(run.duration), "{said}");
        } else {
            let said = self.text(&Line::CommandFailed { site, attempt, status: run.status, reason: &run.error });
            tracing::error!(%pair, duration_ms = millis(run.duration), status = run.status.as_str(), "{said}");
        }
    }

    pub(super) fn verified(&self, pair: &PairName, up_after: Option<Duration>, window: Duration) {
        if let Some(after) = up_after {
            tracing::info!(%pair, after_ms = millis(after), "{}", self.text(&Line::VerifyHealed { pair, after }));
        } else {
            tracing::warn!(%pair, "{}", self.text(&Line::VerifyStillDown { pair, window }));
        }
    }

    pub(super) fn refused(&self, pair: &PairName, refusal: &Refusal) {
        let said = self.text(&Line::Refused { pair, refusal, zone: &self.voice().zone });
        tracing::warn!(%pair, reason = refusal.as_str(), "{said}");
    }

    pub(super) fn told(&self, pair: &PairName, news: &News) {
        match news {
            News::Recovered(up) if up.while_off => {
                tracing::info!(%pair, "{}", self.text(&Line::RecoveredWhileOff { pair }));
            }
            News::Recovered(up) => {
                let (failures, down_for) = (up.failures, up.down_for);
                let said = self.text(&Line::Recovered { pair, failures, down_for });
                tracing::info!(%pair, failures, down_for_s = down_for.as_secs(), "{said}");
            }
            News::Failed(failed) => {
                if let Deed::Interrupted { command } = &failed.deed {
                    tracing::warn!(%pair, "{}", self.text(&Line::Interrupted { pair, command }));
                }
                if failed.gave_up {
                    tracing::warn!(%pair, "{}", self.text(&Line::GaveUp { pair }));
                }
            }
            News::Flapping { since, changes, .. } => {
                let said = Line::Flapping { pair, since: *since, changes: *changes, zone: &self.voice().zone };
                tracing::warn!(%pair, changes, "{}", self.text(&said));
            }
            News::Expiring { ends, days } => {
                let said = Line::Expiring { pair, ends: *ends, zone: &self.voice().zone };
                tracing::warn!(%pair, days, "{}", self.text(&said));
            }
            News::Settled { up } => tracing::info!(%pair, up, "{}", self.text(&Line::Settled { pair, up: *up })),
            // Each has a line of its own, written where it is decided.
            News::Retired { .. }
            | News::Unseen { .. }
            | News::SeenAgain { .. }
            | News::Aftercare { .. }
            | News::Storm { .. }
            | News::StormOver { .. }
            | News::CutOff(_)
            | News::Reconnected { .. }
            | News::Drill(_) => {}
        }
    }

    pub(super) fn unseen(&self, pair: Option<&PairName>, news: &News) {
        let zone = &self.voice().zone;
        match news {
            News::Unseen { since, fault, pairs, of } => {
                self.warn(&Line::Unseen { pair, since: *since, fault, pairs: *pairs, of: *of, zone });
            }
            News::SeenAgain { since, .. } => self.info(&Line::SeenAgain { pair, since: *since, zone }),
            _ => {}
        }
    }

    pub(super) fn still_down(&self, pair: &PairName, outage: &Outage) {
        let said = self.text(&Line::StillDown { pair, since: outage.since, zone: &self.voice().zone });
        tracing::warn!(%pair, failures = outage.failures, "{said}");
    }

    pub(super) fn clock_jumped(&self, gap: jiff::SignedDuration) {
        self.warn(&Line::ClockJump { gap: gap.unsigned_abs() });
    }
}

/// Whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
