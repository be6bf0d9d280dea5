//! Looking at a target once: the table of kinds, the target read from a `{SRV}_URL`, and the frame around every probe.
//!
//! Each kind is one file (or folder) beside this one and one line in [`KINDS`]; `wire` holds what several kinds stand on.
//! When to look, how often and what follows from it live in `engine` and `domain`.

mod dns;
mod exec;
mod http;
mod icmp;
mod postgres;
pub mod push;
mod redis;
mod ssh;
mod tcp;
mod tls;
pub mod wire;
mod ws;

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use crate::domain::name::SiteName;
use crate::domain::reading::{Cause, Fault, Outcome, Reading};
use crate::env::{KeyInfo, Redactor};
use wire::pushes;
use wire::settings::{Settings, TLS_DAYS};
use wire::{Kit, Trace};

/// Every kind, in the order the reference lists them.
pub const KINDS: &[Kind] = &[
    http::KIND,
    ws::KIND,
    tcp::KIND,
    tls::KIND,
    icmp::KIND,
    dns::KIND,
    redis::KIND,
    postgres::KIND,
    exec::KIND,
    ssh::KIND,
    push::KIND,
];

/// One kind of probe.
#[derive(Debug)]
pub struct Kind {
    /// What people call it.
    pub name: &'static str,
    /// The URL schemes that mean it.
    pub schemes: &'static [&'static str],
    /// Whether a list from outside (`DISCOVERY_URL`) may name a target of it: never for a kind that runs something or that
    /// is not asked over the network.
    pub listable: bool,
    /// The beginning of its reference page, as Markdown: when it is up, what its URL holds, what its faults mean.
    pub page: &'static str,
    /// Lines of a `.env` for one target of this kind, `SRV4_URL=…` first; a test runs them.
    pub example: &'static str,
    /// The settings that it knows, in the order of its page.
    pub keys: &'static [KeyInfo],
    /// Reads a whole `{SRV}_URL` whose scheme is one of [`Kind::schemes`], and the settings of that server.
    pub read: fn(&str, &Settings<'_>) -> Result<Target, BadTarget>,
}

/// One kind's way to look. An idle probe holds no buffer, no connection and no future.
pub trait Probe: Send + Sync {
    /// Looks once, over a connection of its own, and tells `trace` which phase it is in.
    ///
    /// The frame ([`Target::probe`]) owns the limit: it drops this future when the time is over.
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>>;

    /// Gives shell text that asks the same on another machine within `limit`: exit code 0 when the target answers there,
    /// [`CANNOT_LOOK`] when the machine has no program for it, anything else when it does not answer. `None` for a kind that
    /// no shell can ask.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let _ = limit;
        None
    }

    /// The site that it is looked at through, for a kind that has one; `config` checks that there is such a site.
    fn site(&self) -> Option<&SiteName> {
        None
    }

    /// What is expected of a target that reports to us; `None` for one that is asked.
    fn reports(&self) -> Option<&pushes::Expected> {
        None
    }

    /// The program of this machine that it looks with, for a kind that has one; `check` tells whether it is there.
    fn program(&self) -> Option<&Path> {
        None
    }
}

/// The exit code of a machine that has no program to look with; it says which ones would do.
pub const CANNOT_LOOK: i32 = 99;

/// Quotes a text for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Why a text is not a target. No variant holds the text: it may carry a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// There is no `scheme:` in front.
    #[error("a URL starts with its scheme, for example `https://example.org/`; known schemes: {}", schemes())]
    NoScheme,
    /// No kind has this scheme.
    #[error("`{scheme}` is not a known scheme; known schemes: {}", schemes())]
    UnknownScheme {
        /// The scheme that was written.
        scheme: String,
    },
    /// There is nothing to connect to.
    #[error("the URL has no host; write for example `{0}://example.org/`")]
    NoHost(String),
    /// The scheme is known and the rest cannot be read.
    #[error("the URL cannot be read: {0}")]
    Unreadable(String),
    /// A setting is wrong; it was remembered with its key.
    #[error("a setting of this server is wrong")]
    Settings,
}

/// What is probed: read once from its URL, then asked again and again.
pub struct Target {
    shown: Box<str>,
    probe: Box<dyn Probe>,
    /// Days before the end of the certificate at which a warning is told, the largest first.
    warns: Box<[u16]>,
}

/// Every setting that some kind knows, once, in the order of the kinds.
pub fn keys() -> &'static [KeyInfo] {
    static KEYS: LazyLock<Vec<KeyInfo>> = LazyLock::new(|| {
        let mut all: Vec<KeyInfo> = Vec::new();
        for key in KINDS.iter().flat_map(|kind| kind.keys) {
            if !all.iter().any(|known| known.name == key.name) {
                all.push(*key);
            }
        }
        all
    });
    &KEYS
}

/// Finds the kind that a URL means.
pub fn kind(url: &str) -> Result<&'static Kind, BadTarget> {
    let (scheme, rest) = url.trim().split_once(':').ok_or(BadTarget::NoScheme)?;
    let scheme = scheme.to_ascii_lowercase();
    if let Some(kind) = KINDS.iter().find(|kind| kind.schemes.contains(&scheme.as_str())) {
        return Ok(kind);
    }
    // `example.org:8080/x` and `bob:secret@host` are addresses without a scheme, not schemes; the latter must not be quoted.
    let is_word = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.len() <= 16
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-'));
    Err(if is_word && rest.starts_with("//") { BadTarget::UnknownScheme { scheme } } else { BadTarget::NoScheme })
}

impl Target {
    /// Reads a URL alone, without settings.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        Self::read(text, &Settings::none())
    }

    /// Reads a `{SRV}_URL` and the settings of that server. What is wrong with a setting is remembered there.
    pub fn read(text: &str, settings: &Settings<'_>) -> Result<Self, BadTarget> {
        let text = text.trim();
        let kind = kind(text)?;
        let target = (kind.read)(text, settings)?;
        if !kind.keys.contains(&TLS_DAYS.info()) {
            return Ok(target);
        }
        let days = settings.optional(&TLS_DAYS).ok_or(BadTarget::Settings)?;
        Ok(target.warning(&days.unwrap_or_default()))
    }

    /// Joins what is shown to people and what looks; for kinds, and for tests that bring a probe of their own.
    pub fn new(shown: &str, probe: impl Probe + 'static) -> Self {
        Self { shown: shown.into(), probe: Box::new(probe), warns: Box::default() }
    }

    /// Has people warned so many days before the end of the certificate.
    #[must_use]
    pub fn warning(self, days: &[u16]) -> Self {
        Self { warns: days.into(), ..self }
    }

    /// Days before the end of the certificate at which a warning is told, the largest first.
    pub fn warns(&self) -> &[u16] {
        &self.warns
    }

    /// The URL as people and logs may see it: without user and password, query values masked.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What is expected of a target that reports to us; see [`Probe::reports`].
    pub fn reports(&self) -> Option<&pushes::Expected> {
        self.probe.reports()
    }

    /// Hides secrets that were read elsewhere in what is shown: a command may hold one.
    pub fn mask(&mut self, redactor: &Redactor) {
        if let std::borrow::Cow::Owned(masked) = redactor.mask(&self.shown) {
            self.shown = masked.into();
        }
    }

    /// Gives shell text that asks the same on another machine; see [`Probe::afar_shell`].
    pub fn afar_shell(&self, limit: Duration) -> Option<String> {
        self.probe.afar_shell(limit)
    }

    /// The site that it is looked at through; see [`Probe::site`].
    pub fn site(&self) -> Option<&SiteName> {
        self.probe.site()
    }

    /// The program that it looks with; see [`Probe::program`].
    pub fn program(&self) -> Option<&Path> {
        self.probe.program()
    }

    /// Looks once. Whatever goes wrong is the reading; it is there after `limit` at the latest.
    pub async fn probe(&self, kit: &Kit, limit: Duration) -> Reading {
        let mut trace = Trace::start(limit);
        let seen = timeout(limit, self.probe.look(kit, &mut trace)).await;
        let reading = match seen {
            Ok(Ok(())) => Reading::up(trace.phases(), trace.took()),
            Ok(Err(fault)) => Reading::fault(fault, trace.phases(), trace.took()),
            Err(_elapsed) => Reading::fault(trace.overdue(), trace.phases(), trace.elapsed()),
        };
        let late = trace.elapsed().saturating_sub(limit);
        let reading = if late > LATE { starved(reading, late) } else { reading };
        Reading { certificate_ends: trace.certificate(), ..reading }
    }
}

/// A time that ran out so much later than it should have was spent waiting for this machine, not for the target: an answer
/// may lie there unread.
const LATE: Duration = Duration::from_millis(100);

/// Takes "no answer in time" for what it is when this machine was too busy to look.
fn starved(reading: Reading, late: Duration) -> Reading {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == Cause::Timeout => {
            let what = format!("this machine was too busy to look: {late:.0?} late; {}", fault.reason);
            Reading { outcome: Outcome::Blind(Fault::new(Cause::Exhausted, what)), ..reading }
        }
        Outcome::Up | Outcome::Down(_) | Outcome::Blind(_) => reading,
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.shown).finish()
    }
}

/// Schemes that a list from outside may name: they ask over the network and run nothing. What is not among them is refused.
pub fn listable() -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(|kind| kind.listable).flat_map(|kind| kind.schemes).copied()
}

fn schemes() -> String {
    KINDS.iter().flat_map(|kind| kind.schemes).copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_target_says_what_to_write() {
        for (text, expected) in [
            ("", "a URL starts with its scheme"),
            ("example.org", "a URL starts with its scheme"),
            ("example.org:8080/health", "a URL starts with its scheme"),
            ("10.0.0.1:80", "a URL starts with its scheme"),
            ("gopher://example.org/", "`gopher` is not a known scheme; known schemes: http, https, ws, wss, tcp"),
            ("http://", "the URL has no host; write for example `http://example.org/`"),
            ("https:///path", "the URL has no host"),
            ("http:example.org", "the URL has no host"),
            ("http://h:99999/", "the URL cannot be read: invalid port number"),
            ("http://h:0/", "the URL cannot be read: nobody can listen on port 0"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for text in
            ["bob:s3cret@host", "s3cret:x", "http://bob:s3cret@h:99999/", "http://bob:s3cret@", "gopher://bob:s3cret@h"]
        {
            let error = Target::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{text:?} says {error}");
        }
    }

    #[test]
    fn no_scheme_belongs_to_two_kinds() {
        let mut all: Vec<_> = KINDS.iter().flat_map(|kind| kind.schemes).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_target_shows_its_url_without_secrets() {
        let target = Target::parse(" HTTPS://bob:s3cret@Example.org/health?token=t0ken ").unwrap();
        assert_eq!(target.shown(), "https://example.org/health?token=***");
        assert_eq!(format!("{target:?}"), "Target(\"https://example.org/health?token=***\")");
    }

    struct Busy(Duration);

    impl Probe for Busy {
        fn look<'a>(&'a self, _kit: &'a Kit, _trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
            Box::pin(async {
                // The whole thread is held, as on a machine that has no time for us.
                std::thread::sleep(self.0);
                std::future::pending().await
            })
        }
    }

    #[tokio::test]
    async fn what_runs_out_much_too_late_is_this_machines_trouble() {
        let kit = Kit::new(&crate::fetch::Roots::load(None).unwrap());
        let limit = Duration::from_millis(20);
        let reading = Target::new("test://busy", Busy(Duration::from_millis(300))).probe(&kit, limit).await;
        let Outcome::Blind(fault) = reading.outcome else { panic!("{reading:?}") };
        assert_eq!(fault.cause, Cause::Exhausted);
        assert!(fault.reason.starts_with("this machine was too busy to look: "), "{}", fault.reason);
    }
}
