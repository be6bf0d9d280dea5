//! Stories of the guard.

use super::*;
use crate::domain::evidence::Afar;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn pair(n: usize) -> PairName {
    format!("DC1:SRV{n}").parse().unwrap()
}

/// Nothing was found out about a failure.
const NOTHING: Evidence = Evidence { parent: None, afar: Afar::NotAsked };

fn guard(runs: u32, dry_run: bool) -> Guard {
    Guard::new(Rules {
        budget: Budget { runs, window: Duration::from_hours(1) },
        cooldown: Duration::ZERO,
        storm: storm::Rules { share: 0.5, window: Duration::from_mins(1), quiet: Duration::from_mins(5) },
        flap: flap::Limit { changes: 6, window: Duration::from_hours(1) },
        maintenance: Calendar::default(),
        dry_run,
    })
}

#[test]
fn a_spent_budget_says_when_the_next_run_is_allowed() {
    let mut guard = guard(2, false);
    for second in [0, 10] {
        assert!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(second), 10).is_ok());
        guard.started(&pair(1), at(second));
    }
    let refused = guard.decide(&pair(1), Cause::Status, &NOTHING, at(20), 10).unwrap_err();
    assert_eq!(refused, Refusal::BudgetSpent { until: at(3600), runs: 2, window_s: 3600 });
    assert!(guard.decide(&pair(2), Cause::Status, &NOTHING, at(20), 10).is_ok(), "another pair has its own budget");
    assert!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(3600), 10).is_ok(), "the window moves on");
}

#[test]
fn a_run_that_was_never_sent_is_taken_back_and_a_later_one_stays() {
    let mut guard = guard(2, false);
    guard.started(&pair(1), at(0));
    guard.started(&pair(1), at(100));
    guard.unsent(&pair(1), at(0));
    assert_eq!((guard.spent(&pair(1), at(200)), guard.spent(&pair(1), at(3650))), (1, 1), "that of second 100 counts");
    guard.unsent(&pair(1), at(100));
    assert_eq!(guard.spent(&pair(1), at(3650)), 0);
}

#[test]
fn what_no_command_mends_is_not_healed() {
    for (cause, refusal) in [
        (Cause::Dns, Refusal::NameNotFound),
        (Cause::Login, Refusal::LoginRefused),
        (Cause::Starting, Refusal::Starting),
        (Cause::Untrusted, Refusal::Untrusted),
    ] {
        assert_eq!(guard(2, false).decide(&pair(1), cause, &NOTHING, at(0), 10).unwrap_err(), refusal);
    }
    assert!(guard(2, false).decide(&pair(1), Cause::Tls, &NOTHING, at(0), 10).is_ok());
}

#[test]
fn a_dry_run_refuses_even_a_persons_order() {
    assert_eq!(guard(2, true).decide(&pair(1), Cause::Status, &NOTHING, at(0), 10).unwrap_err(), Refusal::DryRun);
    assert_eq!(guard(2, true).by_hand().unwrap_err(), Refusal::DryRun);
}

#[test]
fn a_storm_heals_nothing_and_ends_only_when_enough_are_up_again() {
    let mut guard = guard(20, false);
    for n in 1..=5 {
        guard.fell(&pair(n), at(0));
    }
    assert!(guard.decide(&pair(1), Cause::Timeout, &NOTHING, at(1), 10).is_ok(), "half is not more than half");
    guard.fell(&pair(6), at(2));
    assert_eq!(
        guard.decide(&pair(6), Cause::Timeout, &NOTHING, at(2), 10).unwrap_err(),
        Refusal::Storm { down: 6, of: 10 }
    );
    assert!(guard.decide(&pair(1), Cause::Timeout, &NOTHING, at(500), 10).is_err(), "later checks do not slip through");
    guard.rose(&pair(6));
    assert!(guard.decide(&pair(1), Cause::Timeout, &NOTHING, at(501), 10).is_err(), "it may come back");
    assert!(guard.decide(&pair(1), Cause::Timeout, &NOTHING, at(800), 10).is_ok(), "the quiet time has passed");
}

#[test]
fn what_was_found_out_speaks_against_a_remedy() {
    let parent = Evidence { parent: Some(ServerName::new("SRV9").unwrap()), ..NOTHING };
    let route = Evidence { afar: Afar::Up, ..NOTHING };
    let blind = Evidence { afar: Afar::CannotLook("no curl".into()), ..NOTHING };
    let same = Evidence { afar: Afar::Down, ..NOTHING };
    let decide = |evidence: &Evidence| guard(2, false).decide(&pair(1), Cause::Timeout, evidence, at(0), 10).map(drop);
    assert_eq!(decide(&parent), Err(Refusal::ParentDown { parent: ServerName::new("SRV9").unwrap() }));
    assert_eq!(decide(&route), Err(Refusal::OnlyOurRoute));
    assert_eq!(decide(&blind), Err(Refusal::NotCrossChecked { why: "no curl".into() }));
    assert_eq!(decide(&same), Ok(()));
    let silent = |again| Evidence { afar: Afar::NoAnswer { why: "no answer".into(), again }, ..NOTHING };
    assert!(matches!(decide(&silent(false)), Err(Refusal::NotCrossChecked { why }) if why.starts_with("no answer;")));
    assert_eq!(decide(&silent(true)), Ok(()), "what never answers holds nothing for ever");
    assert_eq!(guard(2, false).quiet(&pair(1), &parent, at(0), 10), Some(Quiet::ParentDown));
    assert_eq!(guard(2, false).quiet(&pair(1), &route, at(0), 10), None, "a broken route is told");
}

#[test]
fn a_cooldown_holds_the_next_run_and_not_the_next_but_one() {
    let mut guard = guard(20, false);
    guard.set_rules(Rules { cooldown: Duration::from_mins(2), ..guard.rules.clone() });
    guard.started(&pair(1), at(0));
    let refused = guard.decide(&pair(1), Cause::Status, &NOTHING, at(119), 10).unwrap_err();
    assert_eq!(refused, Refusal::Cooldown { until: at(120) });
    assert!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(120), 10).is_ok());
}

#[test]
fn a_cooldown_longer_than_the_budgets_window_is_kept_and_spends_nothing() {
    let mut guard = guard(1, false);
    guard.set_rules(Rules { cooldown: Duration::from_hours(3), ..guard.rules.clone() });
    guard.started(&pair(1), at(0));
    assert_eq!(guard.spent(&pair(1), at(4000)), 0);
    let refused = guard.decide(&pair(1), Cause::Status, &NOTHING, at(4000), 10).unwrap_err();
    assert_eq!(refused, Refusal::Cooldown { until: at(3 * 3600) });
}

#[test]
fn a_persons_stop_holds_until_it_ends_or_is_resumed_and_is_remembered() {
    let mut guard = guard(20, false);
    let stop = Stop { scope: Scope::All, by: "anna".into(), since: at(0), until: Some(at(100)) };
    guard.stop(stop.clone());
    let stopped = Refusal::Stopped { by: "anna".into(), since: at(0), until: Some(at(100)) };
    assert_eq!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(99), 10).unwrap_err(), stopped);
    assert_eq!(guard.decide_recovery(&pair(1), at(99), true).unwrap_err(), stopped);
    assert!(guard.by_hand().is_ok(), "their own order is carried out");
    let mut next = super::tests::guard(20, false);
    next.resumed(guard.memory(at(50)), at(50), 10);
    assert_eq!(next.decide(&pair(1), Cause::Status, &NOTHING, at(99), 10).unwrap_err(), stopped);
    assert!(next.decide(&pair(1), Cause::Status, &NOTHING, at(100), 10).is_ok());
    guard.resume(&Scope::All, at(60));
    assert!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(60), 10).is_ok());
}

#[test]
fn a_pair_that_flaps_is_neither_told_nor_healed_until_a_person_says_so_or_it_is_calm() {
    let mut guard = guard(20, false);
    (0..6).for_each(|n| guard.changed(&pair(1), at(n * 60)));
    let flaps = Refusal::Flapping { changes: 6, window_s: 3600 };
    assert_eq!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(300), 10).unwrap_err(), flaps);
    assert_eq!(guard.quiet(&pair(1), &NOTHING, at(300), 10), Some(Quiet::Flapping));
    assert!(guard.decide(&pair(2), Cause::Status, &NOTHING, at(300), 10).is_ok());
    guard.resume(&Scope::Pair(pair(1)), at(300));
    assert!(guard.decide(&pair(1), Cause::Status, &NOTHING, at(300), 10).is_ok());
    let mut next = super::tests::guard(20, false);
    next.calm(guard.memory(at(310)).calmed);
    (0..6).chain([6]).for_each(|n| next.changed(&pair(1), at(n * 60)));
    assert!(next.decide(&pair(1), Cause::Status, &NOTHING, at(370), 10).is_ok(), "their word survives a restart");
    (0..6).for_each(|n| next.changed(&pair(1), at(400 + n * 60)));
    assert!(next.decide(&pair(1), Cause::Status, &NOTHING, at(700), 10).is_err(), "and holds for what was before it");
}

#[test]
fn a_storm_is_remembered_over_a_restart() {
    let mut guard = guard(20, false);
    guard.fell(&pair(1), at(0));
    guard.sampled(&pair(1), at(0), 200, Sample { looked: 20, failing: 20 });
    assert!(guard.storm(at(0), 200));
    let mut next = super::tests::guard(20, false);
    next.fell(&pair(1), at(0));
    next.resumed(guard.memory(at(1)), at(10), 200);
    let refused = next.decide(&pair(1), Cause::Timeout, &NOTHING, at(10), 200).unwrap_err();
    assert_eq!(refused, Refusal::Storm { down: 1, of: 200 });
}
