//! The API on a TCP port: where it listens, and who may use it. What it serves lives in `web`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::env::{Group, Key, Scope, Scoped, Secret};

/// Where the API listens.
pub const LISTEN: Key<Listen> = Key::new(Scope::Global, "LISTEN", listen)
    .about(
        "Address and port where the API is served over HTTP, besides the control socket: `127.0.0.1:8080`, `[::]:8080`, or `:8080` for every address of this machine. It needs API_TOKEN. Without TLS: leave that to a reverse proxy.",
        "127.0.0.1:8080",
    )
    .otherwise("no port is opened");
/// Who may use it.
pub const API_TOKEN: Key<Secret> = Key::new(Scope::Global, "API_TOKEN", token)
    .about(
        "What opens the API on LISTEN, sent as `Authorization: Bearer …`: 16 to 256 letters, digits and `-._~+/=`, as random as a password. It may do all that the command line may, so no service that only reports should know it.",
        "change-me-to-a-long-random-word",
    )
    .otherwise("LISTEN cannot be used")
    .secret();

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "The API on a port",
    intro: "The control socket needs none of this. Both are read at start only.",
    keys: &[LISTEN.info(), API_TOKEN.info()],
};

/// Characters of the token.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=256;

/// A port that is open, and what opens the API there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Where.
    pub listen: Listen,
    /// For whom.
    pub token: Secret,
}

/// Where the API listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At one address.
    At(SocketAddr),
    /// At every address of this machine.
    Everywhere(u16),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Everywhere(port) => write!(f, ":{port}"),
        }
    }
}

/// Reads the section; the inner absence means that no port is opened.
pub fn read(global: &Scoped<'_>) -> Option<Option<Port>> {
    let (listen, token) = (global.optional(&LISTEN), global.optional(&API_TOKEN));
    if matches!(&token, Some(Some(token)) if token.expose() == API_TOKEN.example) {
        global.warn(&API_TOKEN, "is the word of the example, which everybody knows", "take one of your own");
    }
    match (listen?, token?) {
        (Some(listen), Some(token)) => Some(Some(Port { listen, token })),
        (Some(_), None) => {
            let hint = "set API_TOKEN to a random word, such as `openssl rand -hex 32` prints";
            global.problem(&LISTEN, "would open the API to whoever can reach it", hint);
            None
        }
        (None, Some(_)) => {
            global.warn(&API_TOKEN, "opens nothing: LISTEN is not set", "set LISTEN, or remove it");
            Some(None)
        }
        (None, None) => Some(None),
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    let text = text.trim();
    let port = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some(everywhere) = text.strip_prefix(':').and_then(port) {
        return Ok(Listen::Everywhere(everywhere));
    }
    let (host, number) = text.rsplit_once(':').unwrap_or_default();
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = match bracketed {
        Some(host) => host.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    };
    let at = address.zip(port(number)).map(|(address, port)| Listen::At(SocketAddr::new(address, port)));
    at.ok_or_else(|| "expected an address and a port, such as 127.0.0.1:8080, [::]:8080 or :8080".to_owned())
}

/// The characters are those of a bearer token: <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>.
fn token(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if LENGTH.contains(&text.len()) && text.bytes().all(plain) {
        return Ok(Secret::from(text));
    }
    let (least, most) = LENGTH.into_inner();
    Err(format!("expected {least} to {most} letters, digits and `-._~+/=`, such as `openssl rand -hex 32` prints"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, good, loaded};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_and_a_port_are_read_and_nothing_else() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            (" 0.0.0.0:80 ", "0.0.0.0:80"),
            ("[::]:8080", "[::]:8080"),
            ("[2001:db8::1]:0", "[2001:db8::1]:0"),
            (":8080", ":8080"),
        ] {
            assert_eq!(listen(text).unwrap().to_string(), expected);
        }
        for text in [
            "",
            "8080",
            ":",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:",
            "::1:80",
            "[::1]",
            "1.2.3.4:+80",
            ":70000",
            "[1.2.3.4]:1",
        ] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_is_not_opened_without_a_token_that_deserves_the_name() {
        let config = good(&format!("{LEAST}LISTEN=127.0.0.1:8080\nAPI_TOKEN=0123456789abcdef\n"));
        assert_eq!(config.port.unwrap().listen.to_string(), "127.0.0.1:8080");
        assert_eq!(good(LEAST).port, None);
        let told = |lines: &str| loaded(&format!("{LEAST}{lines}")).report.to_string();
        let open = told("LISTEN=127.0.0.1:8080\n");
        assert!(open.contains("LISTEN: would open the API to whoever can reach it; set API_TOKEN"), "{open}");
        let short = told("LISTEN=127.0.0.1:8080\nAPI_TOKEN=0123456789abcde\n");
        assert!(short.contains("API_TOKEN") && short.contains("expected 16 to 256"), "{short}");
        assert!(!short.contains("0123456789abcde"), "{short}");
        assert!(told("API_TOKEN=0123456789abcdef\n").contains("opens nothing: LISTEN is not set"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_read_again(text in "\\PC{0,40}|\\[?[0-9a-f:.]{0,20}\\]?:[0-9]{0,6}") {
            if let Ok(at) = listen(&text) {
                prop_assert_eq!(listen(&at.to_string()), Ok(at));
            }
            let _ = token(&text);
        }
    }
}
