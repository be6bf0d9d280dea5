//! Names whose keys would be somebody else's: a server `DC3_HOOK` would set `DC3_HOOK_URL`, which is the hook of the site
//! `DC3`, and a pair of the server `RECOVERY` would take `DC3_RECOVERY_COMMAND` for its own command. A person who writes both
//! into one file can see it; a list must not bring it about.

use crate::domain::name::ServerName;
use crate::env::key::{NUMBER, NUMBERS};
use crate::env::{KeyInfo, Scope};

/// Another way to read a key.
struct Rival {
    /// The key, as it is meant.
    key: String,
    /// Whose it would be.
    scope: Scope,
    shift: Shift,
}

/// Where the other reading cuts the key.
enum Shift {
    /// At the same place.
    Same,
    /// Before this end of the name.
    Before(String),
    /// Behind this beginning of the key.
    Behind(String),
}

/// Every other way to read the keys of a server, and the keys of a pair. Whether a list may set a key does not matter: a
/// server reads its `PASSWORD` from whatever has that name.
pub struct Rivals {
    server: Vec<Rival>,
    pair: Vec<Rival>,
}

impl Rivals {
    /// Compares every key with every other.
    pub fn of(known: &[KeyInfo]) -> Self {
        let named: Vec<(Scope, String)> =
            known.iter().flat_map(|key| names(key).map(|name| (key.scope, name))).collect();
        let all = |scope: Scope| {
            let ours = named.iter().filter(move |(ours, _)| *ours == scope);
            ours.flat_map(|ours| named.iter().flat_map(|other| rivals(ours, other))).collect()
        };
        Self { server: all(Scope::Server), pair: all(Scope::Pair) }
    }

    /// Says whose key a key of this server would be too, and which one. Where that takes a shorter name than the server's, it
    /// does not matter whether there is one: it may come.
    pub fn of_server(&self, server: &ServerName, there: &There<'_>) -> Option<(&str, String)> {
        self.server.iter().find_map(|rival| {
            let (scope, whose) = rival.whose(server.as_str())?;
            let is_theirs = matches!(rival.shift, Shift::Before(_)) || there(scope, &whose);
            is_theirs.then(|| (rival.key.as_str(), named((scope, whose))))
        })
    }

    /// Says whose key a key of this pair would be too, and which one.
    pub fn of_pair(&self, prefix: &str, there: &There<'_>) -> Option<(&str, String)> {
        self.pair.iter().find_map(|rival| {
            let (scope, whose) = rival.whose(prefix)?;
            (scope == Scope::Global || there(scope, &whose)).then(|| (rival.key.as_str(), named((scope, whose))))
        })
    }
}

/// Says whether there is a site, a server or a pair whose keys begin so.
pub type There<'t> = dyn Fn(Scope, &str) -> bool + 't;

impl Rival {
    /// Whose the key of this name would be.
    fn whose(&self, name: &str) -> Option<(Scope, String)> {
        let whose = match &self.shift {
            Shift::Same => name.to_owned(),
            Shift::Before(tail) if self.scope == Scope::Global => (name == tail).then(String::new)?,
            Shift::Before(tail) => {
                let rest = name.strip_suffix(tail.as_str())?.strip_suffix('_')?;
                Some(rest.to_owned()).filter(|rest| !rest.is_empty())?
            }
            Shift::Behind(head) => format!("{name}_{head}"),
        };
        Some((self.scope, whose))
    }
}

fn named((scope, whose): (Scope, String)) -> String {
    match scope {
        Scope::Global => "the agent".to_owned(),
        Scope::Server | Scope::Site | Scope::Pair => format!("the {} `{whose}`", scope.noun()),
    }
}

/// The names that a key can have: a secret may stand in a file, which another key names.
fn names(key: &KeyInfo) -> impl Iterator<Item = String> {
    let pointer = key.secret.then(|| format!("{}_FILE", key.name));
    [key.name.to_owned()].into_iter().chain(pointer)
}

/// How one key, behind some name, can be read as another one behind another name.
fn rivals((scope, ours): &(Scope, String), (their_scope, theirs): &(Scope, String)) -> Vec<Rival> {
    let mut all = Vec::new();
    let mut add = |shift| all.push(Rival { key: ours.clone(), scope: *their_scope, shift });
    if ours == theirs && scope != their_scope && *their_scope != Scope::Global {
        add(Shift::Same);
    }
    if let Some(tail) = end(theirs, ours) {
        if tail.contains(NUMBER) {
            NUMBERS.for_each(|number| add(Shift::Before(tail.replace(NUMBER, &number.to_string()))));
        } else {
            add(Shift::Before(tail.to_owned()));
        }
    }
    if *their_scope != Scope::Global
        && let Some(head) = end(ours, theirs).filter(|head| !head.contains(NUMBER))
    {
        add(Shift::Behind(head.to_owned()));
    }
    all
}

/// What stands before `_{short}` in `long`.
fn end<'l>(long: &'l str, short: &str) -> Option<&'l str> {
    long.strip_suffix(short)?.strip_suffix('_').filter(|head| !head.is_empty())
}
