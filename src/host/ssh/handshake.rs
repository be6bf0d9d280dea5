//! From nothing to an encrypted session with a server whose key we trust: TCP, banner, key exchange, host key.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Config, DisconnectReason, Handle, Handler, connect_stream};
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, SshId};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::SshSite;
use super::known_hosts::{Records, Standing, same_family};
use super::trust::{Trust, learn, read_records};
use super::wire::{Carrier, Opening, Wire};
use crate::host::output::one_line;
use crate::host::{HostError, WayEnds};

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
    let unreachable = |why: String, ends| HostError::Unreachable { address: address.clone(), why, ends };
    let no_answer = || unreachable(format!("no answer within {} s", CONNECT.as_secs()), WayEnds::Silence);
    let connecting = async {
        let found = lookup_host((site.host.as_str(), site.port)).await;
        let found: Vec<SocketAddr> =
            found.map_err(|e| unreachable(format!("the name does not resolve ({e})"), WayEnds::Name))?.collect();
        let mut last = unreachable("the name has no address".to_owned(), WayEnds::Name);
        for (tried, to) in found.iter().enumerate() {
            // One dead address of several must not eat the time of the others.
            let share = CONNECT / u32::try_from(found.len() - tried).unwrap_or(1);
            match timeout(share, TcpStream::connect(to)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(e)) => last = unreachable(refusal(&e), WayEnds::Kernel(e)),
                Err(_) => last = no_answer(),
            }
        }
        Err(last)
    };
    match timeout(CONNECT, connecting).await {
        Ok(result) => result,
        Err(_) => Err(no_answer()),
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
    // OpenSSH's words before it hangs up on one connection too many, and (since 9.8) on an address it is cross with.
    let crowded = said.starts_with(b"Exceeded MaxStartups") || said.starts_with(b"Not allowed at this time");
    let dropped = hung_up && (said.is_empty() || crowded || said.starts_with(b"SSH-"));
    let why = if crowded {
        "it has too many connections that wait for their login (MaxStartups), or holds failed logins against our address \
         (PerSourcePenalties); wait, or change these in its sshd_config"
            .to_owned()
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
