//! A look without an agent: one probe of a pair, or everything that the configuration leans on, once.
//!
//! Nothing is healed, told or recorded here; only the key of a host that is met for the first time is written down.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, Stream, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use crate::config::Config;
use crate::config::discovery::Discovery;
use crate::domain::name::PairName;
use crate::domain::reading::{Outcome, Reading};
use crate::engine::handle::ProbeReport;
use crate::engine::plan::Plan;
use crate::fetch::{self, Roots};
use crate::host::ssh::known_hosts::{self, Records, fingerprint};
use crate::host::{Host, SshSite};
use crate::notify::Channel;
use crate::probe::Target;
use crate::probe::wire::Kit;
use crate::remedy::{Remedy, webhook};
use crate::store::{Store, in_one_line};

use super::plans::{self, Hosts};
use super::source::Source;
use super::{acts, channels, discovery};

/// Looks under way at once.
const AT_ONCE: usize = 32;

/// One look must end within this; logins and databases have shorter limits of their own.
const LIMIT: Duration = Duration::from_mins(2);

/// Targets of a list that are named where they are left out.
const LEFT_OUT: usize = 5;

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `server`, `witness`, `site`, `remedy`, `channel`, `discovery` or `store`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, and what to do when it is not well.
    pub detail: String,
    /// What else has to be known: keys of hosts that were met for the first time and are trusted from now on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// What a look came to, before it is known how long it took.
struct Seen {
    ok: bool,
    detail: String,
    notes: Vec<String>,
}

impl From<(bool, String)> for Seen {
    fn from((ok, detail): (bool, String)) -> Self {
        Self { ok, detail, notes: Vec::new() }
    }
}

/// Probes a pair as its check would, up to its number of attempts; `None` when there is no such pair.
pub async fn probe(config: &Config, source: &Source, pair: &PairName) -> anyhow::Result<Option<ProbeReport>> {
    fetch::install_crypto_provider();
    let roots = Roots::load(None)?;
    let kit = Kit::new(&roots);
    let hosts = Hosts::new(config, &source.for_commands(), None);
    let plans = plans::plans(config, &hosts, &kit, &webhook::client(&roots)?);
    let Some(plan) = plans.pairs.iter().find(|plan| plan.pair == *pair) else { return Ok(None) };
    let (reading, made) = attempts(plan).await;
    hosts.close().await;
    Ok(Some(ProbeReport { pair: pair.clone(), url: plan.url().to_owned(), reading, made }))
}

async fn attempts(plan: &Plan) -> (Reading, u32) {
    let mut made = 0;
    loop {
        let reading = plan.attempt().await;
        made += 1;
        if reading.outcome == Outcome::Up || made >= plan.check.attempts {
            return (reading, made);
        }
        tokio::time::sleep(plan.check.retry_delay).await;
    }
}

/// Looks at every server, site, remedy and channel and at the store, several at a time; the answers come in the order of the
/// configuration.
pub fn around(config: &Config, source: &Source) -> anyhow::Result<impl Stream<Item = Found>> {
    fetch::install_crypto_provider();
    let roots = Roots::load(None)?;
    // Looks at a site and at a remedy close their hosts, so checks have hosts of their own; they end with the last look.
    let kit = Hosts::new(config, &source.for_commands(), None).equip(&Kit::new(&roots));
    let mut looks: Vec<LocalBoxFuture<'static, Found>> = Vec::new();
    for (name, server) in &config.servers {
        let (target, kit) = (server.target.clone(), kit.clone());
        let limit = server.timeout.unwrap_or(config.pace.timeout);
        if target.reports().is_some() {
            let found = format!("{} reports to the running agent: there is nothing to ask", target.shown());
            looks.push(timed("server", name.to_string(), std::future::ready((true, found))));
            continue;
        }
        looks.push(timed("server", name.to_string(), see(target, kit, limit)));
    }
    let of_sites = config.sites.values().filter_map(|site| site.witnesses.as_ref());
    for witnesses in config.witnesses.iter().chain(of_sites) {
        for target in &witnesses.targets {
            looks.push(timed("witness", witnesses.key.clone(), see(target.clone(), kit.clone(), witnesses.timeout)));
        }
    }
    let hosts = Hosts::new(config, &source.for_commands(), None);
    // As it was before the first login: several looks may meet the same host.
    let mut before: Option<Arc<str>> = None;
    for (name, host) in hosts.iter() {
        let mut known = Arc::from("");
        if let Host::Ssh(host) = &**host {
            let read = || String::from_utf8_lossy(&std::fs::read(&host.site().known_hosts).unwrap_or_default()).into();
            known = before.get_or_insert_with(read).clone();
        }
        looks.push(timed("site", name.to_string(), log_in(host.clone(), known)));
    }
    let hooks = webhook::client(&roots)?;
    // The look at a site closes its host, so the remedies get hosts of their own.
    let hosts = Hosts::new(config, &source.for_commands(), None);
    for (name, site) in &config.sites {
        let act = site.act.as_ref();
        let Some(remedy) = act.and_then(|act| acts::build(act, plans::spot(config, &hosts, name), &hooks)) else {
            continue;
        };
        if remedy.check().is_some() {
            looks.push(timed("remedy", name.to_string(), try_on(remedy, hosts.get(name).cloned())));
        }
    }
    for channel in channels::build(config, &roots, &[])? {
        let channel = channel.channel;
        looks.push(timed("channel", channel.name().to_owned(), ask(channel)));
    }
    if let Some(wanted) = config.discovery.clone() {
        let (source, roots) = (source.clone(), roots.clone());
        looks.push(timed("discovery", wanted.url.shown(), list(source, wanted, roots)));
    }
    let (folder, url) = (config.general.state_dir.clone(), config.general.database_url.clone());
    looks.push(timed("store", url.expose().split(':').next().unwrap_or_default().to_owned(), async move {
        if let Err(error) = std::fs::create_dir_all(&folder) {
            return (false, format!("cannot use STATE_DIR {}: {error}", folder.display()));
        }
        match Store::open(url.expose()).await {
            Ok(store) => {
                store.close().await;
                (true, "it opens".to_owned())
            }
            Err(error) => (false, in_one_line(&error)),
        }
    }));
    Ok(stream::iter(looks).buffered(AT_ONCE))
}

async fn see(target: Arc<Target>, kit: Arc<Kit>, limit: Duration) -> (bool, String) {
    match target.probe(&kit, limit).await.outcome {
        Outcome::Up => (true, format!("{} is up", target.shown())),
        Outcome::Down(fault) => (false, format!("{} is down: {}", target.shown(), fault.reason)),
        Outcome::Blind(fault) => (false, format!("{} cannot be looked at: {}", target.shown(), fault.reason)),
    }
}

async fn log_in(host: Arc<Host>, known: Arc<str>) -> Seen {
    let seen = match host.check().await {
        Ok(report) => {
            let key = report.host_key.map(|key| format!(", host key {key}")).unwrap_or_default();
            let login = if report.login.is_empty() { String::new() } else { format!(", login by {}", report.login) };
            (true, format!("{} runs commands{login}{key}", report.address))
        }
        Err(error) => (false, error.to_string()),
    };
    host.close().await;
    let notes = match &*host {
        // A host that refused the login has shown its key all the same.
        Host::Ssh(host) => learned(host.site(), &known),
        Host::Local(_) => Vec::new(),
    };
    Seen { notes, ..Seen::from(seen) }
}

/// Says whose keys were not `known` and are now.
fn learned(site: &SshSite, known: &str) -> Vec<String> {
    let own = Some((site.host.as_str(), site.port)).filter(|_| site.host_key_pin.is_none());
    let jump = site.jump.as_ref().map(|jump| (jump.host.as_str(), jump.port));
    let mut notes = Vec::new();
    for (host, port) in own.into_iter().chain(jump) {
        if !Records::parse(known, host, port).keys.is_empty() {
            continue;
        }
        let Ok(now) = known_hosts::read(&site.known_hosts, host, port) else { continue };
        let file = std::path::absolute(&site.known_hosts).unwrap_or_else(|_| site.known_hosts.clone());
        notes.extend(now.keys.iter().map(|(_, key)| {
            format!(
                "first contact with {host}:{port}: its {} host key {} was stored in {} and is trusted from now on; \
                 compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub` on that host",
                key.algorithm(),
                fingerprint(key),
                file.display(),
                known_hosts::kind(&key.algorithm())
            )
        }));
    }
    notes
}

async fn try_on(remedy: Arc<dyn Remedy>, host: Option<Arc<Host>>) -> (bool, String) {
    let seen = match remedy.check() {
        Some(look) => look.await,
        None => Ok(String::new()),
    };
    if let Some(host) = host {
        host.close().await;
    }
    seen.map_or_else(|why| (false, why), |found| (true, found))
}

async fn list(source: Source, wanted: Discovery, roots: Roots) -> (bool, String) {
    match discovery::once(&source, &wanted, &roots).await {
        Err(why) => (false, format!("the list cannot be read: {why}")),
        Ok(discovery::Found { watched, left_out }) => {
            let mut text = format!("{watched} target(s) to watch");
            if !left_out.is_empty() {
                let named: Vec<String> = left_out.iter().take(LEFT_OUT).map(ToString::to_string).collect();
                let more = left_out.len().saturating_sub(named.len());
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                text = format!("{text}, {} left out: {}{more}", left_out.len(), named.join("; "));
            }
            (true, text)
        }
    }
}

async fn ask(channel: Arc<dyn Channel>) -> (bool, String) {
    let findings = channel.check().await;
    let ok = findings.iter().all(|finding| finding.ok);
    let texts: Vec<String> = match findings.iter().find(|finding| !finding.ok) {
        Some(bad) => vec![bad.text.clone()],
        None => findings.into_iter().map(|finding| finding.text).collect(),
    };
    (ok, texts.join("; "))
}

fn timed(
    kind: &'static str,
    name: String,
    look: impl Future<Output: Into<Seen>> + 'static,
) -> LocalBoxFuture<'static, Found> {
    Box::pin(async move {
        let begun = Instant::now();
        let seen = tokio::time::timeout(LIMIT, look).await;
        let seen = seen.map_or_else(|_| (false, format!("no end within {} s", LIMIT.as_secs())).into(), Into::into);
        let Seen { ok, detail, notes } = seen;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Found { kind, name, ok, detail, notes, took_ms }
    })
}
