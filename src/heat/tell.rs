//! People are told what changed, through one channel, without holding up any check: a short queue in memory.
//!
//! There is no outbox here: what cannot be told for too long is given up, and standard error says so.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::heat::News;
use crate::engine::clock::Clock;
use crate::message::{Facts, HeatAbout, Language, Rich, heat};
use crate::notify::{Channel, Outgoing, Receipt, Undelivered};

/// News that may wait.
pub const QUEUE: usize = 32;
/// How long one message is tried.
const PATIENCE: Duration = Duration::from_mins(10);
/// The shortest and the longest wait between two tries.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How long what waits may hold up the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Who is told, and how.
pub struct People {
    /// Where messages go.
    pub channel: Arc<dyn Channel>,
    /// Their language.
    pub language: Language,
    /// Their time zone.
    pub zone: TimeZone,
    /// What this machine is called.
    pub host: String,
}

/// One thing to tell, and when it happened.
#[derive(Debug)]
pub struct Told {
    pub news: News,
    pub at: jiff::Timestamp,
}

/// Delivers until the queue is closed and empty; after `ended` only for a moment.
pub async fn deliver(
    people: &People,
    check: &str,
    recovery: &str,
    clock: Clock,
    mut queue: mpsc::Receiver<Told>,
    ended: CancellationToken,
    complain: fn(&str),
) {
    let all = async {
        let mut thread = None;
        while let Some(told) = queue.recv().await {
            let about = HeatAbout { host: &people.host, check, recovery };
            // Worded anew for each try: a late one says so.
            let words = || {
                let facts = Facts { zone: people.zone.clone(), now: clock.now() };
                heat(&told.news, told.at, &about, people.language, &facts)
            };
            // The first message of a fault and its end are heard; what lies between answers the first.
            let silent = matches!(told.news, News::Recovered(_));
            let opens = matches!(told.news, News::Fault(_));
            let reply_to = if opens { None } else { thread.clone() };
            match send(people, words, silent, reply_to).await {
                Ok(Receipt { message_ref, moved }) => {
                    if let Some(chat) = moved {
                        complain(&format!(
                            "the chat of {} moved: put its new number {chat} into .env",
                            people.channel.name()
                        ));
                    }
                    thread = if opens { Some(message_ref) } else { thread };
                }
                Err(why) => complain(&format!("{} was not told: {why}", people.channel.name())),
            }
        }
    };
    let cut = async {
        ended.cancelled().await;
        sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = all => {}
        () = cut => complain(&format!("{} did not take the last messages in time", people.channel.name())),
    }
}

/// Tries until it is taken, refused for good, or too old.
async fn send(
    people: &People,
    words: impl Fn() -> Rich,
    silent: bool,
    reply_to: Option<String>,
) -> Result<Receipt, String> {
    let begun = Instant::now();
    let mut pause = WAITS.0;
    loop {
        let (wait, why) =
            match people.channel.deliver(&Outgoing { rich: words(), silent, reply_to: reply_to.clone() }).await {
                Ok(receipt) => return Ok(receipt),
                Err(Undelivered::MessageRefused { why }) => return Err(why),
                Err(Undelivered::Later { wait, why }) => (wait.unwrap_or(pause), why),
                Err(Undelivered::ChannelBroken { why }) => (WAITS.1, why),
            };
        if begun.elapsed() + wait > PATIENCE {
            return Err(why);
        }
        sleep(wait).await;
        pause = (pause * 2).min(WAITS.1);
    }
}
