//! Open sessions of one host: opened one at a time, shared by up to eight commands, closed when nobody needs them.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::keys::Algorithm;
use russh::{Channel, ChannelOpenFailure, Disconnect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::SshSite;
use super::auth::{Credentials, Denied, LoginError, login};
use super::handshake::{Aim, Client, Greeted, LastWords, dial, greet, other_kinds};
use super::known_hosts::fingerprint;
use super::wire::Carrier;
use crate::host::HostError;

/// Commands at a time on one session: OpenSSH's `MaxSessions` is 10, two are left for slots it has not freed yet.
const CHANNELS: usize = 8;
/// A session without a command is kept this long.
const IDLE: Duration = Duration::from_secs(600);
/// The login, with every method we try; PAM delays a wrong password by about two seconds.
const LOGIN: Duration = Duration::from_secs(15);
/// Opening a channel.
pub(super) const OPEN: Duration = Duration::from_secs(10);
/// The same on a kept session, which may be dead: a fresh one is the better use of the time.
const OPEN_KEPT: Duration = Duration::from_secs(4);
/// Pauses before we knock again where the server hung up at once: a full `MaxStartups` empties within seconds.
const KNOCK_AGAIN: [Duration; 4] =
    [Duration::from_millis(150), Duration::from_millis(400), Duration::from_millis(900), Duration::from_millis(1800)];

/// One logged-in session.
pub(super) struct Live {
    handle: Handle<Client>,
    slots: Arc<Semaphore>,
    last_used: Mutex<Instant>,
    retired: AtomicBool,
    last_words: LastWords,
    pub(super) host_key: String,
    pub(super) login: String,
    address: String,
    /// Ends the wire when the last user is gone.
    _cut: DropGuard,
    /// The jump host's session that carries this one.
    _carrier: Option<Lease>,
}

impl Live {
    /// No new command comes here; those that run go on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.handle.is_closed()
    }

    fn idle_until(&self) -> Option<Instant> {
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
        let opened = timeout(limit, self.live.handle.channel_open_session()).await;
        let why = match opened {
            Ok(Ok(channel)) => return Ok(channel),
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => why_not_opened(&why).to_owned(),
            Ok(Err(_)) => self.live.why_lost(),
            Err(_) => format!("it did not answer within {} s", limit.as_secs()),
        };
        self.live.retire();
        Err(format!("no channel for the command: {why}"))
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

/// The sessions of one host.
pub(super) struct Pool {
    pub(super) site: SshSite,
    credentials: Arc<Credentials>,
    jump: Option<Arc<Pool>>,
    sessions: Mutex<Vec<Arc<Live>>>,
    /// One handshake at a time: who waits for it will mostly use the session that comes out of it.
    connecting: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("site", &self.site).field("sessions", &locked(&self.sessions).len()).finish()
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

    pub(super) fn has_session(&self) -> bool {
        locked(&self.sessions).iter().any(|live| live.usable())
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

    /// A channel that is ready for a command. A kept session that does not give one is replaced by a fresh one, once.
    pub(super) async fn channel(self: &Arc<Self>) -> Result<(Lease, Channel<Msg>), HostError> {
        let (lease, kept) = self.lease(false).await?;
        if kept {
            if let Ok(channel) = lease.open(OPEN_KEPT).await {
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

    /// A new session; knocks again, a few times, where the server hangs up before the handshake is over.
    async fn connect(&self) -> Result<Live, HostError> {
        let mut pauses = KNOCK_AGAIN.iter();
        loop {
            match self.connect_once().await {
                Err(HostError::Handshake { dropped: true, .. }) if pauses.len() > 0 => {
                    sleep(pauses.next().copied().unwrap_or_default()).await;
                }
                result => return result,
            }
        }
    }

    async fn connect_once(&self) -> Result<Live, HostError> {
        let mut cut = CancellationToken::new();
        let mut guard = cut.clone().drop_guard();
        let mut shown: Vec<Algorithm> = Vec::new();
        let mut first = None;
        let (mut greeted, carrier) = loop {
            let only = if shown.is_empty() { Vec::new() } else { other_kinds(&shown) };
            match (self.greet(&cut, Aim::Login, &only).await, first.take()) {
                (Ok(greeted), _) => break greeted,
                // A server has several keys and shows one: the pinned one may be another.
                (Err(HostError::HostKeyChanged(trouble)), earlier) if self.site.host_key_pin.is_some() => {
                    shown.push(trouble.algorithm.clone());
                    if other_kinds(&shown).is_empty() {
                        return Err(earlier.unwrap_or(HostError::HostKeyChanged(trouble)));
                    }
                    first = Some(earlier.unwrap_or(HostError::HostKeyChanged(trouble)));
                    cut = CancellationToken::new();
                    guard = cut.clone().drop_guard();
                }
                (Err(_), Some(earlier)) => return Err(earlier),
                (Err(e), None) => return Err(e),
            }
        };
        let entered = timeout(LOGIN, login(&mut greeted.handle, &self.site.username, &self.credentials)).await;
        let login = match entered {
            Ok(Ok(login)) => login,
            Ok(Err(LoginError::Host(e))) => return Err(e),
            Ok(Err(LoginError::Denied(denied))) => return Err(self.denied(denied, &greeted.last_words)),
            Err(_) => {
                return Err(HostError::Silent {
                    address: self.site.address(),
                    phase: "the answer to our login",
                    after: LOGIN,
                });
            }
        };
        Ok(Live {
            handle: greeted.handle,
            slots: Arc::new(Semaphore::new(CHANNELS)),
            last_used: Mutex::new(Instant::now()),
            retired: AtomicBool::new(false),
            last_words: greeted.last_words,
            host_key: fingerprint(&greeted.host_key),
            login,
            address: self.site.address(),
            _cut: guard,
            _carrier: carrier,
        })
    }

    /// Shakes hands, directly or through the jump host.
    pub(super) async fn greet(
        &self,
        cut: &CancellationToken,
        aim: Aim,
        only: &[Algorithm],
    ) -> Result<(Greeted, Option<Lease>), HostError> {
        let Some(jump) = &self.jump else {
            let socket = dial(&self.site).await?;
            return Ok((greet(&self.site, Carrier::Tcp(socket), cut, aim, only).await?, None));
        };
        let through = |source| HostError::Jump { source: Box::new(source) };
        // The jump host is a pool like this one: without the box this future would contain itself.
        let (lease, _) = Box::pin(jump.lease(false)).await.map_err(through)?;
        let to = (self.site.host.clone(), u32::from(self.site.port));
        let hop = timeout(OPEN, lease.live.handle.channel_open_direct_tcpip(to.0, to.1, "127.0.0.1", 0)).await;
        let channel = match hop {
            Ok(Ok(channel)) => channel,
            Ok(Err(e)) => {
                let why = match e {
                    russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                        "the jump host forbids forwarding (AllowTcpForwarding)".to_owned()
                    }
                    russh::Error::ChannelOpenFailure(_) => "the jump host could not connect to it".to_owned(),
                    _ => {
                        lease.live.retire();
                        format!("the connection to the jump host is gone ({})", lease.live.why_lost())
                    }
                };
                return Err(HostError::Unreachable { address: self.site.address(), why });
            }
            Err(_) => {
                lease.live.retire();
                let why = format!("the jump host did not connect to it within {} s", OPEN.as_secs());
                return Err(HostError::Unreachable { address: self.site.address(), why });
            }
        };
        let carrier = Carrier::Hop(channel.into_stream());
        Ok((greet(&self.site, carrier, cut, aim, only).await?, Some(lease)))
    }

    fn denied(&self, denied: Denied, last_words: &LastWords) -> HostError {
        let site = &self.site;
        let tried = |method: &str| denied.tried.iter().any(|what| what.starts_with(method));
        let mut advice = Vec::new();
        if denied.hung_up {
            advice.push("give fewer keys, or raise MaxAuthTries on the server".to_owned());
        }
        if site.password.is_some() && (tried("password") || tried("keyboard")) {
            advice.push(format!("check {}_SSH_PASSWORD and {}_SSH_USERNAME", site.name, site.name));
        }
        if tried("key file") || tried("agent key") {
            advice.push(format!("add the public key to ~{}/.ssh/authorized_keys on the host", site.username));
        }
        if advice.is_empty() {
            advice.push(format!("set {}_SSH_KEY_PATH or {}_SSH_PASSWORD to what it accepts", site.name, site.name));
        }
        HostError::Auth {
            address: site.address(),
            user: site.username.clone(),
            tried: denied.tried,
            accepts: denied.accepts,
            too_many: denied.hung_up,
            said: locked(last_words).clone(),
            fix: advice.join("; "),
        }
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

fn take_slot(live: &Arc<Live>) -> Option<Lease> {
    let slot = live.slots.clone().try_acquire_owned().ok()?;
    Some(Lease { live: live.clone(), _slot: slot })
}

/// Nothing panics while it holds one of these locks; were it otherwise, their content is still whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
