//! One server: what is probed, and how.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::name::ServerName;
use crate::env::{Group, Key, Scope, Scoped, value};
use crate::probe::Target;

use super::pace;

/// What is probed.
pub const URL: Key<Target> = Key::new(Scope::Server, "URL", |text| Target::parse(text).map_err(|error| format!("expected a URL: {error}")))
    .about("What is probed; the scheme says how (http, https, tcp, icmp). A user and password in it are sent as basic authentication and never shown. `tcp://host:port` is up when a connection can be made; `icmp://host` when an echo request is answered, with `?count=3&loss=50%&latency=200ms` up to 3 of them, at most half lost, and half of them back within 200 ms.", "http://srv4.example.com/health")
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

/// What it depends on.
pub const DEPENDS_ON: Key<Vec<ServerName>> = Key::new(Scope::Server, "DEPENDS_ON", servers)
    .about("Servers without which this one cannot work, separated by commas: while one of them does not answer, this one is checked, and neither told nor healed.", "SRV1,SRV2")
    .otherwise("nothing");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Servers",
    intro: "What is probed: one `{SRV}_URL` for every server of MAPPINGS. For http and https a status of 200 to 399 after redirects is up.",
    keys: &[URL.info(), INTERVAL.info(), TIMEOUT.info(), ATTEMPTS.info(), DEPENDS_ON.info()],
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
    /// Servers it depends on.
    pub depends_on: Vec<ServerName>,
}

impl Server {
    /// True when the URL of an HTTP target has a part after a `?`.
    pub fn has_query(&self) -> bool {
        let shown = self.target.shown();
        shown.starts_with("http") && shown.contains('?')
    }
}

/// Reads one server.
pub fn read(keys: &Scoped<'_>) -> Option<Server> {
    let target = keys.get(&URL);
    let (interval, timeout, attempts) = (keys.optional(&INTERVAL), keys.optional(&TIMEOUT), keys.optional(&ATTEMPTS));
    let depends_on = keys.optional(&DEPENDS_ON)?.unwrap_or_default();
    Some(Server { target: Arc::new(target?), interval: interval?, timeout: timeout?, attempts: attempts?, depends_on })
}

fn servers(text: &str) -> Result<Vec<ServerName>, String> {
    value::list(text, |item| {
        ServerName::new(item)
            .map_err(|error| format!("expected names of servers such as SRV1,SRV2: in `{item}` {error}"))
    })
}
