//! `tls`: a server agrees on TLS and shows a certificate for its name, and where it is asked for, a question is answered.

use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use url::Host;

use super::wire::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY, EXPECT, INSECURE, IP, SEND, Settings, TLS_DAYS};
use super::wire::{Address, Dialogue, Kit, Trace, Way};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::Fault;
use crate::env::{Key, Scope};

/// `tls`.
pub const KIND: Kind = Kind {
    name: "tls",
    schemes: &["tls"],
    listable: true,
    page: include_str!("tls.md"),
    example: "SRV4_URL=tls://mail.example.org:993\nSRV4_TLS_DAYS=30,14,3\nSRV4_EXPECT=* OK",
    keys: &[
        IP.info(),
        SERVER_NAME.info(),
        TLS_DAYS.info(),
        CA_FILE.info(),
        INSECURE.info(),
        CLIENT_CERT.info(),
        CLIENT_KEY.info(),
        SEND.info(),
        EXPECT.info(),
    ],
    read,
};

/// The name that is asked for.
const SERVER_NAME: Key<String> = Key::new(Scope::Server, "SERVER_NAME", name)
    .about(
        "The name that the server is asked for (SNI) and that its certificate must hold, where it is not the host of the URL.",
        "mail.example.org",
    )
    .otherwise("the host of the URL");

/// Where servers that speak TLS alone mostly listen.
const PORT: u16 = 443;

/// A `tls` target at rest.
struct Tls {
    address: Address,
    port: u16,
    way: Way,
    more: Option<Box<More>>,
    /// Whether a machine that has only the system's roots can judge the certificate.
    plain: bool,
}

/// What few targets have.
struct More {
    name: Option<String>,
    dialogue: Option<Box<Dialogue>>,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let way = Way::read(settings, &[]);
    let (name, dialogue) = (settings.optional(&SERVER_NAME), Dialogue::read(settings));
    let (url, address) = Address::of_url(text)?;
    let bad = |what: &str| BadTarget::Unreadable(format!("{what}; write tls://host.example.org:443"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("nobody logs in by only agreeing on TLS"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("nothing may follow the port"));
    }
    let port = Address::port(&url, Some(PORT)).map_err(bad)?;
    let (way, name) = (way.ok_or(BadTarget::Settings)?, name.ok_or(BadTarget::Settings)?);
    let dialogue = dialogue.ok_or(BadTarget::Settings)?;
    let plain = !settings.has(&CA_FILE) && !settings.has(&CLIENT_CERT) && !settings.has(&INSECURE);
    let more = (name.is_some() || dialogue.is_some()).then(|| Box::new(More { name, dialogue }));
    Ok(Target::new(&format!("tls://{address}:{port}"), Tls { address, port, way, more, plain }))
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('.');
    match ServerName::try_from(text) {
        Ok(ServerName::DnsName(_)) => Ok(text.to_owned()),
        _ => Err("expected the name of a host, such as mail.example.org".to_owned()),
    }
}

impl Tls {
    fn name(&self) -> Host<&str> {
        let name = self.more.as_ref().and_then(|more| more.name.as_deref());
        name.map_or_else(|| self.address.host(), Host::Domain)
    }

    fn dialogue(&self) -> Option<&Dialogue> {
        self.more.as_ref().and_then(|more| more.dialogue.as_deref())
    }
}

impl Probe for Tls {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let tcp = kit.reach(trace, &self.way, self.address.host(), self.port).await?;
            let mut stream = kit.secure(trace, &self.way, self.name(), tcp).await?;
            trace.finish();
            match self.dialogue() {
                Some(dialogue) => dialogue.hold(&mut stream, trace).await,
                None => Ok(()),
            }
        })
    }

    /// Where a greeting is expected, its first byte must come. Another machine has none of our files, and what is sent stays
    /// here, because it shows its command lines to everybody.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let dialogue = self.dialogue();
        if !self.plain || dialogue.is_some_and(|dialogue| dialogue.send.is_some()) {
            return None;
        }
        let (to, seconds) = (quoted(&format!("{}:{}", self.address, self.port)), limit.as_secs().max(1));
        let checked = match self.name() {
            Host::Domain(name) => format!("-servername {0} -verify_hostname {0}", quoted(name)),
            Host::Ipv4(ip) => format!("-verify_ip {ip}"),
            Host::Ipv6(ip) => format!("-verify_ip {ip}"),
        };
        let client = format!("timeout {seconds} openssl s_client -connect {to} {checked} -verify_return_error");
        let look = if dialogue.is_some() {
            format!("[ $({client} -quiet </dev/null 2>/dev/null | head -c 1 | wc -c) -eq 1 ]")
        } else {
            format!("{client} </dev/null >/dev/null 2>&1")
        };
        Some(format!(
            "if command -v openssl >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then {look}; \
             else echo 'openssl with timeout'; exit {CANNOT_LOOK}; fi"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_no_handshake_can_go_to_says_what_to_write() {
        for (text, expected) in [
            ("tls:host:443", "the URL has no host; write for example `tls://example.org/`"),
            ("tls://:443", "the URL has no host"),
            ("tls://host:0", "the URL cannot be read: nobody can listen on port 0"),
            ("tls://host/x", "the URL cannot be read: nothing may follow the port; write tls://host.example.org:443"),
            ("tls://host?a=b", "the URL cannot be read: nothing may follow the port"),
            ("tls://bob:s3cret@host", "the URL cannot be read: nobody logs in by only agreeing on TLS"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert_eq!(Target::parse("TLS://Host").unwrap().shown(), "tls://host:443");
        assert_eq!(Target::parse("tls://[::1]:993").unwrap().shown(), "tls://[::1]:993");
    }

    #[test]
    fn a_server_name_is_a_name() {
        assert_eq!(name(" Mail.example.org. "), Ok("Mail.example.org".to_owned()));
        for text in ["", "10.0.0.1", "::1", "a b", "a..b", "https://h"] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_idle_target_is_small() {
        assert!(size_of::<Tls>() <= 72, "{}", size_of::<Tls>());
    }
}
