//! One server: what is probed, and how.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::environment::Environment;
use crate::domain::name::ServerName;
use crate::env::{Group, Key, Scope, Scoped, value};
use crate::probe::wire::settings::Settings;
use crate::probe::{self, BadTarget, Target};

use super::pace;

/// What is probed.
pub const URL: Key<String> = Key::new(Scope::Server, "URL", url)
    .about("What is probed; the scheme says how: see the pages of docs/reference/probes. A user and password in it are never shown.", "http://srv4.example.com/health")
    .required();
/// Own interval.
pub const INTERVAL: Key<Duration> = Key::new(Scope::Server, "INTERVAL", pace::interval)
    .about("This server's own interval.", "60")
    .otherwise("as INTERVAL");
/// Own timeout.
pub const TIMEOUT: Key<Duration> = Key::new(Scope::Server, "TIMEOUT", value::positive_duration)
    .about("This server's own time for one attempt.", "3s")
    .otherwise("as CHECK_TIMEOUT");
/// Own attempts.
pub const ATTEMPTS: Key<u32> = Key::new(Scope::Server, "ATTEMPTS", pace::attempts)
    .about("This server's own number of attempts.", "5")
    .otherwise("as CHECK_ATTEMPTS");

/// Own pause between attempts.
pub const RETRY_DELAY: Key<Duration> = Key::new(Scope::Server, "RETRY_DELAY", value::duration)
    .about("This server's own time between two attempts of a check.", "5s")
    .otherwise("as CHECK_RETRY_DELAY");
/// Whether people are told.
pub const NOTIFY: Key<bool> = Key::new(Scope::Server, "NOTIFY", value::flag)
    .about(
        "Whether people are told of this server. With `off` it is checked, healed, logged and recorded all the same.",
        "off",
    )
    .default("on");
/// What it is for.
pub const ENVIRONMENT: Key<Environment> = Key::new(Scope::Server, "ENVIRONMENT", |text| {
    value::word(text, &Environment::ALL.map(|one| (one.as_str(), one)))
})
.about("What it serves: `DEV`, `STAGE` or `LIVE`. It stands in messages behind the pair's name, in `status` and in the API.", "LIVE")
.otherwise("nothing is said");

/// What it depends on.
pub const DEPENDS_ON: Key<Vec<ServerName>> = Key::new(Scope::Server, "DEPENDS_ON", servers)
    .about("Servers without which this one cannot work, separated by commas: while one of them does not answer, this one is checked, and neither told nor healed.", "SRV1,SRV2")
    .otherwise("nothing");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Servers",
    intro: "What is probed: one `{SRV}_URL` for every server of MAPPINGS.",
    keys: &[
        URL.info(),
        INTERVAL.info(),
        TIMEOUT.info(),
        ATTEMPTS.info(),
        RETRY_DELAY.info(),
        NOTIFY.info(),
        ENVIRONMENT.info(),
        DEPENDS_ON.info(),
    ],
};

/// One server.
#[derive(Debug, Clone)]
pub struct Server {
    /// What is probed.
    pub target: Arc<Target>,
    /// Its own interval.
    pub interval: Option<Duration>,
    /// Its own time for one attempt.
    pub timeout: Option<Duration>,
    /// Its own number of attempts.
    pub attempts: Option<u32>,
    /// Its own pause between attempts.
    pub retry_delay: Option<Duration>,
    /// Whether people are told.
    pub notify: bool,
    /// What it serves.
    pub environment: Option<Environment>,
    /// Servers it depends on.
    pub depends_on: Vec<ServerName>,
}

impl Server {
    /// True when the URL of an HTTP or WebSocket target has a part after a `?`.
    pub fn has_query(&self) -> bool {
        let shown = self.target.shown();
        (shown.starts_with("http") || shown.starts_with("ws")) && shown.contains('?')
    }

    /// True when another machine can be asked the same by a shell.
    pub fn can_be_asked_afar(&self) -> bool {
        self.target.afar_shell(Duration::from_secs(1)).is_some()
    }
}

/// Reads one server.
pub fn read(keys: &Scoped<'_>) -> Option<Server> {
    let target = target(keys);
    let (interval, timeout, attempts) = (keys.optional(&INTERVAL), keys.optional(&TIMEOUT), keys.optional(&ATTEMPTS));
    let (retry_delay, notify) = (keys.optional(&RETRY_DELAY), keys.get(&NOTIFY));
    let (environment, depends_on) = (keys.optional(&ENVIRONMENT), keys.optional(&DEPENDS_ON));
    Some(Server {
        target: Arc::new(target?),
        interval: interval?,
        timeout: timeout?,
        attempts: attempts?,
        retry_delay: retry_delay?,
        notify: notify?,
        environment: environment?,
        depends_on: depends_on?.unwrap_or_default(),
    })
}

/// Reads the URL with the settings that its kind knows, and refuses those that it does not.
fn target(keys: &Scoped<'_>) -> Option<Target> {
    let url = keys.get(&URL)?;
    let kind = probe::kind(&url).ok()?;
    for key in probe::keys().iter().filter(|key| !kind.keys.iter().any(|known| known.name == key.name)) {
        let schemes = kind.schemes.join(" and ");
        let known: Vec<&str> = kind.keys.iter().map(|key| key.name).collect();
        let hint = match known.as_slice() {
            [] => format!("remove it; {schemes} has no settings"),
            known => format!("remove it; {schemes} has {}", known.join(", ")),
        };
        keys.refuse(key, format!("is not a setting of {schemes}"), hint);
    }
    match Target::read(&url, &Settings::of(keys)) {
        Ok(target) => {
            if target.reports().is_some() {
                idle(keys, &ATTEMPTS);
                idle(keys, &RETRY_DELAY);
                idle(keys, &TIMEOUT);
            }
            Some(target)
        }
        Err(BadTarget::Settings) => None,
        Err(error) => {
            keys.problem(&URL, format!("does not fit its settings: {error}"), "change one of them");
            None
        }
    }
}

/// Says that a key does nothing where there is but one attempt.
fn idle<T>(keys: &Scoped<'_>, key: &Key<T>) {
    if keys.set_by_user(key) {
        let what = "does nothing for a server that reports to us: one look at what was heard is enough";
        keys.warn(key, what, "remove it");
    }
}

fn url(text: &str) -> Result<String, String> {
    Target::parse(text).map_err(|error| format!("expected a URL: {error}"))?;
    Ok(text.trim().to_owned())
}

fn servers(text: &str) -> Result<Vec<ServerName>, String> {
    value::list(text, |item| {
        ServerName::new(item)
            .map_err(|error| format!("expected names of servers such as SRV1,SRV2: in `{item}` {error}"))
    })
}
