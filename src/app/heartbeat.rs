//! The dead man's switch: while we are well, somebody else is told so, and notices when we no longer are.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::delivery::ChannelHealth;
use crate::env::Secret;

/// How often.
const EVERY: Duration = Duration::from_mins(1);

/// Nobody could be told anything for so long: somebody else has to.
const UNHEARD: Duration = Duration::from_mins(2);

/// Asks whether the recorder writes.
pub type Records = Box<dyn Fn() -> bool + Send + Sync>;

/// Whether we are well: records are written, and people can be told.
pub struct Wellness {
    records: Records,
    channels: Vec<watch::Receiver<ChannelHealth>>,
    /// Since when every channel is in trouble, and what they had delivered until then.
    unheard: Option<(Instant, u64)>,
}

impl Wellness {
    /// Looks at what records and at every channel.
    pub fn new(records: Records, channels: Vec<watch::Receiver<ChannelHealth>>) -> Self {
        Self { records, channels, unheard: None }
    }

    /// Says why we are not well, a clause. To be asked again and again: trouble that passes is none.
    pub fn complaint(&mut self) -> Option<&'static str> {
        let in_trouble = |channel: &watch::Receiver<ChannelHealth>| !channel.borrow().trouble.is_empty();
        let delivered = self.channels.iter().map(|channel| channel.borrow().delivered).sum();
        let unheard = !self.channels.is_empty() && self.channels.iter().all(in_trouble);
        // A delivery between two looks proves that there was no such trouble all the time.
        let since = self.unheard.filter(|(_, before)| *before == delivered);
        self.unheard = unheard.then(|| since.unwrap_or_else(|| (Instant::now(), delivered)));
        if !(self.records)() {
            return Some("the database cannot be written");
        }
        let lasts = self.unheard.is_some_and(|(since, _)| since.elapsed() >= UNHEARD);
        lasts.then_some("no channel takes our notices")
    }
}

/// Asks `url` once a minute while the engine's pulse beats and we are well.
pub async fn run(
    client: reqwest::Client,
    url: Secret,
    mut wellness: Wellness,
    mut pulse: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    let (mut failing, mut silent) = (false, false);
    loop {
        if let Some(why) = wellness.complaint() {
            if !std::mem::replace(&mut silent, true) {
                tracing::warn!("HEARTBEAT_URL is not asked while {why}, so that somebody notices");
            }
        } else {
            if std::mem::take(&mut silent) {
                tracing::info!("HEARTBEAT_URL is asked again");
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::net::TcpListener;

    use super::*;

    fn in_trouble(yes: bool) -> ChannelHealth {
        ChannelHealth { trouble: if yes { "403".to_owned() } else { String::new() }, ..ChannelHealth::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn we_are_not_well_while_nothing_is_recorded_or_nobody_was_reached_for_two_minutes() {
        let records = Arc::new(AtomicBool::new(true));
        let (one, view_one) = watch::channel(in_trouble(true));
        let (two, view_two) = watch::channel(in_trouble(false));
        let seen = records.clone();
        let mut wellness = Wellness::new(Box::new(move || seen.load(Ordering::Relaxed)), vec![view_one, view_two]);
        assert_eq!(wellness.complaint(), None);
        records.store(false, Ordering::Relaxed);
        assert_eq!(wellness.complaint(), Some("the database cannot be written"));
        records.store(true, Ordering::Relaxed);
        tokio::time::advance(2 * UNHEARD).await;
        assert_eq!(wellness.complaint(), None, "one channel works");
        two.send_replace(in_trouble(true));
        assert_eq!(wellness.complaint(), None);
        tokio::time::advance(UNHEARD).await;
        // Delivered, and in trouble again, since we last looked.
        two.send_replace(ChannelHealth { delivered: 1, ..in_trouble(true) });
        assert_eq!(wellness.complaint(), None);
        tokio::time::advance(UNHEARD).await;
        assert_eq!(wellness.complaint(), Some("no channel takes our notices"));
        one.send_replace(in_trouble(false));
        assert_eq!(wellness.complaint(), None);
        assert_eq!(Wellness::new(Box::new(|| true), Vec::new()).complaint(), None);
    }

    #[tokio::test]
    async fn nobody_is_asked_while_we_are_not_well() {
        crate::fetch::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ping", listener.local_addr().unwrap());
        let well = Arc::new(AtomicBool::new(false));
        let (_beat, pulse) = watch::channel(0);
        let looked = Arc::new(tokio::sync::Notify::new());
        let begin = |tasks: &mut tokio::task::JoinSet<()>| {
            let (well, looked) = (well.clone(), looked.clone());
            let records = move || {
                looked.notify_one();
                well.load(Ordering::Relaxed)
            };
            let wellness = Wellness::new(Box::new(records), Vec::new());
            let client = reqwest::Client::new();
            tasks.spawn(run(client, Secret::from(url.as_str()), wellness, pulse.clone(), CancellationToken::new()));
        };
        let limit = Duration::from_secs(5);
        let mut tasks = tokio::task::JoinSet::new();
        begin(&mut tasks);
        tokio::time::timeout(limit, looked.notified()).await.unwrap();
        let asked = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(asked.is_err(), "asked although we are not well");
        well.store(true, Ordering::Relaxed);
        begin(&mut tasks);
        tokio::time::timeout(limit, listener.accept()).await.unwrap().unwrap();
        tasks.shutdown().await;
    }
}
