//! What a command has achieved for a pair so far, as an alert quotes it. The report over a period lives in `report`; who
//! keeps the records up to date is `engine`, what they are read from is `store`.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::PairName;
use super::remedy::{Run, Verdict};

/// From so many runs on, a command that healed nothing is said never to help: fewer may be an accident.
pub const ENOUGH_RUNS: u32 = 3;
/// Times to heal that are kept of a command: enough for a steady median.
const TIMES: usize = 64;
/// Commands that are remembered of a pair: a ladder, and what stood in its place before.
const COMMANDS: usize = 16;

/// What one command has achieved for one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How many runs healed the pair.
    pub healed: u32,
    /// How many runs reached the host and were judged.
    pub runs: u32,
    /// The middle of the times to heal; there is one as soon as one run healed.
    #[serde(rename = "median_ms", with = "super::millis::option", default)]
    pub median: Option<Duration>,
}

/// The records of all pairs. Memory per pair is bounded: 16 commands with 64 times each, and nothing for a pair without
/// runs.
#[derive(Debug, Default)]
pub struct Records {
    pairs: HashMap<PairName, Vec<Sum>>,
}

/// One command of a pair. In its pair's list the one that ran last stands last.
#[derive(Debug)]
struct Sum {
    command: Box<str>,
    healed: u32,
    runs: u32,
    /// Newest first.
    times: VecDeque<Duration>,
    last: Last,
}

/// The last run, until it is judged.
#[derive(Debug, Clone, Copy)]
struct Last {
    duration: Duration,
    counted: bool,
}

impl Records {
    /// Gives what a command has achieved for a pair; nothing when no run of it was judged.
    pub fn of(&self, pair: &PairName, command: &str) -> Option<Record> {
        let sum = self.pairs.get(pair)?.iter().find(|sum| *sum.command == *command)?;
        let mut times: Vec<Duration> = sum.times.iter().copied().collect();
        let record = Record { healed: sum.healed, runs: sum.runs, median: median(&mut times) };
        (record.runs > 0).then_some(record)
    }

    /// Takes the end of a run that served an incident: until [`Self::healed`] says otherwise, it did not help. A run that
    /// did not reach its host counts for nothing.
    pub fn ran(&mut self, pair: &PairName, command: &str, run: &Run) {
        let counted = matches!(run.verdict_unless_up(), Verdict::RanButDown | Verdict::Failed);
        if !counted && !run.started {
            return;
        }
        self.change(pair, command, |sum| {
            sum.runs = sum.runs.saturating_add(u32::from(counted));
            sum.last = Last { duration: run.duration, counted };
        });
    }

    /// Takes the verdict that the last run of this command healed the pair, `after` its end.
    pub fn healed(&mut self, pair: &PairName, command: &str, after: Duration) {
        self.change(pair, command, |sum| {
            sum.runs = sum.runs.saturating_add(u32::from(!sum.last.counted));
            sum.healed = sum.healed.saturating_add(1).min(sum.runs);
            sum.times.push_front(sum.last.duration.saturating_add(after));
            sum.times.truncate(TIMES);
            sum.last.counted = true;
        });
    }

    /// Takes a run from the history, where the newest comes first: how long it took to heal, or nothing when it did not help.
    pub fn recall(&mut self, pair: &PairName, command: &str, healed_in: Option<Duration>) {
        let sums = self.pairs.entry(pair.clone()).or_default();
        let at = sums.iter().position(|sum| *sum.command == *command);
        if at.is_none() {
            if sums.len() >= COMMANDS {
                return;
            }
            // Older than every other.
            sums.insert(0, Sum::new(command));
        }
        let Some(sum) = sums.get_mut(at.unwrap_or_default()) else { return };
        sum.runs = sum.runs.saturating_add(1);
        let Some(time) = healed_in else { return };
        sum.healed = sum.healed.saturating_add(1);
        if sum.times.len() < TIMES {
            sum.times.push_back(time);
        }
    }

    /// Changes a command's sum and puts it at the end; the one that has not run for the longest time makes room.
    fn change(&mut self, pair: &PairName, command: &str, change: impl FnOnce(&mut Sum)) {
        let sums = self.pairs.entry(pair.clone()).or_default();
        let mut sum = match sums.iter().position(|sum| *sum.command == *command) {
            Some(at) => sums.remove(at),
            None => Sum::new(command),
        };
        if sums.len() >= COMMANDS {
            sums.remove(0);
        }
        change(&mut sum);
        sums.push(sum);
    }
}

impl Sum {
    fn new(command: &str) -> Self {
        let last = Last { duration: Duration::ZERO, counted: false };
        Self { command: command.into(), healed: 0, runs: 0, times: VecDeque::new(), last }
    }
}

/// The middle of some times, in any order; of an even number the mean of the two in the middle.
pub(super) fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    let half = times.len() / 2;
    let upper = *times.get(half)?;
    if times.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = times.get(half.checked_sub(1)?)?;
    Some(lower.saturating_add(upper) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::remedy::RunStatus;

    const COMMAND: &str = "systemctl restart network-service";

    fn pair() -> PairName {
        "DC3-SRV4".parse().unwrap()
    }

    fn run(status: RunStatus, started: bool, seconds: u64) -> Run {
        Run {
            status,
            started,
            exit_code: None,
            signal: None,
            duration: Duration::from_secs(seconds),
            excerpt: String::new(),
            error: String::new(),
        }
    }

    fn told(records: &Records, command: &str) -> Option<(u32, u32, Option<u64>)> {
        records.of(&pair(), command).map(|record| (record.healed, record.runs, record.median.map(|at| at.as_secs())))
    }

    #[test]
    fn a_run_did_not_help_until_a_probe_says_that_it_healed() {
        let mut records = Records::default();
        assert_eq!(told(&records, COMMAND), None);
        records.ran(&pair(), COMMAND, &run(RunStatus::Executed, true, 2));
        assert_eq!(told(&records, COMMAND), Some((0, 1, None)));
        records.healed(&pair(), COMMAND, Duration::from_secs(4));
        assert_eq!(told(&records, COMMAND), Some((1, 1, Some(6))));
        records.ran(&pair(), COMMAND, &run(RunStatus::Failed, true, 1));
        assert_eq!(told(&records, COMMAND), Some((1, 2, Some(6))));
        assert_eq!(told(&records, "another"), None);
        assert_eq!(records.of(&"DC1-SRV4".parse().unwrap(), COMMAND), None);
    }

    #[test]
    fn what_never_reached_its_host_counts_for_nothing_and_what_was_lost_on_the_way_only_when_it_healed() {
        let mut records = Records::default();
        for status in [RunStatus::Unreachable, RunStatus::AuthFailed, RunStatus::HostKeyMismatch, RunStatus::Failed] {
            records.ran(&pair(), COMMAND, &run(status, false, 9));
        }
        assert_eq!(records.pairs.len(), 0, "{records:?}");
        records.ran(&pair(), COMMAND, &run(RunStatus::Timeout, true, 60));
        assert_eq!(told(&records, COMMAND), None);
        records.healed(&pair(), COMMAND, Duration::from_secs(1));
        assert_eq!(told(&records, COMMAND), Some((1, 1, Some(61))));
    }

    #[test]
    fn the_history_and_what_happens_after_it_make_one_record() {
        let mut records = Records::default();
        for seconds in [None, Some(5), Some(9)] {
            records.recall(&pair(), COMMAND, seconds.map(Duration::from_secs));
        }
        assert_eq!(told(&records, COMMAND), Some((2, 3, Some(7))));
        records.ran(&pair(), COMMAND, &run(RunStatus::Executed, true, 1));
        records.healed(&pair(), COMMAND, Duration::from_secs(5));
        assert_eq!(told(&records, COMMAND), Some((3, 4, Some(6))));
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_newest() {
        let mut records = Records::default();
        for n in 0..100 {
            records.recall(&pair(), &format!("old {n}"), Some(Duration::from_secs(1)));
        }
        assert!(told(&records, "old 15").is_some() && told(&records, "old 16").is_none());
        records.ran(&pair(), "old 15", &run(RunStatus::Executed, true, 1));
        records.ran(&pair(), "new", &run(RunStatus::Executed, true, 1));
        assert!(told(&records, "new").is_some() && told(&records, "old 14").is_none(), "{records:?}");
        assert_eq!(told(&records, "old 15"), Some((1, 2, Some(1))), "what ran lately stays");
        for _ in 0..1000 {
            records.ran(&pair(), "new", &run(RunStatus::Executed, true, 1));
            records.healed(&pair(), "new", Duration::from_secs(9));
        }
        let sums = &records.pairs[&pair()];
        assert!(sums.len() == COMMANDS && sums.iter().all(|sum| sum.times.len() <= TIMES));
        assert_eq!(told(&records, "new"), Some((1000, 1001, Some(10))));
    }

    #[test]
    fn a_record_is_written_in_milliseconds_and_one_without_a_median_is_read() {
        let record = Record { healed: 14, runs: 15, median: Some(Duration::from_millis(6250)) };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(text, r#"{"healed":14,"runs":15,"median_ms":6250.0}"#);
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        let bare: Record = serde_json::from_str(r#"{"healed":0,"runs":2}"#).unwrap();
        assert_eq!(bare, Record { healed: 0, runs: 2, median: None });
    }

    #[test]
    fn the_middle_of_an_even_number_is_the_mean_of_two() {
        let of = |seconds: &[u64]| median(&mut seconds.iter().copied().map(Duration::from_secs).collect::<Vec<_>>());
        assert_eq!((of(&[]), of(&[3])), (None, Some(Duration::from_secs(3))));
        assert_eq!(of(&[9, 1, 3]), Some(Duration::from_secs(3)));
        assert_eq!(of(&[4, 1, 9, 3]), Some(Duration::from_millis(3500)));
    }
}
