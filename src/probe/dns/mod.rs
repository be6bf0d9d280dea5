//! `dns`: a DNS server is asked one question and gives the right answer. The target is the server, not the name.
//!
//! What is asked lives in `question`, how it is carried in `exchange`, what an answer says in `answer`.

mod answer;
mod exchange;
mod question;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_proto::op::Message;
use url::Host;

use self::exchange::Heard;
use self::question::Question;
use super::wire::settings::{EXPECT, IP, Settings};
use super::wire::{Address, Expected, Kit, Stage, Trace, Way, telling};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::{Cause, Fault};

/// `dns`.
pub const KIND: Kind = Kind {
    name: "dns",
    schemes: &["dns"],
    listable: true,
    page: include_str!("page.md"),
    example: "SRV4_URL=dns://9.9.9.9/example.org?type=MX\nSRV4_EXPECT=mail.example.org",
    keys: &[EXPECT.info(), IP.info()],
    read,
};

/// Where DNS servers listen.
const PORT: u16 = 53;
/// Addresses tried of one name; a share of the time for more of them would be too short for any.
const ADDRESSES: usize = 4;
/// Share of the time in which the answer is waited for: what came and did not fit is judged before the time is over.
const PATIENCE: f32 = 0.95;

/// A `dns` target at rest.
struct Dns {
    address: Address,
    port: u16,
    way: Way,
    question: Box<Question>,
    expected: Option<Box<Expected>>,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let (way, expected) = (Way::plain(settings), settings.optional(&EXPECT));
    let (url, address) = Address::of_url(text)?;
    let bad = |what: &str| BadTarget::Unreadable(format!("{what}; write dns://9.9.9.9/example.org?type=A"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("nobody logs in to a DNS server"));
    }
    let port = Address::port(&url, Some(PORT)).map_err(bad)?;
    let question = Question::read(&url).map_err(|what| bad(&what))?;
    let (way, expected) = (way.ok_or(BadTarget::Settings)?, expected.ok_or(BadTarget::Settings)?);
    if let Some(what) = expected.as_ref().and_then(|expected| answer::never(&question, expected)) {
        settings.problem(&EXPECT, what, "write one address, or an expression between slashes");
        return Err(BadTarget::Settings);
    }
    let at = if port == PORT { address.to_string() } else { format!("{address}:{port}") };
    let shown = format!("dns://{at}/{question}");
    let (question, expected) = (Box::new(question), expected.map(Box::new));
    Ok(Target::new(&shown, Dns { address, port, way, question, expected }))
}

impl Probe for Dns {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let message = if self.question.tcp {
                self.over_tcp(kit, trace, self.address.host()).await?
            } else {
                self.over_udp(kit, trace).await?
            };
            trace.finish();
            answer::judge(&message, &self.question, self.expected.as_deref())
        })
    }

    /// Whether the server answers there at all is asked, and not what.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let server = quoted(self.address.host().to_string().trim_matches(['[', ']']));
        let (name, kind) = (quoted(&self.question.name.to_ascii()), self.question.kind);
        let (port, seconds) = (self.port, limit.as_secs().max(1));
        let tcp = if self.question.tcp { "+tcp " } else { "" };
        Some(format!(
            "if command -v dig >/dev/null 2>&1; then \
             dig {tcp}+time={seconds} +tries=1 -p {port} @{server} -q {name} -t {kind} >/dev/null 2>&1; \
             else echo 'dig'; exit {CANNOT_LOOK}; fi"
        ))
    }
}

impl Dns {
    /// Asks the addresses in order, each with an equal share of the time that is left; the first answer counts.
    async fn over_udp(&self, kit: &Kit, trace: &mut Trace) -> Result<Message, Fault> {
        let found = kit.addresses(trace, self.way.family, self.address.host()).await?;
        let count = found.len().min(ADDRESSES);
        let mut worst: Option<Fault> = None;
        for (tried, ip) in found.iter().take(ADDRESSES).enumerate() {
            trace.enter(Stage::FirstByte);
            let share = trace.left().mul_f32(PATIENCE) / u32::try_from(count - tried).unwrap_or(u32::MAX);
            match exchange::udp(SocketAddr::new(*ip, self.port), &self.question, share).await {
                Ok(Heard::Answer(message)) => return Ok(*message),
                Ok(Heard::Cut) => {
                    let host = match ip {
                        std::net::IpAddr::V4(ip) => Host::Ipv4(*ip),
                        std::net::IpAddr::V6(ip) => Host::Ipv6(*ip),
                    };
                    return self.over_tcp(kit, trace, host).await;
                }
                Err(fault) => worst = Some(telling(worst, fault)),
            }
        }
        Err(worst.unwrap_or_else(|| Fault::new(Cause::Dns, "the name of the server has no address")))
    }

    async fn over_tcp(&self, kit: &Kit, trace: &mut Trace, host: Host<&str>) -> Result<Message, Fault> {
        let mut stream = kit.reach(trace, &self.way, host, self.port).await?;
        trace.enter(Stage::FirstByte);
        exchange::tcp(&mut stream, &self.question, trace).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_asks_nothing_says_what_to_write() {
        for (text, expected) in [
            ("dns:9.9.9.9", "the URL has no host; write for example `dns://example.org/`"),
            ("dns:///example.org", "the URL has no host"),
            (
                "dns://9.9.9.9",
                "the URL cannot be read: there is no name to ask for; write dns://9.9.9.9/example.org?type=A",
            ),
            ("dns://9.9.9.9/", "the URL cannot be read: there is no name to ask for"),
            ("dns://9.9.9.9/a/b", "the URL cannot be read: a name has no slash"),
            ("dns://9.9.9.9/a..b", "the URL cannot be read: this is no name"),
            ("dns://9.9.9.9/a?type=ANY", "the URL cannot be read: type: expected one of: A, AAAA, CNAME, MX,"),
            ("dns://9.9.9.9/a?tcp=maybe", "the URL cannot be read: tcp: expected true or false"),
            (
                "dns://9.9.9.9/a?tpye=A&type=A&type=A",
                "the URL cannot be read: tpye: is not known; did you mean `type`?; type: is there twice",
            ),
            ("dns://9.9.9.9/a#b", "the URL cannot be read: nothing may follow a `#`"),
            ("dns://9.9.9.9:0/a", "the URL cannot be read: nobody can listen on port 0"),
            ("dns://bob:s3cret@9.9.9.9/a", "the URL cannot be read: nobody logs in to a DNS server"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_target_shows_its_server_and_its_question() {
        for (text, shown) in [
            ("dns://9.9.9.9/Example.org", "dns://9.9.9.9/example.org?type=A"),
            (
                "DNS://ns1.example.org:5353/_dmarc.example.org.?type=txt&tcp=yes",
                "dns://ns1.example.org:5353/_dmarc.example.org?type=TXT&tcp=true",
            ),
            ("dns://[2620:fe::9]:53/192.0.2.1?type=PTR", "dns://[2620:fe::9]/1.2.0.192.in-addr.arpa?type=PTR"),
            ("dns://9.9.9.9/пример.испытание", "dns://9.9.9.9/xn--e1afmkfd.xn--80akhbyknj4f?type=A"),
        ] {
            assert_eq!(Target::parse(text).unwrap().shown(), shown);
        }
    }

    #[test]
    fn an_idle_target_is_small() {
        assert!(size_of::<Dns>() <= 80, "{}", size_of::<Dns>());
    }
}
