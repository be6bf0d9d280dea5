//! Lays the last good list under the configuration. A target that the configuration cannot take is left out, never the rest.

use std::collections::{BTreeMap, HashSet};

use crate::config::{self, Loaded, Surroundings};
use crate::discovery::{Admitted, Entry, Ground, LeftOut, Roll, admit};
use crate::domain::name::{PairName, SiteName};
use crate::env::{Env, Place, Problem};

use super::{FILE, Held};

/// Times that targets are taken out; each takes out all that are at fault, so more than two are rare.
const ROUNDS: usize = 5;

/// Why a configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Somebody may have changed it.
    Asked,
    /// There is a new list, and it is as it was.
    NewList,
}

/// Reads a configuration; `env` gives what it says without a list.
pub fn load(env: &dyn Fn() -> Env, why: Why, around: &Surroundings, held: &Held) -> Loaded {
    let bare = env();
    let read = |env: &Env, listed: Vec<PairName>| {
        config::load(env, &|path| std::fs::read_to_string(path), &Surroundings { listed, ..around.clone() })
    };
    if config::discovery::alone(&bare).is_none() {
        held.laid(HashSet::new(), Vec::new());
        return read(&bare, Vec::new());
    }
    let roll = held.roll(&config::general::state_dir(&bare));
    let ground = Ground::of(&bare);
    let watched = held.watched();
    let is_in_force = watched.is_some();
    let (strict, watched) = (why == Why::Asked, watched.unwrap_or_default());
    let mut refused = BTreeMap::new();
    for _ in 0..ROUNDS {
        let Admitted { pairs, values, left_out } = admit(roll.entries(), &ground, &refused);
        let laid = pairs.iter().cloned().collect();
        let loaded = read(&env().underlaid(FILE, values), pairs);
        let guilty = Suspects { roll: &roll, refused: &refused, watched: &watched, strict }.guilty(&loaded);
        if guilty.is_empty() {
            // While we run, the pairs that are watched must not go because a new one does not fit.
            if loaded.config.is_some() || is_in_force {
                held.laid(laid, left_out);
                return loaded;
            }
            break;
        }
        refused.extend(guilty);
    }
    // What is still wrong is no target's fault, or cannot be told to be.
    let loaded = read(&bare, Vec::new());
    let why = "cannot be joined with the configuration, so nothing of the list is watched";
    let all = roll.members.iter().map(|member| LeftOut { what: member.entry.pair.to_string(), why: why.to_owned() });
    held.laid(HashSet::new(), if loaded.config.is_some() { all.collect() } else { Vec::new() });
    loaded
}

/// Who may be at fault.
struct Suspects<'r> {
    roll: &'r Roll,
    /// The lines that are out already.
    refused: &'r BTreeMap<u32, String>,
    /// The pairs of the list that an agent watches.
    watched: &'r HashSet<PairName>,
    /// A slip of the pen in the key of a target must not end the watch of it: that is told as any other mistake is.
    strict: bool,
}

impl Suspects<'_> {
    /// The lines of the targets that errors are about: those that stand on such a line, those whose keys, set by somebody for
    /// the day they come, are wrong, and those that a site cannot take.
    fn guilty(&self, loaded: &Loaded) -> BTreeMap<u32, String> {
        let mut found: BTreeMap<u32, String> = BTreeMap::new();
        for problem in loaded.report.errors() {
            if let Place::File { name, line: Some(line) } = &problem.place
                && **name == *FILE
            {
                found.insert(*line, clause(problem));
                continue;
            }
            let lines = self.named(&problem.key).unwrap_or_else(|| self.of_site(&problem.key));
            for line in lines {
                found.entry(line).or_insert_with(|| clause(problem));
            }
        }
        found
    }

    fn rest(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.roll.entries().filter(|(line, _)| !self.refused.contains_key(line))
    }

    /// Those whose own keys the key is among; none when it is nobody's.
    fn named(&self, key: &str) -> Option<Vec<u32>> {
        let prefix = |PairName { site, server }: &PairName| {
            let prefixes = [format!("{site}_{server}_"), format!("{server}_")];
            prefixes.into_iter().find(|prefix| key.starts_with(prefix.as_str()))
        };
        let named: Vec<_> =
            self.rest().filter_map(|(line, entry)| Some((line, entry, prefix(&entry.pair)?.len()))).collect();
        // `A_B_URL` is about `A_B`, not about `A`.
        let longest = named.iter().map(|(.., length)| *length).max()?;
        let named = named.into_iter().filter(|(_, entry, length)| *length == longest && self.may_go(entry));
        Some(named.map(|(line, ..)| line).collect())
    }

    /// Those of the site whose key it is: those that are watched have shown that it can take them, so the others go first.
    fn of_site(&self, key: &str) -> Vec<u32> {
        let site = |entry: &Entry| Some(entry.pair.site.as_str().len()).filter(|_| is_of(key, &entry.pair.site));
        let longest = self.rest().filter_map(|(_, entry)| site(entry)).max();
        let there: Vec<_> = self.rest().filter(|(_, entry)| longest.is_some() && site(entry) == longest).collect();
        let (old, new): (Vec<_>, Vec<_>) = there.into_iter().partition(|(_, entry)| self.watched.contains(&entry.pair));
        let out = if new.is_empty() { old } else { new };
        out.into_iter().filter(|(_, entry)| self.may_go(entry)).map(|(line, _)| line).collect()
    }

    fn may_go(&self, entry: &Entry) -> bool {
        !(self.strict && self.watched.contains(&entry.pair))
    }
}

/// True for a key of this site.
fn is_of(key: &str, site: &SiteName) -> bool {
    key.strip_prefix(site.as_str()).is_some_and(|rest| rest.starts_with('_'))
}

/// A problem without its place: the line of the file moves with every list.
fn clause(problem: &Problem) -> String {
    format!("is not taken: {}", Problem { place: Place::Unset, ..problem.clone() })
}

#[cfg(test)]
mod tests;
