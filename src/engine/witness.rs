//! Witnesses: who has to answer before a pair is believed to be down. When they do not, it is we who are cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::domain::reading::{Cause, Fault, Outcome};
use crate::probe::Target;
use crate::probe::wire::Kit;

/// A set of witnesses and how many of them have to answer.
pub struct Witnesses {
    /// The key that names them, such as `WITNESSES` or `DC3_WITNESSES`.
    key: Box<str>,
    targets: Vec<Arc<Target>>,
    quorum: usize,
    limit: Duration,
    kit: Arc<Kit>,
    /// The last ask, and when it began.
    last: Mutex<Option<(Instant, Answer)>>,
    /// The engine knows that they do not answer.
    missed: AtomicBool,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Witnesses that answered before the outcome was certain.
    pub answered: usize,
    /// Witnesses asked.
    pub of: usize,
    /// Witnesses that have to answer.
    pub quorum: usize,
}

impl Answer {
    /// True when enough of them answered.
    pub fn is_enough(self) -> bool {
        self.answered >= self.quorum
    }

    /// What a check comes to that nobody could have made.
    pub fn fault(self) -> Fault {
        let Self { answered, of, quorum } = self;
        Fault::new(Cause::CutOff, format!("{answered} of {of} witnesses answer, {quorum} have to"))
    }
}

impl Witnesses {
    /// Joins the key that names them, the targets, how many have to answer, and how long that may take.
    pub fn new(key: &str, targets: Vec<Arc<Target>>, quorum: usize, limit: Duration, kit: Arc<Kit>) -> Self {
        Self { key: key.into(), targets, quorum, limit, kit, last: Mutex::new(None), missed: AtomicBool::new(false) }
    }

    /// The same with a stand-in for each target, and no memory.
    #[must_use]
    pub fn staged(&self, stand_in: impl Fn(&Target) -> Target) -> Self {
        let targets = self.targets.iter().map(|target| Arc::new(stand_in(target))).collect();
        Self::new(&self.key, targets, self.quorum, self.limit, self.kit.clone())
    }

    /// The key that names them.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Asks all at once, and answers as soon as the outcome is certain. Those who ask while others are waiting for an
    /// answer share the next ask; none gets an answer that is older than the question.
    pub async fn ask(&self) -> Answer {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.filter(|(began, _)| *began >= asked) {
            return answer;
        }
        let began = Instant::now();
        let answer = self.count().await;
        *last = Some((began, answer));
        answer
    }

    async fn count(&self) -> Answer {
        let mut looks: FuturesUnordered<_> =
            self.targets.iter().map(|target| target.probe(&self.kit, self.limit)).collect();
        let (of, quorum) = (self.targets.len(), self.quorum);
        let mut answered = 0;
        while answered < quorum && answered + looks.len() >= quorum {
            let Some(reading) = looks.next().await else { break };
            answered += usize::from(reading.outcome == Outcome::Up);
        }
        Answer { answered, of, quorum }
    }

    /// Remembers whether they are missed.
    pub fn set_missed(&self, missed: bool) {
        self.missed.store(missed, Ordering::Relaxed);
    }

    /// True while they are missed: then somebody should ask whether they are back.
    pub fn is_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }
}
