//! `redis` and `rediss`: a login where one is given, then `PING`, and `PONG` has to come back.
//!
//! Both answers are one line. Nothing longer is read, so a server cannot make us hold what it likes to send.

use std::time::Duration;

use ::redis::{Value, cmd, parse_redis_value};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY, INSECURE, IP, PASSWORD, Settings, TLS_DAYS, USERNAME};
use super::wire::{Address, Kit, Login, Stage, Stream, Trace, Way, broken};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::{Cause, Fault};
use crate::host::output::one_line;

/// `redis` and `rediss`.
pub const KIND: Kind = Kind {
    name: "redis",
    schemes: &["redis", "rediss"],
    listable: true,
    page: include_str!("redis.md"),
    example: "SRV4_URL=redis://cache.example.com:6379\nSRV4_PASSWORD=correct-horse-battery",
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

/// Redis listens here: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>.
const PORT: u16 = 6379;
/// Bytes of one answer. Redis's own errors are shorter than 300.
const LINE: usize = 4096;

/// A `redis` target at rest.
struct Redis {
    address: Address,
    port: u16,
    secure: bool,
    /// User and password.
    login: Option<Box<(Option<String>, SecretString)>>,
    way: Way,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let way = Way::read(settings, &[]);
    let bad = |what: &str| BadTarget::Unreadable(format!("{what}; write redis://cache.example.com:6379"));
    let (scheme, rest) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
    let secure = scheme.eq_ignore_ascii_case("rediss");
    if !rest.starts_with("//") {
        return Err(BadTarget::NoHost(scheme.to_ascii_lowercase()));
    }
    let (url, address) = Address::of_url(text)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("nothing may follow the port: PING asks no database"));
    }
    let port = Address::port(&url, Some(PORT)).map_err(bad)?;
    let login = Login::read(&url, settings);
    if login.as_ref().is_some_and(|login| login.user.is_some() && login.password.is_none()) {
        settings.problem(
            &PASSWORD,
            "is not set, and there is a user: Redis knows no user without a password",
            "set it",
        );
    }
    if !secure {
        without_tls(settings);
    }
    let shown = format!("{}://{address}:{port}", if secure { "rediss" } else { "redis" });
    let (way, login) = (way.ok_or(BadTarget::Settings)?, login.ok_or(BadTarget::Settings)?);
    let login = login.password.map(|password| Box::new((login.user, password)));
    Ok(Target::new(&shown, Redis { address, port, secure, login, way }))
}

/// Settings of TLS without TLS would be believed to protect something.
fn without_tls(settings: &Settings<'_>) {
    let hint = "write rediss://, or remove it";
    let what = "is set, and redis:// has no TLS";
    if settings.has(&TLS_DAYS) {
        settings.problem(&TLS_DAYS, what, hint);
    }
    if settings.has(&CA_FILE) {
        settings.problem(&CA_FILE, what, hint);
    }
    if settings.has(&INSECURE) {
        settings.problem(&INSECURE, what, hint);
    }
    if settings.has(&CLIENT_CERT) {
        settings.problem(&CLIENT_CERT, what, hint);
    }
}

impl Probe for Redis {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.ask(kit, trace))
    }

    /// Asks without a login, because users of that host see its command lines; being asked for one is an answer then.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let (host, port, seconds) =
            (quoted(self.address.host().to_string().trim_matches(['[', ']'])), self.port, limit.as_secs().max(1));
        let tls = if self.secure { " --tls --insecure" } else { "" };
        let locked = if self.login.is_some() { "|*NOAUTH*" } else { "" };
        Some(format!(
            "if command -v redis-cli >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then \
             case $(timeout {seconds} redis-cli -h {host} -p {port}{tls} PING 2>/dev/null </dev/null) in \
             PONG{locked}) exit 0;; *) exit 1;; esac; else echo 'redis-cli'; exit {CANNOT_LOOK}; fi"
        ))
    }
}

impl Redis {
    async fn ask(&self, kit: &Kit, trace: &mut Trace) -> Result<(), Fault> {
        let mut stream = kit.dial(trace, &self.way, self.address.host(), self.port, self.secure).await?;
        if let Some((user, password)) = self.login.as_deref() {
            let mut auth = cmd("AUTH");
            if let Some(user) = user {
                auth.arg(user);
            }
            auth.arg(password.expose_secret());
            match exchange(&mut stream, trace, &auth.get_packed_command(), "logging in").await? {
                Value::Okay => {}
                other => return Err(self.unwanted(&other, "OK")),
            }
        }
        match exchange(&mut stream, trace, &cmd("PING").get_packed_command(), "waiting for PONG").await? {
            Value::SimpleString(word) if word == "PONG" => {}
            other => return Err(self.unwanted(&other, "PONG")),
        }
        trace.finish();
        Ok(())
    }

    /// The fault of an answer that is Redis's and is not the wanted one.
    fn unwanted(&self, answer: &Value, wanted: &str) -> Fault {
        let Value::ServerError(error) = answer else {
            return Fault::new(Cause::Content, format!("the server did not answer {wanted}"));
        };
        let code = one_line(error.code().as_bytes(), 20);
        let details = error.details().unwrap_or_default();
        let said = one_line(details.as_bytes(), 100);
        let (cause, reason) = match error.code() {
            "NOAUTH" => (Cause::Login, "the server wants a password, and none is set".to_owned()),
            "WRONGPASS" => (Cause::Login, "the server refuses our user or password".to_owned()),
            "NOPERM" => (Cause::Login, "our user may not even PING; give it `+ping` in the server's ACL".to_owned()),
            "DENIED" => (
                Cause::Login,
                "the server is in protected mode and takes no connections from here; set a password there".to_owned(),
            ),
            // Before Redis 6 a wrong password was an `ERR`; `invalid password` is that, the others say that there is none.
            "ERR" if self.login.is_some() && is_about_login(details) => {
                (Cause::Login, format!("the server refuses our login: {said}"))
            }
            "LOADING" => {
                (Cause::Starting, "the server is loading its data into memory and takes no commands".to_owned())
            }
            "MASTERDOWN" => (Cause::Content, "the replica has lost its master and takes no commands".to_owned()),
            "BUSY" => (Cause::Content, "the server is busy with a script and takes no commands".to_owned()),
            "MISCONF" => (Cause::Content, "the server cannot save its data to disk and takes no commands".to_owned()),
            _ => (Cause::Content, format!("the server answered {code} {said}, wanted {wanted}")),
        };
        Fault::new(cause, reason)
    }
}

fn is_about_login(details: &str) -> bool {
    let details = details.to_ascii_lowercase();
    ["password", "auth"].iter().any(|word| details.contains(word))
}

/// One command and its answer.
async fn exchange(stream: &mut Stream, trace: &mut Trace, command: &[u8], doing: &str) -> Result<Value, Fault> {
    trace.enter(Stage::FirstByte);
    let sent = async {
        stream.write_all(command).await?;
        stream.flush().await
    };
    // A server that is full or locked says so and hangs up without reading; its words are worth more than our failure.
    let sent = sent.await;
    match (line(stream, trace, doing).await, sent) {
        (Ok(line), _) => parsed(&line),
        (Err(_), Err(error)) => Err(broken(doing, &error)),
        (Err(fault), Ok(())) => Err(fault),
    }
}

/// One line, with its end. What follows it is dropped: it belongs to nothing that we asked.
async fn line(stream: &mut Stream, trace: &mut Trace, doing: &str) -> Result<Vec<u8>, Fault> {
    let mut line: Vec<u8> = Vec::new();
    let mut chunk = [0; 512];
    loop {
        let count = stream.read(&mut chunk).await.map_err(|error| broken(doing, &error))?;
        let Some(new) = chunk.get(..count).filter(|new| !new.is_empty()) else {
            return Err(Fault::new(Cause::Reset, format!("connection closed while {doing}")));
        };
        if line.is_empty() {
            trace.enter(Stage::Rest);
        }
        line.extend_from_slice(new);
        if let Some(first) = line.first().filter(|first| !b"+-".contains(first)) {
            return Err(not_redis(*first));
        }
        if let Some(end) = line.windows(2).position(|two| two == b"\r\n") {
            line.truncate(end + 2);
            return Ok(line);
        }
        if line.len() > LINE {
            return Err(Fault::new(Cause::Protocol, format!("the answer has no end within {LINE} bytes")));
        }
    }
}

fn not_redis(first: u8) -> Fault {
    let reason = match first {
        0x15 | 0x16 => "the answer is TLS; write rediss://",
        b'H' => "the answer is not Redis's; does this port speak HTTP?",
        b'$' | b'*' | b':' | b'%' | b'_' | b'#' => "the answer is Redis's, and neither a status nor an error",
        _ => "the answer is not Redis's",
    };
    Fault::new(Cause::Protocol, reason)
}

fn parsed(line: &[u8]) -> Result<Value, Fault> {
    parse_redis_value(line)
        .map_err(|_error| Fault::new(Cause::Protocol, "the answer is not Redis's: it cannot be read"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_that_cannot_be_asked_says_what_to_write() {
        for (text, expected) in [
            ("redis:host", "the URL has no host; write for example `redis://example.org/`"),
            ("rediss://", "the URL has no host; write for example `rediss://example.org/`"),
            ("redis://host:0", "the URL cannot be read: nobody can listen on port 0"),
            ("redis://host/2", "the URL cannot be read: nothing may follow the port: PING asks no database"),
            ("redis://:s3cret@host?x", "the URL cannot be read: nothing may follow the port"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert_eq!(Target::parse("rediss://bob:s3cret@Cache.Test/").unwrap().shown(), "rediss://cache.test:6379");
    }

    #[test]
    fn an_error_of_the_server_says_what_it_means() {
        let with = |login: bool| {
            let login = login.then(|| Box::new((None, SecretString::from("x".to_owned()))));
            let address = Address::of_url("redis://h").unwrap().1;
            Redis { address, port: PORT, secure: false, login, way: Way::default() }
        };
        for (line, login, cause, says) in [
            ("-NOAUTH Authentication required.", false, Cause::Login, "wants a password"),
            ("-WRONGPASS invalid username-password pair or user is disabled.", true, Cause::Login, "refuses our user"),
            ("-ERR invalid password", true, Cause::Login, "refuses our login"),
            ("-ERR AUTH <password> called without any password configured", true, Cause::Login, "refuses our login"),
            ("-ERR Client sent AUTH, but no password is set", true, Cause::Login, "no password is set"),
            ("-NOPERM this user has no permissions to run the 'ping' command", true, Cause::Login, "may not even PING"),
            ("-DENIED Redis is running in protected mode", false, Cause::Login, "protected mode"),
            ("-LOADING Redis is loading the dataset in memory", false, Cause::Starting, "loading its data"),
            ("-MASTERDOWN Link with MASTER is down", false, Cause::Content, "lost its master"),
            ("-MISCONF Errors writing to the AOF file", false, Cause::Content, "cannot save"),
            ("-BUSY Redis is busy running a script.", false, Cause::Content, "busy with a script"),
            ("-ERR max number of clients reached", false, Cause::Content, "max number of clients reached"),
            ("+PONK", false, Cause::Content, "did not answer PONG"),
        ] {
            let answer = parsed(format!("{line}\r\n").as_bytes()).unwrap();
            let fault = with(login).unwanted(&answer, "PONG");
            assert_eq!(fault.cause, cause, "{line}");
            assert!(fault.reason.contains(says), "{line}: {}", fault.reason);
        }
    }

    proptest! {
        #[test]
        fn no_line_of_a_server_panics(line in prop::collection::vec(any::<u8>(), 0..200), first in prop::sample::select(b"+-$*%|(!=,~>".to_vec())) {
            let line = [&[first][..], &line, b"\r\n"].concat();
            let _ = parsed(&line);
        }
    }
}
