//! Open sessions of one host: opened one at a time, shared by up to eight commands, closed when nobody needs them.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, Disconnect};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SshSite;
use super::auth::Credentials;
use super::session::{IDLE, Lease, Live, OPEN, locked, take_slot};
use crate::host::HostError;

/// Opening a channel on a kept session, which may be dead: a fresh one is the better use of the time. Who has little time
/// waits half of it.
const OPEN_KEPT: Duration = Duration::from_secs(4);

/// The sessions of one host.
pub(super) struct Pool {
    pub(super) site: SshSite,
    pub(super) credentials: Arc<Credentials>,
    pub(super) jump: Option<Arc<Pool>>,
    sessions: Mutex<Vec<Arc<Live>>>,
    /// One handshake at a time: who waits for it will mostly use the session that comes out of it.
    connecting: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("site", &self.site)
            .field("sessions", &locked(&self.sessions).len())
            .finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Pool {
    pub(super) fn new(site: SshSite, credentials: Arc<Credentials>, jump: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            site,
            credentials,
            jump,
            sessions: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Runs something that ends, at the latest, with the pool.
    pub(super) fn background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// Makes sure that there is a live session: one is opened, or the kept one asked whether it still answers.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), HostError> {
        let (lease, kept) = self.lease(false).await?;
        if kept && lease.ping(OPEN_KEPT).await.is_err() {
            drop(lease);
            self.lease(false).await?;
        }
        Ok(())
    }

    /// A channel that is ready for a command that has so much time. A kept session that does not give one is replaced by a
    /// fresh one, once.
    pub(super) async fn channel(self: &Arc<Self>, limit: Duration) -> Result<(Lease, Channel<Msg>), HostError> {
        let (lease, kept) = self.lease(false).await?;
        if kept {
            if let Ok(channel) = lease.open(OPEN_KEPT.min(limit / 2)).await {
                return Ok((lease, channel));
            }
            drop(lease);
            let (lease, _) = self.lease(true).await?;
            return self.open(lease).await;
        }
        self.open(lease).await
    }

    async fn open(&self, lease: Lease) -> Result<(Lease, Channel<Msg>), HostError> {
        match lease.open(OPEN).await {
            Ok(channel) => Ok((lease, channel)),
            Err(why) => Err(HostError::Refused { address: self.site.address(), why }),
        }
    }

    /// A slot of a kept session (then true), or of a new one; always of a new one if `fresh`.
    pub(super) async fn lease(self: &Arc<Self>, fresh: bool) -> Result<(Lease, bool), HostError> {
        if self.stopping() {
            return Err(HostError::Closed);
        }
        if let Some(lease) = self.kept().filter(|_| !fresh) {
            return Ok((lease, true));
        }
        let _turn = self.connecting.lock().await;
        if let Some(lease) = self.kept().filter(|_| !fresh) {
            return Ok((lease, true));
        }
        let live = tokio::select! {
            live = self.connect() => Arc::new(live?),
            () = self.stop.cancelled() => return Err(HostError::Closed),
        };
        let lease = take_slot(&live).ok_or(HostError::Closed)?;
        self.keep(live);
        Ok((lease, false))
    }

    fn kept(&self) -> Option<Lease> {
        let mut sessions = locked(&self.sessions);
        sessions.retain(|live| live.usable());
        sessions.iter().find_map(take_slot)
    }

    fn keep(self: &Arc<Self>, live: Arc<Live>) {
        let (pool, watched): (Weak<Self>, Weak<Live>) = (Arc::downgrade(self), Arc::downgrade(&live));
        locked(&self.sessions).push(live);
        self.background(async move {
            while let Some(until) = watched.upgrade().map(|live| live.idle_until()) {
                match until {
                    Some(until) if until <= Instant::now() => break,
                    Some(until) => sleep_until(until).await,
                    None => sleep(IDLE).await,
                }
            }
            if let (Some(pool), Some(live)) = (pool.upgrade(), watched.upgrade()) {
                locked(&pool.sessions).retain(|kept| !Arc::ptr_eq(kept, &live));
            }
        });
    }

    /// Says goodbye on kept sessions and waits for every task of ours.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let sessions = std::mem::take(&mut *locked(&self.sessions));
        for live in sessions {
            live.retire();
            let goodbye = live.handle.disconnect(Disconnect::ByApplication, "the monitor is stopping", "en");
            let _ = timeout(Duration::from_secs(1), goodbye).await;
        }
        if let Some(jump) = &self.jump {
            Box::pin(jump.close()).await;
        }
    }
}
