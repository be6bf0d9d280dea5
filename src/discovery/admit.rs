//! Which entries of a roll are watched, given what the configuration says itself: it wins, and a list can neither bring a
//! site nor set a key that means anything but its own server, nor say where a secret of the configuration goes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::config::{self, discovery, pairs};
use crate::domain::name::{PairName, ServerName, SiteName};
use crate::env::{Env, KeyInfo, Reader, Scope};

use super::rivals::Rivals;
use super::target::{KEYS, URL};
use super::{Entry, LeftOut};

/// Keys of a server, besides those that a list may set, that the configuration may hold for a target of a list without its
/// URL: they send nothing. A key that is not named here binds the server to a URL of the configuration, so that a new key is
/// safe until somebody has thought about it.
const LOOSE: &[&str] =
    &["NOTIFY", "DEPENDS_ON", "IP", "CA_FILE", "INSECURE", "JSON", "REDIRECTS", "HTTP2", "EXPECT", "SERVER_NAME"];

/// What the configuration says without the list.
pub struct Ground {
    mapped: Vec<PairName>,
    sites: BTreeSet<SiteName>,
    known: Vec<KeyInfo>,
    /// Names that have a URL.
    urls: HashSet<String>,
    /// Names that have a key whose value is sent to wherever the URL says, with that key.
    bound: HashMap<String, String>,
}

impl Ground {
    /// Looks at what is set.
    pub fn of(env: &Env) -> Self {
        let reader = Reader::new(env, &|_| Err(std::io::ErrorKind::NotFound.into()));
        let mapped = reader.global().optional(&pairs::MAPPINGS).flatten().unwrap_or_default();
        let mut sites = discovery::sites(env);
        sites.extend(mapped.iter().map(|pair| pair.site.clone()));
        let known: Vec<KeyInfo> = config::groups().iter().flat_map(|group| group.keys).copied().collect();
        let before = |key: &str, name: &str| key.strip_suffix(name)?.strip_suffix('_').map(ToOwned::to_owned);
        let urls = env.set().filter_map(|key| before(key, URL)).collect();
        let binding: Vec<&KeyInfo> = known.iter().filter(|key| binds(key)).collect();
        let mut bound = HashMap::new();
        for key in env.set() {
            // A secret may stand in a file, which another key names.
            let bare = key.strip_suffix("_FILE");
            for binding in &binding {
                let pointed = bare.filter(|_| binding.secret).and_then(|bare| before(bare, binding.name));
                if let Some(name) = before(key, binding.name).or(pointed) {
                    bound.entry(name).or_insert_with(|| key.to_owned());
                }
            }
        }
        Self { mapped, sites, known, urls, bound }
    }

    /// The key by which the configuration would send something to a URL that it does not say itself.
    fn would_send(&self, server: &ServerName) -> Option<&str> {
        let key = self.bound.get(server.as_str())?;
        (!self.urls.contains(server.as_str())).then_some(key)
    }

    fn knows(&self, key: &str) -> bool {
        self.known.iter().any(|known| known.scope == Scope::Server && known.name == key)
    }
}

/// True for a key of a server that sends something.
fn binds(key: &KeyInfo) -> bool {
    let mut free = KEYS.iter().map(|(_, key)| *key).chain(LOOSE.iter().copied()).chain([URL]);
    key.scope == Scope::Server && free.all(|free| free != key.name)
}

/// What comes of a roll.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The pairs.
    pub pairs: Vec<PairName>,
    /// Keys to lay under the configuration: name, value and line of the roll.
    pub values: Vec<(String, String, u32)>,
    /// Who is not watched.
    pub left_out: Vec<LeftOut>,
}

/// Goes through the entries of a roll, each with its line. `refused` are lines that the configuration would not take.
pub fn admit<'r>(
    entries: impl IntoIterator<Item = (u32, &'r Entry)>,
    ground: &Ground,
    refused: &BTreeMap<u32, String>,
) -> Admitted {
    let mut door = Door {
        ground,
        own: KEYS.iter().map(|(_, key)| *key).chain([URL]).filter(|key| ground.knows(key)).collect(),
        rivals: Rivals::of(&ground.known),
        mapped: ground.mapped.iter().map(|pair| &pair.server).collect(),
        prefixes: ground.mapped.iter().map(|pair| (prefix(pair), pair)).collect(),
        servers: HashMap::new(),
    };
    let mut admitted = Admitted::default();
    for (line, entry) in entries {
        let verdict = match refused.get(&line) {
            Some(why) => Err(why.clone()),
            None => door.pass(entry),
        };
        match verdict {
            Err(why) => admitted.left_out.push(LeftOut { what: entry.pair.to_string(), why }),
            Ok(keys) => {
                let server = &entry.pair.server;
                admitted.values.extend(keys.into_iter().map(|(key, text)| (format!("{server}_{key}"), text, line)));
                admitted.pairs.push(entry.pair.clone());
            }
        }
    }
    admitted
}

fn prefix(pair: &PairName) -> String {
    format!("{}_{}", pair.site, pair.server)
}

struct Door<'r> {
    ground: &'r Ground,
    /// The keys of a list that this version knows.
    own: HashSet<&'static str>,
    rivals: Rivals,
    mapped: HashSet<&'r ServerName>,
    prefixes: HashMap<String, &'r PairName>,
    servers: HashMap<&'r ServerName, &'r Entry>,
}

impl<'r> Door<'r> {
    /// Gives the keys that this version knows, or says why not.
    fn pass(&mut self, entry: &'r Entry) -> Result<Vec<(&'static str, String)>, String> {
        let PairName { site, server } = &entry.pair;
        if !self.ground.sites.contains(site) {
            return Err(format!(
                "names the site `{site}`, which has no {site}_SSH_HOST, {site}_LOCAL or {site}_HOOK_URL"
            ));
        }
        if self.mapped.contains(server) {
            return Err(format!("has the name `{server}` of a server in MAPPINGS, which stays as it is"));
        }
        if self.servers.get(server).is_some_and(|other| other.keys != entry.keys) {
            return Err(format!("has the name `{server}` of another target; give it a label `server`"));
        }
        let there = |scope: Scope, name: &str| match scope {
            Scope::Site => SiteName::new(name).is_ok_and(|name| self.ground.sites.contains(&name)),
            Scope::Pair => self.prefixes.contains_key(name),
            Scope::Server => {
                ServerName::new(name).is_ok_and(|name| self.mapped.contains(&name) || self.servers.contains_key(&name))
            }
            Scope::Global => false,
        };
        if let Some((key, whose)) = self.rivals.of_server(server, &there) {
            return Err(format!("has a name that no list may give: {server}_{key} is a key of {whose} too"));
        }
        if let Some(key) = self.ground.would_send(server) {
            return Err(format!(
                "has {key} without {server}_URL, and a list must not say where that is sent; set {server}_URL beside it"
            ));
        }
        let keys: Vec<_> = entry.keys.iter().filter(|(key, _)| self.own.contains(key)).cloned().collect();
        let prefix = prefix(&entry.pair);
        if let Some(other) = self.prefixes.get(&prefix) {
            return Err(format!("cannot be told from `{other}`: {prefix}_COMMAND would mean both"));
        }
        if let Some((key, whose)) = self.rivals.of_pair(&prefix, &there) {
            return Err(format!("has a name that no list may give: {prefix}_{key} is a key of {whose} too"));
        }
        let shared = self.servers.insert(server, entry).is_some();
        self.prefixes.insert(prefix, &entry.pair);
        // Two pairs of one server share its keys.
        Ok(if shared { Vec::new() } else { keys })
    }
}

#[cfg(test)]
mod tests;
