//! Delivery: one task per channel takes notices from the outbox to people, in order, at least once.
//!
//! Probes never wait for it. What is told is durable before it is sent, and struck off once the channel took it.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::notice::{News, Notice};
use crate::domain::remedy::IncidentId;
use crate::message::{Facts, Line, Rich, compose, digest};
use crate::notify::{Channel, Outgoing, Undelivered};
use crate::store::Write;

mod outcome;

pub use super::backlog::ChannelHealth;

use super::backlog;
use super::clock::Clock;
use super::ledger::Journal;
use super::narrate::Narrator;

/// More waiting notices than this become one digest.
pub const DIGEST_OVER: usize = 10;

/// Notices one digest strikes off at the most; the text itself names fewer pairs and counts the rest.
const DIGEST_MAX: usize = 500;

/// How long a notice may wait to be durable before it is sent all the same: people matter more than the outbox.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);

/// The same at the stop, where the wait is taken from [`FLUSH`].
const DURABLE_WITHIN_FLUSH: Duration = Duration::from_secs(1);

/// First and last wait after a fault that will pass.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Wait while the channel itself is broken (a wrong token, a lost chat): only a person can mend it.
pub const BROKEN_WAIT: Duration = Duration::from_mins(10);

/// How long the stop may take to send what still waits.
const FLUSH: Duration = Duration::from_secs(5);

/// Delivers the notices of one channel.
pub struct Delivery {
    channel: Arc<dyn Channel>,
    name: String,
    address: String,
    queue: VecDeque<Notice>,
    inbox: mpsc::UnboundedReceiver<Notice>,
    /// The first message of each open incident, so that repeats answer it.
    threads: HashMap<IncidentId, String>,
    journal: Arc<dyn Journal>,
    narrator: Arc<Narrator>,
    clock: Clock,
    health: watch::Sender<ChannelHealth>,
    failures: u32,
    /// Where the channel said that it delivers to now, so that it is written down once.
    moved: Option<String>,
    /// Notices at the head that go out one by one, because their digest was refused.
    singly: usize,
}

/// What a delivery starts from.
pub struct Parts {
    /// Where it goes.
    pub channel: Arc<dyn Channel>,
    /// The channel's name in the outbox.
    pub name: String,
    /// Where the configuration says that it goes: the chat.
    pub address: String,
    /// What the agent before this one left in the outbox, in order.
    pub pending: Vec<Notice>,
    /// The first messages of open incidents.
    pub threads: HashMap<IncidentId, String>,
    /// Where deliveries are struck off.
    pub journal: Arc<dyn Journal>,
    /// The log's lines.
    pub narrator: Arc<Narrator>,
    /// Wall time.
    pub clock: Clock,
}

impl Delivery {
    /// Builds the delivery, the way into it, and the view of its health.
    pub fn new(parts: Parts) -> (Self, mpsc::UnboundedSender<Notice>, watch::Receiver<ChannelHealth>) {
        let Parts { channel, name, address, pending, threads, journal, narrator, clock } = parts;
        // Unbounded on purpose: the engine must never wait here, and what waits is bounded by one notice per check.
        let (send, inbox) = mpsc::unbounded_channel();
        let health = ChannelHealth { channel: name.clone(), waiting: pending.len(), ..ChannelHealth::default() };
        let (health, view) = watch::channel(health);
        let queue = pending.into();
        let delivery = Self {
            channel,
            name,
            address,
            queue,
            inbox,
            threads,
            journal,
            narrator,
            clock,
            health,
            failures: 0,
            moved: None,
            singly: 0,
        };
        (delivery, send, view)
    }

    /// Delivers until `stop`, then tries once more to send what waits.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.take_in();
            if self.queue.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    notice = self.inbox.recv() => match notice {
                        Some(notice) => self.queue.push_back(notice),
                        None => break,
                    },
                }
                continue;
            }
            // The stop does not cut off a delivery under way: what was taken already would be sent again.
            let limit = async {
                stop.cancelled().await;
                tokio::time::sleep(FLUSH).await;
            };
            let wait = tokio::select! {
                wait = self.deliver_next(DURABLE_WITHIN) => wait,
                () = limit => return,
            };
            if let Some(wait) = wait {
                self.rest(wait, &stop).await;
            }
        }
        self.flush().await;
    }

    /// Takes in what was told meanwhile.
    fn take_in(&mut self) {
        while let Ok(notice) = self.inbox.try_recv() {
            self.queue.push_back(notice);
        }
        self.collapse();
        self.show_waiting();
    }

    /// Waits before the next try; what comes in meanwhile is counted.
    async fn rest(&mut self, wait: Duration, stop: &CancellationToken) {
        let end = Instant::now() + wait;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(end) => return,
                Some(notice) = self.inbox.recv() => {
                    self.queue.push_back(notice);
                    // A broken channel rests long. Not at every notice: when many pairs keep it over the bound, each
                    // look at the whole queue is worth it only after many more.
                    if self.queue.len().is_multiple_of(backlog::MAX_WAITING + 1) {
                        self.collapse();
                    }
                    self.show_waiting();
                }
            }
        }
    }

    fn show_waiting(&self) {
        let waiting = self.queue.len() + self.inbox.len();
        self.health.send_modify(|health| health.waiting = waiting);
    }

    /// Sends what waits, once, within a limit; what is not sent stays in the outbox.
    async fn flush(&mut self) {
        let end = Instant::now() + FLUSH;
        self.take_in();
        while !self.queue.is_empty() {
            match tokio::time::timeout_at(end, self.deliver_next(DURABLE_WITHIN_FLUSH)).await {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => break,
            }
        }
        self.show_waiting();
    }

    /// Sends the head of the queue, or a digest of it; gives the wait before the next try.
    async fn deliver_next(&mut self, durable_within: Duration) -> Option<Duration> {
        // Nothing is sent that a crash could make us forget, unless the disk refuses for too long.
        self.journal.recorded(Vec::new(), durable_within).await;
        let voice = self.narrator.voice();
        let facts = Facts { zone: voice.zone.clone(), now: self.clock.now() };
        let digested = self.singly == 0 && self.queue.len() > DIGEST_OVER;
        let (count, out) = if digested {
            let notices: Vec<Notice> = self.queue.iter().take(DIGEST_MAX).cloned().collect();
            let rich = digest(&notices, voice.language, &facts);
            (notices.len(), Outgoing { rich, silent: false, reply_to: None })
        } else {
            let head = self.queue.front()?;
            (1, self.outgoing(head, compose(head, voice.language, &facts)))
        };
        // A channel that panics is a bug of ours, and one notice must not end the delivery of all others.
        let delivered = AssertUnwindSafe(self.channel.deliver(&out)).catch_unwind().await;
        match delivered.unwrap_or_else(|_| {
            Err(Undelivered::Later { wait: None, why: "it panicked, a bug in the monitor".to_owned() })
        }) {
            Ok(receipt) => {
                self.delivered(count, digested, &receipt);
                None
            }
            Err(Undelivered::Later { wait, why }) => Some(self.later(wait, &why)),
            Err(Undelivered::ChannelBroken { why }) => {
                let channel = self.name.clone();
                self.trouble(&Line::ChannelBroken { channel: &channel, why: &why, next: BROKEN_WAIT }, &why);
                Some(BROKEN_WAIT)
            }
            Err(Undelivered::MessageRefused { .. }) if digested => {
                self.singly = count;
                None
            }
            Err(Undelivered::MessageRefused { why }) => {
                self.dropped(count, &why);
                None
            }
        }
    }

    fn outgoing(&self, notice: &Notice, rich: Rich) -> Outgoing {
        let reply_to = self.threads.get(&notice.incident).cloned();
        // What was not told before is no repeat, and that healing does not help is news.
        let repeat =
            matches!(&notice.news, News::Failed(failed) if failed.failures > 1 && !failed.gave_up && !failed.asks);
        Outgoing { rich, silent: repeat && reply_to.is_some(), reply_to }
    }

    /// Of the repeats of one incident that wait, only the last is worth telling; the others are struck off. So is what a
    /// channel that takes nothing for long could not tell any more without an end.
    fn collapse(&mut self) {
        let mut stale = backlog::thin(&mut self.queue);
        let folded = backlog::fold(&mut self.queue);
        if !folded.is_empty() {
            tracing::warn!(
                "too many notices wait for {}: {} older ones will not be told, {} are kept (the last of each pair, and the \
                 first of each open incident); mend the channel",
                self.name,
                folded.len(),
                self.queue.len()
            );
            // Those at the head are others now.
            self.singly = 0;
        }
        for notice in folded {
            if closes(&notice.news) {
                self.threads.remove(&notice.incident);
            }
            stale.push(notice.id);
        }
        let (at, name) = (self.clock.now(), &self.name);
        let struck = |id| Write::NoticeDelivered { id, channel: name.clone(), at, message_ref: None };
        let writes: Vec<Write> = stale.into_iter().map(struck).collect();
        if !writes.is_empty() {
            self.journal.record(writes);
        }
    }
}

/// True for what others of its incident may answer.
fn opens(news: &News) -> bool {
    matches!(news, News::Failed(_) | News::Flapping { .. } | News::Storm { .. } | News::CutOff(_) | News::Unseen { .. })
}

/// True for what ends its incident: nothing answers it.
fn closes(news: &News) -> bool {
    matches!(
        news,
        News::Recovered(_)
            | News::Retired { .. }
            | News::StormOver { .. }
            | News::Reconnected { .. }
            | News::SeenAgain { .. }
    )
}
