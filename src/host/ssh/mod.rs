//! Commands over SSH: who the host is, and one door to its sessions. Sessions are kept for a while and used again.
//!
//! What a session goes through: `handshake` (TCP, key exchange, `trust` in the host key) → `auth` → `pool` of `session`s → `exec`. The bytes run over a
//! `wire`, the command inside a wrapper from `shell`.

mod auth;
mod connect;
mod exec;
mod handshake;
mod key;
pub mod known_hosts;
mod pool;
mod session;
mod shell;
mod trust;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::keys::PublicKey;
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CheckReport, HostError, Order, RunResult};
use auth::Credentials;
use key::KeyFile;
use pool::Pool;

/// What to do with the key of a host that we meet for the first time. A changed key is always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeyPolicy {
    /// Write it down, loudly, and trust it from then on.
    #[default]
    AcceptNew,
    /// Refuse it and tell its fingerprint.
    Strict,
}

/// The host through which another one is reached. It is logged in to with the same credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// The user's name there.
    pub username: String,
    /// Name or address.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
}

/// One SSH site, as `{DC}_SSH_…` describes it.
#[derive(Debug, Clone)]
pub struct SshSite {
    /// The site's name, `DC3`: messages name the keys to change by it.
    pub name: String,
    /// Name or address.
    pub host: String,
    /// SSH port.
    pub port: u16,
    /// The user's name.
    pub username: String,
    /// For password and keyboard-interactive logins.
    pub password: Option<SecretString>,
    /// A private key file.
    pub key_path: Option<PathBuf>,
    /// What opens it.
    pub key_passphrase: Option<SecretString>,
    /// The socket of an SSH agent (`SSH_AUTH_SOCK`), if one is to be asked.
    pub agent: Option<PathBuf>,
    /// The only host key to accept, `SHA256:…`.
    pub host_key_pin: Option<String>,
    /// The way there.
    pub jump: Option<Jump>,
    /// What to do with an unknown host key.
    pub host_keys: HostKeyPolicy,
    /// Where host keys are recorded, in OpenSSH's format.
    pub known_hosts: PathBuf,
}

impl SshSite {
    /// `host:port`, as messages spell it.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The jump host as a site: same credentials and file of keys, its own name, no pin.
    fn jump_site(&self) -> Option<Self> {
        let jump = self.jump.as_ref()?;
        Some(Self {
            host: jump.host.clone(),
            port: jump.port,
            username: jump.username.clone(),
            host_key_pin: None,
            jump: None,
            ..self.clone()
        })
    }
}

/// An SSH host and its open sessions.
#[derive(Debug)]
pub struct SshHost {
    pool: Arc<Pool>,
    warming: Arc<AtomicBool>,
}

impl SshHost {
    /// Knows the host; nothing is opened yet.
    pub fn new(site: SshSite) -> Self {
        let credentials = Arc::new(Credentials {
            key: site.key_path.clone().map(|path| KeyFile::new(path, site.key_passphrase.clone())),
            agent: site.agent.clone(),
            password: site.password.clone(),
        });
        let jump = site.jump_site().map(|jump| Pool::new(jump, credentials.clone(), None));
        Self { pool: Pool::new(site, credentials, jump), warming: Arc::default() }
    }

    /// The site this host was made from.
    pub fn site(&self) -> &SshSite {
        &self.pool.site
    }

    /// Runs one order; see [`super::Host::run`]. A kept session that turns out to be dead is replaced once, and only
    /// before the command was handed over.
    pub async fn run(&self, order: &Order, ready: impl Future<Output = bool> + Send) -> RunResult {
        let request = self.request(order)?;
        let (lease, channel) = self.pool.channel(order.limit).await?;
        if !ready.await {
            return Err(HostError::Withheld);
        }
        exec::exec(lease, channel, request, order.limit).await
    }

    /// Opens a session in the background, or asks the kept one whether it still lives; see [`super::Host::warm`].
    pub fn warm(&self) {
        if self.pool.stopping() || self.warming.swap(true, Ordering::Relaxed) {
            return;
        }
        let (pool, warming) = (self.pool.clone(), self.warming.clone());
        self.pool.background(async move {
            if let Err(e) = pool.ready().await {
                tracing::debug!(site = pool.site.name, "no session could be opened ahead: {e}");
            }
            warming.store(false, Ordering::Relaxed);
        });
    }

    /// Logs in anew, whatever is kept, and runs `true`.
    pub async fn check(&self) -> Result<CheckReport, HostError> {
        let begun = Instant::now();
        let order = Order { shell: "true".to_owned(), env: Vec::new(), limit: Duration::from_secs(10) };
        let request = self.request(&order)?;
        let (lease, _) = self.pool.lease(true).await?;
        let (host_key, login) = (lease.live.host_key.clone(), lease.live.login.clone());
        let channel = lease.open(session::OPEN).await.map_err(|why| self.refused(why))?;
        let done = exec::exec(lease, channel, request, order.limit).await?;
        if done.exit != super::Exit::Code(0) {
            let why = format!("`true` did not succeed, the account may have no shell: {}", done.captured.text.trim());
            return Err(self.refused(why));
        }
        Ok(CheckReport { address: self.pool.site.address(), host_key: Some(host_key), login, took: begun.elapsed() })
    }

    /// The key that the host shows now, trusted or not; for `monitor trust`, together with [`known_hosts::trust`].
    pub async fn offered_key(&self) -> Result<PublicKey, HostError> {
        let cut = CancellationToken::new();
        let _guard = cut.clone().drop_guard();
        self.pool.greet(&cut, handshake::Aim::Look, &[]).await.map(|(greeted, _)| greeted.host_key)
    }

    /// Ends what is kept; see [`super::Host::close`].
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn request(&self, order: &Order) -> Result<String, HostError> {
        shell::request(&order.shell, &order.env, order.limit).map_err(|why| self.refused(why))
    }

    fn refused(&self, why: impl Into<String>) -> HostError {
        HostError::Refused { address: self.pool.site.address(), why: why.into() }
    }
}
