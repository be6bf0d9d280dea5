//! Places for remedies: so many are under way at once, over all hosts and across reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places. A clone shares them.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// Places that were taken away while somebody had them.
    owed: Arc<AtomicUsize>,
    of: usize,
}

impl Places {
    pub(super) fn new(of: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(of)), owed: Arc::default(), of }
    }

    /// Makes it so many. Who has a place keeps it, and of too many each that is given back is gone.
    pub(super) fn resize(&mut self, of: usize) {
        let before = std::mem::replace(&mut self.of, of);
        if let Some(gone) = before.checked_sub(of) {
            let forgotten = self.free.forget_permits(gone);
            self.owed.fetch_add(gone.saturating_sub(forgotten), Ordering::AcqRel);
        } else {
            let more = of.saturating_sub(before);
            let owed = (0..more).take_while(|_| self.settle()).count();
            self.free.add_permits(more.saturating_sub(owed));
        }
    }

    /// A place, if there is one now.
    pub(super) fn now(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = self.free.clone().try_acquire_owned().ok()?;
            if !self.settle() {
                return Some(place);
            }
            place.forget();
        }
    }

    /// A place, once there is one.
    pub(super) async fn wait(self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = self.free.clone().acquire_owned().await.ok()?;
            if !self.settle() {
                return Some(place);
            }
            place.forget();
        }
    }

    /// Takes one off what is owed; false when nothing is.
    fn settle(&self) -> bool {
        self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| owed.checked_sub(1)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_a_place_counts_whatever_the_number_becomes() {
        let mut places = Places::new(3);
        let mut held: Vec<_> = (0..3).map(|_| places.now().unwrap()).collect();
        assert!(places.now().is_none());
        places.resize(3);
        assert!(places.now().is_none(), "the same number is no new places");
        places.resize(1);
        held.truncate(1);
        assert!(places.now().is_none(), "two were too many");
        held.clear();
        held.extend(places.now());
        assert!(held.len() == 1 && places.now().is_none());
        places.resize(2);
        held.extend(places.now());
        assert!(held.len() == 2 && places.now().is_none());
        places.resize(1);
        places.resize(2);
        assert!(places.now().is_none(), "what was owed is forgiven first");
        let waiting = places.clone().wait();
        held.pop();
        assert!(waiting.await.is_some());
    }
}
