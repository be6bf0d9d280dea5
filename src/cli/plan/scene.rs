//! The scene of a plan: how the story stands, the tape that runs, and a journal and a chat that only listen. Who acts on
//! it lives in `stand`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::domain::name::PairName;
use crate::domain::notice::Notice;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{NoticeId, RunStatus};
use crate::engine::ledger::Journal;
use crate::notify::telegram::pace::Pace;
use crate::notify::{Channel, Finding, Outgoing, Receipt, Undelivered};
use crate::store::Write;

use super::event::Event;
use super::story::Story;
use super::tape::{Incident, Tape};

/// Everything that the engine meets.
pub struct Scene {
    start: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    story: Story,
    tape: Tape,
    /// Notices whose message has not gone out yet.
    waiting: BTreeMap<NoticeId, Option<PairName>>,
    /// Messages that were handed over and not yet struck off, by their reference.
    handed: BTreeMap<String, (bool, String)>,
    /// Names of approvals that were asked for.
    approvals: Vec<String>,
}

impl Inner {
    fn awaits(&mut self, approval: &str) {
        if !self.approvals.iter().any(|known| known == approval) {
            self.approvals.push(approval.to_owned());
        }
    }
}

impl Scene {
    /// Opens the scene now.
    pub fn new(story: Story, tape: Tape) -> Arc<Self> {
        let inner = Inner { story, tape, waiting: BTreeMap::new(), handed: BTreeMap::new(), approvals: Vec::new() };
        Arc::new(Self { start: Instant::now(), inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since it was opened.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// True when nothing more is to come: the story is over, everybody is up, and it is told.
    pub fn is_over(&self) -> bool {
        let inner = self.lock();
        let end = inner.story.end().filter(|end| *end <= self.now());
        end.is_some_and(|end| inner.tape.is_calm(end)) && inner.waiting.is_empty()
    }

    /// Closes it: gives what happened, and the story as it came.
    pub fn close(&self) -> (Vec<Event>, Vec<Incident>, Story) {
        let inner = &mut *self.lock();
        let (events, incidents) = inner.tape.end(self.now());
        (events, incidents, inner.story.clone())
    }

    /// Asks the story how it stands now.
    pub fn ask<T>(&self, question: impl FnOnce(&Story, Duration) -> T) -> T {
        question(&self.lock().story, self.now())
    }

    /// Puts on the tape what happens now.
    pub fn note(&self, what: impl FnOnce(&mut Tape, Duration)) {
        what(&mut self.lock().tape, self.now());
    }

    /// True while this machine has no network.
    pub fn is_cut_off(&self) -> bool {
        self.ask(Story::is_cut_off)
    }
}

/// Names of approvals are random, and a plan is not: each gets its number.
fn same_each_time(approvals: &[String], text: String) -> String {
    let name = |(number, id): (usize, &String)| (id.clone(), format!("{:06x}", number + 1));
    approvals.iter().enumerate().map(name).fold(text, |text, (id, name)| text.replace(&id, &name))
}

impl Journal for Scene {
    fn record(&self, writes: Vec<Write>) {
        let at = self.now();
        let inner = &mut *self.lock();
        let mut told: BTreeMap<String, Vec<Option<PairName>>> = BTreeMap::new();
        for write in writes {
            match &write {
                Write::NoticeQueued { notice, .. } => {
                    let Notice { id, pair, .. } = &**notice;
                    inner.waiting.insert(*id, pair.clone());
                }
                Write::NoticeDelivered { id, message_ref, .. } => {
                    let pair = inner.waiting.remove(id);
                    if let (Some(message), Some(pair)) = (message_ref, pair) {
                        told.entry(message.clone()).or_default().push(pair);
                    }
                }
                Write::RunRefused { refusal: Refusal::AwaitingApproval { id }, .. } => inner.awaits(id),
                Write::RunEnded(ended) if ended.status == Some(RunStatus::Executed) => {
                    if let Some((pair, rung)) = inner.tape.run(ended.run) {
                        inner.story.ran(&pair, rung, at);
                    }
                }
                _ => {}
            }
            inner.tape.wrote(at, write);
        }
        for (message, mut pairs) in told {
            let Some((silent, text)) = inner.handed.remove(&message) else { continue };
            let notices = pairs.len();
            let pair = pairs.pop().flatten().filter(|_| notices == 1);
            let text = same_each_time(&inner.approvals, text);
            inner.tape.sent(at, notices, pair, silent, text);
        }
    }

    fn recorded(&self, writes: Vec<Write>, _within: Duration) -> BoxFuture<'static, bool> {
        self.record(writes);
        Box::pin(std::future::ready(true))
    }
}

/// A chat that takes everything, at the pace of the real one.
pub struct Chat {
    scene: Arc<Scene>,
    pace: Pace,
}

impl Chat {
    /// Opens it; `many` when it is a group or a channel.
    pub fn new(scene: &Arc<Scene>, many: bool) -> Self {
        Self { scene: scene.clone(), pace: Pace::new(many) }
    }
}

impl Channel for Chat {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn deliver<'a>(&'a self, out: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(async move {
            self.pace.wait().await;
            let message_ref = format!("{:?}", self.scene.now());
            self.scene.lock().handed.insert(message_ref.clone(), (out.silent, out.rich.to_plain()));
            Ok(Receipt { message_ref, moved: None })
        })
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }
}
