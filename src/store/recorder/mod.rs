//! The one writer: an ordered queue in memory, written in groups by a task that whoever starts it awaits.
//!
//! Nothing here blocks a check: [`Recorder::record`] returns at once, and only [`Recorder::recorded`] waits, with a limit.

mod queue;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, Write, in_one_line};
use queue::{Batch, Queue};
pub use queue::{GROUP, Health, MOST_PENDING};

/// After a stop, what is pending may take this long.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// First and longest pause between tries while the database cannot be used.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Characters of a refused batch that its error line carries.
const CARRIED: usize = 4000;

/// Why a batch is not known to be on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// Not yet: it stays queued and will be written.
    #[error("not on disk after {}ms: {why}; it stays queued", within.as_millis())]
    Late {
        /// How long was waited.
        within: Duration,
        /// The last error of the database, or that it is slow.
        why: String,
    },
    /// The queue is full; the batch was dropped.
    #[error("the queue is full ({MOST_PENDING} writes) because the database cannot be used; the record is lost")]
    Full,
    /// The database refuses it for good; the batch was dropped.
    #[error("the database refuses it: {0}")]
    Refused(String),
    /// The recorder has stopped.
    #[error("the recorder has stopped")]
    Stopped,
}

/// The handle: cheap to clone, puts batches into the queue.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// The task behind the handle; [`Writing::run`] is to be awaited by its owner.
#[derive(Debug)]
pub struct Writing {
    shared: Arc<Shared>,
    store: Store,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Notify,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// Joins a handle and its task over a store.
    pub fn new(store: Store) -> (Self, Writing) {
        let shared = Arc::new(Shared::default());
        (Self { shared: Arc::clone(&shared) }, Writing { shared, store })
    }

    /// Queues a batch, to be written all or nothing, after everything queued before. Never waits. At most [`MOST_PENDING`]
    /// writes are kept: beyond them states of pairs that a later one replaces are dropped first, then the new batch, with an
    /// error line.
    pub fn record(&self, batch: Vec<Write>) {
        self.put(Batch { writes: batch, done: None });
    }

    /// Queues a batch at once and waits until it, and all before it, are on disk. An empty batch waits for those before it.
    ///
    /// # Errors
    /// [`NotRecorded::Late`] leaves the batch in the queue: it will be written, and whoever acts on the refusal should queue
    /// what became of it.
    pub fn recorded(
        &self,
        batch: Vec<Write>,
        within: Duration,
    ) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<> {
        let (done, answer) = oneshot::channel();
        // Queued now and not at the first poll: what the caller records next must stand behind it.
        self.put(Batch { writes: batch, done: Some(done) });
        let (recorder, end) = (self.clone(), Instant::now() + within);
        async move {
            match tokio::time::timeout_at(end, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(NotRecorded::Stopped),
                Err(_) => {
                    let why = recorder.health().last_error.unwrap_or_else(|| "the database is slow".to_owned());
                    Err(NotRecorded::Late { within, why })
                }
            }
        }
    }

    /// Tells how the queue fares.
    pub fn health(&self) -> Health {
        self.shared.queue().health()
    }

    fn put(&self, batch: Batch) {
        // Nothing to write and nobody who waits; an empty batch that somebody waits for stands behind all before it.
        if batch.writes.is_empty() && batch.done.is_none() {
            return;
        }
        let refused = self.shared.queue().put(batch);
        match refused {
            None => self.shared.wake.notify_one(),
            Some((batch, why, first)) => {
                if first {
                    tracing::error!(what = %carried(&batch.writes), "a record is lost, and others after it until the database works: {why}");
                }
                batch.answer(Err(why));
            }
        }
    }
}

impl Writing {
    /// Writes until `stop`, then what is left for at most [`FLUSH_LIMIT`]; gives the number of writes that were lost.
    pub async fn run(self, stop: CancellationToken) -> usize {
        let limit = async {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH_LIMIT).await;
        };
        tokio::select! {
            () = self.write_all(&stop) => {}
            () = limit => {}
        }
        let (lost, batches) = self.shared.queue().close();
        if lost > 0 {
            tracing::error!(lost, "the database could not be used until the end; {lost} records are lost");
        }
        drop(batches);
        lost
    }

    async fn write_all(&self, stop: &CancellationToken) {
        loop {
            let group = self.shared.queue().take();
            if !group.is_empty() {
                self.write_group(group, stop).await;
            } else if stop.is_cancelled() {
                return;
            } else {
                tokio::select! {
                    () = self.shared.wake.notified() => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    async fn write_group(&self, group: Vec<Batch>, stop: &CancellationToken) {
        if group.iter().all(|batch| batch.writes.is_empty()) {
            return self.settle(group, &Ok(()));
        }
        match self.until_usable(&group, stop).await {
            Ok(()) => self.settle(group, &Ok(())),
            // One batch spoils the group: write each alone, in order, and drop only those the database refuses.
            Err(_) => {
                for batch in group {
                    let alone = std::slice::from_ref(&batch);
                    if batch.writes.is_empty() {
                        batch.answer(Ok(()));
                        continue;
                    }
                    match self.until_usable(alone, stop).await {
                        Ok(()) => self.settle(vec![batch], &Ok(())),
                        Err(error) => {
                            let why = in_one_line(&error);
                            tracing::error!(what = %carried(&batch.writes), "the database refuses a record, it is lost: {why}");
                            self.settle(vec![batch], &Err(NotRecorded::Refused(why)));
                        }
                    }
                }
            }
        }
    }

    /// Repeats while the database cannot be used; returns an error only when it refuses the writes for good.
    async fn until_usable(&self, group: &[Batch], stop: &CancellationToken) -> Result<(), StoreError> {
        let (first, longest) = PAUSES;
        let pauses = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest).without_max_times();
        let mut pauses = pauses.build();
        loop {
            let error = match self.store.commit_all(group.iter().flat_map(|batch| &batch.writes)).await {
                Ok(()) => {
                    self.works_again();
                    return Ok(());
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => in_one_line(&error),
            };
            if self.shared.queue().failed(&error) {
                tracing::error!("records wait in memory: {error}");
            }
            let pause = pauses.next().unwrap_or(longest);
            let stopping = stop.is_cancelled();
            cut_short(tokio::time::sleep(pause), stop, stopping).await;
        }
    }

    fn works_again(&self) {
        let outage = self.shared.queue().works();
        if let Some((lasted, dropped)) = outage {
            tracing::info!(outage_s = lasted.as_secs(), dropped, "the database works again");
        }
    }

    fn settle(&self, group: Vec<Batch>, answer: &Result<(), NotRecorded>) {
        let writes = group.iter().map(|batch| batch.writes.len()).sum();
        self.shared.queue().settled(writes);
        for batch in group {
            batch.answer(answer.clone());
        }
    }
}

/// A stop ends the pause that it meets, so that the flush has its whole time.
async fn cut_short(pause: impl Future<Output = ()>, stop: &CancellationToken, stopping: bool) {
    tokio::select! {
        () = pause => {}
        () = stop.cancelled(), if !stopping => {}
    }
}

fn carried(writes: &[Write]) -> String {
    format!("{writes:?}").chars().take(CARRIED).collect()
}
