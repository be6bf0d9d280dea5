//! What a ladder says that contradicts itself or means nothing: gates of rungs that do not exist, a wider gate that a
//! narrower key opens, a second ending. What a ladder is stands in `mod.rs`.

use std::collections::{BTreeMap, HashSet};

use crate::domain::ladder::Mode;
use crate::domain::name::PairName;
use crate::env::{Reader, Scope};

use super::super::{Site, remedies};
use super::{Ladder, Partial, at};

/// Looks at every ladder, and tells each contradiction once.
pub struct Odd<'r> {
    reader: &'r Reader<'r>,
    told: HashSet<String>,
    /// Terms of single rungs, by the name of the rung's command where they are set.
    gates: BTreeMap<String, Gate>,
}

/// Terms of one rung in one scope.
struct Gate {
    /// One that they are meant for.
    pair: PairName,
    scope: Scope,
    rung: u32,
    terms: Partial,
    /// Whether some pair has the rung.
    exists: bool,
}

impl<'r> Odd<'r> {
    /// Begins with nothing seen.
    pub fn new(reader: &'r Reader<'r>) -> Self {
        Self { reader, told: HashSet::new(), gates: BTreeMap::new() }
    }

    /// Looks at the ladder of a pair; `acts` when its first rung is what the site does in place of a command.
    pub fn look(&mut self, pair: &PairName, ladder: &Ladder, site: Option<&Site>, acts: bool) {
        self.gates(pair, ladder);
        self.opened(pair, ladder);
        if acts && site.and_then(|site| site.act.as_ref()).is_some_and(remedies::Act::is_once) {
            self.beside_a_start(pair, ladder);
        }
    }

    /// Tells of gates without a rung, once every ladder was looked at.
    pub fn finish(self) {
        for Gate { pair, scope, rung, terms, .. } in self.gates.into_values().filter(|gate| !gate.exists) {
            let (scoped, keys) = at(self.reader, &pair, scope);
            let what = "is set, and no ladder has this rung: it gates nothing";
            let hint = format!("set {} too, or remove it", command(&scoped, rung));
            let one = &keys.one;
            if terms.timeout.is_some() {
                scoped.numbered_warning(&one.timeout, rung, what, hint.as_str());
            }
            if terms.window.is_some() {
                scoped.numbered_warning(&one.window, rung, what, hint.as_str());
            }
            if terms.mode.is_some() {
                scoped.numbered_warning(&one.mode, rung, what, hint.as_str());
            }
            if terms.after.is_some() {
                scoped.numbered_warning(&one.after, rung, what, hint.as_str());
            }
        }
    }

    fn gates(&mut self, pair: &PairName, ladder: &Ladder) {
        for level in &ladder.levels {
            for (rung, terms) in level.terms.range(1..) {
                let (scoped, _) = at(self.reader, pair, level.scope);
                let exists = ladder.rungs.contains_key(rung);
                self.gates.entry(command(&scoped, *rung)).and_modify(|gate| gate.exists |= exists).or_insert_with(
                    || Gate { pair: pair.clone(), scope: level.scope, rung: *rung, terms: *terms, exists },
                );
            }
        }
    }

    /// A narrower mode of every rung is stronger than a wider one of a single rung, and lets run what was to be asked for.
    fn opened(&mut self, pair: &PairName, ladder: &Ladder) {
        let mode = |terms: Option<&Partial>| terms.and_then(|terms| terms.mode);
        for (place, narrow) in ladder.levels.iter().enumerate() {
            if mode(narrow.terms.get(&0)) != Some(Mode::Auto) {
                continue;
            }
            let (scoped, keys) = at(self.reader, pair, narrow.scope);
            for rung in ladder.rungs.keys().filter(|rung| mode(narrow.terms.get(rung)).is_none()) {
                let narrower = ladder.levels.iter().take(place);
                if narrower
                    .flat_map(|level| [level.terms.get(rung), level.terms.get(&0)])
                    .any(|terms| mode(terms).is_some())
                {
                    continue;
                }
                let mut wider = ladder.levels.iter().skip(place + 1);
                let Some((gate, wanted)) = wider.find_map(|level| {
                    let wanted = mode(level.terms.get(rung)).filter(|wanted| *wanted != Mode::Auto)?;
                    Some((at(self.reader, pair, level.scope).0.full(&format!("COMMAND_{rung}_MODE")), wanted))
                }) else {
                    continue;
                };
                let own = scoped.full(&format!("COMMAND_{rung}_MODE"));
                if self.told.insert(own.clone()) {
                    let wanted = match wanted {
                        Mode::Approve => "approve",
                        Mode::Dry => "dry",
                        Mode::Auto => "auto",
                    };
                    let what =
                        format!("lets rung {rung} run by itself, although {gate} is {wanted}: the narrower key wins");
                    scoped.warn(&keys.every.mode, what, format!("set {own} too, to say which is meant"));
                }
            }
        }
    }

    /// What is started once in an incident is stopped after it: there is no second ending, and mostly no second rung.
    fn beside_a_start(&mut self, pair: &PairName, ladder: &Ladder) {
        let site = self.reader.scoped(pair.site.as_str());
        let (units, mode) = (site.full(remedies::SERVICES.name), site.full(remedies::SERVICES_MODE.name));
        for level in ladder.levels.iter().filter(|level| level.recovery && level.scope != Scope::Global) {
            let (scoped, keys) = at(self.reader, pair, level.scope);
            if self.told.insert(scoped.full(keys.recovery.name)) {
                let what = format!(
                    "is set, but the units of {units} are stopped on recovery, and only one of them can be done"
                );
                scoped.problem(&keys.recovery, what, format!("remove it, or set {mode}=restart"));
            }
        }
        for (rung, text) in ladder.rungs.range(2..) {
            let (scoped, keys) = at(self.reader, pair, text.scope);
            if self.told.insert(format!("{} at {}", command(&scoped, *rung), pair.site)) {
                let what =
                    format!("does not run for {} where the start of {units} succeeded: that is done once", pair.site);
                let hint = format!("remove it, or set {mode}=restart if it is to be tried harder");
                scoped.numbered_warning(&keys.commands, *rung, what, hint);
            }
        }
    }
}

/// The name of a rung's command in one scope.
pub(super) fn command(scoped: &crate::env::Scoped<'_>, rung: u32) -> String {
    scoped.full(&if rung == 1 { "COMMAND".to_owned() } else { format!("COMMAND_{rung}") })
}
