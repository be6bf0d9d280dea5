//! From a site to a logged-in session: handshake (again, if need be), login, and the words for a refusal.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::ChannelOpenFailure;
use russh::keys::Algorithm;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::auth::{Denied, LoginError, login};
use super::handshake::{Aim, Greeted, LastWords, dial, greet, other_kinds};
use super::known_hosts::fingerprint;
use super::pool::Pool;
use super::session::{CHANNELS, Lease, Live, OPEN, locked};
use super::wire::Carrier;
use crate::host::{Denial, HostError, WayEnds};

/// The login, with every method we try; PAM delays a wrong password by about two seconds.
const LOGIN: Duration = Duration::from_secs(15);
/// Pauses before we knock again where the server hung up at once: a full `MaxStartups` empties within seconds.
const KNOCK_AGAIN: [Duration; 4] =
    [Duration::from_millis(150), Duration::from_millis(400), Duration::from_millis(900), Duration::from_millis(1800)];

impl Pool {
    /// A new session; knocks again, a few times, where the server hangs up before the handshake is over.
    pub(super) async fn connect(&self) -> Result<Live, HostError> {
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
                let (why, ends) = match e {
                    russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                        ("the jump host forbids forwarding (AllowTcpForwarding)".to_owned(), WayEnds::Jump)
                    }
                    russh::Error::ChannelOpenFailure(_) => {
                        ("the jump host could not connect to it".to_owned(), WayEnds::BehindJump)
                    }
                    _ => {
                        lease.live.retire();
                        let why = format!("the connection to the jump host is gone ({})", lease.live.why_lost());
                        (why, WayEnds::Jump)
                    }
                };
                return Err(HostError::Unreachable { address: self.site.address(), why, ends });
            }
            Err(_) => {
                lease.live.retire();
                let why = format!("the jump host did not connect to it within {} s", OPEN.as_secs());
                let ends = WayEnds::BehindJump;
                return Err(HostError::Unreachable { address: self.site.address(), why, ends });
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
        HostError::Auth(Box::new(Denial {
            address: site.address(),
            user: site.username.clone(),
            tried: denied.tried,
            accepts: denied.accepts,
            too_many: denied.hung_up,
            said: locked(last_words).clone(),
            fix: advice.join("; "),
        }))
    }
}
