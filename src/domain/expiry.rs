//! When people are told that a certificate ends: once for each threshold, whoever answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::moment::until;

/// What people were told last of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When that certificate ends.
    pub ends: Timestamp,
    /// The threshold that was reached, in days; 0 once it has ended.
    pub days: u16,
}

/// Gives what is to be told now of a certificate that ends at `ends`; `None` when nothing is.
///
/// Servers behind one name may show different certificates in turn: as long as one that was told of has not ended, another
/// is told of only at a lower threshold.
pub fn due(before: Option<Told>, ends: Timestamp, now: Timestamp, thresholds: &[u16]) -> Option<Told> {
    let reached = |days: &u16| ends <= now || until(now, ends).as_secs() <= u64::from(*days) * 86_400;
    let lowest = thresholds.iter().copied().filter(reached).min()?;
    let days = if ends <= now { 0 } else { lowest };
    let is_news = before.is_none_or(|told| days < told.days || (told.ends <= now && told.ends < ends));
    is_news.then_some(Told { ends, days })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_second(n * 86_400).unwrap()
    }

    /// What is told on each of these days of the certificate that ends on that day.
    fn told(story: &[(i64, i64)], thresholds: &[u16]) -> Vec<(i64, u16)> {
        let mut before = None;
        let mut all = Vec::new();
        for (today, ends) in story {
            if let Some(told) = due(before, day(*ends), day(*today), thresholds) {
                all.push((*today, told.days));
                before = Some(told);
            }
        }
        all
    }

    #[test]
    fn each_threshold_is_told_once() {
        let each_day: Vec<_> = (0..105).map(|today| (today, 100)).collect();
        for (name, story, thresholds, expected) in [
            ("each once", &each_day[..], &[30, 14, 3][..], &[(70, 30), (86, 14), (97, 3), (100, 0)][..]),
            ("seen late: the lowest alone", &[(98, 100), (99, 100)], &[30, 14, 3], &[(98, 3)]),
            ("renewed in time", &[(70, 100), (71, 190), (159, 190), (160, 190)], &[30], &[(70, 30), (160, 30)]),
            ("two in turn", &[(90, 100), (90, 105), (91, 100), (91, 105)], &[30], &[(90, 30)]),
            ("two in turn, one far off", &[(90, 100), (90, 900), (91, 100)], &[30], &[(90, 30)]),
            (
                "two in turn, the later one is told when the first has ended",
                &[(90, 100), (90, 120), (101, 120)],
                &[30],
                &[(90, 30), (101, 30)],
            ),
            ("ended, and in turn with another that ended", &[(101, 100), (101, 99), (102, 100)], &[30], &[(101, 0)]),
            ("no thresholds", &[(99, 100)], &[], &[]),
        ] {
            assert_eq!(told(story, thresholds), expected, "{name}");
        }
    }
}
