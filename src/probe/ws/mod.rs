//! `ws` and `wss`: a WebSocket is opened over a new connection, and something is said over it.
//!
//! The opening lives in `handshake`, what is said in `talk`; frames are the library's.

mod handshake;
mod talk;

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use url::{Position, Url};

use self::handshake::Opening;
use super::wire::settings::{
    BEARER_TOKEN, CA_FILE, CLIENT_CERT, CLIENT_KEY, EXPECT, HEADERS, INSECURE, IP, PASSWORD, SEND, Settings, TLS_DAYS,
    USERNAME,
};
use super::wire::{Dialogue, Headers, Kit, Stage, Trace, Way, authorization, masked, words};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::{Cause, Fault};
use crate::env::{Key, Scope};
use crate::fetch::shown;

/// `ws` and `wss`.
pub const KIND: Kind = Kind {
    name: "ws",
    schemes: &["ws", "wss"],
    listable: true,
    page: include_str!("page.md"),
    example: "SRV4_URL=wss://srv4.example.com/events\nSRV4_SEND={\"op\": \"status\"}\nSRV4_EXPECT=/\"status\": *\"ok\"/",
    keys: &[
        SEND.info(),
        EXPECT.info(),
        SUBPROTOCOL.info(),
        HEADERS.info(),
        USERNAME.info(),
        PASSWORD.info(),
        BEARER_TOKEN.info(),
        IP.info(),
        TLS_DAYS.info(),
        CA_FILE.info(),
        INSECURE.info(),
        CLIENT_CERT.info(),
        CLIENT_KEY.info(),
    ],
    read,
};

/// The subprotocols that are offered.
const SUBPROTOCOL: Key<String> = Key::new(Scope::Server, "SUBPROTOCOL", subprotocols)
    .about("The subprotocols that we offer, separated by commas; the server must choose one of them.", "mqtt")
    .otherwise("none is offered");

/// A `ws` or `wss` target at rest.
struct Ws {
    /// Without user, password and fragment.
    url: Url,
    way: Way,
    more: Option<Box<More>>,
}

/// What few targets have.
#[derive(Default)]
struct More {
    /// The value of the `Authorization` header.
    login: Option<SecretString>,
    /// The value of the `Sec-WebSocket-Protocol` header.
    subprotocols: Option<String>,
    /// The operator's own headers.
    headers: Headers,
    dialogue: Option<Box<Dialogue>>,
}

impl More {
    /// A server may say back what we sent: what is a secret of ours is taken out.
    fn hidden(&self, text: &str) -> String {
        let login = self.login.iter().filter_map(|login| login.expose_secret().split(' ').nth(1));
        masked(text, self.headers.iter().filter_map(|(_, value)| value.to_str().ok()).flat_map(words).chain(login))
    }
}

/// What nearly all targets have.
static NOTHING: LazyLock<More> = LazyLock::new(More::default);

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let (way, dialogue) = (Way::read(settings, &[b"http/1.1"]), Dialogue::read(settings));
    let (subprotocols, headers) = (settings.optional(&SUBPROTOCOL), own_headers(settings));
    let (scheme, rest) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
    let no_host = || BadTarget::NoHost(scheme.to_ascii_lowercase());
    // The URL standard takes `ws:x` and `ws:///x` for the host `x`; a person who wrote that meant something else.
    if !rest.starts_with("//") || rest.starts_with("///") {
        return Err(no_host());
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::EmptyHost) => return Err(no_host()),
        Err(error) => return Err(BadTarget::Unreadable(error.to_string())),
    };
    if url.port() == Some(0) {
        return Err(BadTarget::Unreadable("nobody can listen on port 0".to_owned()));
    }
    let (bad, login) = (|| BadTarget::Settings, authorization(&url, settings));
    let (way, dialogue) = (way.ok_or_else(bad)?, dialogue.ok_or_else(bad)?);
    let (login, headers) = (login.ok_or_else(bad)?, headers.ok_or_else(bad)?);
    let subprotocols = subprotocols.ok_or_else(bad)?;
    // These fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    let some = login.is_some() || subprotocols.is_some() || dialogue.is_some() || !headers.is_empty();
    let more = some.then(|| Box::new(More { login, subprotocols, headers, dialogue }));
    let shown = shown(&url);
    Ok(Target::new(&shown, Ws { url, way, more }))
}

/// Those of the opening itself are ours: a second say in them would open another WebSocket than the one that is judged.
fn own_headers(settings: &Settings<'_>) -> Option<Headers> {
    let headers = settings.optional(&HEADERS)?.unwrap_or_default();
    match headers.iter().find(|(name, _)| name.as_str().starts_with("sec-websocket-")) {
        None => Some(headers),
        Some((name, _)) => {
            let what = format!("holds `{name}`, which belongs to the opening of the WebSocket");
            settings.problem(&HEADERS, what, "take it out; SUBPROTOCOL offers subprotocols");
            None
        }
    }
}

/// Reads names that a header may carry (RFC 6455, 4.1: tokens).
fn subprotocols(text: &str) -> Result<String, String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.iter().all(|name| !name.is_empty() && name.chars().all(token)) {
        return Ok(names.join(", "));
    }
    Err("expected names of subprotocols such as mqtt, separated by commas".to_owned())
}

impl Probe for Ws {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let no_host = || Fault::new(Cause::Protocol, "the URL has no host");
            let host = self.url.host().ok_or_else(no_host)?;
            let port = self.url.port_or_known_default().ok_or_else(no_host)?;
            let stream = kit.dial(trace, &self.way, host, port, self.url.scheme() == "wss").await?;
            trace.enter(Stage::FirstByte);
            let more = self.more.as_deref().unwrap_or(&NOTHING);
            let opening = Opening {
                url: &self.url,
                login: more.login.as_ref(),
                subprotocols: more.subprotocols.as_deref(),
                headers: &more.headers,
            };
            let hide = |text: &str| more.hidden(text);
            let (stream, early) = opening.ask(stream, trace).await?;
            talk::talk(stream, early, more.dialogue.as_deref(), &hide, trace).await
        })
    }

    /// Only the opening, without our login, our headers and the query: a machine shows its command lines to everybody. Being
    /// asked for them is an answer, and any answer will do where headers are missing. What is said afterwards no shell can ask.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let more = self.more.as_deref().unwrap_or(&NOTHING);
        if more.dialogue.is_some() {
            return None;
        }
        let web = format!("http{}", self.url[..Position::AfterPath].trim_start_matches("ws"));
        let (url, seconds) = (quoted(&web), limit.as_secs().max(1));
        let missed = match (self.url.query(), &more.login) {
            _ if !more.headers.is_empty() => "|[1-9]??",
            (Some(_), _) => "|400|401|403|422",
            (None, Some(_)) => "|401|403",
            (None, None) => "",
        };
        let offered = more
            .subprotocols
            .as_deref()
            .map(|names| format!("-H {} ", quoted(&format!("Sec-WebSocket-Protocol: {names}"))));
        Some(format!(
            "if command -v curl >/dev/null 2>&1; then \
             case $(curl -s -g -I -X GET --http1.1 -o /dev/null -m {seconds} -w '%{{http_code}}' \
             -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
             -H 'Sec-WebSocket-Key: {}' {}--url {url}) in \
             101{missed}) exit 0;; *) exit 1;; esac; \
             else echo 'curl'; exit {CANNOT_LOOK}; fi",
            handshake::SAMPLE_KEY,
            offered.unwrap_or_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_no_socket_can_be_opened_to_says_what_to_write() {
        for (text, expected) in [
            ("ws:host", "the URL has no host; write for example `ws://example.org/`"),
            ("WSS:///x", "the URL has no host; write for example `wss://example.org/`"),
            ("ws://", "the URL has no host"),
            ("ws://h:0/", "the URL cannot be read: nobody can listen on port 0"),
            ("ws://h:99999/", "the URL cannot be read: invalid port number"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
        }
        let target = Target::parse("WSS://bob:s3cret@Host/a b?token=t0ken#frag").unwrap();
        assert_eq!(target.shown(), "wss://host/a%20b?token=***");
    }

    #[test]
    fn subprotocols_are_names_that_a_header_may_carry() {
        assert_eq!(subprotocols(" mqtt,v12.stomp "), Ok("mqtt, v12.stomp".to_owned()));
        for text in ["", "a,,b", "a b", "a\r\nX: y", "ä", "a;b"] {
            assert!(subprotocols(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn another_machine_is_not_told_what_may_be_secret() {
        let text = "wss://bob:s3cret@h.test/x?token=s3cret";
        let shell = Target::parse(text).unwrap().afar_shell(Duration::from_secs(1)).unwrap();
        assert!(!shell.contains("s3cret") && !shell.contains("bob"), "{shell}");
        assert!(shell.contains("--url 'https://h.test/x'"), "{shell}");
    }

    #[test]
    fn an_idle_target_is_small() {
        assert!(size_of::<Ws>() <= 120, "{}", size_of::<Ws>());
    }
}
