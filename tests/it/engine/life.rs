//! Start, stop, reload, and a clock that is set.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use monitor::domain::guard::{self, Budget};
use monitor::domain::outage::State;
use monitor::domain::remedy::RunId;
use monitor::engine::Saved;
use monitor::engine::handle::{PairState, Unmet};
use monitor::engine::plan::{Plan, Plans};
use monitor::store::Order;
use uuid::Uuid;

use crate::support::engine::*;

fn after(world: &World) -> Saved {
    Saved { states: world.states(), runs: Vec::new(), unfinished: Vec::new(), ..Saved::default() }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_command_is_told_once_and_nothing_runs_before_the_promised_moment() {
    let spec = || pair("A", vec![cure("fix", 50.0)]);
    let world = World::new();
    let time = clock();
    let watch = world.watch(vec![world.plan(spec(), down)]);
    world.until(5.0).await;
    assert_eq!(world.count("A", "run fix"), 1);
    watch.cut().await;

    let second = World::new();
    let watch = second.watch_with(vec![second.plan(spec(), down)], calm(), after(&world), time);
    second.until(20.0).await;
    assert_eq!(second.words("A"), ["tell down #1 interrupted"], "told at the start, and looked at without effect");
    assert_eq!(second.words("run"), ["judge interrupted"]);
    assert_eq!(second.count("A", "probe"), 1);
    watch.cut().await;

    let third = World::new();
    let states = second.states();
    let saved = Saved { states: states.clone(), runs: Vec::new(), unfinished: Vec::new(), ..Saved::default() };
    let watch = third.watch_with(vec![third.plan(spec(), down)], calm(), saved, time);
    third.until(43.0).await;
    assert!(third.words("A").is_empty(), "{:?}", third.words("A"));
    // Ordered within the first second of the first world; it may take 60 s, and its host 10 s to be ready for it or rid of
    // it. This world began 25 s after that one.
    third.until(48.0).await;
    assert_eq!(third.words("A"), ["intend fix", "run fix"]);
    watch.cut().await;
}

#[tokio::test(start_paused = true)]
async fn what_recovered_while_the_agent_was_off_is_told_as_that() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![]), down)]);
    world.until(5.0).await;
    watch.end().await;
    let second = World::new();
    let watch = second.watch_with(vec![second.plan(pair("A", vec![]), up)], calm(), after(&world), clock());
    second.until(2.0).await;
    assert_eq!(second.words("A"), ["tell up #1 while off"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_remembered_also_when_the_clock_was_set_back_meanwhile() {
    let world = World::new();
    let at = |second: i64| Timestamp::from_second(EPOCH + second).unwrap();
    let saved = Saved {
        states: HashMap::new(),
        runs: vec![(name("A"), at(-50)), (name("A"), at(86_400))],
        unfinished: Vec::new(),
        ..Saved::default()
    };
    let rules = guard::Rules { budget: Budget { runs: 2, window: secs(100.0) }, ..calm() };
    let spec = Spec { factor: 1.0, window: 0.0, ..pair("A", vec![cure("fix", 0.0)]) };
    let watch = world.watch_with(vec![world.plan(spec, down)], rules, saved, clock());
    world.until(65.0).await;
    let told: Vec<String> = world.words("A").into_iter().filter(|word| word.starts_with("tell")).collect();
    assert_eq!(told, ["tell down #1 budget_spent", "tell down #3 executed"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_stop_lets_a_command_finish_records_it_and_sends_nothing_more() {
    let world = World::new();
    let watch = world.watch(vec![
        world.plan(pair("A", vec![cure("fix-a", 8.0)]), down),
        world.plan(pair("B", vec![cure("fix-b", 8.0)]), down),
        world.plan(pair("C", vec![]), up),
    ]);
    world.until(3.0).await;
    let (handle, probes) = (watch.handle.clone(), world.count("C", "probe"));
    let took = watch.end().await.as_secs_f64();
    assert!((4.9..6.1).contains(&took), "the 8 s of the command were waited for: {took}");
    let words = world.words("h1");
    assert_eq!(words.len(), 2, "{words:?}");
    let told = |word: &str| world.count("A", word) + world.count("B", word);
    assert_eq!((told("tell down #1 executed"), told("tell down #1 stopping")), (1, 1));
    assert_eq!(handle.status().await, Err(Unmet::Stopping));
    world.until(200.0).await;
    assert_eq!(world.count("C", "probe"), probes);
    assert_eq!(world.words("h1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_outlives_the_stop_is_left_and_told_as_interrupted_at_the_next_start() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 50.0)]), down)]);
    world.until(3.0).await;
    assert_near(&[watch.end().await.as_secs_f64()], &[10.0]);
    assert_eq!(world.count("A", "tell"), 0);
    let State::Down(outage) = &world.states()[&name("A")] else { panic!("an open incident is saved") };
    assert_eq!(outage.ordered.as_ref().unwrap().command, "fix");
    let second = World::new();
    let watch = second.watch_with(vec![second.plan(pair("A", vec![]), down)], calm(), after(&world), clock());
    second.until(2.0).await;
    assert_eq!(second.words("A"), ["tell down #1 interrupted"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_intent_is_being_written_sends_nothing() {
    let world = World::new();
    world.disk(Disk::Writes(secs(5.0)));
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), down)]);
    world.until(3.0).await;
    watch.end().await;
    assert_eq!(world.words("A"), ["open", "intend fix", "audit skipped", "tell down #1 stopping"]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_adds_removes_and_keeps_and_counters_survive() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("KEPT", vec![]), down), world.plan(pair("GONE", vec![]), down)]);
    world.until(40.0).await;
    assert_eq!(world.count("KEPT", "tell down #2"), 1);
    let next = vec![world.plan(pair("KEPT", vec![]), down), world.plan(pair("NEW", vec![]), up)];
    let reloaded = watch.handle.reload(plans(next, calm())).await.unwrap();
    assert_eq!((reloaded.added, reloaded.removed, reloaded.kept), (1, 1, 1));
    // Who was told that it is down is told that nobody looks any more.
    assert_eq!(world.words("GONE").iter().rev().take(2).collect::<Vec<_>>(), ["tell retired", "forget"]);
    assert_eq!(world.count("KEPT", "tell retired"), 0);
    assert_eq!(world.words("incident"), ["close retired"]);
    let probes = world.count("GONE", "probe");
    world.until(110.0).await;
    assert_eq!(world.count("GONE", "probe"), probes);
    assert!(world.count("NEW", "probe") >= 2);
    assert_near(&gaps(&world.times("KEPT", "probe")), &[30.0, 67.5]);
    assert_eq!(world.count("KEPT", "tell down #3"), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_pair_s_running_command_ends_quietly_and_its_waiting_one_is_not_sent() {
    let world = World::new();
    let two = || {
        vec![
            world.plan(pair("A", vec![cure("fix-a", 10.0)]), down),
            world.plan(pair("B", vec![cure("fix-b", 10.0)]), down),
        ]
    };
    let watch = world.watch(two());
    world.until(3.0).await;
    watch.handle.reload(plans(vec![], calm())).await.unwrap();
    world.until(300.0).await;
    assert_eq!(world.words("h1").len(), 2, "{:?}", world.words("h1"));
    assert_eq!(world.count("A", "tell") + world.count("B", "tell"), 0);
    let mut ends = world.words("run");
    ends.sort();
    assert_eq!(ends, ["end executed", "judge ran_but_down", "judge skipped"], "both are recorded");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_taken_out_and_entered_again_does_not_inherit_the_old_ones_rounds() {
    let world = World::new();
    let slow = world.plan(pair("A", vec![]), |_, _| (secs(9.0), See::Down));
    let watch = world.watch(vec![slow]);
    world.until(2.0).await;
    watch.handle.reload(plans(vec![], calm())).await.unwrap();
    let again = world.plan(Spec { timeout: 60.0, ..pair("A", vec![]) }, |_, _| (secs(40.0), See::Up));
    watch.handle.reload(plans(vec![Arc::clone(&again)], calm())).await.unwrap();
    world.until(25.0).await;
    assert_eq!(world.words("A"), ["forget"], "the old look said down and is of no concern");
    let status = watch.handle.status().await.unwrap();
    assert_eq!((status.pairs[0].state, status.checks.made), (PairState::Fresh, 0));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_target_that_a_reload_changed_is_thrown_away_and_made_again() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), |_, _| (secs(9.0), See::Down))]);
    world.until(2.0).await;
    watch.handle.reload(plans(vec![world.plan(pair("A", vec![]), up)], calm())).await.unwrap();
    world.until(12.0).await;
    assert_eq!(world.count("A", "probe"), 2);
    assert!(world.words("A").is_empty());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_interval_is_kept_from_the_reload_on_and_an_incident_keeps_the_moment_it_was_promised() {
    let world = World::new();
    let both = |interval| {
        let spec = |server| Spec { interval, ..pair(server, vec![cure("fix", 0.0)]) };
        vec![world.plan(spec("UP"), up), world.plan(Spec { window: 0.0, ..spec("DOWN") }, down)]
    };
    let watch = world.watch(both(100.0));
    world.until(5.0).await;
    watch.handle.reload(plans(both(10.0), calm())).await.unwrap();
    world.until(60.0).await;
    let times = world.times("UP", "probe");
    assert!(times[1] >= 5.0 && times[1] <= 6.002, "{times:?}");
    assert_near(&gaps(&times[1..])[..4], &[10.0; 4]);
    assert_eq!(world.count("DOWN", "probe"), 1, "promised for 100 s");
    world.until(200.0).await;
    assert_near(&gaps(&world.times("DOWN", "probe"))[..2], &[100.0, 22.5]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_ahead_throws_the_round_away_and_everything_is_looked_at_again() {
    let lines = Lines::listen();
    let world = World::new();
    let clock = clock().set_after(secs(33.0), SignedDuration::from_secs(7200));
    let spec = |server| Spec { timeout: 60.0, ..pair(server, vec![cure("fix", 1.0)]) };
    let slow = world
        .plan(spec("SLOW"), |n, _| (secs(if n == 1 { 8.0 } else { 0.0 }), if n == 1 { See::Down } else { See::Up }));
    let calm_one = world.plan(spec("CALM"), up);
    let watch = world.watch_with(vec![slow, calm_one], calm(), Saved::default(), clock);
    world.until(55.0).await;
    assert!(
        world.words("SLOW").is_empty(),
        "what the look across the gap saw counts nothing: {:?}",
        world.words("SLOW")
    );
    let times = world.times("CALM", "probe");
    assert!(times[2] > 33.0 && times[2] < 36.0, "looked at again at once: {times:?}");
    assert_eq!(world.count("SLOW", "probe"), 3);
    assert_eq!(lines.count("The clock jumped by 7200 s"), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_a_day_neither_puts_off_the_next_check_nor_keeps_the_budget_spent() {
    let world = World::new();
    let clock = clock().set_after(secs(10.0), SignedDuration::from_hours(-24));
    let rules = guard::Rules { budget: Budget { runs: 1, window: secs(100.0) }, ..calm() };
    let spec = Spec { factor: 1.0, window: 0.0, ..pair("A", vec![cure("fix", 0.0)]) };
    let watch = world.watch_with(vec![world.plan(spec, down)], rules, Saved::default(), clock);
    world.until(200.0).await;
    let longest = gaps(&world.times("A", "probe")).into_iter().fold(0.0, f64::max);
    assert!(longest <= 30.01, "{longest}");
    assert!(world.count("A", "run fix") >= 2, "the budget's window moved on");
    assert_eq!(world.count("A", "tell down #1 "), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_end_nobody_saw_gets_its_record_and_its_verdict() {
    let world = World::new();
    let order = Order {
        run: RunId(Uuid::now_v7()),
        incident: None,
        pair: name("A"),
        site: name("A").site,
        command: "fix".to_owned(),
        rung: 1,
        attempt: 0,
        at: Timestamp::UNIX_EPOCH,
    };
    let saved = Saved { states: HashMap::new(), runs: Vec::new(), unfinished: vec![order], ..Saved::default() };
    let watch = world.watch_with(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), up)], calm(), saved, clock());
    world.until(2.0).await;
    assert_eq!(world.count("A", "audit failed"), 1);
    assert_eq!(world.words("run"), ["judge interrupted"]);
    assert_eq!(world.count("A", "run fix"), 0, "it is not run again");
    watch.cut().await;
}

#[tokio::test(start_paused = true)]
async fn reloads_that_change_nothing_about_a_pair_do_not_keep_its_slow_failure_from_being_judged() {
    let world = World::new();
    let spec = || Spec { timeout: 60.0, ..pair("SLOW", vec![]) };
    let slow = |window: f64| {
        let plan = world.plan(Spec { window, ..spec() }, |_, _| (secs(20.0), See::Down));
        Arc::new(Plan { mark: 7, ..Plan::clone(&plan) })
    };
    let watch = world.watch(vec![slow(1.0)]);
    for n in 1..=8 {
        world.until(f64::from(n) * 7.0).await;
        // The pairs of a list come and go.
        let others = if n % 2 == 0 { vec![] } else { vec![world.plan(pair("OTHER", vec![]), up)] };
        let all = [slow(f64::from(n))].into_iter().chain(others).collect();
        watch.handle.reload(plans(all, calm())).await.unwrap();
    }
    assert_eq!(world.count("SLOW", "tell down #1"), 1, "{:?}", world.words("SLOW"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_makes_no_new_places_for_remedies() {
    let world = World::new();
    let names = ["A", "B", "C", "D"];
    let all = || {
        let plan = |server: &&'static str| {
            let cure = crate::support::engine::cure_on(server, "fix", 20.0);
            let plan = world.plan(Spec { interval: 10.0, ..pair(server, vec![cure]) }, down);
            Arc::new(Plan { mark: 7, ..Plan::clone(&plan) })
        };
        Plans { remedies_at_once: 1, ..plans(names.iter().map(plan).collect(), calm()) }
    };
    let watch = world.watch_all(all(), Saved::default(), clock());
    for n in 1..=4 {
        world.until(12.0 + f64::from(n)).await;
        watch.handle.reload(all()).await.unwrap();
    }
    world.until(18.0).await;
    let begun: usize = names.iter().map(|server| world.count(server, "run fix")).sum();
    assert_eq!(begun, 1);
    watch.cut().await;
}
