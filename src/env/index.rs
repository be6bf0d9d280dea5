//! The tables of keys, turned for looking up: what a key means, and which one was meant. What is told about it is `unknown`'s.

use std::collections::HashMap;

use super::dialect::nameable;
use super::key::{NUMBER, NUMBERS, Scope};
use super::problem::{Place, Problem, shown};
use super::unknown::{Catalogue, Names};

#[derive(Clone, Copy)]
enum Entry {
    Known { secret: bool },
    Later,
}

/// What a key turned out to be.
pub(super) enum Meaning {
    Known {
        secret: bool,
    },
    Later,
    /// Known for these scopes, but nothing of this name is mapped.
    Unmapped {
        prefix: String,
        suffix: String,
        scopes: Vec<Scope>,
    },
    Nothing,
}

/// The tables, turned for looking up.
pub(super) struct Index<'a> {
    entries: HashMap<(Scope, &'a str), Entry>,
    /// Suffixes and scopes of known keys, for the search of neighbours.
    known: Vec<(Scope, &'a str)>,
    names: &'a Names,
}

impl<'a> Index<'a> {
    pub(super) fn new(catalogue: &Catalogue<'a>) -> Self {
        let mut entries: HashMap<_, _> =
            catalogue.later.iter().map(|key| ((key.scope, key.name), Entry::Later)).collect();
        entries.extend(catalogue.known.iter().map(|key| ((key.scope, key.name), Entry::Known { secret: key.secret })));
        let known = catalogue.known.iter().map(|key| (key.scope, key.name));
        let later = catalogue.later.iter().map(|key| (key.scope, key.name));
        Self { entries, known: known.chain(later).collect(), names: catalogue.names }
    }

    fn entry(&self, scope: Scope, suffix: &str) -> Option<Entry> {
        let entry = |name: &str| self.entries.get(&(scope, name)).copied();
        entry(suffix).or_else(|| numberless(suffix, true).and_then(|(name, _)| entry(&name)))
    }

    pub(super) fn meaning(&self, key: &str) -> Meaning {
        let mut unmapped: Option<(String, String, Vec<Scope>)> = None;
        for (prefix, suffix) in splits(key) {
            for scope in Scope::ALL.into_iter().filter(|scope| (*scope == Scope::Global) == prefix.is_empty()) {
                match self.entry(scope, suffix) {
                    Some(entry) if self.names.has(scope, prefix) => {
                        return match entry {
                            Entry::Known { secret } => Meaning::Known { secret },
                            Entry::Later => Meaning::Later,
                        };
                    }
                    Some(_) => {
                        let (seen, _, scopes) =
                            unmapped.get_or_insert_with(|| (prefix.to_owned(), suffix.to_owned(), Vec::new()));
                        if seen == prefix {
                            scopes.push(scope);
                        }
                    }
                    None => {}
                }
            }
        }
        match unmapped {
            Some((prefix, suffix, scopes)) => Meaning::Unmapped { prefix, suffix, scopes },
            None => Meaning::Nothing,
        }
    }

    /// Gives the meaning of `KEY` when this is `KEY_FILE`.
    pub(super) fn pointer_target(&self, key: &str) -> Option<Meaning> {
        key.strip_suffix("_FILE").map(|key| self.meaning(key))
    }

    /// Judges a key that means nothing here. `None` where that cannot be known: without a mapping the mistake is in
    /// MAPPINGS and told there, and every key of a site or a server would repeat it.
    pub(super) fn stranger(&self, place: Place, key: &str, meaning: &Meaning, search: bool) -> Option<Problem> {
        let comes_and_goes = self.names.open && matches!(meaning, Meaning::Unmapped { .. });
        if let Some(near) = (search && !comes_and_goes).then(|| self.neighbour(key, meaning)).flatten() {
            return Some(Problem::error(place, nameable(key), "is not known").hint(format!("did you mean `{near}`?")));
        }
        if let Meaning::Unmapped { prefix, scopes, .. } = meaning {
            let nouns: Vec<_> = scopes.iter().map(|scope| scope.noun()).collect();
            let nouns = nouns.join(" or ");
            if self.names.open {
                let what = format!(
                    "is ignored for now: neither MAPPINGS nor the list of DISCOVERY_URL has a {nouns} `{}`",
                    shown(nameable(prefix))
                );
                let hint = "remove the line, unless it is to come back";
                return Some(Problem::warning(place, nameable(key), what).hint(hint));
            }
            if self.names.pairs.is_empty() {
                return None;
            }
            let what = format!("is ignored: MAPPINGS has no {nouns} `{}`", shown(nameable(prefix)));
            return Some(Problem::warning(place, nameable(key), what).hint("map it, or remove the line"));
        }
        let problem = Problem::warning(place, nameable(key), "is not known, ignored");
        Some(match search.then(|| self.relative(key)).flatten() {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem,
        })
    }

    /// Finds the key that a slip of the pen away was meant.
    fn neighbour(&self, key: &str, meaning: &Meaning) -> Option<String> {
        let upper = key.to_ascii_uppercase().replace(['-', '.', ':'], "_");
        let mut best: Option<(usize, String)> = None;
        let mut offer = |distance: usize, near: String| {
            if near != key && best.as_ref().is_none_or(|(least, _)| distance < *least) {
                best = Some((distance, near));
            }
        };
        for (prefix, suffix) in splits(&upper) {
            for (scope, name) in &self.known {
                if (*scope == Scope::Global) != prefix.is_empty() {
                    continue;
                }
                let Some(prefix) = self.mapped(*scope, prefix) else { continue };
                let (shape, number) = numberless(suffix, false).unwrap_or_else(|| (suffix.to_owned(), 0));
                let shape = if name.contains(NUMBER) { shape.as_str() } else { suffix };
                if let Some(distance) = slip(shape, name) {
                    let gap = if prefix.is_empty() { "" } else { "_" };
                    offer(
                        distance,
                        format!("{prefix}{gap}{}", name.replace(NUMBER, &number.max(*NUMBERS.start()).to_string())),
                    );
                }
            }
        }
        if let Meaning::Unmapped { prefix, suffix, scopes } = meaning {
            for name in scopes.iter().filter_map(|scope| self.names.of(*scope)).flatten() {
                // `DC2` is not a slip for `DC3`, `SVR4` is one for `SRV4`.
                let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                if name.len().abs_diff(prefix.len()) <= 1
                    && digits(name) == digits(prefix)
                    && strsim::osa_distance(name, prefix) <= 1
                {
                    offer(1, format!("{name}_{suffix}"));
                }
            }
        }
        best.map(|(_, near)| near)
    }

    /// Gives the mapped name that differs from this one in the case of letters at most.
    fn mapped<'n>(&'n self, scope: Scope, prefix: &'n str) -> Option<&'n str> {
        let Some(names) = self.names.of(scope) else { return Some("") };
        if let Some(name) = names.get(prefix) {
            return Some(name);
        }
        // Small sets only: in a large one such a search for each unknown key would take seconds.
        if names.len() > 256 {
            return None;
        }
        names.iter().map(String::as_str).find(|name| name.eq_ignore_ascii_case(prefix))
    }

    /// Finds the one key of the agent that has all the words of this one and one more: `TELEGRAM_TOKEN` for `TELEGRAM_BOT_TOKEN`.
    fn relative(&self, key: &str) -> Option<&'a str> {
        let words: Vec<_> = key.split('_').collect();
        let mut all = self.known.iter().filter(|(scope, name)| {
            let theirs = || name.split('_');
            *scope == Scope::Global
                && words.len() > 1
                && theirs().count() == words.len() + 1
                && words.iter().all(|w| theirs().any(|t| t == *w))
        });
        let (_, name) = all.next()?;
        all.next().is_none().then_some(name)
    }
}

/// Gives the key whole, and cut at each `_`.
fn splits(key: &str) -> impl Iterator<Item = (&str, &str)> {
    let cuts =
        key.match_indices('_').filter_map(|(index, _)| Some((key.get(..index)?, key.get(index.saturating_add(1)..)?)));
    // No name is empty, and none holds more underscores than a sane person types.
    std::iter::once(("", key)).chain(cuts.filter(|(prefix, _)| !prefix.is_empty()).take(16))
}

/// Reads the number of a numbered key as it must be written.
pub(super) fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|k: &u32| NUMBERS.contains(k) && k.to_string() == text)
}

/// Puts the placeholder in place of the first number between underscores: `COMMAND_2_MODE` → `COMMAND_{K}_MODE`, 2.
fn numberless(key: &str, strict: bool) -> Option<(String, u32)> {
    let read = |part: &str| if strict { number(part) } else { part.parse().ok().filter(|k| NUMBERS.contains(k)) };
    let found = key.split('_').skip(1).find_map(read)?;
    let mut done = false;
    let parts = key.split('_').enumerate().map(|(index, part)| {
        let here = index > 0 && !done && read(part).is_some();
        done |= here;
        if here { NUMBER } else { part }
    });
    Some((parts.collect::<Vec<_>>().join("_"), found))
}

/// Gives the distance of two names when one is a slip of the pen for the other: one letter in a short name, two in a long one.
fn slip(found: &str, known: &str) -> Option<usize> {
    let limit = (known.len() / 4).clamp(1, 2);
    if found.len().abs_diff(known.len()) > limit {
        return None;
    }
    Some(strsim::osa_distance(found, known)).filter(|distance| *distance <= limit)
}
