//! The ladder of each pair: what is run when it is down, rung by rung, and what is run when it is up again.
//!
//! The narrowest key wins, key by key: pair, then site, then the whole agent; and a key of rung k before the one of every
//! rung.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ladder::{Mode, Terms};
use crate::domain::name::PairName;
use crate::env::{Reader, Scope, Scoped};

use super::{Site, remedies};

mod keys;
mod odd;

pub use keys::{COMMAND, COMMAND_TIMEOUT, GROUP, SITE_COMMAND, VERIFY_INTERVAL, VERIFY_WINDOW};
pub use odd::Odd;

use keys::{Every, GLOBAL, Keys, PAIR, SITE};

/// One rung of a pair's ladder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rung {
    /// The command.
    pub command: String,
    /// Time it may take.
    pub timeout: Duration,
    /// How long it has to show its effect.
    pub verify_window: Duration,
    /// Whether and when it runs by itself.
    pub terms: Terms,
}

/// What one scope sets.
#[derive(Clone, Default)]
pub struct Ladder {
    rungs: BTreeMap<u32, Text>,
    /// By rung; 0 stands for every rung.
    terms: BTreeMap<u32, Partial>,
    recovery: Option<String>,
    /// What each scope sets by itself, the narrowest first.
    levels: Vec<Arc<Level>>,
}

/// What one scope sets by itself, for the look at what contradicts itself.
struct Level {
    scope: Scope,
    terms: BTreeMap<u32, Partial>,
    recovery: bool,
}

#[derive(Clone)]
struct Text {
    /// Where it is set.
    scope: Scope,
    /// `None` in place of a value that could not be read: it was reported, and must not let a wider one through.
    command: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Partial {
    timeout: Option<Duration>,
    window: Option<Duration>,
    mode: Option<Mode>,
    after: Option<Duration>,
}

impl Partial {
    fn or(self, wider: Self) -> Self {
        Self {
            timeout: self.timeout.or(wider.timeout),
            window: self.window.or(wider.window),
            mode: self.mode.or(wider.mode),
            after: self.after.or(wider.after),
        }
    }
}

/// What the whole agent sets.
pub fn of_agent(reader: &Reader<'_>) -> Ladder {
    Ladder::read(&reader.global(), &GLOBAL)
}

/// What a site sets.
pub fn of_site(reader: &Reader<'_>, site: &str) -> Ladder {
    Ladder::read(&reader.scoped(site), &SITE)
}

/// What a pair sets.
pub fn of_pair(reader: &Reader<'_>, pair: &PairName) -> Ladder {
    Ladder::read(&reader.scoped(&format!("{}_{}", pair.site, pair.server)), &PAIR)
}

impl Ladder {
    fn read(scope: &Scoped<'_>, keys: &Keys) -> Self {
        let text = |command| Text { scope: keys.command.scope, command };
        let numbered = scope.numbered(&keys.commands).into_iter();
        let mut rungs: BTreeMap<u32, Text> = numbered.map(|(k, command)| (k, text(command))).collect();
        match scope.optional(&keys.command) {
            Some(Some(command)) => drop(rungs.insert(1, text(Some(command)))),
            Some(None) => {}
            None => drop(rungs.insert(1, text(None))),
        }
        let Every { timeout, window, mode, after } = &keys.every;
        let every = Partial {
            timeout: scope.optional(timeout).flatten(),
            window: scope.optional(window).flatten(),
            mode: scope.optional(mode).flatten(),
            after: scope.optional(after).flatten(),
        };
        let mut terms = BTreeMap::from([(0, every)]);
        let Every { timeout, window, mode, after } = &keys.one;
        for (k, value) in scope.numbered(timeout) {
            terms.entry(k).or_default().timeout = value;
        }
        for (k, value) in scope.numbered(window) {
            terms.entry(k).or_default().window = value;
        }
        for (k, value) in scope.numbered(mode) {
            terms.entry(k).or_default().mode = value;
        }
        for (k, value) in scope.numbered(after) {
            terms.entry(k).or_default().after = value;
        }
        let recovery = scope.optional(&keys.recovery).flatten();
        let level = Level { scope: keys.command.scope, terms: terms.clone(), recovery: recovery.is_some() };
        Self { rungs, terms, recovery, levels: vec![Arc::new(level)] }
    }

    /// This scope's keys, and the wider one's where it sets none.
    #[must_use]
    pub fn over(&self, wider: &Self) -> Self {
        let mut rungs = wider.rungs.clone();
        rungs.extend(self.rungs.clone());
        let numbers = self.terms.keys().chain(wider.terms.keys());
        let terms = numbers.map(|k| (*k, self.of(*k).or(wider.of(*k)))).collect();
        let levels = self.levels.iter().chain(&wider.levels).cloned().collect();
        Self { rungs, terms, recovery: self.recovery.clone().or_else(|| wider.recovery.clone()), levels }
    }

    /// The terms of rung `k` here: its own, then those of every rung.
    fn of(&self, k: u32) -> Partial {
        let of = |k| self.terms.get(&k).copied().unwrap_or_default();
        of(k).or(of(0))
    }

    /// What is run on recovery.
    pub fn recovery(&self) -> Option<String> {
        self.recovery.clone()
    }

    /// Time rung `k` may take, where it is set.
    pub fn timeout(&self, k: u32) -> Option<Duration> {
        self.of(k).timeout
    }

    /// The same with what the site does in place of a command as its first rung; it is wider than the rung of a pair.
    #[must_use]
    pub fn headed_by(mut self, keys: &Scoped<'_>, site: Option<&Site>) -> Self {
        let act = site.and_then(|site| site.act.as_ref()).map(ToString::to_string);
        if act.is_some() || (site.is_none() && remedies::is_any(keys)) {
            self.rungs.insert(1, Text { scope: Scope::Site, command: act });
        }
        self
    }

    /// True when the first rung is the site's.
    pub fn is_headed_by_site(&self) -> bool {
        self.rungs.get(&1).is_some_and(|rung| rung.scope == Scope::Site)
    }

    /// How many rungs are set.
    pub fn height(&self) -> usize {
        self.rungs.len()
    }

    /// The rungs in order; a missing first rung or a gap is reported once, at the line that needs another.
    pub fn rungs(
        &self,
        reader: &Reader<'_>,
        pair: &PairName,
        defaults: (Duration, Duration),
        told: &mut HashSet<String>,
    ) -> Option<Vec<Rung>> {
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
        let (timeout, window) = defaults;
        let mut expected = 1;
        let mut rungs = Vec::new();
        for (number, text) in &self.rungs {
            if *number != expected {
                gap(reader, pair, text.scope, (*number, expected), told);
            }
            expected = number.saturating_add(1);
            let terms = self.of(*number);
            rungs.push(Rung {
                command: text.command.clone()?,
                timeout: terms.timeout.unwrap_or(timeout),
                verify_window: terms.window.unwrap_or(window),
                terms: Terms { mode: terms.mode.unwrap_or_default(), after: terms.after.unwrap_or_default() },
            });
        }
        Some(rungs)
    }
}

/// The keys of one scope, as they are for a pair.
fn at<'r>(reader: &'r Reader<'r>, pair: &PairName, scope: Scope) -> (Scoped<'r>, &'static Keys) {
    match scope {
        Scope::Global | Scope::Server => (reader.global(), &GLOBAL),
        Scope::Site => (reader.scoped(pair.site.as_str()), &SITE),
        Scope::Pair => (reader.scoped(&format!("{}_{}", pair.site, pair.server)), &PAIR),
    }
}

/// Reports a rung without the one before it, once.
fn gap(reader: &Reader<'_>, pair: &PairName, scope: Scope, (number, expected): (u32, u32), told: &mut HashSet<String>) {
    let (keys, Keys { commands: key, .. }) = at(reader, pair, scope);
    let name = |k: u32| odd::command(&keys, k);
    if told.insert(name(number)) {
        let what = format!("has no rung before it: {} is not set", name(expected));
        keys.numbered_problem(key, number, what, format!("set {} too, or renumber", name(expected)));
    }
}
