//! From nothing to an encrypted session with a server whose key we trust: TCP, banner, key exchange, host key.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Config, DisconnectReason, Handle, Handler, connect_stream};
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, SshId};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::known_hosts::{self, Records, Standing, fingerprint, same_family};
use super::wire::{Carrier, Opening, Wire};
use super::{HostKeyPolicy, SshSite};
use crate::host::output::one_line;
use crate::host::{HostError, KeyTrouble};

/// Name look-up and TCP connection; and, after that, banner with key exchange. OpenSSH's own default for both together is
/// the kernel's two minutes, which is longer than most outages should last.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// Banner and key exchange.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// An encrypted session, not yet logged in.
pub(super) struct Greeted {
    pub(super) handle: Handle<Client>,
    pub(super) host_key: PublicKey,
    pub(super) last_words: LastWords,
}

/// What the server said when it hung up.
pub(super) type LastWords = Arc<Mutex<String>>;

/// What a handshake is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// To log in: only with a host key that we trust.
    Login,
    /// To see the host key: nothing is judged, learned or sent.
    Look,
}

/// Opens a TCP connection to the first address that answers.
pub(super) async fn dial(site: &SshSite) -> Result<TcpStream, HostError> {
    let address = site.address();
    let unreachable = |why: String| HostError::Unreachable { address: address.clone(), why };
    let connecting = async {
        let found = lookup_host((site.host.as_str(), site.port)).await;
        let found: Vec<SocketAddr> =
            found.map_err(|e| unreachable(format!("the name does not resolve ({e})")))?.collect();
        let mut last = unreachable("the name has no address".to_owned());
        for (tried, to) in found.iter().enumerate() {
            // One dead address of several must not eat the time of the others.
            let share = CONNECT / u32::try_from(found.len() - tried).unwrap_or(1);
            match timeout(share, TcpStream::connect(to)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(e)) => last = unreachable(refusal(&e)),
                Err(_) => last = unreachable(format!("no answer within {} s", CONNECT.as_secs())),
            }
        }
        Err(last)
    };
    match timeout(CONNECT, connecting).await {
        Ok(result) => result,
        Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT.as_secs()))),
    }
}

fn refusal(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::ConnectionRefused => "the connection was refused, nothing listens there".to_owned(),
        _ => e.to_string(),
    }
}

/// Shakes hands on a wire; `cut` ends the session later.
pub(super) async fn greet(
    site: &SshSite,
    carrier: Carrier,
    cut: &CancellationToken,
    aim: Aim,
    only: &[Algorithm],
) -> Result<Greeted, HostError> {
    let records = read_records(site).await?;
    let (wire, opening) = Wire::new(carrier, cut);
    let last_words = LastWords::default();
    let seen = Arc::new(Mutex::new(None));
    let client = Client {
        seen: seen.clone(),
        last_words: last_words.clone(),
        trust: (aim == Aim::Login).then(|| Trust::new(site, records.clone())),
    };
    let config = config(&records, only);
    let guard = cut.clone().drop_guard();
    let handle = match timeout(HANDSHAKE, connect_stream(Arc::new(config), wire, client)).await {
        Err(_) => return Err(silent(site, &opening)),
        Ok(Err(ClientError::Host(e))) => return Err(*e),
        Ok(Err(ClientError::Ssh(e))) => return Err(broken(site, &e, &opening)),
        Ok(Ok(handle)) => handle,
    };
    let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(host_key) = shown else { return Err(broken(site, &russh::Error::Kex, &opening)) };
    if aim == Aim::Login && site.host_key_pin.is_none() && records.standing(&host_key) == Standing::Unknown {
        learn(site, &host_key).await?;
    }
    guard.disarm();
    Ok(Greeted { handle, host_key, last_words })
}

async fn read_records(site: &SshSite) -> Result<Records, HostError> {
    let (path, host, port) = (site.known_hosts.clone(), site.host.clone(), site.port);
    let read = tokio::task::spawn_blocking(move || known_hosts::read(&path, &host, port)).await;
    let records = read.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(|source| no_file(site, source))?;
    for (line, why) in &records.broken {
        tracing::warn!(file = %site.known_hosts.display(), line, "a line of the known hosts is skipped: {why}");
    }
    Ok(records)
}

fn no_file(site: &SshSite, source: std::io::Error) -> HostError {
    HostError::KnownHosts { path: site.known_hosts.clone(), source }
}

/// Writes down the key of a host that we meet for the first time. Only now, when the handshake is over, is it certain that
/// the server holds the key.
async fn learn(site: &SshSite, key: &PublicKey) -> Result<(), HostError> {
    let (path, host, port, learned) = (site.known_hosts.clone(), site.host.clone(), site.port, key.clone());
    let learning = tokio::task::spawn_blocking(move || known_hosts::learn(&path, &host, port, &learned)).await;
    let standing =
        learning.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(|source| no_file(site, source))?;
    match standing {
        Standing::Unknown => {
            tracing::warn!(
                site = site.name,
                host = site.address(),
                fingerprint = fingerprint(key),
                file = %site.known_hosts.display(),
                "first contact with {}: its {} host key {} is trusted from now on; compare it with \
                 `ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub` on the host, and set {}_SSH_HOST_KEY to pin it",
                site.address(),
                key.algorithm(),
                fingerprint(key),
                kind(&key.algorithm()),
                site.name,
            );
            Ok(())
        }
        Standing::Known => Ok(()),
        // Another session met another key in the same moment.
        Standing::Changed { .. } | Standing::Revoked { .. } => {
            let records = read_records(site).await?;
            match Trust::new(site, records).judge(key) {
                Some(refusal) => Err(refusal),
                None => Ok(()),
            }
        }
    }
}

fn kind(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rsa { .. } => "rsa",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "ed25519",
    }
}

fn config(records: &Records, only: &[Algorithm]) -> Config {
    let all: Vec<Algorithm> = Preferred::DEFAULT.key.to_vec();
    let wanted: Vec<Algorithm> = if only.is_empty() { records.order(&all) } else { only.to_vec() };
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-monitor_", env!("CARGO_PKG_VERSION")))),
        preferred: Preferred { key: Cow::Owned(wanted), ..Preferred::DEFAULT },
        // Output is drained as it comes and mostly thrown away: small buffers bound the memory of a flood.
        window_size: 128 * 1024,
        maximum_packet_size: 32 * 1024,
        channel_buffer_size: 8,
        // A peer that froze is noticed after 15 s × (3 + 1).
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        ..Config::default()
    }
}

/// Host key algorithms left to ask for, when a server showed a key that is not the pinned one but may have more.
pub(super) fn other_kinds(shown: &[Algorithm]) -> Vec<Algorithm> {
    let all = Preferred::DEFAULT.key.to_vec();
    all.into_iter().filter(|one| !shown.iter().any(|seen| same_family(seen, one))).collect()
}

fn silent(site: &SshSite, opening: &Opening) -> HostError {
    let said = opening.lock().unwrap_or_else(PoisonError::into_inner);
    let phase = if said.starts_with(b"SSH-") { "the key exchange" } else { "the SSH banner" };
    HostError::Silent { address: site.address(), phase, after: HANDSHAKE }
}

fn broken(site: &SshSite, e: &russh::Error, opening: &Opening) -> HostError {
    let said = opening.lock().unwrap_or_else(PoisonError::into_inner);
    let first = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let hung_up = matches!(e, russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_));
    // OpenSSH says these two words before it hangs up on one connection too many.
    let crowded = said.starts_with(b"Exceeded MaxStartups");
    let dropped = hung_up && (said.is_empty() || crowded || said.starts_with(b"SSH-"));
    let why = if crowded {
        "too many connections wait for their login there (MaxStartups); raise it or start fewer at once".to_owned()
    } else if said.is_empty() {
        "it closed the connection before saying anything; a full MaxStartups, a firewall or fail2ban do that".to_owned()
    } else if !said.starts_with(b"SSH-") {
        format!("what answers there is not SSH, it said `{}`; check SSH_PORT", one_line(first, 60))
    } else if let russh::Error::NoCommonAlgo { kind, theirs, .. } = e {
        format!("no common {kind:?} algorithm, the server offers only {}", one_line(theirs.join(", ").as_bytes(), 200))
    } else {
        format!("{} ({})", one_line(e.to_string().as_bytes(), 200), one_line(first, 60))
    };
    HostError::Handshake { address: site.address(), why, dropped }
}

/// Our side of a session: it judges the host key and remembers the server's last words.
pub(super) struct Client {
    seen: Arc<Mutex<Option<PublicKey>>>,
    last_words: LastWords,
    /// `None`: any key will do.
    trust: Option<Trust>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error(transparent)]
    Host(Box<HostError>),
}

impl Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        if let Some(refusal) = self.trust.as_ref().and_then(|trust| trust.judge(key)) {
            return Err(ClientError::Host(Box::new(refusal)));
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        let words = match reason {
            DisconnectReason::ReceivedDisconnect(info) => one_line(info.message.as_bytes(), 200),
            DisconnectReason::Error(e) => one_line(e.to_string().as_bytes(), 200),
        };
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = words;
        Ok(())
    }
}

/// What we know of a host's key when it shows one.
struct Trust {
    site: String,
    host: String,
    port: u16,
    address: String,
    pin: Option<String>,
    policy: HostKeyPolicy,
    file: String,
    records: Records,
}

impl Trust {
    fn new(site: &SshSite, records: Records) -> Self {
        Self {
            site: site.name.clone(),
            host: site.host.clone(),
            port: site.port,
            address: site.address(),
            pin: site.host_key_pin.clone(),
            policy: site.host_keys,
            file: path_text(&site.known_hosts),
            records,
        }
    }

    /// The reason not to go on, if there is one. A pin wins over the file; `@revoked` wins over both.
    fn judge(&self, key: &PublicKey) -> Option<HostError> {
        let offered = fingerprint(key);
        let standing = self.records.standing(key);
        if let Standing::Revoked { line } = standing {
            let text = format!(
                "the host key of {} is marked @revoked in {} line {line}: {offered}. Nothing was sent; \
                 whoever revoked it knows why, give the host a new key",
                self.address, self.file
            );
            return Some(self.trouble(HostError::HostKeyChanged, key, text));
        }
        if let Some(pin) = &self.pin {
            return (!same_fingerprint(pin, &offered)).then(|| {
                let text =
                    format!("{} It is pinned to {pin} by {}_SSH_HOST_KEY.", self.alarm(key, &offered), self.site);
                self.trouble(HostError::HostKeyChanged, key, text)
            });
        }
        match (standing, self.policy) {
            (Standing::Changed { line }, _) => {
                let expected = self.trusted().join(", ");
                let target = if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) };
                let text = format!(
                    "{} Expected {expected}, recorded in {} line {line}. If the change is right, run `monitor trust {}` \
                     or remove the line (`ssh-keygen -R '{target}' -f {}`).",
                    self.alarm(key, &offered),
                    self.file,
                    self.site,
                    self.file
                );
                Some(self.trouble(HostError::HostKeyChanged, key, text))
            }
            (Standing::Unknown, HostKeyPolicy::Strict) => {
                let text = format!(
                    "the host key of {} is not known and SSH_HOST_KEYS=strict: it shows {} {offered}. Compare it with \
                     `ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub` on the host; if it is right, set {}_SSH_HOST_KEY={offered} \
                     or run `monitor trust {}`",
                    self.address,
                    key.algorithm(),
                    kind(&key.algorithm()),
                    self.site,
                    self.site
                );
                Some(self.trouble(HostError::HostKeyUnknown, key, text))
            }
            _ => None,
        }
    }

    fn alarm(&self, key: &PublicKey, offered: &str) -> String {
        format!(
            "REMOTE HOST IDENTIFICATION HAS CHANGED! {} shows the {} key {offered}. Either the host got a new key, \
             or somebody sits between (man in the middle): nothing was sent, ask whoever runs the host.",
            self.address,
            key.algorithm()
        )
    }

    fn trusted(&self) -> Vec<String> {
        match &self.pin {
            Some(pin) => vec![pin.clone()],
            None => self.records.keys.iter().map(|(_, key)| fingerprint(key)).collect(),
        }
    }

    fn trouble(&self, wrap: fn(Box<KeyTrouble>) -> HostError, key: &PublicKey, text: String) -> HostError {
        wrap(Box::new(KeyTrouble {
            address: self.address.clone(),
            offered: fingerprint(key),
            algorithm: key.algorithm(),
            trusted: self.trusted(),
            text,
        }))
    }
}

/// Fingerprints as people paste them: with or without the prefix and the padding.
fn same_fingerprint(pin: &str, shown: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("SHA256:").trim_end_matches('=').to_owned();
    bare(pin) == bare(shown)
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
