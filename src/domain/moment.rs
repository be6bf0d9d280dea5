//! Arithmetic of moments that cannot fail: a clock that was set back gives no negative time, and no sum overflows.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The moment `delay` after `now`.
pub fn later(now: Timestamp, delay: Duration) -> Timestamp {
    SignedDuration::try_from(delay).ok().and_then(|delay| now.checked_add(delay).ok()).unwrap_or(Timestamp::MAX)
}

/// From `earlier` to `later`, zero when the clock went back.
pub fn until(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
