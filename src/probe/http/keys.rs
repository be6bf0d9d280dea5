//! The settings that `http` and `https` alone know. What they become lives in `asks`, `login`, `wants` and beside them.

use http::Method;
use http::header::{self, HeaderName, HeaderValue};

use super::wants::{Condition, Pattern, Statuses, conditions, patterns, statuses};
use crate::env::{Key, Scope, Secret, value};

/// What is asked with.
pub(super) const METHOD: Key<Method> = Key::new(Scope::Server, "METHOD", method)
    .about("The method: `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`. It is sent at every attempt, so what it changes is changed each time.", "POST")
    .otherwise("`GET`, or `POST` with a BODY");
/// What else is sent.
pub(super) const HEADERS: Key<Headers> = Key::new(Scope::Server, "HEADERS", headers)
    .about("Headers that are sent, as `Name: value`, separated by `|`, or each on a line of its own (then a value may hold a `|`). They go to the URL's own origin only.", "X-Api-Key: s3cret | Accept: application/json")
    .secret()
    .otherwise("none but our own");
/// What is sent as body.
pub(super) const BODY: Key<String> = Key::new(Scope::Server, "BODY", |text| Ok(text.to_owned()))
    .about(
        "The body that is sent, as it is. JSON is sent as `application/json` unless HEADERS says otherwise.",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"health\"}",
    )
    .secret()
    .otherwise("no body");
/// A login by token.
pub(super) const BEARER_TOKEN: Key<Secret> = Key::new(Scope::Server, "BEARER_TOKEN", token)
    .about(
        "A token that is sent as `Authorization: Bearer …`, to the URL's own origin only; instead of a user and a password.",
        "s3cret",
    )
    .secret()
    .otherwise("no token is sent");
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

/// Headers as an operator wrote them.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

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

/// Header lines of one request; servers accept about a hundred.
const LINES: usize = 50;
/// Bytes of one header; servers accept 8 KiB.
const LONGEST: usize = 8 * 1024;
/// Headers that belong to the connection or to the length of the body: a second say in them breaks the request.
const OURS: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// The error never repeats the text: it holds secrets.
fn headers(text: &str) -> Result<Headers, String> {
    let wrong =
        |number: usize, what: &str| format!("expected headers such as `X-Key: abc | X-Two: d`: number {number} {what}");
    let separator = if text.contains('\n') { '\n' } else { '|' };
    let mut found = Headers::new();
    let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
    for (number, item) in (1..).zip(items) {
        let (name, value) = item.split_once(':').ok_or_else(|| wrong(number, "has no colon behind its name"))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        let name =
            name.map_err(|_invalid| wrong(number, "has a name with other characters than letters, digits and `-`"))?;
        if let Some(ours) = OURS.iter().find(|ours| **ours == name) {
            return Err(wrong(number, &format!("is `{ours}`, which the probe sets by itself")));
        }
        if name == header::HOST && found.iter().any(|(before, _)| *before == name) {
            return Err(wrong(number, "is a second `host`"));
        }
        let value = value.trim();
        let plain = value.len() <= LONGEST && value.chars().all(|c| c == '\t' || (' '..='~').contains(&c));
        let mut value = HeaderValue::from_str(value)
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| wrong(number, "has a value that is too long or has other characters than those of ASCII"))?;
        value.set_sensitive(true);
        found.push((name, value));
    }
    match found.len() {
        0 => Err("expected headers such as `X-Key: abc | X-Two: d`".to_owned()),
        1..=LINES => Ok(found),
        _ => Err(format!("expected at most {LINES} headers")),
    }
}

fn token(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("expected a token of ASCII characters without blanks, and without the word `Bearer`".to_owned());
    }
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_read_from_one_line_or_from_several() {
        let read = |text: &str| {
            let found = headers(text)?;
            Ok::<_, String>(
                found.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect::<Vec<_>>(),
            )
        };
        assert_eq!(read("X-Key: a:b | Accept:text/html").unwrap(), ["x-key=a:b", "accept=text/html"]);
        assert_eq!(read("X-Key: a|b\nHost: h.test\n\n").unwrap(), ["x-key=a|b", "host=h.test"]);
        assert_eq!(read("X-Key: a|b\n").unwrap(), ["x-key=a|b"]);
        assert_eq!(read("X-Empty:").unwrap(), ["x-empty="]);
        let many = "X: y|".repeat(51);
        for (text, told) in [
            ("", "expected headers such as"),
            ("X-Key: ok | s3cret", "number 2 has no colon"),
            ("s3c ret: x", "number 1 has a name with other characters"),
            ("X: s3cret\u{7f}", "number 1 has a value that is too long or has other characters"),
            ("X: пароль", "number 1 has a value"),
            ("Content-length: 3", "number 1 is `content-length`, which the probe sets by itself"),
            ("A: b|Connection: x", "number 2 is `connection`"),
            ("Host: a|host: b", "number 2 is a second `host`"),
            (many.as_str(), "expected at most 50 headers"),
        ] {
            let error = headers(text).unwrap_err();
            assert!(error.contains(told) && !error.contains("s3c"), "{text:?} says {error:?}");
        }
    }

    #[test]
    fn a_method_and_a_token_are_read_and_others_refused() {
        assert_eq!(method(" post "), Ok(Method::POST));
        assert_eq!(method("TRACE").unwrap_err(), "expected one of: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(token(" abc.DEF-_~+/= ").unwrap().expose(), "abc.DEF-_~+/=");
        for bad in ["", "Bearer abc", "a\nb", "тайна"] {
            assert!(!token(bad).unwrap_err().contains("abc"), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn headers_of_any_text_are_refused_or_can_be_sent(text in "\\PC{0,80}", lines in "([!-~]{1,9}: [ -~]{0,9}[\\n|]){0,5}") {
            for text in [text, lines] {
                for (name, value) in headers(&text).unwrap_or_default() {
                    prop_assert!(!OURS.contains(&name) && !value.as_bytes().contains(&b'\n') && value.is_sensitive());
                }
            }
        }
    }
}
