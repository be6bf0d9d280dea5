//! How often, how many times and how long is looked.

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::env::{Group, Key, Scope, Scoped, value};

/// Base interval.
pub const INTERVAL: Key<Duration> = Key::new(Scope::Global, "INTERVAL", interval)
    .about("Time between two checks of a healthy pair, 0.1 s to 1 d.", "30")
    .required();
/// Cap of the backoff.
pub const MAX_INTERVAL: Key<Duration> = Key::new(Scope::Global, "MAX_INTERVAL", value::positive_duration)
    .about("The longest time between two checks of a pair that stays down.", "600")
    .default("300");
/// Backoff.
pub const BACKOFF_FACTOR: Key<f64> =
    Key::new(Scope::Global, "BACKOFF_FACTOR", |text| value::number(text, &(1.0..=f64::INFINITY)))
        .about("The k-th failing check (k >= 2) sets the next one INTERVAL * factor^k later; at least 1.", "1.5")
        .default("2.0");
/// Attempts.
pub const CHECK_ATTEMPTS: Key<u32> = Key::new(Scope::Global, "CHECK_ATTEMPTS", attempts)
    .about("Attempts of one check, 1 to 100; the first success ends it.", "5")
    .default("3");
/// Between attempts.
pub const CHECK_RETRY_DELAY: Key<Duration> = Key::new(Scope::Global, "CHECK_RETRY_DELAY", value::duration)
    .about("Time between two attempts of a check.", "0.5")
    .default("1.0");
/// One attempt.
pub const CHECK_TIMEOUT: Key<Duration> = Key::new(Scope::Global, "CHECK_TIMEOUT", value::positive_duration)
    .about("Time one attempt may take, from name resolution to the answer.", "10s")
    .default("10s");

/// Successes that end an incident.
pub const RECOVERY_SUCCESSES: Key<u32> = Key::new(Scope::Global, "RECOVERY_SUCCESSES", attempts)
    .about("How many checks in a row have to succeed before a pair counts as up again, 1 to 100.", "3")
    .default("1");
/// How long they have to last.
pub const RECOVERY_HOLD: Key<Duration> = Key::new(Scope::Global, "RECOVERY_HOLD", value::duration)
    .about("How long a pair has to be up without a break before it counts as up again.", "30s")
    .default("0s");

/// How long nobody is told that a pair is unknown.
pub const UNKNOWN_AFTER: Key<Duration> = Key::new(Scope::Global, "UNKNOWN_AFTER", value::duration)
    .about("How long a pair may be unknown (it could not be looked at, through no fault of its own) before people are told, once; 0 tells nobody.", "30m")
    .default("10m");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Pace",
    intro: "When a pair is looked at. After a `down` check the next one comes after INTERVAL, then after INTERVAL * BACKOFF_FACTOR^k, capped.",
    keys: &[
        INTERVAL.info(),
        MAX_INTERVAL.info(),
        BACKOFF_FACTOR.info(),
        CHECK_ATTEMPTS.info(),
        CHECK_RETRY_DELAY.info(),
        CHECK_TIMEOUT.info(),
        RECOVERY_SUCCESSES.info(),
        RECOVERY_HOLD.info(),
        UNKNOWN_AFTER.info(),
    ],
};

/// Intervals and attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// `INTERVAL`.
    pub interval: Duration,
    /// `BACKOFF_FACTOR`.
    pub factor: f64,
    /// `MAX_INTERVAL`.
    pub max: Duration,
    /// `CHECK_ATTEMPTS`.
    pub attempts: u32,
    /// `CHECK_RETRY_DELAY`.
    pub retry_delay: Duration,
    /// `CHECK_TIMEOUT`.
    pub timeout: Duration,
    /// `RECOVERY_SUCCESSES`.
    pub successes: u32,
    /// `RECOVERY_HOLD`.
    pub hold: Duration,
    /// `UNKNOWN_AFTER`.
    pub unknown_after: Duration,
}

impl Pace {
    /// The delays that follow.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.interval, self.factor, self.max)
    }
}

/// Reads the section.
pub fn read(global: &Scoped<'_>) -> Option<Pace> {
    let (interval, factor, max) = (global.get(&INTERVAL), global.get(&BACKOFF_FACTOR), global.get(&MAX_INTERVAL));
    let (attempts, retry_delay, timeout) =
        (global.get(&CHECK_ATTEMPTS), global.get(&CHECK_RETRY_DELAY), global.get(&CHECK_TIMEOUT));
    let (successes, hold) = (global.get(&RECOVERY_SUCCESSES), global.get(&RECOVERY_HOLD));
    let unknown_after = global.get(&UNKNOWN_AFTER);
    Some(Pace {
        interval: interval?,
        factor: factor?,
        max: max?,
        attempts: attempts?,
        retry_delay: retry_delay?,
        timeout: timeout?,
        successes: successes?,
        hold: hold?,
        unknown_after: unknown_after?,
    })
}

/// Reads an interval: shorter ones would be load, not watching.
pub fn interval(text: &str) -> Result<Duration, String> {
    value::duration_in(text, &(Duration::from_millis(100)..=Duration::from_hours(24)))
}

/// Reads a number of attempts.
pub fn attempts(text: &str) -> Result<u32, String> {
    value::whole(text, &(1..=100))
}
