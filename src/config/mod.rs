//! Floor 4: all keys become one `Config`, or one report of everything that is wrong.
//!
//! Each section reads its own keys and lists them for the reference; here the sections are joined and their relations
//! checked. Reading files and the process environment is the business of `app`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::guard;
use crate::domain::maintenance::Calendar;
use crate::domain::name::{PairName, ServerName, SiteName};
use crate::env::{Catalogue, Env, Group, KeyInfo, Names, Reader, Redactor, Report, Secret, Setting};
use crate::message::Language;
use crate::probe;

pub mod discovery;
pub mod general;
pub mod guards;
pub mod ladder;
pub mod later;
pub mod log;
pub mod maintenance;
pub mod marks;
pub mod pace;
pub mod pairs;
pub mod port;
mod pushes;
pub mod remedies;
pub mod server;
pub mod site;
pub mod telegram;
pub mod witness;

#[cfg(test)]
mod remedies_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;

pub use general::General;
pub use pairs::Pair;
pub use port::Port;
pub use remedies::Act;
pub use server::Server;
pub use site::{Place, Site};

/// Everything the agent goes by.
#[derive(Debug)]
pub struct Config {
    /// What belongs to the whole agent.
    pub general: General,
    /// Where and how it logs.
    pub log: log::Log,
    /// Intervals and attempts that hold where a server has none of its own.
    pub pace: pace::Pace,
    /// What the guard goes by.
    pub guard: guard::Rules,
    /// Planned times.
    pub maintenance: Calendar,
    /// Commands under way at once.
    pub remedies_at_once: usize,
    /// Who has to answer before anything is believed to be down.
    pub witnesses: Option<witness::Witnesses>,
    /// How unknown host keys are met.
    pub host_keys: crate::host::HostKeyPolicy,
    /// Every mapped server.
    pub servers: BTreeMap<ServerName, Server>,
    /// Every mapped site.
    pub sites: BTreeMap<SiteName, Site>,
    /// The pairs, in the order of `MAPPINGS`.
    pub pairs: Vec<Pair>,
    /// The list that more pairs come from.
    pub discovery: Option<discovery::Discovery>,
    /// The port of the API, where there is one.
    pub port: Option<Port>,
    /// The Telegram channel, where there may be none.
    pub telegram: Option<telegram::Telegram>,
    /// Masks every secret that was read.
    pub redactor: Redactor,
    /// Every secret that was read, for a redactor that masks those of several configurations.
    pub secrets: Vec<Secret>,
    /// Safer defaults that nobody changed, as key and value in force.
    pub safer: Vec<(crate::message::SaferDefault, String)>,
    /// What every key was set to, so that a reload can say what changed.
    pub marks: marks::Marks,
}

impl Config {
    /// The language of messages and log.
    pub fn language(&self) -> Language {
        self.general.language
    }
}

/// What the process brings along that configuration may lean on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The socket of a running ssh-agent.
    pub ssh_agent: Option<PathBuf>,
    /// The machine's time zone.
    pub zone: TimeZone,
    /// Wall time now: what is over is told.
    pub now: Timestamp,
    /// Whether people have to be told.
    pub channels: Channels,
    /// Pairs of the list of `DISCOVERY_URL`; their keys are laid under the rest.
    pub listed: Vec<PairName>,
}

impl Default for Surroundings {
    /// Nothing around, in UTC, at a time when nothing is over yet.
    fn default() -> Self {
        Self {
            ssh_agent: None,
            zone: TimeZone::UTC,
            now: Timestamp::UNIX_EPOCH,
            channels: Channels::Required,
            listed: Vec::new(),
        }
    }
}

/// Whether there has to be a channel to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// An agent that nobody hears is a mistake.
    Required,
    /// It has its log, and whoever started it knows.
    Optional,
}

/// What came of reading: the configuration unless something is wrong, and all that is to be said about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; absent when the report holds an error.
    pub config: Option<Config>,
    /// Every problem.
    pub report: Report,
    /// Masks every secret that was read, also when the rest is broken.
    pub redactor: Redactor,
    /// Every value in force and where it came from, as people may see it.
    pub settings: Vec<Setting>,
}

/// Reads everything, and gives every problem at once.
pub fn load(env: &Env, read: crate::env::reader::ReadFile<'_>, around: &Surroundings) -> Loaded {
    let files = RefCell::<marks::Files>::default();
    let noting = |path: &Path| {
        let text = read(path)?;
        files.borrow_mut().insert(path.to_owned(), marks::joined(&text));
        Ok(text)
    };
    let reader = Reader::new(env, &noting);
    let global = reader.global();
    let discovery = discovery::read(&global);
    let open = discovery::is_on(&global);
    let sites = if open { discovery::sites(env) } else { BTreeSet::new() };
    let mappings = pairs::mappings(&global, open.then_some(&around.listed));
    let names = Names::new(mappings.iter().flatten().map(|pair| (pair.site.as_str(), pair.server.as_str())));
    let names = if open { names.open(sites.iter().map(SiteName::as_str)) } else { names };
    let general = general::read(&global, mappings.as_ref().map(Vec::len).filter(|_| !open));
    let log = log::read(&global);
    let pace = pace::read(&global);
    let guard = guards::read(&global);
    let maintenance = maintenance::read(&global, mappings.as_deref(), around);
    let remedies_at_once = global.get(&guards::REMEDIES_AT_ONCE);
    let witnesses = witness::of_agent(&global);
    let host_keys = global.get(&site::SSH_HOST_KEYS);
    let telegram = telegram::read(&global, around.channels);
    let port = port::read(&global);
    let pairs::Read { mut servers, sites, pairs } =
        pairs::read(&reader, mappings.as_deref().unwrap_or_default(), &sites, around);
    pushes::check(&reader, servers.as_ref(), port.as_ref());
    let safer = guards::safer(&global);
    let mut secrets: Vec<Secret> = reader.secrets().into_iter().map(Secret::new).collect();
    secrets.extend(discovery.iter().flatten().flat_map(discovery::Discovery::secrets));
    let acts = sites.iter().flat_map(|sites| sites.values()).filter_map(|site| site.act.as_ref());
    secrets.extend(acts.flat_map(Act::secrets));
    let redactor = redactor(&secrets);
    for server in servers.iter_mut().flat_map(BTreeMap::values_mut) {
        if let Some(target) = std::sync::Arc::get_mut(&mut server.target) {
            target.mask(&redactor);
        }
    }
    let marks = marks::Marks::of(&reader.settings(), &files.borrow());
    let settings = settings(&reader, &redactor);
    let known: Vec<KeyInfo> = groups().iter().flat_map(|group| group.keys).copied().collect();
    let report = reader.finish(&Catalogue { known: &known, later: later::KEYS, names: &names });
    let config = (|| {
        Some(Config {
            general: general?,
            log: log?,
            pace: pace?,
            guard: guard?,
            maintenance: maintenance?,
            remedies_at_once: remedies_at_once?,
            witnesses: witnesses?,
            host_keys: host_keys?,
            servers: servers?,
            sites: sites?,
            pairs: pairs?,
            discovery: discovery?,
            port: port?,
            telegram: telegram?,
            redactor: redactor.clone(),
            secrets,
            safer,
            marks,
        })
    })();
    Loaded { config: config.filter(|_| !report.is_broken()), report, redactor, settings }
}

/// How people are told, for a front door that watches no pairs.
#[derive(Debug)]
pub struct People {
    /// Where.
    pub telegram: telegram::Telegram,
    /// In which language.
    pub language: Language,
}

/// Reads only how people are told; whatever else stands in the file is another's.
pub fn people(env: &Env, read: crate::env::reader::ReadFile<'_>) -> (Option<People>, Report) {
    let reader = Reader::new(env, read);
    let global = reader.global();
    let (telegram, language) = (telegram::read(&global, Channels::Required), global.get(&general::LANGUAGE));
    let report = reader.finish(&Catalogue { known: &[], later: &[], names: &Names::default() });
    let people = telegram.flatten().zip(language).map(|(telegram, language)| People { telegram, language });
    (people.filter(|_| !report.is_broken()), report)
}

fn redactor(secrets: &[Secret]) -> Redactor {
    // A table too large to build can only come from absurd secrets; the shapes of tokens are masked all the same.
    Redactor::new(secrets.iter().map(Secret::expose)).unwrap_or_default()
}

/// A URL is shown as the log shows it, and nowhere stands a secret that was read elsewhere.
fn settings(reader: &Reader<'_>, redactor: &Redactor) -> Vec<Setting> {
    let mut settings = reader.settings();
    for setting in &mut settings {
        let is = |name, scope| setting.name == name && setting.scope == scope;
        if (is(server::URL.name, server::URL.scope) || is(discovery::URL.name, discovery::URL.scope))
            && let Some(shown) = shown(&setting.value)
        {
            setting.value = shown;
        }
        setting.value = redactor.mask(&setting.value).into_owned();
    }
    settings
}

/// A target as it shows itself; what is no target yet shows nothing that may be secret.
fn shown(url: &str) -> Option<String> {
    let target = crate::probe::Target::parse(url).ok().map(|target| target.shown().to_owned());
    target.or_else(|| url::Url::parse(url.trim()).ok().map(|url| crate::fetch::shown(&url)))
}

/// Every key, in the order of the reference.
pub fn groups() -> &'static [Group<'static>] {
    static GROUPS: LazyLock<Vec<Group<'static>>> = LazyLock::new(|| {
        vec![
            pairs::GROUP,
            discovery::GROUP,
            pace::GROUP,
            server::GROUP,
            Group {
                title: "Settings of probes",
                intro: "Each kind of probe knows some of these: docs/reference/probes has a page for each kind. A setting that the kind does not know is an error.",
                keys: probe::keys(),
            },
            site::GROUP,
            ladder::GROUP,
            remedies::GROUP,
            guards::GROUP,
            maintenance::GROUP,
            witness::GROUP,
            telegram::GROUP,
            log::GROUP,
            port::GROUP,
            general::GROUP,
        ]
    });
    &GROUPS
}
