//! The ladder: which rung runs by itself and which waits, when gave up, and what ends an incident.

use std::sync::Arc;
use std::time::Duration;

use monitor::domain::ladder::Mode;
use monitor::domain::remedy::RunStatus;
use monitor::domain::stop::Scope;
use monitor::engine::Saved;
use monitor::engine::handle::Unmet;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

use Mode::{Approve, Auto, Dry};

/// A pair that stays down, with rungs of these modes, each not before so many seconds; checked at least every 60 s.
fn stuck(world: &Arc<World>, terms: &[(Mode, f64)]) -> Vec<Arc<Plan>> {
    let ladder = ["one", "two", "three"].into_iter().zip(terms).map(|(name, (mode, after))| rung(name, *mode, *after));
    vec![world.plan(Spec { max: 60.0, ..pair("A", ladder.collect()) }, down)]
}

fn ran(world: &World) -> Vec<String> {
    world.words("A").into_iter().filter(|word| word.starts_with("run ")).collect()
}

async fn approval(watch: &Watch) -> Option<String> {
    let status = watch.handle.status().await.unwrap();
    status.pairs[0].approval.as_ref().map(|asked| asked.id.clone())
}

#[tokio::test(start_paused = true)]
async fn a_dry_rung_says_what_it_would_run_and_the_next_one_runs() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Dry, 0.0), (Auto, 0.0)]));
    world.until(60.0).await;
    assert_eq!(told_of(&world, "A"), ["down #1 dry_rung", "down #2 executed"]);
    assert_eq!(ran(&world), ["run two"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rung_runs_only_when_the_outage_has_lasted_long_enough() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Auto, 100.0), (Auto, 300.0)]));
    world.until(400.0).await;
    assert_eq!(told_of(&world, "A")[..2], ["down #1 too_early", "down #2 too_early"]);
    let fell = world.times("A", "open")[0];
    assert!(world.times("A", "run one").iter().all(|at| at - fell >= 100.0));
    assert!(world.times("A", "run one")[0] - fell < 165.0);
    assert!(world.times("A", "run two").iter().all(|at| at - fell >= 300.0));
    assert!(world.times("A", "run one").last() < world.times("A", "run two").first());
    assert!(world.count("A", "run two") >= 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_waits_for_a_person_runs_on_their_word_and_no_later_one_without_it() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Auto, 0.0), (Approve, 0.0), (Auto, 0.0)]));
    world.until(200.0).await;
    assert_eq!(ran(&world), ["run one"]);
    let words = told_of(&world, "A");
    assert!(
        words[1..].iter().all(|word| word.ends_with("awaiting_approval") || word.contains("awaiting_approval ")),
        "{words:?}"
    );
    let id = approval(&watch).await.unwrap();
    let answered = watch.handle.answer(id.clone(), true, "anna".to_owned()).await.unwrap();
    assert_eq!((answered.command.as_str(), answered.ordered), ("two", true));
    world.until(202.0).await;
    assert_eq!(ran(&world), ["run one", "run two"], "at once");
    assert_eq!(watch.handle.answer(id.clone(), true, "anna".to_owned()).await, Err(Unmet::NoSuchApproval(id)));
    world.until(400.0).await;
    assert_eq!(ran(&world)[2..3], ["run three"], "the way is open");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_no_keeps_the_rung_from_running_in_this_incident() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Approve, 0.0), (Auto, 0.0)]));
    world.until(20.0).await;
    let id = approval(&watch).await.unwrap();
    let answered = watch.handle.answer(id, false, "anna".to_owned()).await.unwrap();
    assert!(!answered.ordered);
    world.until(600.0).await;
    assert_eq!(ran(&world), [""; 0]);
    assert!(told_of(&world, "A").last().unwrap().contains("denied"));
    assert_eq!(approval(&watch).await, None);
    let denied = watch.handle.status().await.unwrap().pairs[0].denied.clone();
    assert_eq!((denied[0].rung, denied[0].by.as_str(), denied[0].command.as_str()), (1, "anna", "one"));
    assert_eq!(denied.len(), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_approval_ends_with_its_incident_and_the_next_one_asks_anew() {
    let world = World::new();
    let asks = pair("A", vec![rung("fix", Approve, 0.0)]);
    let watch = world.watch(vec![world.plan(asks, down_in(&[(0.0, 40.0), (200.0, 300.0)]))]);
    world.until(20.0).await;
    let first = approval(&watch).await.unwrap();
    world.until(150.0).await;
    assert_eq!(approval(&watch).await, None);
    let late = watch.handle.answer(first.clone(), true, "anna".to_owned()).await;
    assert_eq!(late, Err(Unmet::NoSuchApproval(first.clone())));
    world.until(240.0).await;
    assert_ne!(approval(&watch).await.unwrap(), first);
    assert_eq!(ran(&world), [""; 0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_approval_survives_a_kill_and_its_answer_runs_the_rung_once() {
    let world = World::new();
    let time = clock();
    let terms = &[(Approve, 0.0)];
    let watch = world.watch_with(stuck(&world, terms), calm(), Saved::default(), time);
    world.until(20.0).await;
    let id = approval(&watch).await.unwrap();
    let watch = killed(&world, watch, stuck(&world, terms), calm(), time).await;
    world.until(25.0).await;
    assert_eq!(approval(&watch).await.unwrap(), id);
    watch.handle.answer(id.clone(), true, "anna".to_owned()).await.unwrap();
    world.until(25.5).await;
    assert_eq!(ran(&world), ["run one"]);
    // Killed in the middle of it: its end is not known, and the answer was for one run.
    let watch = killed(&world, watch, stuck(&world, terms), calm(), time).await;
    world.until(400.0).await;
    assert_eq!(ran(&world), ["run one"]);
    assert!(told_of(&world, "A").iter().any(|word| word.contains("interrupted")), "{:?}", told_of(&world, "A"));
    assert_ne!(approval(&watch).await, Some(id));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_no_survives_a_kill() {
    let world = World::new();
    let time = clock();
    let terms = &[(Approve, 0.0)];
    let watch = world.watch_with(stuck(&world, terms), calm(), Saved::default(), time);
    world.until(20.0).await;
    let id = approval(&watch).await.unwrap();
    watch.handle.answer(id, false, "anna".to_owned()).await.unwrap();
    let watch = killed(&world, watch, stuck(&world, terms), calm(), time).await;
    world.until(300.0).await;
    assert_eq!((ran(&world).len(), approval(&watch).await), (0, None));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn that_healing_does_not_help_is_told_once_after_the_last_rung_also_across_a_kill() {
    let world = World::new();
    let time = clock();
    let terms = &[(Auto, 0.0), (Auto, 0.0)];
    let watch = world.watch_with(stuck(&world, terms), calm(), Saved::default(), time);
    world.until(300.0).await;
    let loud = |world: &World| {
        let words = told_of(world, "A");
        words.into_iter().filter(|word| word.ends_with("gave up")).collect::<Vec<_>>()
    };
    assert_eq!(loud(&world), ["down #3 executed gave up"]);
    let watch = killed(&world, watch, stuck(&world, terms), calm(), time).await;
    world.until(1000.0).await;
    assert_eq!(loud(&world).len(), 1);
    watch.end().await;
}

/// One that needs three successes in a row to be up again; down in these spans.
fn careful(world: &Arc<World>, spans: &'static [(f64, f64)]) -> Vec<Arc<Plan>> {
    vec![world.plan(Spec { successes: 3, ..pair("A", vec![]) }, down_in(spans))]
}

#[tokio::test(start_paused = true)]
async fn so_many_successes_in_a_row_end_an_incident_and_a_failure_among_them_begins_the_count_anew() {
    let world = World::new();
    // Seen down, then up at about 31 s, down at 61 s, and up from then on.
    let watch = world.watch(careful(&world, &[(0.0, 20.0), (45.0, 70.0)]));
    world.until(2000.0).await;
    let words = told_of(&world, "A");
    assert_eq!(words, ["down #1 nothing", "down #2 nothing", "up #2"]);
    let (up, probes) = (world.times("A", "tell up")[0], world.times("A", "probe"));
    let successes = probes.iter().filter(|at| **at > 70.0 && **at <= up).count();
    assert_eq!(successes, 3, "{probes:?} {up}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn successes_before_a_kill_count() {
    let world = World::new();
    let time = clock();
    let spans: &[(f64, f64)] = &[(0.0, 20.0)];
    let watch = world.watch_with(careful(&world, spans), calm(), Saved::default(), time);
    world.until(70.0).await;
    assert_eq!(told_of(&world, "A"), ["down #1 nothing"]);
    let before = world.times("A", "probe").len();
    assert_eq!(before, 3, "one failure, two successes");
    let watch = killed(&world, watch, careful(&world, spans), calm(), time).await;
    world.until(300.0).await;
    let words = told_of(&world, "A");
    assert!(words.len() == 2 && words[1].starts_with("up #1"), "{words:?}");
    let up = world.times("A", "tell up")[0];
    assert_eq!(world.times("A", "probe").iter().filter(|at| **at <= up).count(), before + 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn successes_count_only_when_they_lasted_long_enough() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(Spec { hold: 100.0, ..pair("A", vec![]) }, down_between(0.0, 20.0))]);
    world.until(500.0).await;
    let first = world.times("A", "probe")[1];
    let up = world.times("A", "tell up")[0];
    assert!(up - first >= 100.0 && up - first <= 131.0, "{first} {up}");
    watch.end().await;
}

/// A pair that is down in these spans and has something to run on its recovery.
fn cared_for(world: &Arc<World>, spans: &'static [(f64, f64)], after: Cure) -> Vec<Arc<Plan>> {
    vec![world.plan(Spec { recovery: Some(after), ..pair("A", vec![]) }, down_in(spans))]
}

#[tokio::test(start_paused = true)]
async fn what_is_run_on_recovery_runs_once_per_incident_and_is_no_news() {
    let world = World::new();
    let watch = world.watch(cared_for(&world, &[(100.0, 140.0), (500.0, 540.0)], cure("warm", 1.0)));
    world.until(90.0).await;
    assert_eq!(ran(&world), [""; 0], "it was never down");
    world.until(450.0).await;
    assert_eq!(ran(&world), ["run warm"]);
    world.until(2000.0).await;
    assert_eq!(ran(&world), ["run warm", "run warm"]);
    assert!(told_of(&world, "A").iter().all(|word| !word.starts_with("aftercare")));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_on_recovery_is_told_and_not_repeated() {
    let world = World::new();
    let broken = Cure { status: RunStatus::Failed, ..cure("warm", 1.0) };
    let watch = world.watch(cared_for(&world, &[(100.0, 140.0)], broken));
    world.until(2000.0).await;
    assert_eq!(ran(&world), ["run warm"]);
    assert_eq!(told_of(&world, "A").last().unwrap(), "aftercare failed");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_run_on_recovery_is_never_run_twice_wherever_a_kill_falls() {
    // The recovery is seen at some moment before 180 s; a kill at each half second around it.
    let kills = (0..60).map(|half| 140.0 + f64::from(half) * 0.5);
    for kill in kills {
        let world = World::new();
        world.disk(Disk::Writes(Duration::from_millis(700)));
        let time = clock();
        let plans = || cared_for(&world, &[(100.0, 140.0)], cure("warm", 3.0));
        let watch = world.watch_with(plans(), calm(), Saved::default(), time);
        world.until(kill).await;
        let watch = killed(&world, watch, plans(), calm(), time).await;
        world.until(1000.0).await;
        let told = told_of(&world, "A");
        assert!(ran(&world).len() <= 1, "killed at {kill}: {:?}", world.words("A"));
        assert_eq!(told.iter().filter(|word| word.starts_with("up ")).count(), 1, "killed at {kill}: {told:?}");
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_for_the_command_that_was_asked_and_for_no_other_that_a_reload_put_there() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Auto, 0.0), (Approve, 0.0)]));
    world.until(40.0).await;
    let id = approval(&watch).await.unwrap();
    let other = |name, mode| {
        let ladder = vec![rung("one", Auto, 0.0), rung(name, mode, 0.0)];
        vec![world.plan(Spec { max: 60.0, ..pair("A", ladder) }, down)]
    };
    for (name, mode) in [("reboot", Approve), ("two", Dry)] {
        watch.handle.reload(plans(other(name, mode), calm())).await.unwrap();
        let late = watch.handle.answer(id.clone(), true, "anna".to_owned()).await;
        assert_eq!(late, Err(Unmet::NoSuchApproval(id.clone())));
    }
    world.until(60.0).await;
    assert_eq!(ran(&world), ["run one"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_who_stopped_healing_is_not_overruled_by_one_who_approves() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Approve, 0.0)]));
    world.until(10.0).await;
    let id = approval(&watch).await.unwrap();
    watch.handle.stop(Scope::All, "boris".to_owned(), None).await.unwrap();
    assert_eq!(watch.handle.answer(id.clone(), true, "anna".to_owned()).await, Err(Unmet::Refused("stopped")));
    watch.handle.resume(Scope::All, "boris".to_owned()).await.unwrap();
    assert!(watch.handle.answer(id, true, "anna".to_owned()).await.unwrap().ordered);
    world.until(20.0).await;
    assert_eq!(ran(&world), ["run one"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_pair_is_taken_out_is_told_because_nobody_ends_it_any_more() {
    let world = World::new();
    let start = Cure { once: true, ..cure("start", 1.0) };
    let stop = Cure { repeatable: true, ..cure("stop", 1.0) };
    let a = world.plan(Spec { recovery: Some(stop), window: 0.0, ..pair("A", vec![start]) }, down);
    let b = world.plan(pair("B", Vec::new()), up);
    let watch = world.watch(vec![a, b.clone()]);
    world.until(10.0).await;
    watch.handle.reload(plans(vec![b], calm())).await.unwrap();
    world.until(20.0).await;
    assert_eq!(told_of(&world, "A"), ["down #1 executed", "aftercare retired", "retired"]);
    assert_eq!(world.count("A", "run stop"), 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_guard_refused_does_not_climb_the_ladder() {
    let world = World::new();
    let watch = world.watch(stuck(&world, &[(Auto, 0.0), (Auto, 0.0)]));
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    world.until(200.0).await;
    assert!(world.count("A", "refuse stopped") >= 3);
    watch.handle.resume(Scope::All, "anna".to_owned()).await.unwrap();
    world.until(350.0).await;
    assert_eq!(ran(&world)[..2], ["run one", "run two"], "the mildest comes first, however long nothing was run");
    watch.end().await;
}
