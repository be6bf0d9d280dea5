//! The queue's memory: what waits, how much, since when it goes wrong. No I/O and no waiting.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::NotRecorded;
use crate::store::Write;

/// Writes of one transaction, unless a single batch is larger (measured: 500 rows reach most of the gain).
pub const GROUP: usize = 500;
/// Writes kept while the database cannot be used: a few hundred bytes to a few KiB each, so at worst some 500 MiB when
/// every one of them carries 8 KiB of output, and about 50 MiB of ordinary states and notices.
pub const MOST_PENDING: usize = 65_536;

/// How the queue fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// False while the last try to write failed.
    pub healthy: bool,
    /// Writes that are not on disk yet.
    pub pending: usize,
    /// The last error of the current outage.
    pub last_error: Option<String>,
    /// How long the current outage has lasted.
    pub failing_for: Option<Duration>,
    /// Writes lost because the queue was full, since the start.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) done: Option<oneshot::Sender<Result<(), NotRecorded>>>,
}

impl Batch {
    pub(super) fn answer(self, answer: Result<(), NotRecorded>) {
        if let Some(done) = self.done {
            // Nobody listens any more when the wait was given up.
            let _ = done.send(answer);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    batches: VecDeque<Batch>,
    /// Writes in `batches` and in the group that is being written.
    pending: usize,
    /// Writes accepted since states were last thinned out.
    since_thinned: usize,
    outage: Option<(Instant, String)>,
    /// A full queue was reported in this outage.
    told_full: bool,
    dropped: u64,
    closed: bool,
}

impl Queue {
    /// Takes a batch in, or gives it back with the reason and whether it is the first one of this outage.
    pub(super) fn put(&mut self, batch: Batch) -> Option<(Batch, NotRecorded, bool)> {
        if self.closed {
            return Some((batch, NotRecorded::Stopped, true));
        }
        let more = batch.writes.len();
        if self.pending + more > MOST_PENDING && self.since_thinned > MOST_PENDING / 8 {
            self.thin();
        }
        if self.pending + more > MOST_PENDING {
            self.dropped += more as u64;
            let first = !std::mem::replace(&mut self.told_full, true);
            return Some((batch, NotRecorded::Full, first));
        }
        self.pending += more;
        self.since_thinned += more;
        self.batches.push_back(batch);
        None
    }

    /// Drops states that a later one of the same pair replaces.
    fn thin(&mut self) {
        let mut newer = HashSet::new();
        let mut gone = 0;
        for batch in self.batches.iter_mut().rev() {
            let before = batch.writes.len();
            let mut kept: Vec<Write> = Vec::with_capacity(before);
            for write in batch.writes.drain(..).rev() {
                match &write {
                    Write::PairState { pair, .. } if !newer.insert(pair.clone()) => {}
                    _ => kept.push(write),
                }
            }
            kept.reverse();
            gone += before - kept.len();
            batch.writes = kept;
        }
        self.pending -= gone;
        self.since_thinned = 0;
    }

    /// Takes the oldest batches, whole, up to [`GROUP`] writes or one batch; they stay counted until [`Queue::settled`].
    pub(super) fn take(&mut self) -> Vec<Batch> {
        let mut group = Vec::new();
        let mut writes = 0;
        while let Some(batch) = self.batches.front() {
            writes += batch.writes.len();
            if writes > GROUP && !group.is_empty() {
                break;
            }
            group.extend(self.batches.pop_front());
        }
        group
    }

    pub(super) fn settled(&mut self, writes: usize) {
        self.pending = self.pending.saturating_sub(writes);
    }

    /// Notes a failure; true when it is the first of an outage.
    pub(super) fn failed(&mut self, error: &str) -> bool {
        let first = self.outage.is_none();
        let since = self.outage.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        self.outage = Some((since, error.to_owned()));
        first
    }

    /// Notes a success; gives the outage it ended: how long it lasted and how many writes were lost since the start.
    pub(super) fn works(&mut self) -> Option<(Duration, u64)> {
        let (since, _) = self.outage.take()?;
        self.told_full = false;
        Some((since.elapsed(), self.dropped))
    }

    /// Refuses everything from now on; gives what was never written.
    pub(super) fn close(&mut self) -> (usize, VecDeque<Batch>) {
        self.closed = true;
        (std::mem::take(&mut self.pending), std::mem::take(&mut self.batches))
    }

    pub(super) fn health(&self) -> Health {
        Health {
            healthy: self.outage.is_none(),
            pending: self.pending,
            last_error: self.outage.as_ref().map(|(_, error)| error.clone()),
            failing_for: self.outage.as_ref().map(|(since, _)| since.elapsed()),
            dropped: self.dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn state(pair: &str, json: &str) -> Write {
        Write::PairState { pair: pair.parse().unwrap(), state_json: json.to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    fn batch(writes: Vec<Write>) -> Batch {
        Batch { writes, done: None }
    }

    fn setting(value: usize) -> Write {
        Write::Setting { key: "k".to_owned(), value: value.to_string() }
    }

    #[test]
    fn a_full_queue_thins_replaced_states_before_it_refuses_anything() {
        let mut queue = Queue::default();
        for round in 0..MOST_PENDING {
            assert!(queue.put(batch(vec![state("A-B", &round.to_string())])).is_none());
        }
        assert!(queue.put(batch(vec![setting(1)])).is_none());
        assert_eq!(queue.health().pending, 2);
        let kept: Vec<Write> = queue.take().into_iter().flat_map(|batch| batch.writes).collect();
        assert_eq!(kept, [state("A-B", &(MOST_PENDING - 1).to_string()), setting(1)]);
    }

    #[test]
    fn a_full_queue_of_facts_refuses_the_new_one_and_reports_it_once() {
        let mut queue = Queue::default();
        for n in 0..MOST_PENDING {
            assert!(queue.put(batch(vec![setting(n)])).is_none());
        }
        let firsts: Vec<bool> =
            (0..3).filter_map(|n| queue.put(batch(vec![setting(n)])).map(|(_, _, first)| first)).collect();
        assert_eq!(
            (firsts, queue.health().dropped, queue.health().pending),
            (vec![true, false, false], 3, MOST_PENDING)
        );
    }

    #[test]
    fn a_group_holds_whole_batches_and_a_large_batch_goes_alone() {
        let mut queue = Queue::default();
        for size in [400, 100, 1, 900] {
            assert!(queue.put(batch((0..size).map(setting).collect())).is_none());
        }
        let groups: Vec<usize> = (0..3).map(|_| queue.take().iter().map(|batch| batch.writes.len()).sum()).collect();
        assert_eq!(groups, [500, 1, 900]);
    }

    #[test]
    fn an_outage_begins_once_and_ends_once() {
        let mut queue = Queue::default();
        assert_eq!([queue.failed("a"), queue.failed("b")], [true, false]);
        assert_eq!(queue.health().last_error.as_deref(), Some("b"));
        assert!(queue.works().is_some() && queue.works().is_none() && queue.health().healthy);
    }
}
