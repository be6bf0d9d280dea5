//! The opening of a WebSocket (RFC 6455, section 4): one HTTP request, and whether its answer opens one.
//!
//! Not the library's own: it refuses a `Connection` header that holds more than one word, which the standard allows, and
//! then a service that works would be down.

use std::io::ErrorKind;

use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use url::{Position, Url};

use crate::domain::reading::{Cause, Fault};
use crate::fetch::USER_AGENT;
use crate::host::output::one_line;
use crate::probe::wire::{Stage, Stream, Trace, broken};

/// Bytes of the answer's head; servers stop at 8–32 KiB in requests.
const HEAD: usize = 64 * 1024;
/// Header lines of the answer.
const LINES: usize = 128;
/// The standard's own example, for a machine that has no program to draw a key.
pub(super) const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What is asked.
pub(super) struct Opening<'a> {
    pub(super) url: &'a Url,
    /// The value of `Authorization`.
    pub(super) login: Option<&'a SecretString>,
    /// The value of `Sec-WebSocket-Protocol`.
    pub(super) subprotocols: Option<&'a str>,
    /// The operator's own, none of them of the opening itself.
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
}

impl Opening<'_> {
    /// Sends the request and reads the head of the answer; gives what came behind it.
    pub(super) async fn ask(&self, mut stream: Stream, trace: &mut Trace) -> Result<(Stream, Vec<u8>), Fault> {
        let key = generate_key();
        let sending = async {
            stream.write_all(&self.request(&key)).await?;
            stream.flush().await
        };
        sending.await.map_err(|error| broken("sending the request", &error))?;
        let mut buffer = Vec::with_capacity(2048);
        loop {
            let doing = if buffer.is_empty() { "waiting for the first byte" } else { "reading the headers" };
            let count = match stream.read_buf(&mut buffer).await {
                Ok(count) => count,
                // A peer that skips the end of TLS has closed all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(broken(doing, &error)),
            };
            if count == 0 {
                return Err(Fault::new(Cause::Reset, format!("connection closed while {doing}")));
            }
            if count == buffer.len() {
                trace.enter(Stage::Rest);
            }
            // Judged once the head may be complete, or cannot be one: not again with each drop.
            let opening = if foreign(&buffer) || may_end(&buffer, count) { self.judge(&buffer, &key)? } else { None };
            if let Some(end) = opening {
                return Ok((stream, buffer.split_off(end)));
            }
            if buffer.len() >= HEAD {
                let what = format!("the headers of the answer exceed {} KiB", HEAD / 1024);
                return Err(Fault::new(Cause::Protocol, what));
            }
        }
    }

    /// A URL from the `url` crate, checked subprotocols and headers and Base64 hold no line end, so nothing can be smuggled
    /// in. The operator's headers take the place of ours.
    fn request(&self, key: &str) -> Vec<u8> {
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        let ours = |name: HeaderName, value| Some(value).filter(|_| !self.has(&name));
        let mut text = format!("GET {path} HTTP/1.1\r\n");
        let mut add = |name: &str, value: &str| text.extend([name, ": ", value, "\r\n"]);
        for (name, value) in [
            ("Host", ours(header::HOST, host)),
            ("User-Agent", ours(header::USER_AGENT, USER_AGENT)),
            ("Connection", Some("Upgrade")),
            ("Upgrade", Some("websocket")),
            ("Sec-WebSocket-Version", Some("13")),
            ("Sec-WebSocket-Key", Some(key)),
            ("Sec-WebSocket-Protocol", self.subprotocols),
            ("Authorization", self.login.map(ExposeSecret::expose_secret)),
        ] {
            if let Some(value) = value {
                add(name, value);
            }
        }
        for (name, value) in self.headers {
            // Some small servers know no header in small letters.
            if let Ok(value) = value.to_str() {
                add(&titled(name.as_str()), value);
            }
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|(own, _)| own == name)
    }

    /// Whether we say who we are.
    fn logs_in(&self) -> bool {
        self.login.is_some() || self.has(&header::AUTHORIZATION)
    }

    /// Says where the head ends when it is complete and opens a WebSocket.
    fn judge(&self, bytes: &[u8], key: &str) -> Result<Option<usize>, Fault> {
        let mut begin = 0;
        loop {
            let head = bytes.get(begin..).unwrap_or_default();
            match self.head(head, key)? {
                None => return Ok(None),
                // An interim answer (100, 103): the real one follows.
                Some((end, false)) => begin += end,
                Some((end, true)) => return Ok(Some(begin + end)),
            }
        }
    }

    /// Where the first head ends, and whether it is the final one.
    fn head(&self, bytes: &[u8], key: &str) -> Result<Option<(usize, bool)>, Fault> {
        let wrong = |what: String| Err(Fault::new(Cause::Protocol, what));
        let mut lines = [httparse::EMPTY_HEADER; LINES];
        let mut answer = httparse::Response::new(&mut lines);
        let end = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) if foreign(bytes) => {
                return wrong("the answer is not HTTP; does this port speak another protocol, or TLS?".to_owned());
            }
            Err(error) => return wrong(format!("the answer is not valid HTTP: {error}")),
        };
        let header = |name: &str| {
            let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
        };
        let has = |name: &str, word: &str| {
            let named = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            let mut words = named.flat_map(|header| header.value.split(|byte| *byte == b','));
            words.any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        match answer.code.unwrap_or_default() {
            101 => {}
            100..=199 => return Ok(Some((end, false))),
            status => return Err(self.refused(status)),
        }
        if !has("upgrade", "websocket") || !has("connection", "upgrade") {
            return wrong("HTTP 101 without an upgrade to WebSocket".to_owned());
        }
        if header("sec-websocket-accept").is_none_or(|accept| accept != derive_accept_key(key.as_bytes())) {
            return wrong("HTTP 101 with an answer to another key than ours; is a cache in between?".to_owned());
        }
        if header("sec-websocket-extensions").is_some_and(|chosen| !chosen.is_empty()) {
            return wrong("the server chose an extension, and we offer none".to_owned());
        }
        match (self.subprotocols, header("sec-websocket-protocol")) {
            (None, None) => Ok(Some((end, true))),
            (Some(ours), Some(chosen)) if ours.split(", ").any(|one| one == chosen) => Ok(Some((end, true))),
            (Some(ours), None) => wrong(format!("the server chose none of the subprotocols {}", cut(ours))),
            (_, Some(chosen)) => {
                wrong(format!("the server chose the subprotocol {}, which we do not offer", cut(&chosen)))
            }
        }
    }

    /// The server's own words are left out: they are text from outside.
    fn refused(&self, status: u16) -> Fault {
        let words = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let cause = match status {
            401 => Cause::Login,
            403 if self.logs_in() => Cause::Login,
            300..=399 => Cause::Redirect,
            _ => Cause::Status,
        };
        let more = match status {
            200..=299 => ": this address answers, and does not open a WebSocket",
            300..=399 => ": a redirect, which is not followed here; write the address that it leads to",
            401 | 403 if self.logs_in() => ": the login is refused",
            401 => ": it wants a login",
            _ => "",
        };
        Fault::new(cause, format!("HTTP {status} {words}").trim_end().to_owned() + more)
    }
}

/// Writes `x-api-key` as `X-Api-Key`.
fn titled(name: &str) -> String {
    let mut begins = true;
    let one = |c: char| {
        let c = if begins { c.to_ascii_uppercase() } else { c };
        begins = c == '-';
        c
    };
    name.chars().map(one).collect()
}

/// Whether what came cannot become HTTP.
fn foreign(bytes: &[u8]) -> bool {
    !bytes.iter().zip(b"HTTP/1.").all(|(have, want)| have == want)
}

/// Whether an empty line is among the last `count` bytes; one may be cut in two.
fn may_end(bytes: &[u8], count: usize) -> bool {
    let tail = bytes.get(bytes.len().saturating_sub(count + 2)..).unwrap_or_default();
    tail.windows(2).any(|two| two == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

fn cut(text: &str) -> String {
    format!("`{}`", one_line(text.as_bytes(), 40))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

    fn judged(subprotocols: Option<&str>, answer: &str) -> Result<Option<usize>, String> {
        let url = "ws://h.test/".parse().unwrap();
        let opening = Opening { url: &url, login: None, subprotocols, headers: &[] };
        opening.judge(answer.as_bytes(), SAMPLE_KEY).map_err(|fault| format!("{}: {}", fault.cause, fault.reason))
    }

    #[test]
    fn an_opening_is_one_whatever_else_stands_in_its_headers() {
        for upgrade in [
            UPGRADE,
            "upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n",
            "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
        ] {
            let head = format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}{ACCEPT}\r\n");
            assert_eq!(judged(None, &format!("{head}frame")), Ok(Some(head.len())), "{head}");
            assert_eq!(judged(None, &head[..head.len() - 1]), Ok(None));
        }
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        let late = format!("{hints}{hints}HTTP/1.1 101 x\r\n{UPGRADE}{ACCEPT}\r\n");
        assert_eq!(judged(None, &late), Ok(Some(late.len())));
        assert_eq!(judged(None, hints), Ok(None));
        let chosen = format!("HTTP/1.1 101 x\r\n{UPGRADE}{ACCEPT}Sec-WebSocket-Protocol: stomp\r\n\r\n");
        assert_eq!(judged(Some("mqtt, stomp"), &chosen), Ok(Some(chosen.len())));
    }

    #[test]
    fn what_is_no_opening_says_why() {
        let head = |more: &str| format!("HTTP/1.1 101 x\r\n{more}\r\n");
        let chosen = "Sec-WebSocket-Protocol: stomp\r\n";
        for (offered, answer, told) in [
            (None, head(""), "protocol: HTTP 101 without an upgrade to WebSocket"),
            (
                None,
                head(&format!("Upgrade: h2c\r\nConnection: Upgrade\r\n{ACCEPT}")),
                "protocol: HTTP 101 without an upgrade",
            ),
            (None, head(UPGRADE), "protocol: HTTP 101 with an answer to another key"),
            (
                None,
                head(&format!("{UPGRADE}{ACCEPT}{chosen}")),
                "protocol: the server chose the subprotocol `stomp`, which",
            ),
            (
                Some("mqtt"),
                head(&format!("{UPGRADE}{ACCEPT}{chosen}")),
                "protocol: the server chose the subprotocol `stomp`",
            ),
            (
                Some("mqtt"),
                head(&format!("{UPGRADE}{ACCEPT}")),
                "protocol: the server chose none of the subprotocols `mqtt`",
            ),
            (None, "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned(), "status: HTTP 403 Forbidden"),
            (None, "HTTP/1.1 599 <b>\r\n\r\n".to_owned(), "status: HTTP 599"),
            (
                None,
                "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                "status: HTTP 200 OK: this address answers, and does not open",
            ),
            (None, "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n".to_owned(), "redirect: HTTP 302 Found: a redirect"),
            (None, "SSH-2.0-x\r\n".to_owned(), "protocol: the answer is not HTTP"),
            (None, "HTTP/1.x 101\r\n\r\n".to_owned(), "protocol: the answer is not valid HTTP"),
        ] {
            let judged = judged(offered, &answer).unwrap_err();
            assert!(judged.starts_with(told), "{answer:?} says {judged}");
        }
    }

    #[test]
    fn only_a_refused_login_is_one() {
        let url = "ws://h.test/".parse().unwrap();
        let login = SecretString::from("Basic x");
        for (login, status, cause) in [
            (None, 401, Cause::Login),
            (None, 403, Cause::Status),
            (Some(&login), 401, Cause::Login),
            (Some(&login), 403, Cause::Login),
            (Some(&login), 503, Cause::Status),
        ] {
            assert_eq!(
                Opening { url: &url, login, subprotocols: None, headers: &[] }.refused(status).cause,
                cause,
                "{status}"
            );
        }
    }

    #[test]
    fn the_operators_headers_take_the_place_of_ours_and_the_request_is_one() {
        let url: Url = "ws://h.test:81/a?b=c".parse().unwrap();
        let login = SecretString::from("Basic x");
        let opening = Opening { url: &url, login: Some(&login), subprotocols: Some("mqtt"), headers: &[] };
        let text = String::from_utf8(opening.request("key")).unwrap();
        assert!(text.starts_with("GET /a?b=c HTTP/1.1\r\nHost: h.test:81\r\nUser-Agent: "), "{text}");
        assert!(text.ends_with("Sec-WebSocket-Protocol: mqtt\r\nAuthorization: Basic x\r\n\r\n"), "{text}");
        let own = [("host", "v.test"), ("user-agent", "mine"), ("x-api-key", "1"), ("x-api-key", "2")];
        let own = own.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let text = String::from_utf8(Opening { login: None, headers: &own, ..opening }.request("key")).unwrap();
        assert_eq!(
            text,
            "GET /a?b=c HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: key\r\nSec-WebSocket-Protocol: mqtt\r\nHost: v.test\r\nUser-Agent: mine\r\n\
             X-Api-Key: 1\r\nX-Api-Key: 2\r\n\r\n"
        );
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in "(HTTP/1.1 101 x\r\n)?", bytes in any::<Vec<u8>>(), lines in "[A-Za-z:, \r\n-]{0,200}") {
            let url = "ws://h.test/".parse().unwrap();
            let opening = Opening { url: &url, login: None, subprotocols: None, headers: &[] };
            for answer in [[status.as_bytes(), &bytes].concat(), [status.as_bytes(), lines.as_bytes()].concat()] {
                let _ = opening.judge(&answer, SAMPLE_KEY);
            }
        }
    }
}
