//! Stories: what checks say and how long things take goes in, what was done and when comes out.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const INTERVAL: u64 = 30;
/// The wall clock at the start of a story, in seconds.
const EPOCH: i64 = 1000;

fn rules(threshold: u32, fail: bool, recovery: Option<Patience>) -> Rules {
    Rules { interval: Duration::from_secs(INTERVAL), threshold: NonZeroU32::new(threshold).unwrap(), fail, recovery }
}

/// How long each job takes, in seconds.
#[derive(Clone, Copy)]
struct Takes {
    check: u64,
    fail: u64,
    recovery: u64,
}

const QUICK: Takes = Takes { check: 0, fail: 0, recovery: 0 };

fn written(effect: &Effect) -> String {
    match effect {
        Effect::Check => "check".to_owned(),
        Effect::Fail(failure) => format!("fail code {} at {} pid {}", failure.code, failure.at, failure.pid),
        Effect::Recover(Streak { count, first, last }) => {
            format!("recover {count} since {} last {} code {} pid {}", first.at, last.at, last.code, last.pid)
        }
        Effect::Signal(occasion) => format!("signal {occasion:?}"),
        Effect::Tell(News::Fault(streak)) => format!("tell fault {}", streak.count),
        Effect::Tell(News::Recovered(how)) => format!("tell recovered {how:?}"),
        Effect::Tell(News::Back { streak, at }) => format!("tell back {} at {at}", streak.count),
        Effect::Tell(News::Ended(_)) => "tell end".to_owned(),
        Effect::Note(Note::Failed(streak)) => format!("failed {}", streak.count),
        Effect::Note(Note::Succeeded(count)) => format!("succeeded after {count}"),
        Effect::Note(Note::Overlap(job)) => format!("overlap {job:?}"),
        Effect::Note(note) => format!("{note:?}"),
        Effect::End(trouble) => format!("end {trouble:?}"),
    }
}

/// Plays a story: each check ends with the next of these, the last for ever; what was done by `until`, one line a moment.
fn play(rules: Rules, ends: &[How], takes: Takes, until: u64) -> Vec<String> {
    let mut heat = Heat::new(rules);
    let mut ends = ends.iter().cycle_last();
    let (mut now, mut ending, mut pid) = (Duration::ZERO, None::<(Duration, How)>, 0);
    let mut told = Vec::new();
    loop {
        let wake = heat.wake();
        let seen = match (&ending, wake) {
            // An end and a moment at once: the end is seen first.
            (Some((at, _)), wake) if wake.is_none_or(|wake| *at <= wake) => {
                now = *at;
                let (_, how) = ending.take().unwrap();
                Seen::Ended { how, at: EPOCH + i64::try_from(now.as_secs()).unwrap(), pid }
            }
            (_, Some(wake)) => {
                now = now.max(wake);
                Seen::Time
            }
            _ => return told,
        };
        if now > Duration::from_secs(until) {
            return told;
        }
        let effects = heat.step(now, seen);
        for effect in &effects {
            let (takes, how) = match effect {
                Effect::Check => (takes.check, ends.next().unwrap()),
                Effect::Fail(_) => (takes.fail, How::Exit(0)),
                Effect::Recover(_) => (takes.recovery, How::Exit(0)),
                Effect::End(_) => {
                    told.push(line(now, &effects));
                    return told;
                }
                _ => continue,
            };
            assert!(ending.is_none(), "two run at once: {told:?}");
            pid += 1;
            ending = Some((now + Duration::from_secs(takes), how));
        }
        if !effects.is_empty() {
            told.push(line(now, &effects));
        }
    }
}

fn line(now: Duration, effects: &[Effect]) -> String {
    let effects: Vec<String> = effects.iter().map(written).collect();
    format!("{}: {}", now.as_secs(), effects.join(", "))
}

trait CycleLast: Iterator {
    fn cycle_last(self) -> impl Iterator<Item = How>;
}

impl<'a, I: Iterator<Item = &'a How>> CycleLast for I {
    fn cycle_last(self) -> impl Iterator<Item = How> {
        let mut last = None;
        let mut rest = self;
        std::iter::from_fn(move || {
            last = rest.next().cloned().or_else(|| last.take());
            last.clone()
        })
    }
}

const UP: How = How::Exit(0);
const DOWN: How = How::Exit(7);

type Story = (&'static str, Rules, Vec<How>, Takes, u64, &'static [&'static str]);

#[test]
#[expect(clippy::too_many_lines, reason = "one table, a story each")]
fn every_story_comes_out_as_told() {
    let minutes_5 = Some(Patience::For(Duration::from_mins(5)));
    let stories: Vec<Story> = vec![
        (
            "checks keep their rate from the start, however long each takes",
            rules(1, false, None),
            vec![UP],
            Takes { check: 13, ..QUICK },
            90,
            &["0: check", "30: check", "60: check", "90: check"],
        ),
        (
            "a check that takes longer is followed at once by one, however many came due, and then by the old rate",
            rules(1, false, None),
            vec![UP],
            Takes { check: 70, ..QUICK },
            149,
            &["0: check", "30: overlap Check", "70: check", "90: overlap Check", "140: check"],
        ),
        (
            "each failure sends the signal and runs what --fail names, the threshold sends its own once",
            rules(2, true, None),
            vec![DOWN, DOWN, DOWN, UP],
            QUICK,
            90,
            &[
                "0: check",
                "0: failed 1, signal Failure, fail code 7 at 1000 pid 1",
                "30: check",
                "30: failed 2, signal Failure, signal Fault, tell fault 2, fail code 7 at 1030 pid 3",
                "60: check",
                "60: failed 3, signal Failure, fail code 7 at 1060 pid 5",
                "90: check",
                "90: succeeded after 3, signal Success, tell back 3 at 1090",
            ],
        ),
        (
            "a success below the threshold sends nothing and counts anew",
            rules(2, false, None),
            vec![DOWN, UP, DOWN, UP],
            QUICK,
            90,
            &[
                "0: check",
                "0: failed 1, signal Failure",
                "30: check",
                "30: succeeded after 1",
                "60: check",
                "60: failed 1, signal Failure",
                "90: check",
                "90: succeeded after 1",
            ],
        ),
        (
            "while what --fail names runs, intervals are not run on top; at its end one is, once",
            rules(9, true, None),
            vec![DOWN, UP],
            Takes { fail: 100, ..QUICK },
            120,
            &[
                "0: check",
                "0: failed 1, signal Failure, fail code 7 at 1000 pid 1",
                "30: overlap Fail",
                "100: check",
                "100: succeeded after 1",
                "120: check",
            ],
        ),
        (
            "what --fail names and ends within the interval changes no rate",
            rules(9, true, None),
            vec![DOWN, UP],
            Takes { fail: 29, ..QUICK },
            30,
            &[
                "0: check",
                "0: failed 1, signal Failure, fail code 7 at 1000 pid 1",
                "30: check",
                "30: succeeded after 1",
            ],
        ),
        (
            "a recovery is not run on what was true before a long --fail script that has repaired it",
            rules(1, true, minutes_5),
            vec![DOWN, UP],
            Takes { fail: 45, ..QUICK },
            60,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, fail code 7 at 1000 pid 1",
                "30: overlap Fail",
                "45: check",
                "45: succeeded after 1, signal Success, tell back 1 at 1045",
                "60: check",
            ],
        ),
        (
            "when the check that is owed after a long --fail script fails, the recovery follows, and --fail does not again",
            rules(1, true, Some(Patience::Checks)),
            vec![DOWN],
            Takes { fail: 45, ..QUICK },
            75,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, fail code 7 at 1000 pid 1",
                "30: overlap Fail",
                "45: check",
                "45: failed 2, recover 2 since 1000 last 1045 code 7 pid 3",
                "45: Recovered(Exit(0)), tell recovered Exit(0)",
                "75: check",
                "75: failed 3, recover 3 since 1000 last 1075 code 7 pid 5",
                "75: Recovered(Exit(0)), tell recovered Exit(0)",
            ],
        ),
        (
            "when the owed check cannot be started the recovery waits for one that can",
            rules(1, true, Some(Patience::Checks)),
            vec![DOWN, How::NotNow("no room".to_owned()), UP, DOWN],
            Takes { fail: 45, ..QUICK },
            90,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, fail code 7 at 1000 pid 1",
                "30: overlap Fail",
                "45: check",
                "45: NotChecked(\"no room\")",
                "60: check",
                "60: succeeded after 1, signal Success, tell back 1 at 1060",
                "90: check",
                "90: failed 1, signal Failure, signal Fault, tell fault 1, fail code 7 at 1090 pid 5",
            ],
        ),
        (
            "recovery has its whole time, checks go on at the interval, nothing else is run; then it is run again, and counts go on",
            rules(2, true, minutes_5),
            vec![DOWN],
            Takes { recovery: 4, ..QUICK },
            369,
            &[
                "0: check",
                "0: failed 1, signal Failure, fail code 7 at 1000 pid 1",
                "30: check",
                "30: failed 2, signal Failure, signal Fault, tell fault 2, fail code 7 at 1030 pid 3",
                "30: recover 2 since 1000 last 1030 code 7 pid 3",
                "34: Recovered(Exit(0)), tell recovered Exit(0)",
                "64: check",
                "64: failed 3",
                "94: check",
                "94: failed 4",
                "124: check",
                "124: failed 5",
                "154: check",
                "154: failed 6",
                "184: check",
                "184: failed 7",
                "214: check",
                "214: failed 8",
                "244: check",
                "244: failed 9",
                "274: check",
                "274: failed 10",
                "304: check",
                "304: failed 11",
                "334: check",
                "334: failed 12, recover 12 since 1000 last 1334 code 7 pid 15",
                "338: Recovered(Exit(0)), tell recovered Exit(0)",
                "368: check",
                "368: failed 13",
            ],
        ),
        (
            "a success during recovery is the way back to normal, and all counts begin anew",
            rules(2, false, minutes_5),
            vec![DOWN, DOWN, DOWN, UP, DOWN],
            QUICK,
            120,
            &[
                "0: check",
                "0: failed 1, signal Failure",
                "30: check",
                "30: failed 2, signal Failure, signal Fault, tell fault 2, recover 2 since 1000 last 1030 code 7 pid 2",
                "30: Recovered(Exit(0)), tell recovered Exit(0)",
                "60: check",
                "60: failed 3",
                "90: check",
                "90: succeeded after 3, signal Success, tell back 3 at 1090",
                "120: check",
                "120: failed 1, signal Failure",
            ],
        ),
        (
            "when the time ends between two checks, a last look decides, and the old rate goes on",
            rules(1, false, Some(Patience::For(Duration::from_secs(40)))),
            vec![DOWN, DOWN, DOWN, DOWN, UP],
            QUICK,
            100,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, recover 1 since 1000 last 1000 code 7 pid 1",
                "0: Recovered(Exit(0)), tell recovered Exit(0)",
                "30: check",
                "30: failed 2",
                "40: check",
                "40: failed 3, recover 3 since 1000 last 1040 code 7 pid 4",
                "40: Recovered(Exit(0)), tell recovered Exit(0)",
                "70: check",
                "70: failed 4",
                "80: check",
                "80: succeeded after 4, signal Success, tell back 4 at 1080",
                "100: check",
            ],
        ),
        (
            "a time shorter than the interval still ends with a look, not with a guess",
            rules(1, false, Some(Patience::For(Duration::from_secs(5)))),
            vec![DOWN, UP],
            QUICK,
            40,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, recover 1 since 1000 last 1000 code 7 pid 1",
                "0: Recovered(Exit(0)), tell recovered Exit(0)",
                "5: check",
                "5: succeeded after 1, signal Success, tell back 1 at 1005",
                "30: check",
            ],
        ),
        (
            "without a time a recovery has as many checks as the threshold",
            rules(2, false, Some(Patience::Checks)),
            vec![DOWN],
            QUICK,
            90,
            &[
                "0: check",
                "0: failed 1, signal Failure",
                "30: check",
                "30: failed 2, signal Failure, signal Fault, tell fault 2, recover 2 since 1000 last 1030 code 7 pid 2",
                "30: Recovered(Exit(0)), tell recovered Exit(0)",
                "60: check",
                "60: failed 3",
                "90: check",
                "90: failed 4, recover 4 since 1000 last 1090 code 7 pid 5",
                "90: Recovered(Exit(0)), tell recovered Exit(0)",
            ],
        ),
        (
            "a recovery that takes long is followed by a whole interval, not by a check at once",
            rules(1, false, Some(Patience::Checks)),
            vec![DOWN, UP],
            Takes { recovery: 100, ..QUICK },
            160,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, recover 1 since 1000 last 1000 code 7 pid 1",
                "100: Recovered(Exit(0)), tell recovered Exit(0)",
                "130: check",
                "130: succeeded after 1, signal Success, tell back 1 at 1130",
                "160: check",
            ],
        ),
        (
            "a check that takes too long is a failure like any other",
            rules(1, true, None),
            vec![How::TimedOut],
            QUICK,
            0,
            &["0: check", "0: failed 1, signal Failure, signal Fault, tell fault 1, fail code 124 at 1000 pid 1"],
        ),
        (
            "a check that the machine could not start is no failure",
            rules(1, true, Some(Patience::Checks)),
            vec![How::NotNow("no room".to_owned()), UP],
            QUICK,
            30,
            &["0: check", "0: NotChecked(\"no room\")", "30: check"],
        ),
        (
            "a last look that could not be taken waits for the interval, and does not spin",
            rules(1, false, Some(Patience::For(Duration::from_secs(5)))),
            vec![DOWN, How::NotNow("no room".to_owned()), DOWN],
            QUICK,
            30,
            &[
                "0: check",
                "0: failed 1, signal Failure, signal Fault, tell fault 1, recover 1 since 1000 last 1000 code 7 pid 1",
                "0: Recovered(Exit(0)), tell recovered Exit(0)",
                "5: check",
                "5: NotChecked(\"no room\")",
                "30: check",
                "30: failed 2, recover 2 since 1000 last 1030 code 7 pid 4",
                "30: Recovered(Exit(0)), tell recovered Exit(0)",
            ],
        ),
        (
            "a check that somebody kills is the end",
            rules(1, true, None),
            vec![UP, How::Killed("KILL".to_owned())],
            QUICK,
            90,
            &["0: check", "30: check", "30: tell end, end Check(Killed(\"KILL\"))"],
        ),
        (
            "a check that cannot be started any more is the end",
            rules(1, true, None),
            vec![How::Unstartable("gone".to_owned())],
            QUICK,
            90,
            &["0: check", "0: tell end, end Check(Unstartable(\"gone\"))"],
        ),
    ];
    for (name, rules, ends, takes, until, expected) in stories {
        assert_eq!(play(rules, &ends, takes, until), expected, "{name}");
    }
}

fn ended(how: How) -> Seen {
    Seen::Ended { how, at: EPOCH, pid: 1 }
}

/// A machine whose first check has failed.
fn failing(fail: bool, recovery: Option<Patience>) -> Heat {
    let mut heat = Heat::new(rules(1, fail, recovery));
    assert_eq!(heat.step(Duration::ZERO, Seen::Time), [Effect::Check]);
    heat.step(Duration::ZERO, ended(DOWN));
    heat
}

#[test]
fn a_recovery_that_somebody_kills_is_the_end_and_one_that_fails_is_not() {
    for (how, ends) in [
        (How::Exit(1), false),
        (How::TimedOut, false),
        (How::NotNow("no room".to_owned()), false),
        (How::Killed("KILL".to_owned()), true),
        (How::Unstartable("gone".to_owned()), true),
    ] {
        let effects = failing(false, Some(Patience::Checks)).step(Duration::ZERO, ended(how.clone()));
        assert_eq!(effects.contains(&Effect::End(Trouble::Recovery(how.clone()))), ends, "{how:?}");
    }
}

#[test]
fn however_the_fail_script_ends_the_recovery_follows_and_nothing_ends() {
    for how in [
        How::Exit(0),
        How::Exit(1),
        How::TimedOut,
        How::Killed("KILL".to_owned()),
        How::Unstartable("gone".to_owned()),
        How::NotNow("no room".to_owned()),
    ] {
        let effects = failing(true, Some(Patience::Checks)).step(Duration::ZERO, ended(how.clone()));
        assert_eq!(effects.contains(&Effect::Note(Note::FailBroken(how.clone()))), how != How::Exit(0));
        assert!(matches!(effects.last(), Some(Effect::Recover(_))), "{how:?}: {effects:?}");
    }
}

#[test]
fn without_its_receiver_everything_ends_whatever_runs() {
    for mut heat in [Heat::new(rules(1, true, None)), failing(true, None), failing(false, Some(Patience::Checks))] {
        let effects = heat.step(Duration::from_secs(1), Seen::ReceiverGone);
        assert_eq!(effects.last(), Some(&Effect::End(Trouble::Receiver)));
        assert_eq!(heat.step(Duration::from_secs(99), Seen::Time), [], "nothing follows the end");
    }
}

proptest! {
    /// Whatever happens when: one thing runs at a time, nothing spins, the wake-up lies ahead, and recovery follows on
    /// failures only.
    #[test]
    fn no_story_breaks_the_rules(
        threshold in 1u32..4,
        fail: bool,
        patience in prop::option::of(prop::option::of(1u64..100)),
        happens in prop::collection::vec((0u64..70, 0u8..5, any::<bool>()), 1..80),
    ) {
        let patience = patience.map(|time| time.map_or(Patience::Checks, |s| Patience::For(Duration::from_secs(s))));
        let mut heat = Heat::new(rules(threshold, fail, patience));
        let (mut now, mut running, mut failures) = (Duration::ZERO, None::<Job>, 0u32);
        for (passed, end, by_time) in happens {
            let seen = if running.is_none() || by_time {
                now = now.max(heat.wake().unwrap_or(now)) + Duration::from_secs(passed / 10);
                Seen::Time
            } else {
                now += Duration::from_secs(passed);
                let how = match end {
                    0 | 1 => DOWN,
                    2 => How::TimedOut,
                    3 => How::NotNow(String::new()),
                    _ => UP,
                };
                if running == Some(Job::Check) {
                    failures = match how { How::Exit(0) => 0, How::NotNow(_) => failures, _ => failures + 1 };
                }
                ended(how)
            };
            if matches!(seen, Seen::Ended { .. }) {
                running = None;
            }
            for effect in heat.step(now, seen) {
                let job = match effect {
                    Effect::Check => Job::Check,
                    Effect::Fail(_) => Job::Fail,
                    Effect::Recover(streak) => {
                        prop_assert!(streak.count >= threshold && streak.count == failures);
                        Job::Recovery
                    }
                    Effect::End(_) => return Err(TestCaseError::fail("it ended")),
                    _ => continue,
                };
                prop_assert!(running.is_none(), "{:?} on top of {:?}", job, running);
                running = Some(job);
            }
            prop_assert_eq!(heat.running, running);
            if running.is_none() && heat.wake().is_none_or(|wake| wake <= now) {
                prop_assert_eq!(heat.step(now, Seen::Time), [Effect::Check], "a wake-up for nothing");
                running = Some(Job::Check);
            }
        }
    }
}
