//! Reports of servers that report to us: who is expected to, what was heard last, and what a look comes to.
//!
//! One for the whole agent, shared by its probes and its engine, through which all reports come in. The arithmetic of
//! silence is `domain::push`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::domain::name::ServerName;
use crate::domain::push::{Heard, Hearing, Sight, Word};
use crate::domain::reading::{Cause, Fault};
use crate::env::duration::shown;

/// A secret word that names a server. It is kept as its hash, so that looking it up takes the same time for all that are wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 32]);

impl Token {
    /// Characters that one may have: fewer can be guessed, more are a mistake.
    pub const LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

    /// Takes a word that could be one: letters, digits, `-` and `_`.
    pub fn of(text: &str) -> Option<Self> {
        let fits = Self::LENGTH.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| Self(Sha256::digest(text.as_bytes()).into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What is expected of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name; nobody can report for a target without one.
    pub server: Option<ServerName>,
    /// It reports at least once in this time.
    pub every: Duration,
    /// What it may name itself by.
    pub token: Option<Token>,
}

/// Everything that was heard.
#[derive(Debug, Default)]
pub struct Pushes(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    servers: HashMap<ServerName, Known>,
    tokens: HashMap<Token, ServerName>,
}

/// A server, and up to when its time was counted.
#[derive(Debug)]
struct Known {
    hearing: Hearing,
    counted: Instant,
    /// We are cut off from it.
    cut: bool,
}

impl Known {
    /// Counts the time until now.
    fn current(&mut self) -> &mut Hearing {
        let now = Instant::now();
        let passed = now.duration_since(self.counted);
        if self.cut {
            self.hearing.pass_unheard(passed);
        } else {
            self.hearing.pass(passed);
        }
        self.counted = now;
        &mut self.hearing
    }
}

/// Servers of which the words of trouble are saved whole; of more only what fits into one row of the store is.
const WHOLE: usize = 1000;

impl Pushes {
    /// Takes up what an agent before this one had heard; reports may have been missed since.
    pub fn restored(saved: &str) -> Result<Self, serde_json::Error> {
        let saved: HashMap<ServerName, Hearing> = serde_json::from_str(saved)?;
        let now = Instant::now();
        let known = |(server, mut hearing): (ServerName, Hearing)| {
            hearing.nobody_listened();
            (server, Known { hearing, counted: now, cut: false })
        };
        Ok(Self(Mutex::new(Inner { servers: saved.into_iter().map(known).collect(), tokens: HashMap::new() })))
    }

    /// What the next agent should know; nothing when nobody reports.
    pub fn saved(&self) -> Option<String> {
        let mut inner = self.lock();
        let whole = inner.servers.len() <= WHOLE;
        let servers: HashMap<&ServerName, Hearing> = inner
            .servers
            .iter_mut()
            .map(|(server, known)| {
                let hearing = known.current().clone();
                (server, if whole { hearing } else { hearing.capped(0) })
            })
            .collect();
        if servers.is_empty() { None } else { serde_json::to_string(&servers).ok() }
    }

    /// Listens to these from now on, and to nobody else. What was heard of them stays.
    pub fn listen_to<'a>(&self, all: impl IntoIterator<Item = &'a Expected>) {
        let mut inner = self.lock();
        let mut before = std::mem::take(&mut inner.servers);
        inner.tokens.clear();
        for Expected { server, every, token } in all {
            let Some(server) = server else { continue };
            let fresh = || Known { hearing: Hearing::new(*every), counted: Instant::now(), cut: false };
            let known = inner.servers.entry(server.clone());
            // A server of several pairs comes several times.
            let known = known.or_insert_with(|| before.remove(server).unwrap_or_else(fresh));
            known.current().expect(*every);
            // Others may be asked by now whether we are.
            known.cut = false;
            inner.tokens.extend(token.map(|token| (token, server.clone())));
        }
    }

    /// Who reports by this word.
    pub fn by_token(&self, token: &Token) -> Option<ServerName> {
        self.lock().tokens.get(token).cloned()
    }

    /// True when somebody listens to this server.
    pub fn is_heard(&self, server: &ServerName) -> bool {
        self.lock().servers.contains_key(server)
    }

    /// Everybody who reports, in order.
    pub fn servers(&self) -> Vec<ServerName> {
        let mut servers: Vec<ServerName> = self.lock().servers.keys().cloned().collect();
        servers.sort();
        servers
    }

    /// Takes a report; nothing when nobody listens to this server.
    pub fn hear(&self, server: &ServerName, word: Word) -> Option<Heard> {
        self.lock().servers.get_mut(server).map(|known| known.current().hear(word))
    }

    /// Says that nobody listened to anybody for a while.
    pub fn nobody_listened(&self) {
        self.lock().servers.values_mut().for_each(|known| known.current().nobody_listened());
    }

    /// Says that we are cut off from this server: from now on no time counts.
    pub fn cut_off(&self, server: &ServerName) {
        if let Some(known) = self.lock().servers.get_mut(server).filter(|known| !known.cut) {
            known.current().cut_off();
            known.cut = true;
        }
    }

    /// Says that we are not cut off from this server any more.
    pub fn reconnected(&self, server: &ServerName) {
        if let Some(known) = self.lock().servers.get_mut(server) {
            known.current().cut_off();
            known.cut = false;
        }
    }

    /// Says that nobody could come in for so long until now.
    pub fn all_cut_off(&self, lasted: Duration) {
        let mut inner = self.lock();
        // Where we are cut off anyway no time was counted.
        for known in inner.servers.values_mut().filter(|known| !known.cut) {
            known.current().was_cut_off(lasted);
        }
    }

    /// The time in which this server has to report, if it was heard and may be silent by now.
    pub fn overdue(&self, server: &ServerName) -> Option<Duration> {
        let mut inner = self.lock();
        let hearing = inner.servers.get_mut(server)?.current();
        matches!(hearing.look(), Sight::Unheard { heard: true }).then(|| hearing.every())
    }

    /// Looks at what was heard.
    pub(in crate::probe) fn look(&self, server: Option<&ServerName>) -> Result<(), Fault> {
        let mut inner = self.lock();
        let Some(known) = server.and_then(|server| inner.servers.get_mut(server)) else {
            return Err(Fault::new(Cause::Waiting, "only a running agent hears the reports of its servers"));
        };
        let hearing = known.current();
        let every = shown(hearing.every());
        // Seconds are enough for people.
        let brief = |time: Duration| shown(Duration::from_secs(time.as_secs()));
        Err(match hearing.look() {
            Sight::Well => return Ok(()),
            Sight::Trouble(what, ago) => {
                let what = if what.is_empty() { "trouble" } else { what };
                if ago < hearing.every() {
                    Fault::new(Cause::Silence, format!("it reports: {what}"))
                } else {
                    let ago = brief(ago);
                    Fault::new(Cause::Silence, format!("no report for {ago}; the last one said: {what}"))
                }
            }
            Sight::Silent { lasts, heard: true } => {
                Fault::new(Cause::Silence, format!("no report for {}, expected every {every}", brief(lasts)))
            }
            Sight::Silent { lasts, heard: false } => {
                Fault::new(Cause::Silence, format!("no report at all for {}, expected every {every}", brief(lasts)))
            }
            Sight::Unheard { heard: true } => {
                Fault::new(Cause::Waiting, format!("a report may have been missed; the next one is due within {every}"))
            }
            Sight::Unheard { heard: false } => {
                Fault::new(Cause::Waiting, format!("waiting for the first report, expected every {every}"))
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORD: &str = "a-word_of-16-char";

    fn name(text: &str) -> ServerName {
        ServerName::new(text).unwrap()
    }

    fn expected(server: &str, seconds: u64) -> Expected {
        Expected { server: Some(name(server)), every: Duration::from_secs(seconds), token: Token::of(WORD) }
    }

    fn reason(pushes: &Pushes, server: &str) -> String {
        pushes
            .look(Some(&name(server)))
            .map_or_else(|fault| format!("{}: {}", fault.cause, fault.reason), |()| "up".into())
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_says_what_was_heard_and_what_was_expected() {
        let pushes = Pushes::default();
        assert_eq!(reason(&pushes, "A"), "waiting: only a running agent hears the reports of its servers");
        pushes.listen_to([&expected("A", 90), &expected("A", 90)]);
        assert_eq!(reason(&pushes, "A"), "waiting: waiting for the first report, expected every 1m 30s");
        pass(90).await;
        assert_eq!(reason(&pushes, "A"), "silence: no report at all for 1m 30s, expected every 1m 30s");
        assert!(pushes.hear(&name("A"), Word::Well).unwrap().turned);
        assert_eq!(reason(&pushes, "A"), "up");
        pass(130).await;
        assert_eq!(reason(&pushes, "A"), "silence: no report for 2m 10s, expected every 1m 30s");
        pushes.hear(&name("A"), Word::Trouble("disk full".to_owned()));
        assert_eq!(reason(&pushes, "A"), "silence: it reports: disk full");
        pass(3600).await;
        assert_eq!(reason(&pushes, "A"), "silence: no report for 1h; the last one said: disk full");
        pushes.hear(&name("A"), Word::Trouble(String::new()));
        assert_eq!(reason(&pushes, "A"), "silence: it reports: trouble");
        pushes.hear(&name("A"), Word::Well);
        pass(30).await;
        pushes.nobody_listened();
        assert_eq!(reason(&pushes, "A"), "up");
        pass(60).await;
        assert_eq!(reason(&pushes, "A"), "waiting: a report may have been missed; the next one is due within 1m 30s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_keeps_what_was_heard_and_forgets_who_is_gone() {
        let pushes = Pushes::default();
        pushes.listen_to([&expected("A", 90), &Expected { token: None, ..expected("B", 90) }]);
        pushes.hear(&name("A"), Word::Well);
        pushes.hear(&name("B"), Word::Well);
        pushes.listen_to([&expected("A", 90), &expected("C", 90)]);
        assert_eq!(reason(&pushes, "A"), "up");
        assert!(reason(&pushes, "C").contains("first report"));
        assert_eq!(pushes.hear(&name("B"), Word::Well), None);
        assert_eq!(pushes.servers(), [name("A"), name("C")]);
        pushes.listen_to(&[]);
        assert_eq!(pushes.by_token(&Token::of(WORD).unwrap()), None);
        assert_eq!(pushes.saved(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_forgets_neither_word_nor_silence_and_holds_nothing_against_what_it_could_not_hear() {
        let pushes = Pushes::default();
        let all = [expected("A", 90), expected("B", 90), expected("C", 90)];
        pushes.listen_to(&all);
        pushes.hear(&name("A"), Word::Well);
        pushes.hear(&name("B"), Word::Trouble("disk full".to_owned()));
        pass(30).await;
        let saved = pushes.saved().unwrap();
        // While nobody runs, nothing is counted.
        pass(9000).await;
        let pushes = Pushes::restored(&saved).unwrap();
        pushes.listen_to(&all);
        assert_eq!(reason(&pushes, "A"), "up");
        assert_eq!(reason(&pushes, "B"), "silence: it reports: disk full");
        pass(149).await;
        assert!(reason(&pushes, "A").starts_with("waiting"), "{}", reason(&pushes, "A"));
        pass(1).await;
        assert_eq!(reason(&pushes, "A"), "silence: no report for 3m, expected every 1m 30s");
        assert_eq!(reason(&pushes, "C"), "silence: no report at all for 3m, expected every 1m 30s");
        assert!(Pushes::restored("[]").is_err() && Pushes::restored("{\"a b\":1}").is_err());
    }

    #[test]
    fn a_token_is_long_enough_plain_and_never_shown() {
        for (text, fits) in [
            (WORD, true),
            ("0123456789abcde", false),
            ("0123456789abcdef", true),
            (&*"x".repeat(128), true),
            (&"x".repeat(129), false),
            ("0123456789 abcdef", false),
            ("0123456789/abcdef", false),
            ("0123456789abcdeé", false),
            ("", false),
        ] {
            assert_eq!(Token::of(text).is_some(), fits, "{text}");
        }
        assert_eq!(format!("{:?}", Token::of(WORD)), "Some(Token(***))");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_only_plain_ones_are_tokens(text in "\\PC{0,140}|[A-Za-z0-9_-]{0,140}") {
            let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            prop_assert_eq!(Token::of(&text).is_some(), plain && (16..=128).contains(&text.len()));
            prop_assert_eq!(Token::of(&text), Token::of(&text.clone()));
        }

        #[test]
        fn no_saved_text_panics(text in "\\PC{0,100}|\\{\"A\":\\{\"every_ms\":[0-9.e+-]{1,20},\"silent_ms\":[0-9.e+-]{1,20},\"missed\":true,\"word\":null\\}\\}") {
            if let Ok(pushes) = Pushes::restored(&text) {
                pushes.nobody_listened();
                let _ = (pushes.saved(), pushes.look(Some(&name("A"))));
            }
        }
    }
}
