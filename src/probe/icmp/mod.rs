//! `icmp`: echo requests to one address, answered or not.
//!
//! What may stand after the `?` lives in `wanted`; the sockets live in `wire`.

mod wanted;

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use url::Host;

use self::wanted::Wanted;
use super::wire::settings::{IP, Settings};
use super::wire::{Address, Family, Kit, Stage, Trace, telling};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::{Cause, Fault};

/// `icmp`.
pub const KIND: Kind = Kind {
    name: "icmp",
    schemes: &["icmp"],
    listable: true,
    page: include_str!("page.md"),
    example: "SRV4_URL=icmp://10.0.0.2?count=3&loss=50%&latency=200ms",
    keys: &[IP.info()],
    read,
};

/// Addresses tried of one name; a share of the time for more of them would be too short for any.
const ADDRESSES: usize = 4;
/// Time between two echo requests of an attempt: what `ping` calls a flood begins below it.
const GAP: Duration = Duration::from_millis(200);

/// An `icmp` target at rest.
struct Icmp {
    address: Address,
    family: Family,
    wanted: Wanted,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let family = settings.get(&IP);
    let (url, address) = Address::of_url(text)?;
    let bad =
        |what: &str| Err(BadTarget::Unreadable(format!("{what}; write icmp://10.0.0.2 or icmp://host.example.org")));
    if url.port().is_some() {
        return bad("an echo request goes to an address, not to a port");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("nobody logs in with an echo request");
    }
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return bad("an echo request has no path");
    }
    let wanted = Wanted::read(&url).map_err(BadTarget::Unreadable)?;
    let shown =
        format!("icmp://{address}{}{}", if url.query().is_some() { "?" } else { "" }, url.query().unwrap_or(""));
    Ok(Target::new(&shown, Icmp { address, family: family.ok_or(BadTarget::Settings)?, wanted }))
}

impl Probe for Icmp {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.ask(kit, trace))
    }

    /// One echo request: whether it is reached, not how well. `ping` ends with 2 when it may not send or knows no such name.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let (host, seconds) =
            (quoted(self.address.host().to_string().trim_matches(['[', ']'])), limit.as_secs().max(1));
        let family = match (self.address.host(), self.family) {
            (Host::Domain(_), Family::V4) => "-4 ",
            (Host::Domain(_), Family::V6) => "-6 ",
            _ => "",
        };
        Some(format!(
            "if command -v ping >/dev/null 2>&1; then ping {family}-n -c 1 -W {seconds} {host} >/dev/null 2>&1; \
             case $? in 0) exit 0;; 2) ;; *) exit 1;; esac; fi; \
             echo 'a ping that may send'; exit {CANNOT_LOOK}"
        ))
    }
}

impl Icmp {
    /// Asks the addresses in order, each with an equal share of the time that is left; the first good one is enough.
    async fn ask(&self, kit: &Kit, trace: &mut Trace) -> Result<(), Fault> {
        let found = kit.addresses(trace, self.family, self.address.host()).await?;
        trace.enter(Stage::FirstByte);
        let count = found.len().min(ADDRESSES);
        let mut worst: Option<Fault> = None;
        for (tried, ip) in found.iter().take(ADDRESSES).enumerate() {
            // A little less than there is: what came in time is judged before the time of the attempt is over.
            let share = trace.left().mul_f32(0.95) / u32::try_from(count - tried).unwrap_or(u32::MAX);
            match self.series(kit, *ip, share).await {
                Ok(round_trip) => {
                    trace.answered(round_trip);
                    return Ok(());
                }
                Err(fault) => worst = Some(telling(worst, fault)),
            }
        }
        Err(worst.unwrap_or_else(|| Fault::new(Cause::Dns, "the name has no address")))
    }

    /// Sends every request of an attempt to one address and gives the median of the round trips.
    async fn series(&self, kit: &Kit, ip: IpAddr, patience: Duration) -> Result<Duration, Fault> {
        let count = self.wanted.count;
        let begun = Instant::now();
        let line = kit.echo.open(ip, count, patience).await?;
        let left = patience.saturating_sub(begun.elapsed());
        let (now, gap) = (Instant::now(), GAP.min(left / (2 * u32::from(count))));
        let mut requests: FuturesUnordered<_> =
            (0..count).map(|n| line.ask(n, now + gap * u32::from(n), now + left)).collect();
        let (mut trips, mut blind, mut refused) = (Vec::with_capacity(usize::from(count)), None, None);
        while let Some(answer) = requests.next().await {
            match answer {
                Ok(Some(trip)) => trips.push(trip),
                Ok(None) => {}
                Err(fault) if fault.cause.is_blind() => blind = Some(fault),
                // A reply to another request says more than a router's word.
                Err(fault) => refused = Some(fault),
            }
            if self.wanted.latency.is_none() && self.wanted.enough(trips.len()) {
                break;
            }
        }
        let answered = !trips.is_empty();
        match (self.wanted.judge(ip, trips, left), blind, refused) {
            // What was not sent is not lost on the way.
            (Err(_), Some(blind), _) => Err(blind),
            (Err(_), None, Some(refused)) if !answered => Err(refused),
            (judged, ..) => judged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_no_echo_request_can_go_to_says_what_to_write() {
        for (text, expected) in [
            ("icmp:10.0.0.2", "the URL has no host; write for example `icmp://example.org/`"),
            ("icmp://", "the URL has no host"),
            ("icmp://?count=3", "the URL has no host"),
            ("icmp:///x", "the URL has no host"),
            (
                "icmp://10.0.0.2:8",
                "the URL cannot be read: an echo request goes to an address, not to a port; write icmp://",
            ),
            ("icmp://bob:s3cret@h", "the URL cannot be read: nobody logs in with an echo request"),
            ("icmp://h/path", "the URL cannot be read: an echo request has no path"),
            ("icmp://h#x", "the URL cannot be read: an echo request has no path"),
            ("icmp://10.0.0.256", "the URL cannot be read: invalid IPv4 address"),
            ("icmp://[::zz]", "the URL cannot be read: invalid IPv6 address"),
            ("icmp://a b", "the URL cannot be read: invalid domain character"),
            ("icmp://h?count=0", "the URL cannot be read: count: expected a whole number from 1 to 20"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_target_shows_its_address_and_what_is_wanted_of_it() {
        for (text, shown) in [
            ("icmp://10.0.0.2", "icmp://10.0.0.2"),
            ("ICMP://10.0.0.2/", "icmp://10.0.0.2"),
            ("icmp://[0:0::1]", "icmp://[::1]"),
            ("icmp://Host.Example.org?count=3&loss=50%", "icmp://host.example.org?count=3&loss=50%"),
            ("icmp://пример.испытание", "icmp://xn--e1afmkfd.xn--80akhbyknj4f"),
        ] {
            assert_eq!(Target::parse(text).unwrap().shown(), shown);
        }
    }
}
