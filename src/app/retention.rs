//! History does not grow without bound: once a day what is old and finished goes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::clock::Clock;
use crate::store::{KEPT_DAYS, Store, in_one_line};

/// The first clean-up after the start; then one a day.
const FIRST: Duration = Duration::from_mins(10);
const EVERY: Duration = Duration::from_hours(24);

/// Cleans up until `stop`.
pub async fn run(store: Store, clock: Clock, stop: CancellationToken) {
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = EVERY,
        }
        let now = clock.now();
        let before = now - jiff::SignedDuration::from_hours(24 * KEPT_DAYS);
        match store.prune(before, now).await {
            Ok(gone) => tracing::debug!("cleaned up the store: {gone:?}"),
            Err(error) => tracing::warn!("the store cannot be cleaned up, tomorrow again: {}", in_one_line(&error)),
        }
    }
}
