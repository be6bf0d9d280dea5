//! Runs what hyper leaves to a runtime: the other half of a connection, beside whoever waits for it. No task is spawned, so
//! that nothing outlives an attempt.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};
use hyper::rt::Executor;

/// Work that needs no answer.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The half of a connection that moves the bytes.
pub(super) struct Engine(Option<Work>);

impl Engine {
    /// Takes what is to run.
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Waits for `wanted` while the connection moves; `moved` is called each time that it did.
    pub(super) async fn with<T>(&mut self, wanted: impl Future<Output = T>, mut moved: impl FnMut()) -> T {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            if let Poll::Ready(done) = wanted.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if let Some(work) = &mut self.0
                && work.as_mut().poll(cx).is_ready()
            {
                self.0 = None;
            }
            moved();
            wanted.as_mut().poll(cx)
        })
        .await
    }
}

/// Where hyper puts the parts of an HTTP/2 connection; a [`Crew`] runs them. It holds the queue weakly: its parts hold it.
#[derive(Clone)]
pub(super) struct Hands(Weak<Mutex<Vec<Work>>>);

/// Runs the parts of an HTTP/2 connection.
pub(super) struct Crew {
    queue: Arc<Mutex<Vec<Work>>>,
    running: FuturesUnordered<Work>,
}

impl Crew {
    /// An idle crew, and the hands that give it work.
    pub(super) fn new() -> (Self, Hands) {
        let queue = Arc::default();
        let hands = Hands(Arc::downgrade(&queue));
        (Self { queue, running: FuturesUnordered::new() }, hands)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Hands {
    fn execute(&self, work: F) {
        if let Some(queue) = self.0.upgrade() {
            queue.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(work));
        }
    }
}

impl Future for Crew {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let crew = self.get_mut();
        loop {
            let fresh = std::mem::take(&mut *crew.queue.lock().unwrap_or_else(PoisonError::into_inner));
            let idle = fresh.is_empty();
            crew.running.extend(fresh);
            match Pin::new(&mut crew.running).poll_next(cx) {
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending if idle => return Poll::Pending,
                // What ran may have brought more work.
                Poll::Ready(Some(())) | Poll::Pending => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_and_what_it_needs_run_side_by_side() {
        let (give, take) = oneshot::channel();
        let mut engine = Engine::new(async move {
            tokio::task::yield_now().await;
            let _ = give.send(7);
        });
        let mut moves = 0;
        assert_eq!(engine.with(take, || moves += 1).await, Ok(7));
        assert!(moves > 0);
        assert_eq!(engine.with(async { 8 }, || ()).await, 8, "an engine that has ended is no trouble");
    }

    #[tokio::test]
    async fn a_crew_runs_work_that_brings_work_and_leaves_nothing_behind() {
        let done = Arc::new(AtomicUsize::new(0));
        let (crew, hands) = Crew::new();
        let (count, again) = (Arc::clone(&done), hands.clone());
        hands.execute(async move {
            let inner = Arc::clone(&count);
            let kept = again.clone();
            again.execute(async move {
                inner.fetch_add(1, Ordering::Relaxed);
                drop(kept);
            });
            count.fetch_add(1, Ordering::Relaxed);
        });
        crew.await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
        let (crew, hands) = Crew::new();
        let (held, own) = (Arc::clone(&done), hands.clone());
        hands.execute(async move {
            std::future::pending::<()>().await;
            drop((held, own));
        });
        drop(crew);
        assert_eq!(Arc::strong_count(&done), 1, "work that never ran is dropped with its crew");
    }
}
