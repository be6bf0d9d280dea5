//! Lays the last good list under the configuration. A target that the configuration cannot take is left out, never the rest.

use std::collections::BTreeMap;

use crate::config::{self, Loaded, Surroundings};
use crate::discovery::{Admitted, Ground, LeftOut, Roll, admit};
use crate::domain::name::PairName;
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
        held.laid(Vec::new());
        return read(&bare, Vec::new());
    }
    let roll = held.roll(&config::general::state_dir(&bare));
    let ground = Ground::of(&bare);
    // A slip of the pen in the key of a target must not end the watch of it: that is told as any other mistake is.
    let strict = why == Why::Asked && held.is_in_force();
    let mut refused = BTreeMap::new();
    for _ in 0..ROUNDS {
        let Admitted { pairs, values, left_out } = admit(roll.entries(), &ground, &refused);
        let loaded = read(&env().underlaid(FILE, values), pairs);
        let guilty = guilty(&loaded, &roll, &refused, strict);
        if guilty.is_empty() {
            // While we run, the pairs that are watched must not go because a new one does not fit.
            if loaded.config.is_some() || held.is_in_force() {
                held.laid(left_out);
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
    held.laid(if loaded.config.is_some() { all.collect() } else { Vec::new() });
    loaded
}

/// The lines of the targets that errors are about: those that stand on such a line, and those whose keys, set by somebody for
/// the day they come, are wrong; unless `strict`.
fn guilty(loaded: &Loaded, roll: &Roll, refused: &BTreeMap<u32, String>, strict: bool) -> BTreeMap<u32, String> {
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
    for problem in loaded.report.errors() {
        if let Place::File { name, line: Some(line) } = &problem.place
            && **name == *FILE
        {
            found.insert(*line, clause(problem));
            continue;
        }
        if strict {
            continue;
        }
        let prefix = |pair: &PairName| {
            let of_pair = format!("{}_{}_", pair.site, pair.server);
            let of_server = format!("{}_", pair.server);
            [of_pair, of_server].into_iter().find(|prefix| problem.key.starts_with(prefix.as_str()))
        };
        let lines = roll.entries().filter(|(line, _)| !refused.contains_key(line));
        let named: Vec<(u32, usize)> =
            lines.filter_map(|(line, entry)| Some((line, prefix(&entry.pair)?.len()))).collect();
        // `A_B_URL` is about `A_B`, not about `A`.
        let longest = named.iter().map(|(_, length)| *length).max();
        for (line, _) in named.iter().filter(|(_, length)| Some(*length) == longest) {
            found.entry(*line).or_insert_with(|| clause(problem));
        }
    }
    found
}

/// A problem without its place: the line of the file moves with every list.
fn clause(problem: &Problem) -> String {
    format!("is not taken: {}", Problem { place: Place::Unset, ..problem.clone() })
}

#[cfg(test)]
mod tests;
