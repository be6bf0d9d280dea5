//! Stories of the guard.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn pair(n: usize) -> PairName {
    format!("DC1:SRV{n}").parse().unwrap()
}

fn guard(runs: u32, dry_run: bool) -> Guard {
    Guard::new(Rules {
        budget: Budget { runs, window: Duration::from_hours(1) },
        storm_share: 0.5,
        storm_window: Duration::from_mins(1),
        dry_run,
    })
}

#[test]
fn a_spent_budget_says_when_the_next_run_is_allowed() {
    let mut guard = guard(2, false);
    for second in [0, 10] {
        assert!(guard.decide(&pair(1), Cause::Status, at(second), 10).is_ok());
        guard.started(&pair(1), at(second));
    }
    let refused = guard.decide(&pair(1), Cause::Status, at(20), 10).unwrap_err();
    assert_eq!(refused, Refusal::BudgetSpent { until: at(3600), runs: 2, window_s: 3600 });
    assert!(guard.decide(&pair(2), Cause::Status, at(20), 10).is_ok(), "another pair has its own budget");
    assert!(guard.decide(&pair(1), Cause::Status, at(3600), 10).is_ok(), "the window moves on");
}

#[test]
fn a_name_that_does_not_exist_is_not_healed() {
    assert_eq!(guard(2, false).decide(&pair(1), Cause::Dns, at(0), 10).unwrap_err(), Refusal::NameNotFound);
}

#[test]
fn a_dry_run_refuses_even_a_persons_order() {
    assert_eq!(guard(2, true).decide(&pair(1), Cause::Status, at(0), 10).unwrap_err(), Refusal::DryRun);
    assert_eq!(guard(2, true).by_hand().unwrap_err(), Refusal::DryRun);
}

#[test]
fn a_storm_heals_nothing_and_ends_only_when_enough_are_up_again() {
    let mut guard = guard(20, false);
    for n in 1..=5 {
        guard.fell(&pair(n), at(0));
    }
    assert!(guard.decide(&pair(1), Cause::Timeout, at(1), 10).is_ok(), "half is not more than half");
    guard.fell(&pair(6), at(2));
    assert_eq!(guard.decide(&pair(6), Cause::Timeout, at(2), 10).unwrap_err(), Refusal::Storm { down: 6, of: 10 });
    assert!(guard.decide(&pair(1), Cause::Timeout, at(500), 10).is_err(), "later checks do not slip through");
    guard.rose(&pair(6));
    assert!(guard.decide(&pair(1), Cause::Timeout, at(501), 10).is_ok());
}

#[test]
fn two_of_two_are_no_storm_and_slow_decay_is_none_either() {
    let mut few = guard(20, false);
    few.fell(&pair(1), at(0));
    few.fell(&pair(2), at(0));
    assert!(few.decide(&pair(1), Cause::Timeout, at(1), 2).is_ok());

    let mut slow = guard(20, false);
    for n in 1..=9 {
        slow.fell(&pair(n), at(i64::try_from(n).unwrap() * 1000));
        assert!(slow.decide(&pair(n), Cause::Timeout, at(i64::try_from(n).unwrap() * 1000), 10).is_ok());
    }
}
