//! Sockets for echo requests. The unprivileged kind comes first, a new one for each attempt; where only the raw kind is
//! allowed, all share one per family, because the kernel copies every answer to every raw socket.
//!
//! No attempt has the id of the one before: a firewall that has once refused an id keeps refusing it.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::io::Errno;
use socket2::Type;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use super::failure;
use crate::domain::reading::{Cause, Fault};

/// Echo requests under way on one raw socket: of 500 at once half were lost in its buffer.
const RAW_AT_ONCE: usize = 200;
/// Times an id is drawn that nobody else waits with.
const DRAWS: u32 = 8;
/// Pause before a request goes out for the third time, twice as long before each further one.
const AGAIN: Duration = Duration::from_millis(20);
/// As much as `ping` sends.
const PAYLOAD: [u8; 56] = [0; 56];

/// Where echo requests come from.
pub(crate) struct Echo {
    four: Raw,
    six: Raw,
}

/// The shared raw socket of one family, once it turned out that no other kind is allowed.
struct Raw {
    client: OnceLock<Client>,
    free: Arc<Semaphore>,
}

/// A way to ask one address.
pub(crate) struct Line {
    ip: IpAddr,
    client: Client,
    ident: PingIdentifier,
    _place: Option<OwnedSemaphorePermit>,
}

impl Echo {
    pub(super) fn new() -> Self {
        let raw = || Raw { client: OnceLock::new(), free: Arc::new(Semaphore::new(RAW_AT_ONCE)) };
        Self { four: raw(), six: raw() }
    }

    /// Opens a way to ask `ip` `count` times, within `patience`.
    pub(crate) async fn open(&self, ip: IpAddr, count: u16, patience: Duration) -> Result<Line, Fault> {
        let raw = if ip.is_ipv4() { &self.four } else { &self.six };
        if let Some(client) = raw.client.get() {
            return raw.line(ip, client.clone(), count, patience).await;
        }
        match client(ip) {
            // Its id is the kernel's choice: the next one that no socket of this machine has. One of ours could be taken:
            // the kernel gives these sockets `SO_REUSEADDR`, and then answers go to the wrong one.
            Ok(client) if client.get_socket().get_type() == Type::DGRAM => {
                Ok(Line { ip, client, ident: PingIdentifier(0), _place: None })
            }
            Ok(client) => {
                let client = raw.client.get_or_init(|| client).clone();
                raw.line(ip, client, count, patience).await
            }
            Err(error) => Err(unopened(ip, &error)),
        }
    }
}

impl Raw {
    async fn line(&self, ip: IpAddr, client: Client, count: u16, patience: Duration) -> Result<Line, Fault> {
        let place = Arc::clone(&self.free).acquire_many_owned(u32::from(count));
        match timeout(patience / 2, place).await {
            Ok(Ok(place)) => Ok(Line { ip, client, ident: PingIdentifier(random()), _place: Some(place) }),
            Ok(Err(_)) | Err(_) => Err(crowded()),
        }
    }
}

impl Line {
    /// Sends the `n`-th request at its time and waits until `until`: the round trip, or nothing when nothing came.
    ///
    /// What a router says that is no answer, such as a better way, takes the place of the answer in the library: the same
    /// request goes out again, at once and then ever more rarely, and an answer to any of them counts.
    pub(crate) async fn ask(&self, n: u16, at: Instant, until: Instant) -> Result<Option<Duration>, Fault> {
        // The first goes out at once: even a sleep that is over takes a turn of the timer.
        if n > 0 {
            sleep_until(at).await;
        }
        let mut pause = Duration::ZERO;
        loop {
            let sent = Instant::now();
            match self.send(n, until).await {
                Ok(packet) => {
                    if let Some(told) = told(self.ip, &packet) {
                        // Our own clock: on a fast path the library's starts after the answer came.
                        return told.map(|()| Some(sent.elapsed()));
                    }
                }
                Err(SurgeError::Timeout { .. }) => return Ok(None),
                Err(SurgeError::IOError(error)) => return Err(failure::unsent(self.ip, &error)),
                Err(error) => {
                    let what = format!("this machine could not ask {}: {error}", self.ip);
                    return Err(Fault::new(Cause::Exhausted, what));
                }
            }
            sleep_until(until.min(Instant::now() + pause)).await;
            if Instant::now() >= until {
                return Ok(None);
            }
            pause = AGAIN.max(pause * 2);
        }
    }

    /// Sends one request and gives the packet that takes the place of its answer.
    async fn send(&self, n: u16, until: Instant) -> Result<IcmpPacket, SurgeError> {
        let ask = async |ident| {
            let mut pinger = self.client.pinger(self.ip, ident).await;
            pinger.timeout(until.saturating_duration_since(Instant::now()));
            pinger.ping(PingSequence(n), &PAYLOAD).await
        };
        let mut answer = ask(self.ident).await;
        // Another probe of the same address drew the same id on the raw socket.
        for _ in 1..DRAWS {
            let Err(SurgeError::IdenticalRequests { .. }) = answer else { break };
            answer = ask(PingIdentifier(random())).await;
        }
        answer.map(|(packet, _)| packet)
    }
}

fn crowded() -> Fault {
    let what = format!(
        "{RAW_AT_ONCE} echo requests already wait on the one raw socket; allow unprivileged ping, which has no such \
         limit: see docs/how-to/allow-ping.md"
    );
    Fault::new(Cause::Exhausted, what)
}

/// What a packet says about `ip`; a raw socket also hears routers. `None`: it says nothing about whether `ip` is reached.
fn told(ip: IpAddr, packet: &IcmpPacket) -> Option<Result<(), Fault>> {
    let (kind, code) = match packet {
        IcmpPacket::V4(packet) => (packet.get_icmp_type().0, packet.get_icmp_code().0),
        IcmpPacket::V6(packet) => (packet.get_icmpv6_type().0, packet.get_icmpv6_code().0),
    };
    heard(ip, kind, code)
}

/// Echo reply, destination unreachable and time exceeded count: RFC 792 and RFC 4443. A redirect, a packet that is too big
/// or a source quench comes beside an answer.
fn heard(ip: IpAddr, kind: u8, code: u8) -> Option<Result<(), Fault>> {
    let (reply, errors) = if ip.is_ipv4() { (0, [3, 11]) } else { (129, [1, 3]) };
    if kind == reply {
        return Some(Ok(()));
    }
    errors.contains(&kind).then(|| {
        let what = format!("{ip} cannot be reached: a router on the way says so (ICMP type {kind}, code {code})");
        Err(Fault::new(Cause::Unreachable, what))
    })
}

fn client(ip: IpAddr) -> io::Result<Client> {
    let kind = if ip.is_ipv4() { ICMP::V4 } else { ICMP::V6 };
    Client::new(&Config::builder().kind(kind).sock_type_hint(Type::DGRAM).build())
}

/// An id for the raw socket, where nobody else gives one.
fn random() -> u16 {
    let mut bytes = [0; 2];
    let _ = SystemRandom::new().fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

fn unopened(ip: IpAddr, error: &io::Error) -> Fault {
    let what = match Errno::from_io_error(error) {
        _ if error.kind() == ErrorKind::PermissionDenied => {
            // The library's own advice names a key that does not exist for IPv6.
            let what = "this process may not ping: allow it with `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"` \
                        or give it CAP_NET_RAW: see docs/how-to/allow-ping.md";
            return Fault::new(Cause::Denied, what);
        }
        Some(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
            format!("this machine has no {}", if ip.is_ipv4() { "IPv4" } else { "IPv6" })
        }
        _ if failure::is_exhausted(error) => {
            return Fault::new(Cause::Exhausted, format!("this machine cannot open one more socket: {error}"));
        }
        _ => format!("this machine cannot open a socket for echo requests: {error}"),
    };
    Fault::new(Cause::Network, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reply_and_a_word_about_the_way_count_as_an_answer() {
        for (ip, replies, errors) in [("10.0.0.2", [0], [3, 11]), ("fd00::2", [129], [1, 3])] {
            let ip = ip.parse().unwrap();
            for kind in 0..=u8::MAX {
                match heard(ip, kind, 1) {
                    Some(Ok(())) => assert!(replies.contains(&kind), "{ip}: {kind}"),
                    Some(Err(fault)) => {
                        assert!(errors.contains(&kind), "{ip}: {kind}");
                        assert_eq!(fault.cause, Cause::Unreachable);
                    }
                    None => assert!(!replies.contains(&kind) && !errors.contains(&kind), "{ip}: {kind}"),
                }
            }
        }
    }

    #[test]
    fn a_socket_that_is_not_given_is_our_trouble_with_its_remedy() {
        let ip = "127.0.0.1".parse().unwrap();
        for errno in [Errno::PERM, Errno::ACCESS] {
            let fault = unopened(ip, &errno.into());
            assert_eq!(fault.cause, Cause::Denied);
            for part in ["sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"", "CAP_NET_RAW", "allow-ping.md"] {
                assert!(fault.reason.contains(part), "{}", fault.reason);
            }
        }
        for (errno, cause) in
            [(Errno::MFILE, Cause::Exhausted), (Errno::AFNOSUPPORT, Cause::Network), (Errno::NODEV, Cause::Network)]
        {
            let fault = unopened(ip, &errno.into());
            assert_eq!(fault.cause, cause, "{}", fault.reason);
            assert!(fault.cause.is_blind());
        }
    }
}
