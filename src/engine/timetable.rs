//! When each pair is looked at next: a fixed rate without drift, phases spread, missed slots skipped.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

use crate::domain::name::PairName;

/// Sets up to this size are looked at within the first second; larger ones are spread over their interval.
pub const SMALL_SET: usize = 100;

/// The farthest look that is set; the queue takes nothing beyond two years.
const FARTHEST: Duration = Duration::from_hours(365 * 24);

/// When every pair is due.
pub struct Timetable {
    queue: DelayQueue<PairName>,
    slots: HashMap<PairName, Slot>,
}

struct Slot {
    /// Some slot of the pair, past or future; the others lie whole intervals away.
    anchor: Instant,
    interval: Duration,
    /// The entry in the queue and the moment it stands for.
    entry: Option<(delay_queue::Key, Instant)>,
}

impl Timetable {
    /// Starts empty.
    pub fn new() -> Self {
        Self { queue: DelayQueue::new(), slots: HashMap::new() }
    }

    /// Enters a pair, one of `of`, and sets its first look. A pair that is known keeps its slots unless its interval changed.
    pub fn enter(&mut self, pair: &PairName, interval: Duration, of: usize) {
        if self.slots.get(pair).is_some_and(|slot| slot.interval == interval) {
            return;
        }
        self.leave(pair);
        let spread = if of <= SMALL_SET { interval.min(Duration::from_secs(1)) } else { interval };
        let anchor = Instant::now() + spread.mul_f64(phase(pair));
        self.slots.insert(pair.clone(), Slot { anchor, interval, entry: None });
        self.set(pair, anchor);
    }

    /// Takes a pair out.
    pub fn leave(&mut self, pair: &PairName) {
        if let Some(Slot { entry: Some((key, _)), .. }) = self.slots.remove(pair) {
            self.queue.try_remove(&key);
        }
    }

    /// Sets the next look at the pair's next slot that is not yet past.
    pub fn at_slot(&mut self, pair: &PairName) {
        let Some(slot) = self.slots.get(pair) else { return };
        let next = next_slot(slot.anchor, slot.interval, Instant::now());
        self.set(pair, next);
    }

    /// Sets the next look at `at`; the slots count from there on.
    pub fn at(&mut self, pair: &PairName, at: Instant) {
        if let Some(slot) = self.slots.get_mut(pair) {
            slot.anchor = at;
            self.set(pair, at);
        }
    }

    /// Sets the next look at once; the slots stay where they are.
    pub fn at_once(&mut self, pair: &PairName) {
        self.set(pair, Instant::now());
    }

    /// Sets the next look at `at`, if it would be later; the slots stay where they are.
    pub fn no_later_than(&mut self, pair: &PairName, at: Instant) {
        if self.due(pair).is_none_or(|due| due > at) {
            self.set(pair, at);
        }
    }

    /// Changes a pair's interval and leaves its next look where it is: an incident keeps the pace it was promised.
    pub fn set_interval(&mut self, pair: &PairName, interval: Duration) {
        if let Some(slot) = self.slots.get_mut(pair) {
            slot.interval = interval;
        }
    }

    /// When the next look is due, if one is set.
    pub fn due(&self, pair: &PairName) -> Option<Instant> {
        self.slots.get(pair).and_then(|slot| slot.entry.as_ref()).map(|(_, at)| *at)
    }

    /// Looks at every pair again soon, spread as at the start. For the time after a gap.
    pub fn start_over(&mut self) {
        let pairs: Vec<(PairName, Duration)> =
            self.slots.iter().map(|(pair, slot)| (pair.clone(), slot.interval)).collect();
        self.queue.clear();
        self.slots.clear();
        for (pair, interval) in &pairs {
            self.enter(pair, *interval, pairs.len());
        }
    }

    /// Waits for the next pair that is due, and says when it was.
    pub async fn next(&mut self) -> (PairName, Instant) {
        let Some(expired) = self.queue.next().await else { return std::future::pending().await };
        let at = expired.deadline();
        let pair = expired.into_inner();
        let at = match self.slots.get_mut(&pair).and_then(|slot| slot.entry.take()) {
            Some((_, at)) => at,
            None => at,
        };
        (pair, at)
    }

    fn set(&mut self, pair: &PairName, at: Instant) {
        let Some(slot) = self.slots.get_mut(pair) else { return };
        if let Some((key, _)) = slot.entry.take() {
            self.queue.try_remove(&key);
        }
        let at = at.min(Instant::now() + FARTHEST);
        slot.entry = Some((self.queue.insert_at(pair.clone(), at), at));
    }
}

/// A place in 0..1 that depends on the name alone, so that it is the same after each start.
fn phase(pair: &PairName) -> f64 {
    let mut hasher = DefaultHasher::new();
    pair.hash(&mut hasher);
    let top = u32::try_from(hasher.finish() >> 32).unwrap_or_default();
    f64::from(top) / (f64::from(u32::MAX) + 1.0)
}

/// The first of `anchor + n * interval` that lies after `now`.
fn next_slot(anchor: Instant, interval: Duration, now: Instant) -> Instant {
    if anchor > now || interval.is_zero() {
        return anchor.max(now);
    }
    let passed = now.duration_since(anchor);
    let into = passed.as_nanos() % interval.as_nanos();
    let into = Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX));
    now + interval.saturating_sub(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(n: usize) -> PairName {
        format!("DC1:SRV{n}").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn slots_do_not_drift_and_missed_ones_are_skipped() {
        let mut timetable = Timetable::new();
        let every = Duration::from_secs(10);
        timetable.enter(&pair(1), every, 1);
        let (_, first) = timetable.next().await;
        tokio::time::advance(Duration::from_secs(3)).await;
        timetable.at_slot(&pair(1));
        let (_, second) = timetable.next().await;
        assert_eq!(second - first, every, "the time a check takes does not move the next one");
        tokio::time::advance(Duration::from_secs(34)).await;
        timetable.at_slot(&pair(1));
        let (_, third) = timetable.next().await;
        assert_eq!(third - second, every * 4, "three slots were missed, none is made up for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_set_is_looked_at_within_a_second_and_a_large_one_is_spread() {
        let every = Duration::from_secs(10);
        for (of, within) in [(SMALL_SET, 1.0), (1000, 10.0)] {
            let mut timetable = Timetable::new();
            let start = Instant::now();
            for n in 0..of {
                timetable.enter(&pair(n), every, of);
            }
            let mut per_tenth = [0usize; 10];
            for _ in 0..of {
                let (_, at) = timetable.next().await;
                let share = (at - start).as_secs_f64() / within;
                assert!(share <= 1.0);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..1 times ten")]
                let tenth = ((share * 10.0) as usize).min(9);
                per_tenth[tenth] += 1;
            }
            let most = per_tenth.iter().max().unwrap();
            assert!(*most < of / 4, "{per_tenth:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_can_be_brought_forward_and_is_never_put_off_by_that() {
        let mut timetable = Timetable::new();
        let every = Duration::from_secs(10);
        timetable.enter(&pair(1), every, 1);
        let (_, first) = timetable.next().await;
        timetable.at_slot(&pair(1));
        timetable.no_later_than(&pair(1), first + Duration::from_secs(3));
        timetable.no_later_than(&pair(1), first + Duration::from_secs(5));
        assert_eq!(timetable.next().await.1, first + Duration::from_secs(3));
        timetable.at_slot(&pair(1));
        assert_eq!(timetable.next().await.1, first + every);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pair_that_left_is_never_due_again() {
        let mut timetable = Timetable::new();
        timetable.enter(&pair(1), Duration::from_secs(1), 2);
        timetable.enter(&pair(2), Duration::from_secs(9), 2);
        timetable.leave(&pair(1));
        assert_eq!(timetable.next().await.0, pair(2));
    }
}
