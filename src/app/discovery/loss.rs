//! That a list has lost most of its targets: it is told as long as it lasts, because nobody who is not watched is down.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::discovery::{Change, Roll};

use super::words;

/// Most targets went at once, and have not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    /// How many there were.
    of: usize,
    since: Timestamp,
}

impl Loss {
    /// Weighs a list that was read at `now` and made `after` of `before`; gives the loss that holds from then on.
    pub(super) fn after(
        old: Option<Self>,
        change: &Change,
        before: &Roll,
        after: &Roll,
        now: Timestamp,
    ) -> Option<Self> {
        let begun = change.lost_most.then(|| Self { of: before.present(), since: now });
        let loss = match (old, begun) {
            // The greater one lasts longer.
            (Some(old), Some(new)) if new.of > old.of => Some(Self { since: old.since, ..new }),
            (old, new) => old.or(new),
        };
        loss.filter(|loss| loss.lasts(after))
    }

    /// Takes it up after a restart: those that are missing say so until their grace is over.
    pub(super) fn found(roll: &Roll) -> Option<Self> {
        let loss = Self { of: roll.members.len(), since: roll.read? };
        Some(loss).filter(|loss| missing(roll).saturating_mul(2) > loss.of)
    }

    /// True until more than half are there again, or others in their place.
    fn lasts(&self, roll: &Roll) -> bool {
        let most = |count: usize| count.saturating_mul(2) > self.of;
        most(missing(roll)) || most(self.of.saturating_sub(roll.present()))
    }

    /// Says it.
    pub(super) fn told(&self, roll: &Roll, zone: &TimeZone) -> String {
        let (of, since) = (self.of, words::moment(self.since, zone));
        let waiting = match missing(roll) {
            0 => "those that went are watched no more".to_owned(),
            missing => format!("the {missing} missing are watched until DISCOVERY_GRACE is over"),
        };
        let there = roll.present();
        format!(
            "discovery: since {since} the list is without most of the {of} that it had, and has {there} now; {waiting}; \
             mend the list, or reload the agent if that is meant"
        )
    }
}

fn missing(roll: &Roll) -> usize {
    roll.members.len().saturating_sub(roll.present())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::discovery::{Entry, Rules};

    const RULES: Rules = Rules { grace: Duration::from_mins(2), limit: 100 };

    /// What it is about; lists, one a minute, each by the numbers of its targets; and whether most are lost after each.
    type Case = (&'static str, &'static [&'static [u8]], &'static [bool]);

    #[test]
    fn it_lasts_until_most_are_there_again_or_others_in_their_place() {
        const ALL: &[u8] = &[1, 2, 3, 4];
        let cases: [Case; 6] = [
            (
                "an empty list, through the grace and after it",
                &[ALL, &[], &[], &[], &[]],
                &[false, true, true, true, true],
            ),
            ("and back", &[ALL, &[], &[], ALL], &[false, true, true, false]),
            ("half is not most", &[ALL, &[1, 2], &[1, 2]], &[false, false, false]),
            ("three of four", &[ALL, &[1], &[1, 2]], &[false, true, false]),
            (
                "all others, as long as the old ones are watched",
                &[ALL, &[5, 6, 7, 8], &[5, 6, 7, 8], &[5, 6, 7, 8]],
                &[false, true, true, false],
            ),
            ("one by one", &[ALL, &[1, 2, 3], &[1, 2], &[1, 2]], &[false, false, false, false]),
        ];
        for (what, lists, expected) in cases {
            let (mut roll, mut loss, mut told) = (Roll::default(), None, Vec::new());
            for (minute, list) in (0..).zip(lists) {
                let now = Timestamp::from_second(minute * 60).unwrap();
                let entry = |n: &u8| Entry {
                    pair: format!("DC3:S{n}").parse().unwrap(),
                    keys: vec![("URL", "http://h/".to_owned())],
                };
                let before = roll.clone();
                let change = roll.update(list.iter().map(entry).collect(), Duration::from_mins(1), RULES, now);
                loss = Loss::after(loss, &change, &before, &roll, now);
                told.push(loss.is_some());
                let waits = roll.members.iter().any(|member| member.missing.is_some());
                if waits && *list != ALL {
                    assert_eq!(Loss::found(&roll).is_some(), loss.is_some() && list.len() < 4, "{what}");
                }
            }
            assert_eq!(told, expected, "{what}");
        }
    }
}
