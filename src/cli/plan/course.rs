//! How something fares over the time of a story: when it is down, and until when. Arithmetic only; who is meant lives in
//! `story`.

use std::collections::BTreeMap;
use std::time::Duration;

/// A time in which something is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// When it begins.
    pub from: Duration,
    /// The first moment at which it is over.
    pub until: Duration,
}

impl Spell {
    fn holds(&self, at: Duration) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// When something is down, if nobody helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Once.
    Once(Spell),
    /// Up for a time, down for a time, again and again from the start on.
    Flap {
        /// How long it is up; not zero.
        up: Duration,
        /// How long it is down; not zero.
        down: Duration,
    },
}

impl Course {
    /// The spell that holds this moment.
    pub fn spell(&self, at: Duration) -> Option<Spell> {
        let spell = match *self {
            Self::Once(spell) => spell,
            Self::Flap { up, down } => nth(up, down, turns(up, down, at)),
        };
        Some(spell).filter(|spell| spell.holds(at))
    }

    /// Every spell that begins before this moment.
    pub fn spells(&self, before: Duration) -> Vec<Spell> {
        match *self {
            Self::Once(spell) => Some(spell).filter(|spell| spell.from < before).into_iter().collect(),
            Self::Flap { up, down } => {
                let all = (0..=turns(up, down, before)).map(|turn| nth(up, down, turn));
                all.filter(|spell| spell.from < before).collect()
            }
        }
    }
}

/// Whole turns of up and down before this moment.
fn turns(up: Duration, down: Duration, at: Duration) -> u32 {
    let turn = up.saturating_add(down).as_nanos().max(1);
    u32::try_from(at.as_nanos() / turn).unwrap_or(u32::MAX)
}

fn nth(up: Duration, down: Duration, turn: u32) -> Spell {
    let from = up.saturating_add(down).saturating_mul(turn).saturating_add(up);
    Spell { from, until: from.saturating_add(down) }
}

/// A course and what commands made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    course: Course,
    /// Spells that a command ended early: when each began, and when it was over.
    healed: BTreeMap<Duration, Duration>,
}

impl Fate {
    /// Starts with what comes if nobody helps.
    pub fn new(course: Course) -> Self {
        Self { course, healed: BTreeMap::new() }
    }

    /// When the last spell is over, as things stand; `None` when there is no last one.
    pub fn end(&self) -> Option<Duration> {
        match self.course {
            Course::Once(spell) => Some(self.cut(spell).until),
            Course::Flap { .. } => None,
        }
    }

    /// True when it is down at this moment.
    pub fn is_down(&self, at: Duration) -> bool {
        self.course.spell(at).is_some_and(|spell| self.cut(spell).holds(at))
    }

    /// Ends the spell that holds `at`, `after` later, unless it ends before by itself.
    pub fn heal(&mut self, at: Duration, after: Duration) {
        let Some(spell) = self.course.spell(at).map(|spell| self.cut(spell)).filter(|spell| spell.holds(at)) else {
            return;
        };
        let until = at.saturating_add(after);
        if until < spell.until {
            self.healed.insert(spell.from, until);
        }
    }

    /// Every spell that begins before this moment, as it came.
    pub fn spells(&self, before: Duration) -> Vec<Spell> {
        self.course.spells(before).into_iter().map(|spell| self.cut(spell)).collect()
    }

    fn cut(&self, spell: Spell) -> Spell {
        Spell { until: self.healed.get(&spell.from).copied().unwrap_or(spell.until), ..spell }
    }
}

/// Joins spells that overlap or touch; gives them in order, those of no length left out.
pub fn merged(mut spells: Vec<Spell>) -> Vec<Spell> {
    spells.retain(|spell| spell.from < spell.until);
    spells.sort_by_key(|spell| (spell.from, spell.until));
    let mut merged: Vec<Spell> = Vec::new();
    for spell in spells {
        match merged.last_mut().filter(|last| spell.from <= last.until) {
            Some(last) => last.until = last.until.max(spell.until),
            None => merged.push(spell),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn spell(from: u64, until: u64) -> Spell {
        Spell { from: secs(from), until: secs(until) }
    }

    #[test]
    fn an_outage_holds_its_first_moment_and_not_its_last() {
        let fate = Fate::new(Course::Once(spell(300, 900)));
        let down: Vec<bool> = [299, 300, 899, 900].into_iter().map(|at| fate.is_down(secs(at))).collect();
        assert_eq!(down, [false, true, true, false]);
        assert_eq!((fate.end(), fate.spells(secs(300))), (Some(secs(900)), Vec::new()));
    }

    #[test]
    fn a_flap_is_up_first_and_comes_again_without_an_end() {
        let fate = Fate::new(Course::Flap { up: secs(30), down: secs(10) });
        let down: Vec<u64> = (0..90).filter(|at| fate.is_down(secs(*at))).collect();
        assert_eq!(down, (30..40).chain(70..80).collect::<Vec<_>>());
        assert_eq!(fate.spells(secs(71)), [spell(30, 40), spell(70, 80)]);
        assert_eq!(fate.end(), None);
    }

    #[test]
    fn a_command_ends_the_spell_it_runs_in_and_no_other() {
        let mut fate = Fate::new(Course::Flap { up: secs(30), down: secs(10) });
        fate.heal(secs(20), secs(0));
        fate.heal(secs(32), secs(3));
        // Too late to matter: it is over before.
        fate.heal(secs(75), secs(30));
        fate.heal(secs(36), secs(1));
        assert_eq!(fate.spells(secs(100)), [spell(30, 35), spell(70, 80)]);
        assert!(fate.is_down(secs(34)) && !fate.is_down(secs(35)) && fate.is_down(secs(79)));
    }

    #[test]
    fn the_first_command_that_helps_counts() {
        let mut fate = Fate::new(Course::Once(spell(0, 100)));
        fate.heal(secs(10), secs(20));
        fate.heal(secs(15), secs(40));
        assert_eq!(fate.spells(secs(1)), [spell(0, 30)]);
        fate.heal(secs(20), secs(5));
        assert_eq!((fate.spells(secs(1)), fate.end()), (vec![spell(0, 25)], Some(secs(25))));
    }

    #[test]
    fn spells_that_overlap_are_one() {
        let spells = vec![spell(50, 60), spell(0, 10), spell(5, 20), spell(20, 30), spell(7, 7)];
        assert_eq!(merged(spells), [spell(0, 30), spell(50, 60)]);
    }

    proptest! {
        #[test]
        fn a_moment_is_down_exactly_when_a_spell_holds_it(
            up in 1_u64..50, down in 1_u64..50, at in 0_u64..500, heals in prop::collection::vec((0_u64..500, 0_u64..60), 0..8),
        ) {
            let mut fate = Fate::new(Course::Flap { up: secs(up), down: secs(down) });
            for (when, after) in heals {
                fate.heal(secs(when), secs(after));
            }
            let spells = merged(fate.spells(secs(500)));
            prop_assert_eq!(fate.is_down(secs(at)), spells.iter().any(|spell| spell.holds(secs(at))));
            prop_assert!(spells.iter().all(|spell| spell.until <= spell.from + secs(down)));
        }
    }
}
