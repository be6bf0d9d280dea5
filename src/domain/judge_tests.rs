//! Stories of the judge, and properties over all of them.

use super::*;
use crate::domain::notice::Healer;
use crate::domain::outage::Ordered;
use crate::domain::reading::Cause;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{RunId, RunStatus};
use proptest::prelude::*;
use uuid::Uuid;

pub(in crate::domain) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(in crate::domain) fn rules(rungs: u32) -> Rules {
    let backoff = Backoff::new(Duration::from_secs(30), 1.5, Duration::from_mins(10));
    Rules {
        backoff,
        attempts: 3,
        rungs,
        successes: 1,
        hold: Duration::ZERO,
        recovery: Aftercare::Nothing,
        up_first: false,
    }
}

pub(in crate::domain) fn down() -> Seen {
    let fault = Fault::new(Cause::Refused, "connection refused");
    Seen::Down { fault, phases: Phases::default(), incident: IncidentId(Uuid::from_u128(7)) }
}

pub(in crate::domain) fn permitted() -> Seen {
    Seen::Permitted(Ordered {
        run: RunId(Uuid::from_u128(9)),
        rung: 1,
        command: "fix".into(),
        ends_within: Duration::ZERO,
        once: false,
        ends: String::new(),
    })
}

pub(in crate::domain) fn ran(status: RunStatus) -> Seen {
    let started = matches!(status, RunStatus::Executed | RunStatus::Failed | RunStatus::Timeout);
    Seen::Ran(Run {
        status,
        started,
        exit_code: None,
        signal: None,
        duration: Duration::from_millis(5),
        excerpt: String::new(),
        error: String::new(),
    })
}

pub(in crate::domain) fn verified(up_after: Option<u64>) -> Seen {
    let run = RunId(Uuid::from_u128(9));
    Seen::Verified { run, up_after: up_after.map(Duration::from_secs), command: "fix".into() }
}

pub(in crate::domain) fn refused() -> Seen {
    Seen::Refused { command: "fix".into(), refusal: Refusal::DryRun }
}

/// One word per effect, so that a story reads as one.
pub(in crate::domain) fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Opened => "open".into(),
        Effect::Closed { healed_by, .. } => if healed_by.is_some() { "close healed" } else { "close" }.into(),
        Effect::Ask { attempt } => format!("ask #{attempt}"),
        Effect::AskRecovery { attempt, .. } => format!("ask recovery #{attempt}"),
        Effect::Save => "save".into(),
        Effect::Tell { held: true, .. } => "held".into(),
        Effect::Judged { verdict, .. } => format!("judged {}", verdict.as_str()),
        Effect::Tell { news: News::Failed(f), .. } => {
            let gave_up = if f.gave_up { " gave up" } else { "" };
            format!("tell down #{} next {}{gave_up}", f.failures, f.next.as_secs_f64())
        }
        Effect::Tell { news: News::Recovered(r), .. } => {
            format!("tell up #{}{}", r.failures, if r.while_off { " while off" } else { "" })
        }
        Effect::Tell { news, .. } => format!("{news:?}"),
        Effect::Verify => "verify".into(),
        Effect::Next(Next::Slot) => "slot".into(),
        Effect::Next(Next::In(delay)) => format!("in {}", delay.as_secs_f64()),
    };
    effects.iter().map(word).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, a story a row")]
fn the_stories() {
    use RunStatus::{AuthFailed, Executed, Failed};
    let stories: Vec<(&str, u32, Vec<Seen>, Vec<&str>)> = vec![
        ("a healthy pair keeps its slots", 1, vec![Seen::Up, Seen::Up], vec!["slot", "slot"]),
        ("blind is not down", 1, vec![Seen::Unknown, Seen::Up, Seen::Unknown], vec!["slot", "slot", "slot"]),
        (
            "a failure is healed and proved",
            1,
            vec![Seen::Up, down(), permitted(), ran(Executed), verified(Some(5))],
            vec![
                "slot",
                "open",
                "ask #1",
                "judged ran_but_down",
                "tell down #1 next 30",
                "in 30",
                "verify",
                "judged healed",
                "close healed",
                "tell up #1",
                "in 30",
            ],
        ),
        (
            "exit 0 heals nothing by itself, and the delays grow as the seed's",
            1,
            vec![
                down(),
                permitted(),
                ran(Executed),
                verified(None),
                down(),
                permitted(),
                ran(Failed),
                verified(None),
                down(),
                refused(),
                Seen::Up,
            ],
            vec![
                "open",
                "ask #1",
                "judged ran_but_down",
                "tell down #1 next 30",
                "in 30",
                "verify",
                "ask #2",
                "judged failed",
                "tell down #2 next 67.5",
                "in 67.5",
                "verify",
                "ask #3",
                "tell down #3 next 101.25 gave up",
                "in 101.25",
                "close",
                "tell up #3",
                "in 30",
            ],
        ),
        (
            "what never reached the host is not verified",
            1,
            vec![down(), permitted(), ran(AuthFailed)],
            vec!["open", "ask #1", "judged could_not_run", "tell down #1 next 30", "in 30"],
        ),
        (
            "the ladder is climbed and its last rung is kept",
            2,
            vec![down(), refused(), down(), refused(), down()],
            vec![
                "open",
                "ask #1",
                "tell down #1 next 30",
                "in 30",
                "ask #2",
                "tell down #2 next 67.5",
                "in 67.5",
                "ask #3",
            ],
        ),
        (
            "a pair without a remedy is told all the same",
            0,
            vec![down()],
            vec!["open", "tell down #1 next 30", "in 30"],
        ),
        (
            "blind in mid-incident keeps the pace and moves no counter",
            0,
            vec![down(), down(), Seen::Unknown, down()],
            vec![
                "open",
                "tell down #1 next 30",
                "in 30",
                "tell down #2 next 67.5",
                "in 67.5",
                "in 67.5",
                "tell down #3 next 101.25",
                "in 101.25",
            ],
        ),
    ];
    for (name, rungs, seen, expected) in stories {
        let mut judge = Judge::new(rules(rungs), State::Fresh);
        let got: Vec<String> = seen.into_iter().flat_map(|seen| words(&judge.step(at(0), seen))).collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn after_an_interruption_it_tells_once_looks_and_waits_for_the_promised_moment() {
    let mut judge = Judge::new(rules(1), State::Fresh);
    judge.step(at(0), down());
    judge.step(at(0), permitted());
    let saved = serde_json::to_string(judge.state()).unwrap();

    let mut judge = Judge::new(rules(1), serde_json::from_str(&saved).unwrap());
    assert_eq!(words(&judge.step(at(3), Seen::Resumed)), ["judged interrupted", "tell down #1 next 27"]);
    assert_eq!(words(&judge.step(at(4), down())), ["in 26"], "the first look runs nothing");
    assert_eq!(words(&judge.step(at(30), down())), ["ask #2"]);

    let mut again = Judge::new(rules(1), serde_json::from_str(&saved).unwrap());
    again.step(at(3), Seen::Resumed);
    assert_eq!(words(&again.step(at(4), Seen::Up)), ["close", "tell up #1 while off", "in 30"]);
}

#[test]
fn a_command_that_may_still_run_is_waited_for_after_a_restart() {
    let mut judge = Judge::new(rules(1), State::Fresh);
    judge.step(at(0), down());
    let Seen::Permitted(ordered) = permitted() else { unreachable!() };
    judge.step(at(0), Seen::Permitted(Ordered { ends_within: Duration::from_secs(100), ..ordered }));
    let mut judge = Judge::new(rules(1), judge.state().clone());
    assert_eq!(words(&judge.step(at(3), Seen::Resumed)), ["judged interrupted", "tell down #1 next 97"]);
    assert_eq!(words(&judge.step(at(35), down())), ["in 30"], "looked at in the pair's own pace");
    assert_eq!(words(&judge.step(at(100), down())), ["ask #2"]);
}

#[test]
fn a_restart_between_two_checks_is_silent_and_counts_nothing() {
    let mut judge = Judge::new(rules(0), State::Fresh);
    judge.step(at(0), down());
    let mut judge = Judge::new(rules(0), judge.state().clone());
    assert_eq!(words(&judge.step(at(10), Seen::Resumed)), Vec::<String>::new());
    assert_eq!(words(&judge.step(at(11), Seen::Unknown)), ["in 19"]);
    assert_eq!(words(&judge.step(at(12), down())), ["in 18"]);
    assert_eq!(words(&judge.step(at(30), down())), ["tell down #2 next 67.5", "in 67.5"]);
}

#[test]
fn a_recovery_is_only_called_unaided_when_no_command_reached_its_host() {
    let by = |seen: Vec<Seen>| {
        let mut judge = Judge::new(rules(1), State::Fresh);
        let effects: Vec<Effect> = seen.into_iter().flat_map(|seen| judge.step(at(0), seen)).collect();
        effects.into_iter().find_map(|effect| match effect {
            Effect::Tell { news: News::Recovered(up), .. } => Some(up.by),
            _ => None,
        })
    };
    let late = Healer::Late { command: "fix".into() };
    assert_eq!(by(vec![down(), permitted(), ran(RunStatus::Executed), verified(None), Seen::Up]), Some(late));
    assert_eq!(by(vec![down(), permitted(), ran(RunStatus::AuthFailed), Seen::Up]), Some(Healer::Itself));
    assert_eq!(by(vec![down(), refused(), Seen::Up]), Some(Healer::Itself));
}

pub(in crate::domain) fn recovery_permitted() -> Seen {
    let Seen::Permitted(ordered) = permitted() else { unreachable!() };
    Seen::RecoveryPermitted(Ordered { rung: 0, ..ordered })
}

pub(in crate::domain) fn told(judge: &mut Judge, seen: Vec<(i64, Seen)>) -> Vec<String> {
    seen.into_iter().flat_map(|(second, seen)| words(&judge.step(at(second), seen))).collect()
}

fn any_seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        Just(Seen::Up),
        Just(Seen::Unknown),
        Just(down()),
        Just(permitted()),
        Just(refused()),
        Just(ran(RunStatus::Executed)),
        Just(ran(RunStatus::AuthFailed)),
        Just(verified(None)),
        Just(verified(Some(1))),
        Just(Seen::Resumed),
        Just(recovery_permitted()),
        any::<bool>().prop_map(|done| Seen::RecoveryEnded { done }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_order(seen in prop::collection::vec(any_seen(), 0..60)) {
        let mut judge = Judge::new(Rules { recovery: Aftercare::UntilDone, ..rules(2) }, State::Fresh);
        let mut open = 0i64;
        for (second, seen) in seen.into_iter().enumerate() {
            let was_down = judge.outage().is_some();
            let effects = judge.step(at(i64::try_from(second).unwrap()), seen.clone());
            for effect in &effects {
                match effect {
                    Effect::Opened => open += 1,
                    Effect::Closed { .. } => open -= 1,
                    Effect::Ask { .. } => {
                        let was_asked = matches!(seen, Seen::Down { .. });
                        prop_assert!(was_asked, "only a check that said down asks");
                    }
                    Effect::AskRecovery { .. } => prop_assert!(judge.outage().is_none(), "only a pair that is up"),
                    Effect::Judged { .. } | Effect::Save | Effect::Tell { .. } | Effect::Verify | Effect::Next(_) => {}
                }
            }
            prop_assert!(open == i64::from(judge.outage().is_some()), "one incident at the most");
            if matches!(seen, Seen::Unknown) {
                prop_assert_eq!(was_down, judge.outage().is_some());
            }
        }
    }
}
