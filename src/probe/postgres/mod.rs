//! `postgres` and `postgresql`: TLS as `sslmode` says, a login, and `SELECT 1` has to answer 1.
//!
//! What a server's errors mean is in `told`, what is kept from a hostile one in `watch`.

mod told;
mod watch;

use std::time::Duration;

use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use url::Url;

use self::watch::Watch;
use super::wire::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY, INSECURE, IP, PASSWORD, Settings, TLS_DAYS, USERNAME};
use super::wire::{Address, Kit, Login, Stage, Stream, Trace, Way, broken};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::{Cause, Fault};
use crate::env::Key;

/// `postgres` and `postgresql`.
pub const KIND: Kind = Kind {
    name: "postgres",
    schemes: &["postgres", "postgresql"],
    listable: true,
    page: include_str!("page.md"),
    example: "SRV4_URL=postgres://db.example.com:5432/app?sslmode=prefer\nSRV4_USERNAME=monitor\nSRV4_PASSWORD=correct-horse-battery",
    keys: &[
        USERNAME.info(),
        PASSWORD.info(),
        IP.info(),
        TLS_DAYS.info(),
        CA_FILE.info(),
        INSECURE.info(),
        CLIENT_CERT.info(),
        CLIENT_KEY.info(),
    ],
    read,
};

/// PostgreSQL listens here: <https://www.postgresql.org/docs/current/runtime-config-connection.html>.
const PORT: u16 = 5432;
/// The request for TLS: <https://www.postgresql.org/docs/current/protocol-message-formats.html>, `SSLRequest`.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// How long our goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// What is asked of the server's TLS; the names are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// None.
    Disable,
    /// If it has some; its certificate is not looked at, because a server without TLS would do too.
    Prefer,
    /// It must have some, with a certificate that we trust.
    Full,
}

/// A `postgres` target at rest.
struct Postgres {
    address: Address,
    port: u16,
    tls: Tls,
    way: Way,
    login: Box<Who>,
}

/// Who we are there.
struct Who {
    user: String,
    password: Option<SecretString>,
    database: Option<String>,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let way = Way::read(settings, &[]);
    let bad = |what: &str| BadTarget::Unreadable(format!("{what}; write postgres://monitor@db.example.com:5432/app"));
    let (scheme, rest) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
    if !rest.starts_with("//") {
        return Err(BadTarget::NoHost(scheme.to_ascii_lowercase()));
    }
    let (url, address) = Address::of_url(text)?;
    let port = Address::port(&url, Some(PORT)).map_err(bad)?;
    let path = url.path().trim_start_matches('/');
    if path.contains('/') || url.fragment().is_some() {
        return Err(bad("one database follows the port, and nothing else"));
    }
    let tls = sslmode(&url)?;
    only_with_tls(tls, settings);
    let login = Login::read(&url, settings);
    if login.as_ref().is_some_and(|login| login.user.is_none()) {
        settings.problem(&USERNAME, "is not set, and the URL names no user", "name the role that logs in");
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let slash = if path.is_empty() { "" } else { "/" };
    let shown = format!("postgres://{address}:{port}{slash}{path}{query}");
    let (way, login) = (way.ok_or(BadTarget::Settings)?, login.ok_or(BadTarget::Settings)?);
    let way = if tls == Tls::Prefer { way.accepting_any() } else { way };
    let database = percent_decode_str(path).decode_utf8().map_err(|_| bad("the database's name is not UTF-8"))?;
    let database = Some(database.into_owned()).filter(|name| !name.is_empty());
    let login = Box::new(Who { user: login.user.unwrap_or_default(), password: login.password, database });
    let zero = [Some(&login.user), login.database.as_ref()].into_iter().flatten().any(|text| text.contains('\0'));
    if zero {
        return Err(bad("neither a user nor a database has a NUL character in its name"));
    }
    Ok(Target::new(&shown, Postgres { address, port, tls, way, login }))
}

/// The one parameter that a URL may have.
fn sslmode(url: &Url) -> Result<Tls, BadTarget> {
    let bad = |what: &str| {
        BadTarget::Unreadable(format!(
            "{what}; behind the `?` may stand sslmode=disable, sslmode=prefer, sslmode=require or sslmode=verify-full"
        ))
    };
    let mut tls = None;
    for (name, value) in url.query_pairs() {
        if name != "sslmode" {
            return Err(bad("it has a parameter that is not known here"));
        }
        let mode = match &*value {
            "disable" => Tls::Disable,
            "prefer" => Tls::Prefer,
            "require" | "verify-full" => Tls::Full,
            _ => return Err(bad("its sslmode is not known here")),
        };
        if tls.replace(mode).is_some() {
            return Err(bad("it has sslmode twice"));
        }
    }
    Ok(tls.unwrap_or(Tls::Prefer))
}

/// Settings of TLS that would be believed to protect something, where they do not.
fn only_with_tls(tls: Tls, settings: &Settings<'_>) {
    fn refuse<T>(settings: &Settings<'_>, key: &Key<T>, what: &str) {
        if settings.has(key) {
            settings.problem(key, what, "write sslmode=require, or remove it");
        }
    }
    if tls != Tls::Full {
        refuse(settings, &CA_FILE, "is set, and without sslmode=require no certificate is checked");
    }
    if tls == Tls::Disable {
        let what = "is set, and with sslmode=disable there is no TLS";
        refuse(settings, &INSECURE, what);
        refuse(settings, &TLS_DAYS, what);
        refuse(settings, &CLIENT_CERT, what);
    }
}

impl Probe for Postgres {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.ask(kit, trace))
    }

    /// Asks without a login, as `pg_isready` does: whether the server takes connections.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let (host, port, seconds) =
            (quoted(self.address.host().to_string().trim_matches(['[', ']'])), self.port, limit.as_secs().max(1));
        Some(format!(
            "if command -v pg_isready >/dev/null 2>&1; then pg_isready -q -h {host} -p {port} -t {seconds}; \
             else echo 'pg_isready'; exit {CANNOT_LOOK}; fi"
        ))
    }
}

impl Postgres {
    async fn ask(&self, kit: &Kit, trace: &mut Trace) -> Result<(), Fault> {
        let stream = self.open(kit, trace).await?;
        trace.enter(Stage::FirstByte);
        let trusted = self.way.checks() && matches!(stream, Stream::Secure(_));
        let stream = Watch::new(stream, trusted, self.login.password.is_some());
        let opened = self.config().connect_raw(stream, NoTls).await;
        let (client, mut connection) = opened.map_err(|error| told::fault(&error))?;
        trace.enter(Stage::Rest);
        let mut answering = Box::pin(one(&client));
        let (answered, connection) = tokio::select! {
            biased;
            answered = &mut answering => (answered, Some(connection)),
            ended = &mut connection => {
                // A server that hangs up right after its answer has answered; otherwise the end says more than its lack.
                drop(connection);
                let why = ended.err().map_or_else(hung_up, |error| told::fault(&error));
                (answering.as_mut().await.map_err(|fault| if fault.cause == Cause::Reset { why } else { fault }), None)
            }
        };
        trace.finish();
        drop(answering);
        drop(client);
        // Without a client the connection says goodbye and ends; a server that does not take it has answered all the same.
        if let Some(connection) = connection {
            let _ = timeout(GOODBYE.min(trace.left() / 2), connection).await;
        }
        answered
    }

    /// Connects, with TLS where it is wanted or had.
    async fn open(&self, kit: &Kit, trace: &mut Trace) -> Result<Stream, Fault> {
        let mut tcp = kit.reach(trace, &self.way, self.address.host(), self.port).await?;
        if self.tls == Tls::Disable {
            return Ok(Stream::Plain(tcp));
        }
        trace.enter(Stage::FirstByte);
        let doing = "asking for TLS";
        tcp.write_all(&TLS_REQUEST).await.map_err(|error| broken(doing, &error))?;
        // One byte and no more: what an attacker put behind it must not pass for the server's.
        let mut answer = [0];
        if tcp.read(&mut answer).await.map_err(|error| broken(doing, &error))? == 0 {
            return Err(Fault::new(Cause::Reset, format!("connection closed while {doing}")));
        }
        match (&answer, self.tls) {
            (b"S", _) => kit.secure(trace, &self.way, self.address.host(), tcp).await,
            (b"N", Tls::Prefer) => Ok(Stream::Plain(tcp)),
            (b"N", _) => Err(Fault::new(Cause::Tls, "the server has no TLS, and sslmode asks for it")),
            // What a server says that is too full to begin; the rest of the error is for a client that has begun.
            (b"E", _) => Err(Fault::new(Cause::Content, "the server answered an error before anything was asked")),
            _ => Err(Fault::new(Cause::Protocol, "the answer is not PostgreSQL's")),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        let Who { user, password, database } = &*self.login;
        config.user(user).application_name("monitor").ssl_mode(SslMode::Disable);
        if let Some(password) = password {
            config.password(password.expose_secret());
        }
        if let Some(database) = database {
            config.dbname(database);
        }
        config
    }
}

/// Asks for a 1.
async fn one(client: &Client) -> Result<(), Fault> {
    let rows = client.simple_query("SELECT 1").await.map_err(|error| told::fault(&error))?;
    let is_one = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten() == Some("1"),
        _ => false,
    };
    if rows.iter().any(is_one) {
        return Ok(());
    }
    Err(Fault::new(Cause::Content, "the server did not answer SELECT 1 with 1"))
}

fn hung_up() -> Fault {
    Fault::new(Cause::Reset, "connection closed while waiting for the answer to SELECT 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_target_and_a_running_probe_are_small() {
        let kit = Kit::new(&crate::fetch::Roots::load(None).unwrap());
        let address = Address::of_url("postgres://h").unwrap().1;
        let login = Box::new(Who { user: "u".to_owned(), password: None, database: None });
        let postgres = Postgres { address, port: PORT, tls: Tls::Prefer, way: Way::default(), login };
        let mut trace = Trace::start(Duration::from_secs(1));
        assert!(size_of::<Postgres>() <= 96, "{}", size_of::<Postgres>());
        let running = size_of_val(&postgres.ask(&kit, &mut trace));
        assert!(running <= 8192, "{running}");
    }

    #[test]
    fn a_url_that_cannot_be_asked_says_what_to_write() {
        for (text, expected) in [
            ("postgres:host", "the URL has no host; write for example `postgres://example.org/`"),
            ("postgresql:///app", "the URL has no host"),
            ("postgres://host:0/app", "the URL cannot be read: nobody can listen on port 0"),
            ("postgres://host/a/b", "the URL cannot be read: one database follows the port"),
            ("postgres://host/a%00b", "the URL cannot be read: neither a user nor a database has a NUL character"),
            (
                "postgres://bob:s3cret@host/app?host=/run",
                "the URL cannot be read: it has a parameter that is not known here",
            ),
            ("postgres://host/app?sslmode=verify-ca", "the URL cannot be read: its sslmode is not known here"),
            ("postgres://host/app?sslmode=disable&sslmode=require", "the URL cannot be read: it has sslmode twice"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        for (text, shown) in [
            ("postgresql://bob:s3cret@DB.Test/app?sslmode=require", "postgres://db.test:5432/app?sslmode=require"),
            ("postgres://[::1]:6432", "postgres://[::1]:6432"),
        ] {
            assert_eq!(Target::parse(text).unwrap().shown(), shown);
        }
    }
}
