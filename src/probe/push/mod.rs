//! `push`: the service reports to us, and its silence is failure. What was heard lives in `wire::pushes`; how a report comes
//! in is the web's.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::wire::pushes::{Expected, Token};
use super::wire::settings::Settings;
use super::wire::{Kit, Trace};
use super::{BadTarget, Kind, Probe, Target};
use crate::domain::name::ServerName;
use crate::domain::reading::Fault;
use crate::env::{Key, Scope, Secret, value};

/// `push`.
pub const KIND: Kind = Kind {
    name: "push",
    schemes: &["push"],
    listable: false,
    page: include_str!("page.md"),
    example: "SRV4_URL=push://90s\nSRV4_PUSH_TOKEN=change-me-to-a-random-word",
    keys: &[PUSH_TOKEN.info()],
    read,
};

/// What the service names itself by.
pub const PUSH_TOKEN: Key<Secret> = Key::new(Scope::Server, "PUSH_TOKEN", token)
    .about(
        "The last part of the URL that the service reports to: 16 to 128 letters, digits, `-` and `_`, as random as a password, and no other server's. It needs LISTEN.",
        "change-me-to-a-random-word",
    )
    .otherwise("it reports by `monitor push` alone")
    .secret();

/// A shorter time nobody can keep.
const SHORTEST: Duration = Duration::from_secs(1);
/// What reports once a month still fits.
const LONGEST: Duration = Duration::from_hours(31 * 24);

/// A `push` target at rest.
struct Push(Expected);

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let token = settings.optional(&PUSH_TOKEN);
    let every = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    let every = every.map(|every| every.strip_suffix('/').unwrap_or(every)).unwrap_or_default();
    let time = value::duration_in(every, &(SHORTEST..=LONGEST)).map_err(|why| {
        BadTarget::Unreadable(format!(
            "in `push://90s` stands the time in which the service reports at least once: {why}"
        ))
    })?;
    let token = token.ok_or(BadTarget::Settings)?;
    if token.as_ref().is_some_and(|token| token.expose() == PUSH_TOKEN.example) {
        settings.warn(&PUSH_TOKEN, "is the word of the example, which everybody knows", "take one of your own");
    }
    let token = token.and_then(|token| Token::of(token.expose()));
    let expected = Expected { server: ServerName::new(settings.name()).ok(), every: time, token };
    Ok(Target::new(&format!("push://{every}"), Push(expected)))
}

fn token(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    Token::of(text).map(|_| Secret::from(text)).ok_or_else(|| {
        format!(
            "expected {} to {} letters, digits, `-` and `_`, such as `openssl rand -hex 16` prints",
            Token::LENGTH.start(),
            Token::LENGTH.end()
        )
    })
}

impl Probe for Push {
    fn look<'a>(&'a self, kit: &'a Kit, _: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(std::future::ready(kit.pushes().look(self.0.server.as_ref())))
    }

    fn reports(&self) -> Option<&Expected> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_url_holds_any_time_from_a_second_to_a_month() {
        for (text, seconds, shown) in [
            ("push://90s", 90, "push://90s"),
            ("PUSH://90", 90, "push://90"),
            ("push://26h/", 26 * 3600, "push://26h"),
            ("push://1m30s", 90, "push://1m30s"),
            ("push://1s", 1, "push://1s"),
            ("push://31d", 31 * 86_400, "push://31d"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.reports().unwrap().every, Duration::from_secs(seconds), "{text}");
            assert_eq!(target.shown(), shown);
        }
        for text in
            ["push:90s", "push://", "push://soon", "push://500ms", "push://32d", "push://host/90s", "push://90s//"]
        {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(
                error.contains("in `push://90s` stands the time") && error.contains("expected a duration"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_url_panics(text in "push:(//)?\\PC{0,30}|push://[0-9.smhd/]{0,12}") {
            if let Ok(target) = Target::parse(&text) {
                let every = target.reports().unwrap().every;
                prop_assert!((SHORTEST..=LONGEST).contains(&every));
            }
        }
    }
}
