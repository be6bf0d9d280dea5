//! Storms: when too many fall together, we are the suspect.

use std::sync::Arc;

use monitor::engine::Saved;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

/// 200 pairs, each with its own host and command, all down in these spans.
fn all(world: &Arc<World>, spans: &'static [(f64, f64)]) -> Vec<Arc<Plan>> {
    let plan = |server: &&'static str| world.plan(pair(server, vec![cure_on(server, "fix", 1.0)]), down_in(spans));
    servers().iter().map(plan).collect()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_pairs_down_at_once_run_nothing_and_are_one_alarm_and_healing_resumes_after_the_quiet_time() {
    let world = World::new();
    let mut plans = all(&world, &[(100.0, 400.0)]);
    // One of them falls again when the storm is long over.
    plans[7] = world.plan(pair("S7", vec![cure_on("S7", "fix", 1.0)]), down_in(&[(100.0, 400.0), (1500.0, 1540.0)]));
    let watch = world.watch_with(plans, stormy(), Saved::default(), clock());
    world.until(390.0).await;
    assert_eq!(runs(&world), 0);
    assert_eq!(told(&world), [("agent".to_owned(), "storm".to_owned())], "one alarm, and no failure beside it");
    assert_eq!(watch.handle.status().await.unwrap().pairs.iter().filter(|pair| pair.failures > 0).count(), 200);
    world.until(1400.0).await;
    assert_eq!(runs(&world), 0);
    assert_eq!(told_of(&world, "agent"), ["storm", "storm over"]);
    assert_eq!(told(&world).len(), 2, "whose failure was not told, whose recovery is not");
    world.until(1700.0).await;
    assert_eq!(runs(&world), 1, "{:?}", told(&world));
    assert_eq!(told_of(&world, "S7"), ["down #1 executed", "up #1"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_storm_those_that_are_still_down_are_healed_and_told_and_not_before_the_quiet_time_is_over() {
    let world = World::new();
    let mut plans = all(&world, &[(100.0, 400.0)]);
    for place in [3, 4, 5] {
        let server = servers()[place];
        let script = down_until_run(&world, server, "fix", 100.0);
        plans[place] = world.plan(pair(server, vec![cure_on(server, "fix", 1.0)]), script);
    }
    let watch = world.watch_with(plans, stormy(), Saved::default(), clock());
    world.until(690.0).await;
    assert_eq!(runs(&world), 0, "quiet since 400 s at the earliest");
    world.until(2000.0).await;
    assert_eq!(runs(&world), 3);
    let words: Vec<String> = told(&world).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words.iter().filter(|word| word.ends_with("executed")).count(), 3, "{words:?}");
    assert_eq!(words.iter().filter(|word| word.starts_with("up ")).count(), 3, "{words:?}");
    assert_eq!(told_of(&world, "agent"), ["storm", "storm over"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn three_of_two_hundred_down_are_healed() {
    let world = World::new();
    let mut plans = all(&world, &[]);
    for place in [3, 4, 5] {
        let server = servers()[place];
        let script = down_until_run(&world, server, "fix", 100.0);
        plans[place] = world.plan(pair(server, vec![cure_on(server, "fix", 1.0)]), script);
    }
    let watch = world.watch_with(plans, stormy(), Saved::default(), clock());
    world.until(300.0).await;
    assert_eq!(runs(&world), 3);
    for place in [3, 4, 5] {
        assert_eq!(told_of(&world, servers()[place]), ["down #1 executed", "up #1"]);
    }
    assert_eq!(told(&world).len(), 6);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_hundred_that_fall_runs_nothing_either() {
    let world = World::new();
    // Nobody but S0 is checked within a minute; the others are found down by looking.
    let plans = servers().iter().map(|server| {
        let interval = if *server == "S0" { 10.0 } else { 3000.0 };
        let spec = Spec { interval, ..pair(server, vec![cure_on(server, "fix", 1.0)]) };
        world.plan(spec, down_between(5000.0, 5600.0))
    });
    let watch = world.watch_with(plans.collect(), stormy(), Saved::default(), clock());
    world.until(5100.0).await;
    assert_eq!(runs(&world), 0, "{:?}", told(&world));
    assert_eq!(told(&world), [("agent".to_owned(), "storm".to_owned())]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_a_storm_neither_ends_it_nor_tells_it_again() {
    let world = World::new();
    let time = clock();
    let spans: &[(f64, f64)] = &[(100.0, 400.0)];
    let watch = world.watch_with(all(&world, spans), stormy(), Saved::default(), time);
    world.until(250.0).await;
    assert_eq!(told_of(&world, "agent"), ["storm"]);
    let watch = killed(&world, watch, all(&world, spans), stormy(), time).await;
    world.until(390.0).await;
    assert_eq!((runs(&world), told_of(&world, "agent")), (0, vec!["storm".to_owned()]));
    // Again in the quiet time, when hardly any is down.
    world.until(600.0).await;
    let watch = killed(&world, watch, all(&world, spans), stormy(), time).await;
    assert!(watch.handle.status().await.unwrap().storm, "the quiet time is not over");
    world.until(2000.0).await;
    assert_eq!(runs(&world), 0);
    assert_eq!(told_of(&world, "agent"), ["storm", "storm over"]);
    let over = world.writes().into_iter().find_map(|write| match write {
        monitor::store::Write::NoticeQueued { notice, .. } => match notice.news {
            monitor::domain::notice::News::StormOver { since, .. } => Some(since),
            _ => None,
        },
        _ => None,
    });
    assert!((moment(99)..=moment(135)).contains(&over.unwrap()), "its true beginning is told: {over:?}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_the_alarm_reached_the_disk_still_runs_nothing() {
    let world = World::new();
    let time = clock();
    let spans: &[(f64, f64)] = &[(100.0, 4000.0)];
    let watch = world.watch_with(all(&world, spans), stormy(), Saved::default(), time);
    world.until(250.0).await;
    watch.cut().await;
    let lost = Saved { memory: monitor::domain::memory::Memory::default(), ..saved(&world) };
    let watch = world.watch_with(all(&world, spans), stormy(), lost, time);
    world.until(1000.0).await;
    assert_eq!(runs(&world), 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_host_when_a_storm_begins_is_neither_run_nor_told() {
    let world = World::new();
    let plans = servers().iter().enumerate().map(|(place, server)| {
        // Three fall first, on one host whose command takes long; the others while two of them wait.
        let (from, command) = if place < 3 { (100.0, ["a", "b", "c"][place]) } else { (135.0, "fix") };
        world.plan(pair(server, vec![cure_on("one", command, 60.0)]), down_between(from, 1e9))
    });
    let watch = world.watch_with(plans.collect(), stormy(), Saved::default(), clock());
    world.until(600.0).await;
    assert_eq!(runs(&world), 1);
    let words: Vec<String> = told(&world).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["storm", "down #1 executed"], "what was run is told, what was not is not");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_permitted_before_a_storm_is_not_sent_to_a_host_that_is_ready_only_in_it() {
    let world = World::new();
    let plans = servers().iter().enumerate().map(|(place, server)| {
        let from = if place < 3 { 100.0 } else { 103.0 };
        let slow = Cure { connects: secs(10.0), ..cure_on(server, "fix", 1.0) };
        world.plan(Spec { interval: 2.0, ..pair(server, vec![slow]) }, down_between(from, 1e9))
    });
    let watch = world.watch_with(plans.collect(), stormy(), Saved::default(), clock());
    world.until(104.0).await;
    assert!((0..3).any(|place| world.count(servers()[place], "intend") == 1), "the first were permitted");
    world.until(400.0).await;
    assert_eq!((runs(&world), told(&world)), (0, vec![("agent".to_owned(), "storm".to_owned())]));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn pairs_that_were_never_up_are_no_storm_and_keep_no_other_from_being_healed() {
    let world = World::new();
    let dead = ["N1", "N2", "N3", "N4", "N5", "N6"];
    let never =
        |server: &&'static str| world.plan(Spec { up_first: true, ..pair(server, vec![cure("fix", 1.0)]) }, down);
    let mut plans: Vec<Arc<Plan>> = dead.iter().map(never).collect();
    for server in ["U1", "U2", "U3", "U4"] {
        plans.push(world.plan(pair(server, vec![cure_on(server, "fix", 1.0)]), up));
    }
    let script = down_until_run(&world, "A", "fix", 5.0);
    plans.push(world.plan(pair("A", vec![cure_on("A", "fix", 1.0)]), script));
    let watch = world.watch_with(plans, stormy(), Saved::default(), clock());
    world.until(400.0).await;
    assert_eq!(world.count("A", "run fix"), 1, "{:?}", told(&world));
    assert!(told_of(&world, "agent").is_empty(), "{:?}", told(&world));
    watch.end().await;
}
