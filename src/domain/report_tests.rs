//! Stories of downtime and of commands, and the rule that the parts of a period add up.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn pair() -> PairName {
    "DC3-SRV4".parse().unwrap()
}

fn incident(opened: i64, closed: Option<(i64, Ending)>) -> Incident {
    Incident { pair: pair(), opened_at: at(opened), closed: closed.map(|(second, ending)| (at(second), ending)) }
}

fn report(watched: Option<i64>, incidents: &[Incident]) -> PairReport {
    let mut draft = Draft::new(at(0), at(1000));
    if let Some(second) = watched {
        draft.watched(pair(), at(second));
    }
    for incident in incidents {
        draft.incident(incident);
    }
    let mut report = draft.finish(false);
    assert!(report.pairs.len() <= 1, "{report:?}");
    report.pairs.pop().unwrap_or_else(|| panic!("no pair"))
}

#[test]
fn stories_of_downtime() {
    use Ending::{Healed, Recovered, Retired};
    type Story = (&'static str, Vec<Incident>, (u32, u32, u32, u32, u32), f64, Option<f64>);
    // (story, incidents, (all, healed, recovered, retired, open), downtime, MTTR)
    let stories: [Story; 8] = [
        ("healed inside", vec![incident(100, Some((130, Healed)))], (1, 1, 0, 0, 0), 30.0, Some(30.0)),
        (
            "began before: the part inside is downtime, the whole is the time to repair",
            vec![incident(-60, Some((20, Recovered)))],
            (1, 0, 1, 0, 0),
            20.0,
            Some(80.0),
        ),
        ("open: down until now, and not repaired", vec![incident(900, None)], (1, 0, 0, 0, 1), 100.0, None),
        ("down for the whole period", vec![incident(-5000, None)], (1, 0, 0, 0, 1), 1000.0, None),
        (
            "taken out of the configuration is no repair",
            vec![incident(100, Some((150, Retired))), incident(300, Some((310, Healed)))],
            (2, 1, 0, 1, 0),
            60.0,
            Some(10.0),
        ),
        (
            "ended after the period: open at its end",
            vec![incident(990, Some((1500, Healed)))],
            (1, 0, 0, 0, 1),
            10.0,
            None,
        ),
        (
            "overlapping, after a clock that was set back, counts once",
            vec![incident(100, Some((200, Healed))), incident(150, Some((260, Healed)))],
            (2, 2, 0, 0, 0),
            160.0,
            Some(105.0),
        ),
        (
            "closed before it opened: no time at all",
            vec![incident(100, Some((90, Healed)))],
            (1, 1, 0, 0, 0),
            0.0,
            Some(0.0),
        ),
    ];
    for (story, incidents, counts, downtime, mttr) in stories {
        let report = report(None, &incidents);
        assert_eq!((report.incidents, report.healed, report.recovered, report.retired, report.open), counts, "{story}");
        assert_eq!((report.downtime_s, report.mttr_s), (downtime, mttr), "{story}");
        assert_eq!((report.watched_since, report.availability_percent), (None, None), "{story}");
    }
}

#[test]
fn what_lies_outside_the_period_counts_for_nothing() {
    let mut draft = Draft::new(at(0), at(1000));
    draft.incident(&incident(-100, Some((0, Ending::Healed))));
    draft.incident(&incident(1000, None));
    let report = draft.finish(true);
    assert!(report.pairs.is_empty() && report.incomplete);
}

#[test]
fn availability_is_told_only_of_the_time_in_which_the_pair_is_known_to_be_watched() {
    let healed = |from, to| incident(from, Some((to, Ending::Healed)));
    let of = |watched, incidents: &[Incident]| report(watched, incidents).availability_percent;
    assert_eq!(of(None, &[healed(100, 200)]), None);
    assert_eq!(of(Some(-5000), &[healed(100, 200)]), Some(90.0));
    assert_eq!(of(Some(500), &[healed(600, 700)]), Some(80.0));
    assert_eq!(
        of(Some(500), &[incident(100, Some((200, Ending::Retired)))]),
        Some(100.0),
        "before it was watched again"
    );
    assert_eq!(of(Some(1000), &[]), None, "watched for no time yet");
    assert_eq!(of(Some(-1), &[incident(-9, None)]), Some(0.0));
    let blink = Incident { opened_at: at(999) + jiff::SignedDuration::from_micros(999_900), ..incident(0, None) };
    assert_eq!(of(Some(0), &[blink]), Some(99.9999), "no time down reads as 100 %");
    assert_eq!(report(Some(7), &[]).watched_since, Some(at(7)));
}

fn action(rung: u32, command: &str, outcome: Outcome, took: Option<u64>) -> Action {
    Action { pair: pair(), command: command.to_owned(), rung, outcome, took: took.map(Duration::from_secs) }
}

#[test]
fn a_refusal_is_no_run_and_each_has_its_reason() {
    let mut draft = Draft::new(at(0), at(1000));
    let refused = |word: &str| Outcome::Refused(word.to_owned());
    for (outcome, took) in [
        (Outcome::Healed, Some(4)),
        (Outcome::Healed, Some(8)),
        (Outcome::Healed, None),
        (Outcome::RanButDown, Some(99)),
        (Outcome::Failed, None),
        (Outcome::CouldNotRun, None),
        (Outcome::Interrupted, None),
        (Outcome::NotNeeded, None),
        (Outcome::UnderWay, None),
        (refused("storm"), None),
        (refused("budget_spent"), None),
        (refused("storm"), None),
    ] {
        draft.action(action(1, "a", outcome, took));
    }
    let report = draft.finish(false);
    let [a] = report.commands.as_slice() else { panic!("{report:?}") };
    assert_eq!((a.runs, a.healed, a.ran_but_down, a.failed, a.could_not_run), (5, 3, 1, 1, 1));
    assert_eq!((a.interrupted, a.not_needed, a.under_way), (1, 1, 1));
    assert_eq!(a.refused, BTreeMap::from([("storm".to_owned(), 2), ("budget_spent".to_owned(), 1)]));
    assert_eq!((a.median_s, a.never_helped), (Some(6.0), false));
    assert!(report.pairs.is_empty(), "a command by hand makes no incident");
}

#[test]
fn a_command_never_helped_after_three_runs_that_reached_the_host_and_not_before() {
    for (outcomes, never) in [
        (vec![Outcome::RanButDown, Outcome::Failed], false),
        (vec![Outcome::RanButDown, Outcome::Failed, Outcome::CouldNotRun, Outcome::CouldNotRun], false),
        (vec![Outcome::RanButDown, Outcome::Failed, Outcome::RanButDown], true),
        (vec![Outcome::RanButDown, Outcome::Failed, Outcome::RanButDown, Outcome::Healed], false),
    ] {
        let mut draft = Draft::new(at(0), at(1000));
        let shown = format!("{outcomes:?}");
        for outcome in outcomes {
            draft.action(action(1, "a", outcome, None));
        }
        assert_eq!(draft.finish(false).commands[0].never_helped, never, "{shown}");
    }
}

#[test]
fn commands_stand_by_pair_and_rung_and_a_shared_run_has_a_row_for_each_pair() {
    let mut draft = Draft::new(at(0), at(1000));
    let other = |action: Action| Action { pair: "DC1-SRV4".parse().unwrap(), ..action };
    draft.action(action(2, "all", Outcome::Healed, Some(1)));
    draft.action(other(action(1, "all", Outcome::RanButDown, None)));
    draft.action(action(1, "one", Outcome::Failed, None));
    // The ladder was changed, and the command stands on another rung now.
    draft.action(action(3, "all", Outcome::Healed, Some(3)));
    let rows: Vec<_> = draft.finish(false).commands;
    let told: Vec<_> = rows.iter().map(|row| (row.pair.to_string(), row.rung, &*row.command, row.healed)).collect();
    assert_eq!(
        told,
        [("DC1-SRV4".into(), 1, "all", 0), ("DC3-SRV4".into(), 1, "one", 0), ("DC3-SRV4".into(), 3, "all", 2)]
    );
}

fn endings() -> impl Strategy<Value = Option<(i64, Ending)>> {
    let ending = prop_oneof![Just(Ending::Healed), Just(Ending::Recovered), Just(Ending::Retired)];
    proptest::option::of((0_i64..300, ending))
}

fn total(report: &Report) -> (f64, u32, u32) {
    let sum = |of: fn(&PairReport) -> f64| report.pairs.iter().map(of).sum::<f64>();
    let ended = report.pairs.iter().map(|pair| pair.healed + pair.recovered + pair.retired).sum();
    let open = report.pairs.iter().map(|pair| pair.open).sum();
    (sum(|pair| pair.downtime_s), ended, open)
}

proptest! {
    #[test]
    fn two_halves_of_a_period_add_up_to_the_whole(
        begins in proptest::collection::vec((-500_i64..1500, endings()), 0..20),
        middle in 1_i64..1000,
        watched in proptest::option::of(-100_i64..1100),
    ) {
        let mut incidents: Vec<Incident> =
            begins.into_iter().map(|(from, end)| incident(from, end.map(|(lasted, ending)| (from + lasted, ending)))).collect();
        incidents.sort_by_key(|incident| incident.opened_at);
        let of = |since: i64, until: i64| {
            let mut draft = Draft::new(at(since), at(until));
            if let Some(watched) = watched {
                draft.watched(pair(), at(watched));
            }
            for incident in &incidents {
                draft.incident(incident);
            }
            draft.finish(false)
        };
        let (whole, first, second) = (of(0, 1000), of(0, middle), of(middle, 1000));
        let ((down, ended, open), (down1, ended1, open1), (down2, ended2, open2)) =
            (total(&whole), total(&first), total(&second));
        prop_assert!((down - down1 - down2).abs() < 1e-6, "{} is not {} + {}", down, down1, down2);
        prop_assert_eq!(ended, ended1 + ended2);
        prop_assert_eq!(open, open2, "what is open at the end is open in the second half");
        let all = |report: &Report| report.pairs.iter().map(|pair| pair.incidents).sum::<u32>();
        prop_assert_eq!(all(&whole) + open1, all(&first) + all(&second), "what is open in the middle is in both halves");
        for report in [&whole, &first, &second] {
            for pair in &report.pairs {
                prop_assert_eq!(pair.incidents, pair.healed + pair.recovered + pair.retired + pair.open);
                let length = until(report.since, report.until).as_secs_f64();
                prop_assert!(pair.downtime_s >= 0.0 && pair.downtime_s <= length);
                prop_assert!(pair.availability_percent.is_none_or(|share| (0.0..=100.0).contains(&share)));
            }
        }
    }
}
