//! One logged-in session and the right to use a slot of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::DropGuard;

use super::handshake::{Client, LastWords};

/// Commands at a time on one session: OpenSSH's `MaxSessions` is 10, two are left for slots it has not freed yet.
pub(super) const CHANNELS: usize = 8;
/// A session without a command is kept this long.
pub(super) const IDLE: Duration = Duration::from_mins(10);
/// Opening a channel.
pub(super) const OPEN: Duration = Duration::from_secs(10);

/// One logged-in session.
pub(super) struct Live {
    pub(super) handle: Handle<Client>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) last_used: Mutex<Instant>,
    pub(super) retired: AtomicBool,
    pub(super) last_words: LastWords,
    pub(super) host_key: String,
    pub(super) login: String,
    pub(super) address: String,
    /// Ends the wire when the last user is gone.
    pub(super) _cut: DropGuard,
    /// The jump host's session that carries this one.
    pub(super) _carrier: Option<Lease>,
}

impl Live {
    /// No new command comes here; those that run go on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.handle.is_closed()
    }

    pub(super) fn idle_until(&self) -> Option<Instant> {
        let busy = self.slots.available_permits() < CHANNELS;
        (!busy).then(|| *locked(&self.last_used) + IDLE)
    }

    /// The server's last words, if it had any.
    pub(super) fn why_lost(&self) -> String {
        let words = locked(&self.last_words).clone();
        if words.is_empty() { "the server ended it without an exit status".to_owned() } else { words }
    }
}

/// The right to use one slot of a session.
pub(super) struct Lease {
    pub(super) live: Arc<Live>,
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    /// `host:port`.
    pub(super) fn address(&self) -> String {
        self.live.address.clone()
    }

    /// Opens a channel for one command.
    pub(super) async fn open(&self, limit: Duration) -> Result<Channel<Msg>, String> {
        let doubt = Doubt(&self.live);
        let opened = timeout(limit, self.live.handle.channel_open_session()).await;
        let why = match opened {
            Ok(Ok(channel)) => {
                doubt.dispelled();
                return Ok(channel);
            }
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => why_not_opened(&why).to_owned(),
            Ok(Err(_)) => self.live.why_lost(),
            Err(_) => format!("it did not answer within {} s", limit.as_secs_f64()),
        };
        Err(format!("no channel for the command: {why}"))
    }

    /// Asks whether the session still lives.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), ()> {
        let doubt = Doubt(&self.live);
        match timeout(limit, self.live.handle.send_ping()).await {
            Ok(Ok(())) => {
                doubt.dispelled();
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }
}

/// A session that was asked for something and has not answered: it is retired, also when whoever asked ran out of time and
/// is dropped.
struct Doubt<'a>(&'a Live);

impl Doubt<'_> {
    fn dispelled(self) {
        std::mem::forget(self);
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.retire();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *locked(&self.live.last_used) = Instant::now();
    }
}

fn why_not_opened(why: &ChannelOpenFailure) -> &'static str {
    match why {
        ChannelOpenFailure::AdministrativelyProhibited => "the server forbids it for this account",
        ChannelOpenFailure::ConnectFailed => {
            "the server has no free session slot (MaxSessions), or nothing answers there"
        }
        ChannelOpenFailure::ResourceShortage => "the server is short of resources",
        _ => "the server does not know this kind of channel",
    }
}

pub(super) fn take_slot(live: &Arc<Live>) -> Option<Lease> {
    let slot = live.slots.clone().try_acquire_owned().ok()?;
    Some(Lease { live: live.clone(), _slot: slot })
}

/// Nothing panics while it holds one of these locks; were it otherwise, their content is still whole.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
