//! The pairs of `MAPPINGS`, the servers and sites they name, and the ladder of each pair.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use crate::domain::name::{PairName, ServerName, SiteName};
use crate::env::{Group, Key, Reader, Scope, Scoped, value};

use super::site::Place;
use super::{Server, Site, Surroundings, remedies, server, site};

/// The pairs.
pub const MAPPINGS: Key<Vec<PairName>> = Key::new(Scope::Global, "MAPPINGS", mapped)
    .about(
        "Pairs as `DC:SRV`, separated by commas: which server is probed, and on which site its command runs; `DC3:SRV4,DC1:SRV5` are two.",
        "DC3:SRV4",
    )
    .required();

/// The keys of this section.
pub const GROUP: Group<'static> =
    Group { title: "Pairs", intro: "What is watched, and where it is healed.", keys: &[MAPPINGS.info()] };

const COMMAND_DOC: &str = "Command that is run when a check says `down`.";
const NEXT_DOC: &str = "Rung k of the ladder: the k-th failing check of an incident runs rung min(k, last).";
const TIMEOUT_DOC: &str = "Time the command may take; then it is told to stop.";

const fn command(scope: Scope, means: &'static str) -> Key<String> {
    Key::new(scope, "COMMAND", shell).about(COMMAND_DOC, "systemctl restart network-service").otherwise(means)
}
const fn next_command(scope: Scope, means: &'static str) -> Key<String> {
    Key::new(scope, "COMMAND_{K}", shell).about(NEXT_DOC, "reboot").otherwise(means)
}

/// The command of the whole agent.
pub const COMMAND: Key<String> = command(Scope::Global, "each site or pair has its own").typical();
/// The command of one site.
pub const SITE_COMMAND: Key<String> = command(Scope::Site, "as COMMAND");
const PAIR_COMMAND: Key<String> = command(Scope::Pair, "as {DC}_COMMAND");
const COMMANDS: Key<String> = next_command(Scope::Global, "none");
const SITE_COMMANDS: Key<String> = next_command(Scope::Site, "as COMMAND_{K}");
const PAIR_COMMANDS: Key<String> = next_command(Scope::Pair, "as {DC}_COMMAND_{K}");
/// Limit of a command.
pub const COMMAND_TIMEOUT: Key<Duration> =
    Key::new(Scope::Global, "COMMAND_TIMEOUT", value::positive_duration).about(TIMEOUT_DOC, "60s").default("60s");
const SITE_TIMEOUT: Key<Duration> = Key::new(Scope::Site, "COMMAND_TIMEOUT", value::positive_duration)
    .about(TIMEOUT_DOC, "2m")
    .otherwise("as COMMAND_TIMEOUT");
const PAIR_TIMEOUT: Key<Duration> = Key::new(Scope::Pair, "COMMAND_TIMEOUT", value::positive_duration)
    .about(TIMEOUT_DOC, "2m")
    .otherwise("as {DC}_COMMAND_TIMEOUT");
/// How long a command has to show its effect.
pub const VERIFY_WINDOW: Key<Duration> = Key::new(Scope::Global, "VERIFY_WINDOW", value::duration)
    .about(
        "How long after a command its effect is looked for; a success ends the incident at once. 0 turns it off.",
        "15s",
    )
    .default("15s");
/// Between two looks.
pub const VERIFY_INTERVAL: Key<Duration> = Key::new(Scope::Global, "VERIFY_INTERVAL", value::positive_duration)
    .about("Time between two looks inside the window, and before the first.", "5s")
    .default("5s");

/// The keys of the ladder.
pub const LADDER: Group<'static> = Group {
    title: "Commands",
    intro: "What is run when a pair is down. The narrowest key wins: pair, then site, then the whole agent.",
    keys: &[
        COMMAND.info(),
        COMMANDS.info(),
        SITE_COMMAND.info(),
        SITE_COMMANDS.info(),
        PAIR_COMMAND.info(),
        PAIR_COMMANDS.info(),
        COMMAND_TIMEOUT.info(),
        SITE_TIMEOUT.info(),
        PAIR_TIMEOUT.info(),
        VERIFY_WINDOW.info(),
        VERIFY_INTERVAL.info(),
    ],
};

/// One pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Its name.
    pub name: PairName,
    /// The commands of its ladder, from rung 1.
    pub commands: Vec<String>,
    /// True when rung 1 is what its site does in place of a command; the first text is then what people read of it.
    pub acts: bool,
    /// Time each of them may take.
    pub timeout: Duration,
    /// How long a command has to show its effect.
    pub verify_window: Duration,
    /// Between two looks inside the window.
    pub verify_interval: Duration,
}

/// What the pairs need.
pub struct Read {
    /// Every mapped server.
    pub servers: Option<BTreeMap<ServerName, Server>>,
    /// Every mapped site.
    pub sites: Option<BTreeMap<SiteName, Site>>,
    /// The pairs.
    pub pairs: Option<Vec<Pair>>,
}

/// Reads `MAPPINGS`.
pub fn mappings(global: &Scoped<'_>) -> Option<Vec<PairName>> {
    let mappings = global.get(&MAPPINGS)?;
    one_key_one_meaning(global, &mappings);
    Some(mappings)
}

/// Names may hold `_`, so two pairs, or a pair and a site, can share the beginning of their keys: one `…_COMMAND` would
/// mean two things, and a command could run on the wrong host. Servers share no key with either.
fn one_key_one_meaning(global: &Scoped<'_>, mappings: &[PairName]) {
    let sites: BTreeSet<&str> = mappings.iter().map(|pair| pair.site.as_str()).collect();
    let mut known: BTreeMap<String, &PairName> = BTreeMap::new();
    for pair in mappings {
        let PairName { site, server } = pair;
        let prefix = format!("{site}_{server}");
        let tell = |other: String| {
            let what = format!("`{site}:{server}` and {other} would both be meant by {prefix}_COMMAND");
            global.problem(&MAPPINGS, what, "rename one of them, here and in its keys");
        };
        if sites.contains(prefix.as_str()) {
            tell(format!("the site `{prefix}`"));
        }
        match known.get(&prefix) {
            Some(PairName { site, server }) => tell(format!("`{site}:{server}`")),
            None => drop(known.insert(prefix, pair)),
        }
    }
}

/// Reads everything the pairs need; each server and site once, every problem of each.
pub fn read(reader: &Reader<'_>, mappings: &[PairName], around: &Surroundings) -> Read {
    let mut servers: BTreeMap<ServerName, Option<Server>> = BTreeMap::new();
    let mut sites: BTreeMap<SiteName, Option<Site>> = BTreeMap::new();
    for PairName { site, server } in mappings {
        servers.entry(server.clone()).or_insert_with(|| server::read(&reader.scoped(server.as_str())));
        sites.entry(site.clone()).or_insert_with(|| site::read(&reader.scoped(site.as_str()), around));
    }
    let base = Ladder::read(&reader.global(), &COMMAND, &COMMANDS, &COMMAND_TIMEOUT);
    let of_site: BTreeMap<&SiteName, Ladder> = sites
        .keys()
        .map(|site| {
            let keys = reader.scoped(site.as_str());
            let ladder = Ladder::read(&keys, &SITE_COMMAND, &SITE_COMMANDS, &SITE_TIMEOUT);
            (site, ladder.headed_by(&keys, sites.get(site).and_then(Option::as_ref)))
        })
        .collect();
    let (window, interval) = (reader.global().get(&VERIFY_WINDOW), reader.global().get(&VERIFY_INTERVAL));
    let default = reader.global().get(&COMMAND_TIMEOUT);
    let mut told = HashSet::new();
    let pairs: Option<Vec<Pair>> = mappings
        .iter()
        .map(|name| {
            let own = reader.scoped(&format!("{}_{}", name.site, name.server));
            let own = Ladder::read(&own, &PAIR_COMMAND, &PAIR_COMMANDS, &PAIR_TIMEOUT);
            let wider = of_site.get(&name.site).map(|site| site.over(&base));
            let ladder = own.over(wider.as_ref().unwrap_or(&base));
            let commands = ladder.commands(reader, name, &mut told);
            let site = sites.get(&name.site).and_then(Option::as_ref);
            let acts = site.is_some_and(|site| site.act.is_some()) && ladder.is_headed_by_site();
            if let Some(site) = site
                && ladder.rungs.len() > usize::from(acts)
                && site.place == Place::Nowhere
                && told.insert(format!("{}_SSH_HOST", name.site))
            {
                site::missing_host(&reader.scoped(name.site.as_str()));
            }
            Some(Pair {
                name: name.clone(),
                commands: commands?,
                acts,
                timeout: ladder.timeout.or(default)?,
                verify_window: window?,
                verify_interval: interval?,
            })
        })
        .collect::<Vec<Option<Pair>>>()
        .into_iter()
        .collect();
    Read {
        servers: servers.into_iter().map(|(name, server)| Some((name, server?))).collect(),
        sites: sites.into_iter().map(|(name, site)| Some((name, site?))).collect(),
        pairs,
    }
}

/// The commands that one scope sets, by number.
#[derive(Clone, Default)]
struct Ladder {
    rungs: BTreeMap<u32, Rung>,
    timeout: Option<Duration>,
}

#[derive(Clone)]
struct Rung {
    /// Where it is set.
    scope: Scope,
    /// `None` in place of a value that could not be read: it was reported, and must not let a wider one through.
    command: Option<String>,
}

impl Ladder {
    fn read(keys: &Scoped<'_>, first: &Key<String>, others: &Key<String>, timeout: &Key<Duration>) -> Self {
        let rung = |command| Rung { scope: first.scope, command };
        let numbered = keys.numbered(others).into_iter();
        let mut rungs: BTreeMap<u32, Rung> = numbered.map(|(k, command)| (k, rung(command))).collect();
        match keys.optional(first) {
            Some(Some(command)) => drop(rungs.insert(1, rung(Some(command)))),
            Some(None) => {}
            None => drop(rungs.insert(1, rung(None))),
        }
        Self { rungs, timeout: keys.optional(timeout).flatten() }
    }

    /// The same with what the site does in place of a command as its first rung; it is wider than the rung of a pair.
    fn headed_by(mut self, keys: &Scoped<'_>, site: Option<&Site>) -> Self {
        let act = site.and_then(|site| site.act.as_ref()).map(ToString::to_string);
        if act.is_some() || (site.is_none() && remedies::is_any(keys)) {
            self.rungs.insert(1, Rung { scope: Scope::Site, command: act });
        }
        self
    }

    /// True when the first rung is the site's.
    fn is_headed_by_site(&self) -> bool {
        self.rungs.get(&1).is_some_and(|rung| rung.scope == Scope::Site)
    }

    /// This scope's rungs, and the wider one's where it sets none.
    fn over(&self, wider: &Self) -> Self {
        let mut rungs = wider.rungs.clone();
        rungs.extend(self.rungs.clone());
        Self { rungs, timeout: self.timeout.or(wider.timeout) }
    }

    /// The commands in order; a missing first rung or a gap is reported once, at the line that needs another.
    fn commands(&self, reader: &Reader<'_>, pair: &PairName, told: &mut HashSet<String>) -> Option<Vec<String>> {
        if self.rungs.is_empty() {
            if told.insert(String::new()) {
                let hint = format!(
                    "add a line such as `COMMAND=systemctl restart network-service`, or set {}_COMMAND",
                    pair.site
                );
                let what = "is not set, and it is required where a site has no command of its own";
                reader.global().problem(&COMMAND, what, hint);
            }
            return None;
        }
        let mut expected = 1;
        let mut commands = Vec::new();
        for (number, rung) in &self.rungs {
            if *number != expected {
                let (keys, key) = match rung.scope {
                    Scope::Global | Scope::Server => (reader.global(), &COMMANDS),
                    Scope::Site => (reader.scoped(pair.site.as_str()), &SITE_COMMANDS),
                    Scope::Pair => (reader.scoped(&format!("{}_{}", pair.site, pair.server)), &PAIR_COMMANDS),
                };
                let name = |k: u32| keys.full(&if k == 1 { "COMMAND".to_owned() } else { format!("COMMAND_{k}") });
                if told.insert(name(*number)) {
                    let what = format!("has no rung before it: {} is not set", name(expected));
                    keys.numbered_problem(key, *number, what, format!("set {} too, or renumber", name(expected)));
                }
            }
            expected = number.saturating_add(1);
            commands.push(rung.command.clone()?);
        }
        Some(commands)
    }
}

/// True when some pair's command runs over SSH.
pub fn any_ssh(sites: &BTreeMap<SiteName, Site>) -> bool {
    sites.values().any(|site| matches!(site.place, Place::Ssh(_)))
}

/// Characters of one command; a longer one belongs into a script on the host.
const MAX_COMMAND: usize = 8192;

fn shell(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_COMMAND {
        return Err(format!(
            "expected a command of at most {MAX_COMMAND} characters; put a longer one into a script on the host"
        ));
    }
    Ok(text.to_owned())
}

fn mapped(text: &str) -> Result<Vec<PairName>, String> {
    let (mut pairs, mut wrong, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let Some((site, server)) = item.split_once(':') else {
            wrong.push(format!("`{item}` is not `DC:SRV`"));
            continue;
        };
        match (SiteName::new(site), ServerName::new(server)) {
            (Ok(site), Ok(server)) => {
                let pair = PairName::new(site, server);
                if seen.insert(pair.clone()) {
                    pairs.push(pair);
                } else {
                    wrong.push(format!("`{item}` is there twice"));
                }
            }
            (Err(error), _) | (_, Err(error)) => wrong.push(format!("in `{item}` {error}")),
        }
    }
    if pairs.is_empty() && wrong.is_empty() {
        wrong.push("it names no pair".to_owned());
    }
    if wrong.is_empty() {
        Ok(pairs)
    } else {
        Err(format!("expected pairs such as DC3:SRV4,DC1:SRV5: {}", wrong.join("; ")))
    }
}
