//! The ladder: which rung a failing check runs, and whether it runs by itself. What a rung does lives in `remedy`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a rung is run (`COMMAND_k_MODE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// By itself.
    #[default]
    Auto,
    /// Once a person approved it; without an answer nothing is run, no later rung either.
    Approve,
    /// Never: records and notices say what would have run.
    Dry,
}

/// What the choice of a rung goes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// How it is run.
    pub mode: Mode,
    /// Not before the outage lasted so long (`COMMAND_k_AFTER`).
    pub after: Duration,
}

/// A person's answers in one incident, by rung.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// Rungs that were approved; the ladder may be climbed past them.
    pub approved: Vec<u32>,
    /// Rungs that were refused, with who said so.
    pub denied: Vec<(u32, String)>,
}

/// What a failing check comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Run this rung.
    Run(u32),
    /// Say what this rung would have done.
    Dry(u32),
    /// Ask a person whether this rung may run.
    Approve(u32),
    /// A person said no to this rung.
    Denied(u32, String),
    /// Even the first rung may not run before the outage lasted so long.
    TooEarly(u32, Duration),
}

/// Chooses the rung of a failing check of an outage that `lasted` so long: rung min(k, last) when this is the k-th check at
/// which the ladder is climbed, or the highest below it that may run by now. A rung that waits for a person is not climbed past. `None` without a ladder.
pub fn choose(
    ladder: impl IntoIterator<Item = Terms>,
    climbs: u32,
    lasted: Duration,
    answers: &Answers,
) -> Option<Choice> {
    let mut choice = None;
    for (number, terms) in (1..=climbs.max(1)).zip(ladder) {
        if lasted < terms.after {
            return Some(choice.unwrap_or(Choice::TooEarly(number, terms.after)));
        }
        choice = Some(match terms.mode {
            Mode::Auto => Choice::Run(number),
            Mode::Dry => Choice::Dry(number),
            Mode::Approve => Choice::Approve(number),
        });
        if terms.mode == Mode::Approve {
            if let Some((_, by)) = answers.denied.iter().find(|(rung, _)| *rung == number) {
                return Some(Choice::Denied(number, by.clone()));
            }
            if !answers.approved.contains(&number) {
                return choice;
            }
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, the ladder, the failing check, minutes of outage, the answers so far, and what is chosen.
    type Story<'a> = (&'a str, Vec<(Mode, u64)>, u32, u64, &'a Answers, Option<Choice>);

    fn ladder(modes: &[(Mode, u64)]) -> Vec<Terms> {
        modes.iter().map(|(mode, after)| Terms { mode: *mode, after: Duration::from_mins(*after) }).collect()
    }

    #[test]
    fn the_stories() {
        use Mode::{Approve, Auto, Dry};
        let none = Answers::default();
        let yes = Answers { approved: vec![2], ..Answers::default() };
        let no = Answers { denied: vec![(2, "anna".into())], ..Answers::default() };
        let late = Choice::TooEarly(1, Duration::from_mins(5));
        let stories: Vec<Story<'_>> = vec![
            ("nothing to run", vec![], 1, 0, &none, None),
            ("the k-th check runs rung k", vec![(Auto, 0), (Auto, 0)], 2, 0, &none, Some(Choice::Run(2))),
            ("and the last one from then on", vec![(Auto, 0), (Auto, 0)], 9, 0, &none, Some(Choice::Run(2))),
            (
                "a rung whose time has not come is not reached",
                vec![(Auto, 0), (Auto, 5)],
                9,
                4,
                &none,
                Some(Choice::Run(1)),
            ),
            ("its time comes", vec![(Auto, 0), (Auto, 5)], 9, 5, &none, Some(Choice::Run(2))),
            ("what lies behind it waits too", vec![(Auto, 0), (Auto, 5), (Auto, 0)], 9, 4, &none, Some(Choice::Run(1))),
            ("even the first may have to wait", vec![(Auto, 5)], 1, 1, &none, Some(late)),
            ("a dry rung is passed", vec![(Dry, 0), (Auto, 0)], 2, 0, &none, Some(Choice::Run(2))),
            ("a dry rung says what it would do", vec![(Dry, 0), (Auto, 0)], 1, 0, &none, Some(Choice::Dry(1))),
            (
                "nobody answers: no later rung runs",
                vec![(Auto, 0), (Approve, 0), (Auto, 0)],
                9,
                0,
                &none,
                Some(Choice::Approve(2)),
            ),
            ("an answer opens the way", vec![(Auto, 0), (Approve, 0), (Auto, 0)], 9, 0, &yes, Some(Choice::Run(3))),
            (
                "a no closes it",
                vec![(Auto, 0), (Approve, 0), (Auto, 0)],
                9,
                0,
                &no,
                Some(Choice::Denied(2, "anna".into())),
            ),
            (
                "each run of the last rung is asked for anew",
                vec![(Auto, 0), (Approve, 0)],
                9,
                0,
                &yes,
                Some(Choice::Approve(2)),
            ),
        ];
        for (story, modes, failures, minutes, answers, expected) in stories {
            let chosen = choose(ladder(&modes), failures, Duration::from_mins(minutes), answers);
            assert_eq!(chosen, expected, "{story}");
        }
    }
}
