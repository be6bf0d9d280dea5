//! Which secrets are masked: those of the configuration in force, and those that may still be in use after a reload.

use std::collections::VecDeque;

use crate::env::{Redactor, Secret};

/// Configurations whose secrets are masked at once.
const GENERATIONS: usize = 8;

/// The secrets of the last configurations, and always those of the start: some values are read only then.
pub(super) struct Masks {
    start: Vec<Secret>,
    later: VecDeque<Vec<Secret>>,
}

impl Masks {
    pub(super) fn new(start: Vec<Secret>) -> Self {
        Self { start, later: VecDeque::new() }
    }

    /// Learns the secrets of another configuration, and gives what masks them together with the older ones. It is one
    /// redactor, not one after another: where an old secret holds a new one, or the other way round, no piece is left over.
    pub(super) fn learn(&mut self, secrets: &[Secret]) -> Result<Redactor, String> {
        if self.start != secrets {
            // What comes back counts as new.
            self.later.retain(|known| known != secrets);
            self.later.push_back(secrets.to_vec());
            if self.later.len() >= GENERATIONS {
                self.later.pop_front();
            }
        }
        let all = self.later.iter().chain([&self.start]).flatten().map(Secret::expose);
        Redactor::new(all).map_err(|error| {
            self.later.retain(|known| known != secrets);
            error.to_string()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::from(*text)).collect()
    }

    #[test]
    fn old_and_new_secrets_are_masked_whole_even_where_one_holds_the_other() {
        let mut masks = Masks::new(secrets(&["at-start", "hunter2"]));
        let masked = masks.learn(&secrets(&["hunter2-and-more", "hunt"])).unwrap();
        assert_eq!(masked.mask("at-start hunter2 hunter2-and-more hunt"), "*** *** *** ***");
    }

    #[test]
    fn the_start_is_never_forgotten_and_the_rest_is_bounded() {
        let mut masks = Masks::new(secrets(&["at-start"]));
        let mut last = masks.learn(&secrets(&["same-secret"])).unwrap();
        for _ in 0..100 {
            last = masks.learn(&secrets(&["same-secret"])).unwrap();
        }
        assert_eq!(masks.later.len(), 1);
        for n in 1..=GENERATIONS {
            last = masks.learn(&secrets(&[&format!("number-{n}")])).unwrap();
        }
        assert_eq!(last.mask("at-start same-secret number-1 number-2 number-8"), "*** same-secret number-1 *** ***");
    }
}
