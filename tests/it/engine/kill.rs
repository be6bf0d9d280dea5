//! A kill at any moment: what was counted stays counted, what was sent is not sent again.

use std::sync::Arc;

use monitor::domain::guard::{self, Budget};
use monitor::engine::Saved;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

#[tokio::test(start_paused = true)]
async fn a_budget_holds_wherever_a_kill_falls_and_goes_on_when_its_window_has_moved() {
    for kill in [1.2, 20.0, 70.0, 110.0, 200.0] {
        let world = World::new();
        let time = clock();
        let rules = || guard::Rules { budget: Budget { runs: 2, window: secs(300.0) }, ..calm() };
        let plans = || vec![world.plan(Spec { factor: 1.0, ..pair("A", vec![cure("fix", 1.0)]) }, down)];
        let watch = world.watch_with(plans(), rules(), Saved::default(), time);
        world.until(kill).await;
        let watch = killed(&world, watch, plans(), rules(), time).await;
        world.until(1500.0).await;
        let times = world.times("A", "run fix");
        assert!(times.len() >= 6, "killed at {kill}: it goes on: {times:?}");
        let spread = times.windows(3).all(|three| three[2] - three[0] >= 298.0);
        assert!(spread, "killed at {kill}: never three within the window: {times:?}");
        watch.end().await;
    }
}

/// Two pairs on one host with one command of 20 s.
fn both(world: &Arc<World>) -> Vec<Arc<Plan>> {
    ["A", "B"]
        .into_iter()
        .map(|server| world.plan(pair(server, vec![cure("fix", 20.0)]), down_between(0.0, 150.0)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_shared_run_that_a_kill_cuts_is_told_for_both_and_runs_again_for_both_only_when_it_must_be_over() {
    let world = World::new();
    let time = clock();
    let watch = world.watch_with(both(&world), calm(), Saved::default(), time);
    world.until(10.0).await;
    assert_eq!(world.words("h1"), ["begin fix"]);
    let watch = killed(&world, watch, both(&world), calm(), time).await;
    world.until(65.0).await;
    assert_eq!(world.count("h1", "begin fix"), 1, "it may be at work for 60 s, and its host for 10 s around it");
    world.until(135.0).await;
    assert_eq!(world.count("h1", "begin fix"), 2, "once for both: {:?}", world.words("h1"));
    for server in ["A", "B"] {
        let words = told_of(&world, server);
        assert_eq!(words[0], "down #1 interrupted", "{server}: {words:?}");
        assert!(words.iter().any(|word| word.starts_with("down #2 executed")), "{server}: {words:?}");
    }
    world.until(1000.0).await;
    for server in ["A", "B"] {
        assert!(told_of(&world, server).last().unwrap().starts_with("up "), "{server}");
    }
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_had_to_wait_for_its_host_is_not_repeated_before_it_must_be_over() {
    let world = World::new();
    let time = clock();
    let plans = || {
        let often = |server, took| Spec { interval: 2.0, max: 20.0, ..pair(server, vec![cure(server, took)]) };
        vec![
            world.plan(often("LONG", 50.0), down_between(10.0, 50.0)),
            world.plan(often("A", 40.0), down_between(15.0, 1e9)),
        ]
    };
    let watch = world.watch_with(plans(), calm(), Saved::default(), time);
    world.until(65.0).await;
    let begun = world.times("A", "run A")[0];
    assert!(begun > 60.0, "it waited: {begun}");
    let watch = killed(&world, watch, plans(), calm(), time).await;
    world.until(300.0).await;
    let again = world.times("A", "run A")[1];
    assert!(again - begun >= 60.0, "it may be at work for 60 s: {begun}, {again}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_may_still_be_at_work_after_a_kill_runs_nothing_for_anybody_until_that_must_be_over() {
    let world = World::new();
    let time = clock();
    let plans = || {
        let often = |spec: Spec| Spec { interval: 2.0, max: 20.0, ..spec };
        vec![
            world.plan(often(pair("A", vec![cure("long", 50.0)])), down_between(10.0, 25.0)),
            world.plan(often(pair("B", vec![cure("other", 1.0)])), down_between(22.0, 1e9)),
            world.plan(often(pair("C", vec![cure_on("h2", "third", 1.0)])), down_between(22.0, 1e9)),
        ]
    };
    let watch = world.watch_with(plans(), calm(), Saved::default(), time);
    world.until(20.0).await;
    let begun = world.times("A", "run long")[0];
    let watch = killed(&world, watch, plans(), calm(), time).await;
    world.until(30.0).await;
    assert_eq!(world.count("C", "run third"), 1, "the other host is free");
    world.until(begun + 59.0).await;
    assert_eq!(world.count("B", "run other"), 0, "{:?}", world.words("B"));
    world.until(begun + 90.0).await;
    assert!(world.count("B", "run other") >= 1, "{:?}", world.words("B"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_success_after_a_kill_that_does_not_end_the_incident_leaves_the_promised_moment() {
    let world = World::new();
    let time = clock();
    let plans = || {
        let spec = Spec { interval: 10.0, max: 20.0, successes: 3, ..pair("A", vec![cure("fix", 40.0)]) };
        vec![world.plan(spec, down_in(&[(0.0, 20.0), (35.0, 1e9)]))]
    };
    let watch = world.watch_with(plans(), calm(), Saved::default(), time);
    world.until(21.0).await;
    let watch = killed(&world, watch, plans(), calm(), time).await;
    world.until(200.0).await;
    let times = world.times("A", "run fix");
    assert!(times.len() >= 2 && times[1] - times[0] >= 60.0, "it may be at work for 60 s: {times:?}");
    assert_eq!(world.count("A", "open"), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn wherever_a_kill_falls_no_command_is_sent_twice_for_one_check_and_one_recovery_is_told() {
    for half in 0..80 {
        let kill = f64::from(half) * 0.5 + 0.25;
        let world = World::new();
        world.disk(Disk::Writes(secs(0.4)));
        let time = clock();
        let plans = || vec![world.plan(pair("A", vec![cure("fix", 5.0)]), down_between(0.0, 12.0))];
        let watch = world.watch_with(plans(), calm(), Saved::default(), time);
        world.until(kill).await;
        let watch = killed(&world, watch, plans(), calm(), time).await;
        world.until(600.0).await;
        assert!(world.count("A", "run fix") <= 1, "killed at {kill}: {:?}", world.words("A"));
        assert!(world.count("A", "open") == 1 && world.words("incident").len() == 1, "killed at {kill}");
        let told = told_of(&world, "A");
        assert_eq!(told.iter().filter(|word| word.starts_with("up ")).count(), 1, "killed at {kill}: {told:?}");
        watch.end().await;
    }
}
