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
use crate::domain::name::PairName;
use crate::domain::reading::{Outcome, Reading};
use crate::engine::handle::ProbeReport;
use crate::engine::plan::Plan;
use crate::fetch::{self, Roots};
use crate::host::Host;
use crate::notify::Channel;
use crate::probe::Target;
use crate::probe::wire::Kit;
use crate::remedy::{Remedy, webhook};
use crate::store::{Store, in_one_line};

use super::plans::{self, Hosts};
use super::source::Source;
use super::{acts, channels};

/// Looks under way at once.
const AT_ONCE: usize = 32;

/// One look must end within this; logins and databases have shorter limits of their own.
const LIMIT: Duration = Duration::from_mins(2);

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `server`, `witness`, `site`, `remedy`, `channel` or `store`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, and what to do when it is not well.
    pub detail: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// Probes a pair as its check would, up to its number of attempts; `None` when there is no such pair.
pub async fn probe(config: &Config, source: &Source, pair: &PairName) -> anyhow::Result<Option<ProbeReport>> {
    fetch::install_crypto_provider();
    let roots = Roots::load(None)?;
    let kit = Arc::new(Kit::new(&roots));
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
    let kit = Arc::new(Kit::new(&roots));
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
    for (name, host) in hosts.iter() {
        looks.push(timed("site", name.to_string(), log_in(host.clone())));
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

async fn log_in(host: Arc<Host>) -> (bool, String) {
    let seen = match host.check().await {
        Ok(report) => {
            let key = report.host_key.map(|key| format!(", host key {key}")).unwrap_or_default();
            let login = if report.login.is_empty() { String::new() } else { format!(", login by {}", report.login) };
            (true, format!("{} runs commands{login}{key}", report.address))
        }
        Err(error) => (false, error.to_string()),
    };
    host.close().await;
    seen
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
    look: impl Future<Output = (bool, String)> + 'static,
) -> LocalBoxFuture<'static, Found> {
    Box::pin(async move {
        let begun = Instant::now();
        let seen = tokio::time::timeout(LIMIT, look).await;
        let (ok, detail) = seen.unwrap_or_else(|_| (false, format!("no end within {} s", LIMIT.as_secs())));
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Found { kind, name, ok, detail, took_ms }
    })
}
