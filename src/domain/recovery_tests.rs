//! Stories of how incidents end, of what is told of them, and of what is run then.

use std::time::Duration;

use crate::domain::evidence::Quiet;
use crate::domain::judge::tests::*;
use crate::domain::judge::{Judge, Rules};
use crate::domain::notice::News;
use crate::domain::outage::{Ordered, Owed, State};
use crate::domain::recovery::Aftercare;
use crate::domain::remedy::{Run, RunStatus};
use crate::domain::step::{Effect, Seen};

#[test]
fn so_many_successes_in_a_row_for_so_long_end_an_incident() {
    let rules = Rules { successes: 3, hold: Duration::from_secs(90), ..rules(0) };
    let mut judge = Judge::new(rules, State::Fresh);
    told(&mut judge, vec![(0, down())]);
    let seen = vec![(30, Seen::Up), (60, Seen::Up), (90, down())];
    assert_eq!(told(&mut judge, seen), ["save", "in 30", "save", "in 30", "tell down #2 next 67.5", "in 67.5"]);
    let seen = vec![(160, Seen::Up), (190, Seen::Unknown), (191, Seen::Up), (221, Seen::Up)];
    assert_eq!(told(&mut judge, seen), ["save", "in 30", "in 30", "save", "in 30", "save", "in 30"], "three, too soon");
    let effects = judge.step(at(250), Seen::Up);
    assert_eq!(words(&effects), ["close", "tell up #2", "in 30"]);
    let Some(Effect::Tell { news: News::Recovered(up), .. }) = effects.get(1) else { panic!("{effects:?}") };
    assert_eq!(up.down_for, Duration::from_secs(160), "down until the first success");
}

#[test]
fn a_command_whose_window_saw_it_up_is_credited_when_the_incident_ends_and_only_if_it_stayed_up() {
    let rules = Rules { successes: 2, ..rules(1) };
    let begin = || vec![(0, down()), (0, permitted()), (1, ran(RunStatus::Executed)), (6, verified(Some(5)))];
    let mut judge = Judge::new(rules, State::Fresh);
    told(&mut judge, begin());
    assert_eq!(told(&mut judge, vec![(36, Seen::Up)]), ["judged healed", "close healed", "tell up #1", "in 30"]);
    let mut judge = Judge::new(rules, State::Fresh);
    told(&mut judge, begin());
    assert_eq!(told(&mut judge, vec![(36, down()), (36, refused())])[0], "ask #2");
    assert_eq!(told(&mut judge, vec![(99, Seen::Up), (129, Seen::Up)])[2..], ["close", "tell up #2", "in 30"]);
}

#[test]
fn what_was_not_told_is_not_told_to_be_over_and_is_told_in_full_once_it_may_be() {
    let mut judge = Judge::new(rules(0), State::Fresh);
    judge.hush(Some(Quiet::Maintenance));
    assert_eq!(told(&mut judge, vec![(0, down())]), ["open", "held", "in 30"]);
    assert_eq!(told(&mut judge, vec![(30, Seen::Up)]), ["close", "held", "in 30"]);
    told(&mut judge, vec![(60, down())]);
    judge.hush(None);
    assert_eq!(told(&mut judge, vec![(90, down())]), ["tell down #2 next 67.5", "in 67.5"]);
    judge.hush(Some(Quiet::Storm));
    assert_eq!(told(&mut judge, vec![(160, Seen::Up)]), ["close", "tell up #2", "in 30"], "people wait for it");
}

#[test]
fn that_healing_does_not_help_is_told_once_when_the_last_rung_has_run() {
    let mut judge = Judge::new(rules(1), State::Fresh);
    let round = |second| vec![(second, down()), (second, permitted()), (second, ran(RunStatus::Failed))];
    let tells = |judge: &mut Judge, second| {
        told(judge, round(second)).into_iter().filter(|word| word.ends_with("gave up")).count()
    };
    assert_eq!([0, 30, 100, 300].map(|second| tells(&mut judge, second)), [0, 0, 1, 0]);
}

#[test]
fn a_standby_that_is_on_is_not_started_again_and_is_no_news() {
    let mut judge = Judge::new(rules(1), State::Fresh);
    let Seen::Permitted(ordered) = permitted() else { unreachable!() };
    let once = || Seen::Permitted(Ordered { once: true, ..ordered.clone() });
    told(&mut judge, vec![(0, down()), (0, once()), (1, ran(RunStatus::Failed))]);
    assert_eq!(told(&mut judge, vec![(31, down())]), ["ask #2"], "one that failed is tried again");
    told(&mut judge, vec![(31, once()), (32, ran(RunStatus::Executed))]);
    let saved = serde_json::to_string(judge.state()).unwrap();
    assert_eq!(told(&mut judge, vec![(100, down()), (167, down())]), ["in 67.5", "in 67.5"]);
    let mut judge = Judge::new(rules(1), serde_json::from_str(&saved).unwrap());
    assert_eq!(told(&mut judge, vec![(100, Seen::Resumed), (101, down())]), ["in 67.5"], "nor after a restart");
    assert_eq!(told(&mut judge, vec![(170, Seen::Up)]), ["close", "tell up #2", "in 30"]);
}

#[test]
fn what_is_run_on_recovery_runs_once_or_until_it_is_done() {
    let up = |recovery| {
        let mut judge = Judge::new(Rules { recovery, ..rules(1) }, State::Fresh);
        told(&mut judge, vec![(0, down()), (0, once()), (1, ran(RunStatus::Executed))]);
        assert_eq!(told(&mut judge, vec![(30, Seen::Up)]), ["close", "tell up #1", "ask recovery #1", "in 30"]);
        told(&mut judge, vec![(30, recovery_permitted())]);
        judge
    };
    let mut done = up(Aftercare::UntilDone);
    told(&mut done, vec![(31, Seen::RecoveryEnded { done: true })]);
    assert_eq!(told(&mut done, vec![(60, Seen::Up)]), ["slot"]);

    let mut failed = up(Aftercare::UntilDone);
    assert_eq!(told(&mut failed, vec![(31, Seen::Up)]), ["slot"], "not while it runs");
    told(&mut failed, vec![(31, Seen::RecoveryEnded { done: false })]);
    let seen = vec![(60, Seen::Up), (61, Seen::Up)];
    assert_eq!(told(&mut failed, seen), ["slot", "ask recovery #2", "slot"], "in the pace of the backoff");

    for (recovery, after) in [(Aftercare::Once, vec!["slot"]), (Aftercare::UntilDone, vec!["ask recovery #1", "slot"])]
    {
        let saved = serde_json::to_string(up(recovery).state()).unwrap();
        let mut next = Judge::new(Rules { recovery, ..rules(1) }, serde_json::from_str(&saved).unwrap());
        let words = told(&mut next, vec![(40, Seen::Resumed)]);
        assert_eq!(words[..2], ["judged interrupted", "save"]);
        assert_eq!(words.len() == 3, recovery == Aftercare::Once, "what is not run again is told: {words:?}");
        assert_eq!(
            told(&mut next, vec![(41, Seen::Up)]),
            after,
            "{recovery:?}: only a check that saw it up runs it again"
        );
    }

    let mut fell = up(Aftercare::UntilDone);
    told(&mut fell, vec![(40, down())]);
    assert_eq!(told(&mut fell, vec![(41, Seen::RecoveryEnded { done: false })]), ["save"; 0], "it is down again");
    assert!(matches!(fell.state(), State::Down(_)));
}

#[test]
fn a_state_that_an_earlier_version_saved_is_taken_up() {
    let mut judge = Judge::new(rules(0), State::Fresh);
    judge.step(at(0), down());
    let mut old: serde_json::Value = serde_json::to_value(judge.state()).unwrap();
    let outage = old["down"].as_object_mut().unwrap();
    for new in
        ["told", "held", "climbed", "runs", "gave_up", "spent", "begun", "standing", "rising", "asked", "answers"]
    {
        outage.remove(new).unwrap();
    }
    let mut next = Judge::new(rules(0), serde_json::from_value(old).unwrap());
    assert_eq!(told(&mut next, vec![(30, Seen::Up)]), ["close", "tell up #1", "in 30"], "people were told of it");
    let up: State = serde_json::from_str(r#"{"up":{"since":"2026-01-01T00:00:00Z"}}"#).unwrap();
    assert!(matches!(up, State::Up { owed: None::<Owed>, .. }));
}

fn once() -> Seen {
    let Seen::Permitted(ordered) = permitted() else { unreachable!() };
    Seen::Permitted(Ordered { once: true, ..ordered })
}

fn ended(status: RunStatus, started: bool) -> Seen {
    let Seen::Ran(run) = ran(status) else { unreachable!() };
    Seen::Ran(Run { started, ..run })
}

/// Says whether something is run at the end of this incident.
fn is_ended(recovery: Aftercare, story: Vec<Seen>) -> bool {
    let rules = Rules { recovery, ..rules(1) };
    let mut judge = Judge::new(rules, State::Fresh);
    let seen = story.into_iter().chain([Seen::Up]).enumerate();
    let effects = seen.flat_map(|(second, seen)| judge.step(at(1000 * i64::try_from(second).unwrap()), seen));
    effects.filter(|effect| matches!(effect, Effect::AskRecovery { .. })).count() == 1
}

#[test]
fn what_was_begun_for_an_incident_is_ended_and_nothing_else_is() {
    for (begun, what, story) in [
        (true, "it was started", vec![down(), once(), ended(RunStatus::Executed, true)]),
        (true, "its start failed half way", vec![down(), once(), ended(RunStatus::Failed, true)]),
        (true, "whether it was started is not known", vec![down(), once(), ended(RunStatus::Timeout, true)]),
        (true, "we were stopped meanwhile", vec![down(), once(), Seen::Resumed]),
        (false, "its start was refused", vec![down(), refused()]),
        (false, "only another rung ran", vec![down(), permitted(), ended(RunStatus::Executed, true)]),
        (false, "its host was not reached", vec![down(), once(), ended(RunStatus::Unreachable, false)]),
        (
            true,
            "it was started at the second try",
            vec![down(), refused(), down(), once(), ended(RunStatus::Executed, true)],
        ),
    ] {
        assert_eq!(is_ended(Aftercare::UntilDone, story.clone()), begun, "{what}");
        assert!(is_ended(Aftercare::Once, story), "a command for recoveries follows each incident: {what}");
    }
}

fn start() -> Seen {
    let Seen::Permitted(ordered) = once() else { unreachable!() };
    Seen::Permitted(Ordered { ends: "stop a".into(), ..ordered })
}

fn standby() -> Judge {
    Judge::new(Rules { recovery: Aftercare::UntilDone, ..rules(1) }, State::Fresh)
}

#[test]
fn what_could_not_be_ended_before_the_next_outage_is_ended_after_it() {
    let mut judge = standby();
    told(&mut judge, vec![(0, down()), (0, start()), (1, ran(RunStatus::Executed)), (30, Seen::Up)]);
    told(&mut judge, vec![(30, Seen::RecoveryEnded { done: false }), (60, down()), (60, refused())]);
    assert_eq!(told(&mut judge, vec![(90, Seen::Up)])[2], "ask recovery #1", "its start was refused, the old one runs");
}

#[test]
fn a_command_that_was_not_sent_because_the_pair_came_back_begins_nothing() {
    let mut judge = Judge::new(Rules { successes: 2, ..standby().rules }, State::Fresh);
    told(&mut judge, vec![(0, down()), (0, start()), (5, Seen::Up)]);
    let saved = serde_json::to_string(judge.state()).unwrap();
    let mut judge = Judge::new(judge.rules, serde_json::from_str(&saved).unwrap());
    assert_eq!(told(&mut judge, vec![(6, Seen::Resumed), (36, Seen::Up)]), ["close", "tell up #1 while off", "in 30"]);
}

#[test]
fn an_outage_that_was_only_held_back_is_followed_by_no_command() {
    let mut judge = Judge::new(Rules { recovery: Aftercare::Once, ..rules(1) }, State::Fresh);
    judge.hush(Some(Quiet::Storm));
    told(&mut judge, vec![(0, down()), (0, refused())]);
    assert_eq!(told(&mut judge, vec![(30, Seen::Up)]), ["close", "held", "in 30"]);
    judge.hush(None);
    told(&mut judge, vec![(60, down()), (60, refused())]);
    assert_eq!(told(&mut judge, vec![(90, Seen::Up)])[2], "ask recovery #1");
}

#[test]
fn what_was_begun_under_another_plan_is_let_go_with_its_name() {
    let mut judge = standby();
    told(&mut judge, vec![(0, down()), (0, start()), (1, ran(RunStatus::Executed))]);
    assert_eq!(judge.disown(Some("stop a")), None);
    assert_eq!(judge.disown(Some("stop b")).map(|(_, command)| command).as_deref(), Some("stop a"));
    assert_eq!(told(&mut judge, vec![(30, Seen::Up)]), ["close", "tell up #1", "in 30"], "what b is was never started");

    let mut judge = standby();
    told(&mut judge, vec![(0, down()), (0, start()), (1, ran(RunStatus::Executed)), (30, Seen::Up)]);
    assert_eq!(judge.disown(None).map(|(_, command)| command).as_deref(), Some("stop a"));
    assert_eq!(told(&mut judge, vec![(60, Seen::Up)]), ["slot"]);
}

#[test]
fn a_machine_that_was_started_anew_has_no_standby_on() {
    let mut judge = standby();
    told(&mut judge, vec![(0, down()), (0, start()), (1, ran(RunStatus::Executed))]);
    let mut judge = Judge::new(judge.rules, judge.state().clone());
    judge.machine_restarted();
    assert_eq!(told(&mut judge, vec![(20, Seen::Resumed), (21, down())]), ["in 10"]);
    assert_eq!(told(&mut judge, vec![(31, down())]), ["ask #2"]);
}

#[test]
fn what_a_drill_started_is_ended_and_what_a_person_started_stays_while_the_pair_is_up() {
    let begun = |ended_under| Seen::Begun { ends: "stop a".into(), ended_under };
    let mut judge = standby();
    told(&mut judge, vec![(0, Seen::Up), (1, begun(None))]);
    assert_eq!(told(&mut judge, vec![(30, Seen::Up)]), ["slot"]);
    told(&mut judge, vec![(31, begun(Some(crate::domain::remedy::IncidentId(uuid::Uuid::nil()))))]);
    assert_eq!(told(&mut judge, vec![(60, Seen::Up)]), ["ask recovery #1", "slot"]);
    let mut judge = standby();
    told(&mut judge, vec![(0, down()), (0, refused()), (1, begun(None))]);
    assert_eq!(told(&mut judge, vec![(30, Seen::Up)])[2], "ask recovery #1", "in an outage both are the same");
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_wait_for_it() {
    let day = jiff::SignedDuration::from_hours(24);
    let rules = Rules { successes: 2, hold: Duration::from_mins(1), ..rules(0) };
    let mut judge = Judge::new(rules, State::Fresh);
    told(&mut judge, vec![(0, down()), (30, Seen::Up)]);
    judge.set_back(day);
    assert_eq!(told(&mut judge, vec![(91 - 86_400, Seen::Up)]), ["close", "tell up #1", "in 30"]);
}

#[test]
fn another_ladder_asks_anew_and_has_nothing_standing() {
    let mut judge = standby();
    told(&mut judge, vec![(0, down()), (0, start()), (1, ran(RunStatus::Executed))]);
    judge.ladder_changed();
    assert_eq!(told(&mut judge, vec![(31, down())]), ["ask #2"]);
    let asked = Seen::Asked { id: "a".into(), rung: 2, command: "reboot".into() };
    told(&mut judge, vec![(31, asked), (31, Seen::Answered { denied: None })]);
    let outage = judge.outage().unwrap();
    assert_eq!(outage.answers(|_| Some("reboot")).approved, [2]);
    assert!(outage.answers(|_| Some("format the disk")).approved.is_empty(), "the answer was to another command");
}
