//! What systemd is told: ready, reloading, stopping, and that the engine's loop still turns.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Says that we are ready; nobody listens outside a `Type=notify` unit, and that is fine.
pub fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Says that a reload begins; [`ready`] ends it.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
    }
}

/// Says that we are stopping.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// Feeds the watchdog as long as the engine's pulse beats. A loop that hangs is a healer that died quietly: then
/// systemd starts us anew.
pub async fn watchdog(mut pulse: watch::Receiver<u64>, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let every = limit.checked_div(3).unwrap_or(Duration::from_secs(1));
    loop {
        let beat = async {
            tokio::time::sleep(every).await;
            pulse.changed().await
        };
        tokio::select! {
            () = stop.cancelled() => return,
            alive = beat => {
                if alive.is_err() {
                    return;
                }
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
        }
    }
}
