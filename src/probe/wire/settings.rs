//! The settings of one target: the keys `{SRV}_…` that its kind knows, and those that several kinds share.
//!
//! A kind lists its keys in its [`crate::probe::Kind`] and asks for them here; what it does not list is refused in `config`.

use std::path::PathBuf;

use crate::env::{Key, Scope, Scoped, Secret, value};

use super::Family;
use super::dialogue::{Expected, Sent};
use super::headers::{self, Headers};

/// Which addresses of a name are used.
pub const IP: Key<Family> = Key::new(Scope::Server, "IP", |text| {
    value::word(text, &[("4", Family::V4), ("6", Family::V6), ("both", Family::Both)])
})
.about("Which addresses of the name are tried: `4`, `6` or `both`, in the system's order.", "4")
.default("both");
/// One more CA.
pub const CA_FILE: Key<PathBuf> = Key::new(Scope::Server, "CA_FILE", value::path)
    .about("A PEM file with certificates that are trusted for this server besides the system's: the CA of a company, or its own self-signed certificate. Read at start and at each reload.", "/etc/ssl/company-ca.pem")
    .otherwise("the system's roots alone");
/// No check of the certificate.
pub const INSECURE: Key<bool> = Key::new(Scope::Server, "INSECURE", value::flag)
    .about("Accept any certificate: of another name, expired, signed by anybody. Whoever sits on the way can then answer for the server; CA_FILE is the better way.", "true")
    .default("false");
/// Our certificate.
pub const CLIENT_CERT: Key<PathBuf> = Key::new(Scope::Server, "CLIENT_CERT", value::path)
    .about(
        "A PEM file with the certificate (and its chain) that we show to the server. Read at start and at each reload.",
        "/etc/monitor/client.pem",
    )
    .otherwise("none");
/// The key of our certificate.
pub const CLIENT_KEY: Key<PathBuf> = Key::new(Scope::Server, "CLIENT_KEY", value::path)
    .about("A PEM file with the private key of CLIENT_CERT, without a passphrase.", "/etc/monitor/client.key")
    .otherwise("as CLIENT_CERT");
/// When to warn of the certificate's end.
pub const TLS_DAYS: Key<Vec<u16>> = Key::new(Scope::Server, "TLS_DAYS", days)
    .about("Days before the end of the server's certificate at which a warning is told, once for each number; 1 to 3650. It is a notice, never a failure: nothing is healed.", "30,14,3")
    .otherwise("no warning");
/// The user of a login.
pub const USERNAME: Key<String> = Key::new(Scope::Server, "USERNAME", value::line)
    .about("The user that we log in as; instead of one in the URL.", "monitor")
    .otherwise("as in the URL");
/// The password of a login.
pub const PASSWORD: Key<Secret> = Key::new(Scope::Server, "PASSWORD", value::secret)
    .about("The password that we log in with; instead of one in the URL.", "s3cret")
    .secret()
    .otherwise("as in the URL");
/// A login by token.
pub const BEARER_TOKEN: Key<Secret> = Key::new(Scope::Server, "BEARER_TOKEN", headers::token)
    .about(
        "A token that is sent as `Authorization: Bearer …`, to the URL's own origin only; instead of a user and a password.",
        "s3cret",
    )
    .secret()
    .otherwise("no token is sent");
/// What else is sent.
pub const HEADERS: Key<Headers> = Key::new(Scope::Server, "HEADERS", headers::read)
    .about("Headers that are sent, as `Name: value`, separated by `|`, or each on a line of its own (then a value may hold a `|`). They go to the URL's own origin only.", "X-Api-Key: s3cret | Accept: application/json")
    .secret()
    .otherwise("none but our own");
/// What is sent.
pub const SEND: Key<Sent> = Key::new(Scope::Server, "SEND", Sent::parse)
    .about(
        "Text that is sent once connected; `\\r`, `\\n`, `\\t`, `\\\\` and `\\xHH` stand for the bytes. It is not a secret: a server may send it back, and then it is shown.",
        "PING\\r\\n",
    )
    .otherwise("nothing is sent");
/// What must come back.
pub const EXPECT: Key<Expected> = Key::new(Scope::Server, "EXPECT", Expected::parse)
    .about("What the answer must hold: a text with the same escapes as SEND, or `/a regular expression/`.", "PONG")
    .otherwise("any answer will do");

/// The settings of one target. A witness has none.
pub struct Settings<'a>(Option<&'a Scoped<'a>>);

impl<'a> Settings<'a> {
    /// None at all: every key has its default.
    pub fn none() -> Self {
        Self(None)
    }

    /// Those of one server.
    pub fn of(keys: &'a Scoped<'a>) -> Self {
        Self(Some(keys))
    }

    /// The name of the server; empty where there is none.
    pub fn name(&self) -> &str {
        self.0.map(Scoped::name).unwrap_or_default()
    }

    /// Gives the value or the key's default. `None`: a problem was remembered.
    pub fn get<T>(&self, key: &Key<T>) -> Option<T> {
        match (self.0, key.absent) {
            (Some(keys), _) => keys.get(key),
            (None, crate::env::Absent::Default(text)) => (key.parse)(text).ok(),
            (None, _) => None,
        }
    }

    /// Gives the value if one is set. `None`: a problem was remembered; `Some(None)`: not set.
    pub fn optional<T>(&self, key: &Key<T>) -> Option<Option<T>> {
        self.0.map_or(Some(None), |keys| keys.optional(key))
    }

    /// Gives the text of the file that a key names, if one is set. `None`: a problem was remembered.
    pub fn file(&self, key: &Key<PathBuf>) -> Option<Option<String>> {
        match (self.optional(key)?, self.0) {
            (Some(path), Some(keys)) => keys.file(key, &path).map(Some),
            _ => Some(None),
        }
    }

    /// Says whether somebody set the key.
    pub fn has<T>(&self, key: &Key<T>) -> bool {
        self.0.is_some_and(|keys| keys.set_by_user(key))
    }

    /// Remembers that a value does not fit; `what` and `hint` are clauses.
    pub fn problem<T>(&self, key: &Key<T>, what: impl Into<String>, hint: impl Into<String>) {
        if let Some(keys) = self.0 {
            keys.problem(key, what, hint);
        }
    }

    /// Remembers something that is odd, and that the agent starts with all the same.
    pub fn warn<T>(&self, key: &Key<T>, what: impl Into<String>, hint: impl Into<String>) {
        if let Some(keys) = self.0 {
            keys.warn(key, what, hint);
        }
    }
}

fn days(text: &str) -> Result<Vec<u16>, String> {
    let mut days = value::list(text, |item| value::whole(item, &(1..=3650)))
        .map_err(|_| "expected numbers of days from 1 to 3650, such as 30,14,3".to_owned())?;
    if days.is_empty() {
        return Err("expected numbers of days from 1 to 3650, such as 30,14,3".to_owned());
    }
    days.sort_unstable_by(|a, b| b.cmp(a));
    days.dedup();
    Ok(days)
}
