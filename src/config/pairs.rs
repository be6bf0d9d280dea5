//! The pairs of `MAPPINGS`, and the servers and sites they name. The ladder of each pair is read in `ladder`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use crate::domain::name::{PairName, ServerName, SiteName};
use crate::env::{Group, Key, Reader, Scope, Scoped};

use super::ladder::{self, Ladder, Rung};
use super::site::Place;
use super::{Server, Site, Surroundings, discovery, server, site};

/// The pairs.
pub const MAPPINGS: Key<Vec<PairName>> = Key::new(Scope::Global, "MAPPINGS", mapped)
    .about(
        "Pairs as `DC:SRV`, separated by commas: which server is probed, and on which site its command runs; `DC3:SRV4,DC1:SRV5` are two.",
        "DC3:SRV4",
    )
    .otherwise("required, unless DISCOVERY_URL is set")
    .typical();

/// The keys of this section.
pub const GROUP: Group<'static> =
    Group { title: "Pairs", intro: "What is watched, and where it is healed.", keys: &[MAPPINGS.info()] };

/// One pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Its name.
    pub name: PairName,
    /// Its ladder, from rung 1.
    pub rungs: Vec<Rung>,
    /// True when rung 1 is what its site does in place of a command; its text is then what people read of it.
    pub acts: bool,
    /// Between two looks inside the verify window.
    pub verify_interval: Duration,
    /// The command that is run when it is up again.
    pub recovery: Option<Recovery>,
    /// It comes from a list, and has to be seen up once before anything is run for it.
    pub up_first: bool,
}

/// What is run on recovery.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The command.
    pub command: String,
    /// Time it may take.
    pub timeout: Duration,
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

/// Reads `MAPPINGS`, which need not be set where there is a list of others; those follow.
pub fn mappings(global: &Scoped<'_>, listed: Option<&Vec<PairName>>) -> Option<Vec<PairName>> {
    let mut mappings = match listed {
        None => global.get(&MAPPINGS)?,
        Some(_) => global.optional(&MAPPINGS)?.unwrap_or_default(),
    };
    mappings.extend(listed.into_iter().flatten().cloned());
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

/// Reads everything the pairs need, and the sites that more pairs may come to; each server and site once, every problem of
/// each.
pub fn read(reader: &Reader<'_>, mappings: &[PairName], more: &BTreeSet<SiteName>, around: &Surroundings) -> Read {
    let mut servers: BTreeMap<ServerName, Option<Server>> = BTreeMap::new();
    let mut sites: BTreeMap<SiteName, Option<Site>> = BTreeMap::new();
    for PairName { site, server } in mappings {
        servers.entry(server.clone()).or_insert_with(|| server::read(&reader.scoped(server.as_str())));
        if !sites.contains_key(site) {
            let keys = reader.scoped(site.as_str());
            sites.insert(site.clone(), site::read(&reader.global(), &keys, around));
        }
    }
    // No pair may need them yet; what is wrong with them has to be known before one does.
    for site in more {
        let keys = reader.scoped(site.as_str());
        sites.entry(site.clone()).or_insert_with(|| site::read(&reader.global(), &keys, around));
    }
    depends_on_known(reader, &servers, discovery::is_on(&reader.global()));
    looked_at_through_hosts(reader, &servers, &sites);
    let base = ladder::of_agent(reader);
    let of_site: BTreeMap<&SiteName, Ladder> = sites
        .iter()
        .map(|(name, site)| {
            let keys = reader.scoped(name.as_str());
            (name, ladder::of_site(reader, name.as_str()).headed_by(&keys, site.as_ref()).over(&base))
        })
        .collect();
    let global = reader.global();
    let (window, interval) = (global.get(&ladder::VERIFY_WINDOW), global.get(&ladder::VERIFY_INTERVAL));
    let default = global.get(&ladder::COMMAND_TIMEOUT);
    let (mut told, mut odd) = (HashSet::new(), ladder::Odd::new(reader));
    let listed: HashSet<&PairName> = around.listed.iter().collect();
    let up_first = discovery::is_on(&global) && global.get(&discovery::UP_FIRST).unwrap_or(true);
    let pairs: Option<Vec<Pair>> = mappings
        .iter()
        .map(|name| {
            let ladder = ladder::of_pair(reader, name).over(of_site.get(&name.site).unwrap_or(&base));
            let site = sites.get(&name.site).and_then(Option::as_ref);
            let acts = site.is_some_and(|site| site.act.is_some()) && ladder.is_headed_by_site();
            odd.look(name, &ladder, site, acts);
            let recovery = ladder.recovery();
            if site.is_some_and(|site| site.place == Place::Nowhere)
                && (ladder.height() > usize::from(acts) || recovery.is_some())
                && told.insert(format!("{}_SSH_HOST", name.site))
            {
                site::missing_host(&reader.scoped(name.site.as_str()));
            }
            let server = servers.get(&name.server).and_then(Option::as_ref);
            if let Some(server) = server.filter(|_| site.is_some_and(|site| site.cross_check)) {
                let keys = reader.scoped(name.site.as_str());
                if !server.can_be_asked_afar() {
                    site::no_look(&keys, &name.server);
                } else if server.has_query() {
                    site::lesser_look(&keys, &name.server);
                }
            }
            let (window, timeout) = (window?, default?);
            let rungs = ladder.rungs(reader, name, (timeout, window), &mut told);
            let timeout = ladder.timeout(0).unwrap_or(timeout);
            let recovery = recovery.map(|command| Recovery { command, timeout });
            let up_first = up_first && listed.contains(name);
            Some(Pair { name: name.clone(), rungs: rungs?, acts, verify_interval: interval?, recovery, up_first })
        })
        .collect::<Vec<Option<Pair>>>()
        .into_iter()
        .collect();
    odd.finish();
    Read {
        servers: servers.into_iter().map(|(name, server)| Some((name, server?))).collect(),
        sites: sites.into_iter().map(|(name, site)| Some((name, site?))).collect(),
        pairs,
    }
}

/// What a server depends on has to be watched itself, and not through itself.
/// Where pairs come and go, one that has gone holds nobody.
fn depends_on_known(reader: &Reader<'_>, servers: &BTreeMap<ServerName, Option<Server>>, open: bool) {
    let parents = |name: &ServerName| servers.get(name).and_then(Option::as_ref).map(|server| &server.depends_on);
    for name in servers.keys() {
        let keys = reader.scoped(name.as_str());
        for parent in parents(name).into_iter().flatten() {
            if !servers.contains_key(parent) {
                let there: Vec<&str> = servers.keys().map(ServerName::as_str).take(20).collect();
                let hint = format!("map it too, or take it out; there are {}", there.join(", "));
                if open {
                    let what =
                        format!("names `{parent}`, which neither MAPPINGS nor the list of DISCOVERY_URL has now");
                    keys.warn(&server::DEPENDS_ON, what, hint);
                } else {
                    let what = format!("names `{parent}`, which no pair of MAPPINGS watches");
                    keys.problem(&server::DEPENDS_ON, what, hint);
                }
            }
        }
        let (mut known, mut next) = (BTreeSet::new(), vec![name]);
        while let Some(one) = next.pop() {
            next.extend(parents(one).into_iter().flatten().filter(|parent| known.insert(*parent)));
        }
        if known.contains(name) {
            keys.problem(&server::DEPENDS_ON, "comes back to itself", "take out what closes the circle");
        }
    }
}

/// A server that is looked at through a site needs one with an SSH host.
fn looked_at_through_hosts(
    reader: &Reader<'_>,
    servers: &BTreeMap<ServerName, Option<Server>>,
    sites: &BTreeMap<SiteName, Option<Site>>,
) {
    for (name, server) in servers {
        let Some(through) = server.as_ref().and_then(|server| server.target.site()) else { continue };
        let what = match sites.get(through).map(|site| site.as_ref().map(|site| &site.place)) {
            // It has problems of its own.
            Some(None | Some(Place::Ssh(_))) => continue,
            Some(Some(Place::Local)) => format!("goes through the site `{through}`, which is this machine"),
            Some(Some(Place::Nowhere)) => format!("goes through the site `{through}`, which has no SSH host"),
            None => format!("goes through `{through}`, which is no site of MAPPINGS"),
        };
        let there =
            sites.iter().filter(|(_, site)| site.as_ref().is_some_and(|site| matches!(site.place, Place::Ssh(_))));
        let there: Vec<&str> = there.map(|(name, _)| name.as_str()).take(20).collect();
        let hint = match there.as_slice() {
            [] => "name a site with an SSH host, or write exec: to look from this machine".to_owned(),
            there => format!("sites with an SSH host are {}; exec: looks from this machine", there.join(", ")),
        };
        reader.scoped(name.as_str()).problem(&server::URL, what, hint);
    }
}

/// True when some pair's command runs over SSH.
pub fn any_ssh(sites: &BTreeMap<SiteName, Site>) -> bool {
    sites.values().any(|site| matches!(site.place, Place::Ssh(_)))
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
