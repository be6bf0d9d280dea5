//! Looks at the keys nobody asked for: slips of the pen, names that are not mapped, and what this version cannot honour.

use std::collections::HashSet;

use super::dialect::nameable;
use super::index::{Index, Meaning};
use super::key::{KeyInfo, Later, Scope};
use super::problem::{Place, Problem};
use super::source::Env;

/// Unknown keys whose neighbours are searched; a file with more was meant for another program.
const SEARCHED: usize = 500;

/// The sites, servers and pairs that are mapped, as prefixes of keys.
#[derive(Debug, Default, Clone)]
pub struct Names {
    sites: HashSet<String>,
    servers: HashSet<String>,
    pub(super) pairs: HashSet<String>,
    /// Whether more of them come and go.
    pub(super) open: bool,
}

impl Names {
    /// Collects the names of `(site, server)` pairs.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut names = Self::default();
        for (site, server) in pairs {
            names.sites.insert(site.to_owned());
            names.servers.insert(server.to_owned());
            names.pairs.insert(format!("{site}_{server}"));
        }
        names
    }

    /// Adds sites that no pair has yet, and says that servers and pairs come and go: keys for those that are not there now
    /// are no slips of the pen.
    #[must_use]
    pub fn open<'a>(mut self, sites: impl IntoIterator<Item = &'a str>) -> Self {
        self.sites.extend(sites.into_iter().map(str::to_owned));
        self.open = true;
        self
    }

    pub(super) fn of(&self, scope: Scope) -> Option<&HashSet<String>> {
        match scope {
            Scope::Global => None,
            Scope::Server => Some(&self.servers),
            Scope::Site => Some(&self.sites),
            Scope::Pair => Some(&self.pairs),
        }
    }

    /// Says whether keys may begin so in this scope.
    pub(super) fn has(&self, scope: Scope, prefix: &str) -> bool {
        self.of(scope).map_or(prefix.is_empty(), |names| names.contains(prefix))
    }
}

/// Everything that may be set.
#[derive(Debug)]
pub struct Catalogue<'a> {
    /// Keys this version reads.
    pub known: &'a [KeyInfo],
    /// Keys it does not honour yet.
    pub later: &'a [Later],
    /// What is mapped; with no pair at all, prefixes are not judged.
    pub names: &'a Names,
}

/// Adds a problem for every key that means nothing, or not what the person thought.
pub fn find(env: &Env, catalogue: &Catalogue<'_>, problems: &mut Vec<Problem>) {
    let index = Index::new(catalogue);
    let mut searches = SEARCHED;
    for (key, line) in env.file_keys() {
        let place = || env.place(Some(line));
        match index.meaning(key) {
            Meaning::Known { .. } => {}
            // A line left blank, as in a copied sample, sets nothing.
            Meaning::Later if env.in_file(key).is_none() => {}
            Meaning::Later => problems.push(too_early(place(), key)),
            other => {
                let target = (index.pointer_target(key), searches > 0);
                searches = searches.saturating_sub(1);
                match target {
                    (Some(Meaning::Known { secret: true }), _) => {}
                    (Some(Meaning::Later), _) => problems.push(too_early(place(), key)),
                    (Some(Meaning::Known { secret: false }), _) => problems.push(
                        Problem::error(place(), nameable(key), "only a secret can be read from a file")
                            .hint("write the value itself, without `_FILE`"),
                    ),
                    (_, search) => problems.extend(index.stranger(place(), key, &other, search)),
                }
            }
        }
    }
    for (key, line) in &env.bare {
        let known = matches!(index.meaning(key), Meaning::Known { .. } | Meaning::Later);
        let place = env.place(Some(*line));
        problems.push(if known {
            Problem::error(place, key, "has no `=`, so it is not set")
                .hint(format!("write `{key}=value`, or remove the line"))
        } else {
            // Not shown: it may be a line of a private key that was pasted without quotes.
            Problem::warning(place, "", "is not `KEY=value`, ignored")
                .hint("write `KEY=value`, or `#` before a comment")
        });
    }
    // Of the process environment only guards that would not hold are told: everything else belongs to other programs.
    for key in env.process_keys() {
        let later = |meaning: &Meaning| matches!(meaning, Meaning::Later);
        if later(&index.meaning(key)) || index.pointer_target(key).as_ref().is_some_and(later) {
            problems.push(too_early(env.place(None), key));
        }
    }
}

fn too_early(place: Place, key: &str) -> Problem {
    Problem::error(place, key, "this version cannot honour it").hint("remove it, and do not count on what it promises")
}
