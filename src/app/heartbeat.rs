//! The dead man's switch: while we are well, somebody else is told so, and notices when we no longer are.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::env::Secret;

/// How often.
const EVERY: Duration = Duration::from_mins(1);

/// Asks `url` once a minute while the engine's pulse beats.
pub async fn run(client: reqwest::Client, url: Secret, mut pulse: watch::Receiver<u64>, stop: CancellationToken) {
    let mut failing = false;
    loop {
        let answer = client.get(url.expose()).send().await.and_then(reqwest::Response::error_for_status);
        match answer {
            Ok(_) => failing = false,
            Err(error) if !failing => {
                failing = true;
                let why = crate::store::in_one_line(&error.without_url());
                tracing::warn!("HEARTBEAT_URL does not take our heartbeat: {why}; it is tried again every minute");
            }
            Err(_) => {}
        }
        let next = async {
            tokio::time::sleep(EVERY).await;
            pulse.changed().await
        };
        tokio::select! {
            () = stop.cancelled() => return,
            alive = next => if alive.is_err() { return },
        }
    }
}
