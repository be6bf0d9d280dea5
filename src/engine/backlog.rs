//! What waits for a channel: how much, and which of it is not worth telling any more. How it is sent lives in `delivery`.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::domain::notice::{News, Notice};
use crate::domain::remedy::NoticeId;

/// Notices that may wait for one channel as they came; of more than these only what still counts is kept.
pub const MAX_WAITING: usize = 5_000;

/// How one channel fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChannelHealth {
    /// The channel's name.
    pub channel: String,
    /// Notices that wait.
    pub waiting: usize,
    /// Notices delivered since the start.
    pub delivered: u64,
    /// Why the last try failed; empty when it did not.
    pub trouble: String,
}

/// Takes out every repeat, and every alarm, that a later notice of the same incident replaces; gives what was taken out.
pub fn thin(queue: &mut VecDeque<Notice>) -> Vec<NoticeId> {
    let last: HashMap<_, _> = queue.iter().map(|notice| (notice.incident, notice.id)).collect();
    let mut stale = Vec::new();
    queue.retain(|notice| {
        let repeat = match &notice.news {
            // That healing does not help is said once.
            News::Failed(failed) => failed.failures > 1 && !failed.gave_up,
            // Its end says all of it.
            News::Storm { .. } | News::CutOff(_) => true,
            _ => false,
        };
        let replaced = last.get(&notice.incident).is_some_and(|last| *last != notice.id);
        if repeat && replaced {
            stale.push(notice.id);
        }
        !(repeat && replaced)
    });
    stale
}

/// Folds a queue of more than [`MAX_WAITING`]: of each pair stays the last notice, and the one that opened its incident if
/// that is still open. What stays is bounded by the number of pairs. Gives what was taken out.
pub fn fold(queue: &mut VecDeque<Notice>) -> Vec<Notice> {
    if queue.len() <= MAX_WAITING {
        return Vec::new();
    }
    let whom = |notice: &Notice| (notice.pair.clone(), notice.pair.is_none().then_some(notice.incident));
    let last: HashMap<_, _> = queue.iter().map(|notice| (whom(notice), notice)).collect();
    let kept: HashSet<NoticeId> = queue
        .iter()
        .filter(|notice| {
            last.get(&whom(notice)).is_some_and(|last| {
                let of_last = last.incident == notice.incident;
                last.id == notice.id || (of_last && opens(notice) && matches!(last.news, News::Failed(_)))
            })
        })
        .map(|notice| notice.id)
        .collect();
    let (stay, go) = queue.drain(..).partition(|notice| kept.contains(&notice.id));
    *queue = stay;
    Vec::from(go)
}

fn opens(notice: &Notice) -> bool {
    matches!(&notice.news, News::Failed(failed) if failed.failures <= 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::notice::{Deed, Failed, Healer, Recovered};
    use crate::domain::reading::{Cause, Fault, Phases};
    use crate::domain::remedy::IncidentId;

    fn notice(server: &str, incident: u128, news: News) -> Notice {
        Notice {
            id: NoticeId(Uuid::now_v7()),
            pair: Some(format!("DC1:{server}").parse().unwrap()),
            incident: IncidentId(Uuid::from_u128(incident)),
            at: Timestamp::UNIX_EPOCH,
            environment: None,
            news,
        }
    }

    fn fell(server: &str, incident: u128, failures: u32) -> Notice {
        let failed = Failed {
            failures,
            attempts: 1,
            factor: 1.5,
            next: Duration::from_secs(30),
            fault: Fault::new(Cause::Refused, ""),
            phases: Phases::default(),
            deed: Deed::Nothing,
            gave_up: false,
            asks: false,
            record: None,
            holds: Vec::new(),
        };
        notice(server, incident, News::Failed(failed))
    }

    fn rose(server: &str, incident: u128) -> Notice {
        let (next, down_for) = (Duration::from_secs(30), Duration::from_mins(1));
        let up = Recovered { failures: 1, next, down_for, by: Healer::Itself, while_off: false };
        notice(server, incident, News::Recovered(up))
    }

    #[test]
    fn a_repeat_gives_way_to_the_next_one_unless_it_says_that_healing_does_not_help() {
        let mut hopeless = fell("A", 1, 3);
        if let News::Failed(failed) = &mut hopeless.news {
            failed.gave_up = true;
        }
        let (first, last) = (fell("A", 1, 1), fell("A", 1, 5));
        let mut queue: VecDeque<Notice> =
            [first.clone(), fell("A", 1, 2), hopeless.clone(), fell("A", 1, 4), last.clone()].into();
        assert_eq!(thin(&mut queue).len(), 2);
        assert_eq!(queue, [first, hopeless, last]);
    }

    #[test]
    fn as_many_as_may_wait_are_left_alone() {
        let mut queue: VecDeque<Notice> =
            (0..MAX_WAITING as u128 / 2).flat_map(|n| [fell("A", n, 1), rose("A", n)]).collect();
        let before = queue.clone();
        assert_eq!((fold(&mut queue), queue), (Vec::new(), before));
    }

    #[test]
    fn of_too_many_each_pair_keeps_its_last_notice_and_the_opening_of_an_open_incident() {
        let mut queue: VecDeque<Notice> =
            (0..MAX_WAITING as u128 / 2).flat_map(|n| [fell("A", n, 1), rose("A", n)]).collect();
        // A is up, B is down since before it had to wait, C is down.
        let a_up = queue.back().unwrap().clone();
        let (b, opening, repeat) = (fell("B", 10_001, 8), fell("C", 10_002, 1), fell("C", 10_002, 3));
        queue.extend([fell("B", 10_001, 7), opening.clone(), fell("C", 10_002, 2), b.clone(), repeat.clone()]);
        let all = queue.len();
        let gone = fold(&mut queue);
        assert_eq!(queue, [a_up, opening, b, repeat], "and in the order in which they came");
        assert_eq!(gone.len(), all - 4);
    }
}
