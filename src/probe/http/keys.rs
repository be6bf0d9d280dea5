//! The settings that `http` and `https` alone know. What they become lives in `asks`, `wants` and
//! beside them; those that `ws` knows too live in `wire`.

use http::Method;

use super::wants::{Condition, Pattern, Statuses, conditions, patterns, statuses};
use crate::env::{Key, Scope, value};

/// What is asked with.
pub(super) const METHOD: Key<Method> = Key::new(Scope::Server, "METHOD", method)
    .about("The method: `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`. It is sent at every attempt, so what it changes is changed each time.", "POST")
    .otherwise("`GET`, or `POST` with a BODY");
/// What is sent as body.
pub(super) const BODY: Key<String> = Key::new(Scope::Server, "BODY", |text| Ok(text.to_owned()))
    .about(
        "The body that is sent, as it is. JSON is sent as `application/json` unless HEADERS says otherwise.",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"health\"}",
    )
    .secret()
    .otherwise("no body");
/// Which answers are good.
pub(super) const STATUS: Key<Statuses> = Key::new(Scope::Server, "STATUS", statuses)
    .about("The statuses of a good answer: numbers and ranges from 100 to 999, separated by commas.", "200-299,401")
    .default("200-399");
/// What must be in the body.
pub(super) const KEYWORD: Key<Vec<Pattern>> = Key::new(Scope::Server, "KEYWORD", patterns)
    .about("Texts that the body must hold, every one of them, separated by `|`: plain ones, or a `/regular expression/`. Only the first MiB is looked at.", "Welcome | /version [0-9]+/")
    .otherwise("the body is not read");
/// What must not be in the body.
pub(super) const KEYWORD_ABSENT: Key<Vec<Pattern>> = Key::new(Scope::Server, "KEYWORD_ABSENT", patterns)
    .about("Texts of which the body must hold none, written as in KEYWORD.", "database error | /(?i)fatal/")
    .otherwise("the body is not read");
/// What the body must say.
pub(super) const JSON: Key<Vec<Condition>> = Key::new(Scope::Server, "JSON", conditions)
    .about("What the body must say as JSON: a JSONPath (RFC 9535), alone (it selects something) or compared by `==`, `!=`, `<`, `<=`, `>` or `>=` with a JSON value (all that it selects fulfils it); several are joined by `&&`.", "$.status == \"healthy\" && $.queue < 100")
    .otherwise("the body is not read");
/// How far redirects are followed.
pub(super) const REDIRECTS: Key<u8> = Key::new(Scope::Server, "REDIRECTS", |text| value::whole(text, &(0..=20)))
    .about("Redirects that are followed, 0 to 20. With 0 a redirect is judged by its own status.", "0")
    .default("10");
/// Which version is spoken.
pub(super) const HTTP2: Key<Http2> = Key::new(Scope::Server, "HTTP2", |text| {
    value::word(text, &[("off", Http2::Off), ("auto", Http2::Auto), ("on", Http2::On)])
})
.about("`off`: HTTP/1.1. `auto`: over TLS, what the server prefers. `on`: HTTP/2 or it is down; without TLS it is spoken at once, without an upgrade.", "auto")
.default("off");

/// Whether HTTP/2 is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http2 {
    /// Never.
    Off,
    /// Where TLS agrees on it.
    Auto,
    /// Or the target is down.
    On,
}

impl Http2 {
    /// What is offered in the TLS handshake.
    pub(super) fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Off => &[b"http/1.1"],
            Self::Auto => &[b"h2", b"http/1.1"],
            Self::On => &[b"h2"],
        }
    }
}

/// The methods, in the order people know them. CONNECT and TRACE ask a proxy, not a service.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

fn method(text: &str) -> Result<Method, String> {
    METHODS.iter().find(|method| method.as_str().eq_ignore_ascii_case(text.trim())).cloned().ok_or_else(|| {
        format!("expected one of: {}", METHODS.iter().map(Method::as_str).collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_read_and_others_refused() {
        assert_eq!(method(" post "), Ok(Method::POST));
        assert_eq!(method("TRACE").unwrap_err(), "expected one of: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
}
