//! Witnesses and parents: what has to answer before a pair is believed to be what is broken.

use std::sync::Arc;

use monitor::domain::evidence::Quiet;
use monitor::engine::Saved;
use monitor::engine::handle::PairState;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

/// So many pairs that are down in these spans, judged by one witness that is silent in those.
fn watched(
    world: &Arc<World>,
    count: usize,
    down: &'static [(f64, f64)],
    silent: &'static [(f64, f64)],
) -> Vec<Arc<Plan>> {
    let one = world.witnesses("WITNESSES", down_in(silent));
    let plan = |server: &&'static str| {
        let spec = Spec { witnesses: Some(one.clone()), ..pair(server, vec![cure_on(server, "fix", 1.0)]) };
        world.plan(spec, down_in(down))
    };
    servers().iter().take(count).map(plan).collect()
}

#[tokio::test(start_paused = true)]
async fn while_no_witness_answers_nothing_is_known_no_counter_moves_and_it_is_told_once() {
    let world = World::new();
    let spans: &[(f64, f64)] = &[(100.0, 400.0)];
    let watch = world.watch(watched(&world, 20, spans, spans));
    world.until(390.0).await;
    let status = watch.handle.status().await.unwrap();
    assert!(status.pairs.iter().all(|pair| pair.state == PairState::Unknown && pair.failures == 0));
    assert!(status.cut_off.contains_key("WITNESSES"));
    assert_eq!(told(&world), [("agent".to_owned(), "cut off".to_owned())]);
    assert_eq!((runs(&world), world.count("S0", "open")), (0, 0));
    world.until(700.0).await;
    assert_eq!(told_of(&world, "agent"), ["cut off", "reconnected"]);
    assert_eq!(told(&world).len(), 2);
    assert!(watch.handle.status().await.unwrap().cut_off.is_empty());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_still_down_when_the_witnesses_answer_again_is_healed() {
    let world = World::new();
    let watch = world.watch(watched(&world, 1, &[(100.0, 460.0)], &[(100.0, 400.0)]));
    world.until(700.0).await;
    assert_eq!(told_of(&world, "agent"), ["cut off", "reconnected"]);
    let words = told_of(&world, "S0");
    assert_eq!(words.first().unwrap(), "down #1 executed");
    assert!(world.times("S0", "run")[0] >= 400.0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_incident_that_is_open_when_the_witnesses_fall_silent_keeps_its_count() {
    let world = World::new();
    let watch = world.watch(watched(&world, 1, &[(20.0, 2000.0)], &[(150.0, 1000.0)]));
    world.until(149.0).await;
    let before = watch.handle.status().await.unwrap().pairs[0].failures;
    assert!(before >= 2);
    let ran = runs(&world);
    world.until(999.0).await;
    let pair = watch.handle.status().await.unwrap().pairs[0].clone();
    assert_eq!((pair.failures, pair.state), (before, PairState::Unknown));
    assert_eq!(runs(&world), ran, "nothing is run on old news");
    world.until(1400.0).await;
    assert!(told_of(&world, "S0").contains(&format!("down #{} executed", before + 1)), "{:?}", told(&world));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn enough_of_several_witnesses_are_enough() {
    for (quorum, healed) in [(1, true), (2, true), (3, false)] {
        let world = World::new();
        let of = witnesses(&world, vec![("W1", Box::new(up)), ("W2", Box::new(down)), ("W3", Box::new(up))], quorum);
        let watch =
            world.watch(vec![world.plan(Spec { witnesses: Some(of), ..pair("A", vec![cure("fix", 1.0)]) }, down)]);
        world.until(20.0).await;
        assert_eq!(world.count("A", "run fix") == 1, healed, "{quorum} of 3");
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_while_its_host_gets_ready_sends_nothing() {
    let world = World::new();
    let slow = Cure { connects: secs(8.0), ..cure("fix", 1.0) };
    let one = world.witnesses("WITNESSES", down_between(4.0, 60.0));
    let watch = world.watch(vec![world.plan(Spec { witnesses: Some(one), ..pair("A", vec![slow]) }, down)]);
    world.until(25.0).await;
    assert_eq!(world.count("A", "run fix"), 0);
    assert_eq!(told_of(&world, "A"), ["down #1 cut_off"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_cut_off_tells_it_no_second_time_and_moves_nothing() {
    let world = World::new();
    let time = clock();
    let spans: &[(f64, f64)] = &[(100.0, 400.0)];
    let watch = world.watch_with(watched(&world, 5, spans, spans), calm(), Saved::default(), time);
    world.until(200.0).await;
    let watch = killed(&world, watch, watched(&world, 5, spans, spans), calm(), time).await;
    world.until(700.0).await;
    assert_eq!(runs(&world), 0);
    assert_eq!(told(&world).into_iter().map(|(_, word)| word).collect::<Vec<_>>(), ["cut off", "reconnected"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn witnesses_that_a_reload_made_anew_are_still_missed_and_asked_whether_they_are_back() {
    let world = World::new();
    // The pair itself is up again before anybody could see it fail once more.
    let plans = || watched(&world, 1, &[(100.0, 160.0)], &[(100.0, 400.0)]);
    let watch = world.watch(plans());
    world.until(165.0).await;
    assert_eq!(told_of(&world, "agent"), ["cut off"]);
    watch.handle.reload(crate::support::engine::plans(plans(), calm())).await.unwrap();
    world.until(500.0).await;
    assert_eq!(told_of(&world, "agent"), ["cut off", "reconnected"]);
    watch.end().await;
}

/// A database and an application that depends on it, each on a host of its own.
fn family(world: &Arc<World>, db: &'static [(f64, f64)], app: &'static [(f64, f64)]) -> Vec<Arc<Plan>> {
    let child =
        Spec { parents: vec![world.parent("DB", down_in(db))], ..pair("APP", vec![cure_on("h2", "fix-app", 1.0)]) };
    vec![world.plan(pair("DB", vec![cure_on("h1", "fix-db", 1.0)]), down_in(db)), world.plan(child, down_in(app))]
}

#[tokio::test(start_paused = true)]
async fn a_child_of_a_parent_that_is_down_is_held_and_looked_at_and_its_recovery_is_not_told() {
    let world = World::new();
    let watch = world.watch(family(&world, &[(100.0, 400.0)], &[(100.0, 430.0)]));
    world.until(395.0).await;
    assert_eq!(world.count("APP", "run"), 0);
    assert!(world.count("DB", "run fix-db") >= 2);
    assert!(world.count("APP", "refuse parent_down") >= 2, "it is looked at, and each refusal is recorded");
    assert_eq!(told_of(&world, "APP"), [""; 0]);
    let status = watch.handle.status().await.unwrap();
    let app = status.pairs.iter().find(|pair| pair.pair == name("APP")).unwrap();
    assert_eq!((app.state, app.quiet), (PairState::Down, Some(Quiet::ParentDown)));
    world.until(1000.0).await;
    assert_eq!(told_of(&world, "APP"), [""; 0], "nobody heard of its failure");
    assert!(told_of(&world, "DB").last().unwrap().starts_with("up "));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_told_before_its_parent_fell_is_told_to_be_up_again() {
    let world = World::new();
    let watch = world.watch(family(&world, &[(100.0, 400.0)], &[(20.0, 430.0)]));
    world.until(95.0).await;
    assert!(told_of(&world, "APP").contains(&"down #1 executed".to_owned()));
    let (before, ran) = (told_of(&world, "APP").len(), world.count("APP", "run"));
    world.until(399.0).await;
    assert_eq!((told_of(&world, "APP").len(), world.count("APP", "run")), (before, ran), "held since then");
    world.until(1000.0).await;
    assert!(told_of(&world, "APP").last().unwrap().starts_with("up "), "{:?}", told_of(&world, "APP"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_stays_down_when_its_parent_is_up_is_healed_and_told() {
    let world = World::new();
    let watch = world.watch(family(&world, &[(100.0, 300.0)], &[(100.0, 5000.0)]));
    world.until(295.0).await;
    assert_eq!(world.count("APP", "run"), 0);
    world.until(1000.0).await;
    assert!(world.times("APP", "run")[0] >= 300.0);
    assert!(told_of(&world, "APP")[0].ends_with("executed"), "{:?}", told_of(&world, "APP"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_found_down_before_its_parent_was_looked_at_is_held_too() {
    let world = World::new();
    let falls = || down_between(100.0, 3200.0);
    let parent = world.plan(Spec { interval: 3000.0, ..pair("DB", vec![]) }, falls());
    let child = Spec { parents: vec![world.parent("DB", falls())], ..pair("APP", vec![cure("fix-app", 1.0)]) };
    let watch = world.watch(vec![parent, world.plan(child, falls())]);
    world.until(1000.0).await;
    assert_eq!((world.count("APP", "run"), told_of(&world, "APP").len()), (0, 0), "{:?}", world.words("APP"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_a_child_is_held_does_not_let_it_go() {
    let world = World::new();
    let time = clock();
    let plans = || family(&world, &[(100.0, 400.0)], &[(100.0, 430.0)]);
    let watch = world.watch_with(plans(), calm(), Saved::default(), time);
    world.until(200.0).await;
    let watch = killed(&world, watch, plans(), calm(), time).await;
    world.until(1000.0).await;
    assert_eq!((world.count("APP", "run"), told_of(&world, "APP").len()), (0, 0), "{:?}", world.words("APP"));
    assert_eq!(told_of(&world, "DB").iter().filter(|word| word.starts_with("up ")).count(), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn children_that_fall_with_their_parent_are_no_storm_not_after_a_kill_either() {
    let world = World::new();
    let time = clock();
    let falls = || down_between(100.0, 1000.0);
    let plans = || {
        let child = |server: &&'static str| {
            let spec = pair(server, vec![cure_on(server, "fix", 1.0)]);
            world.plan(Spec { parents: vec![world.parent("DB", falls())], ..spec }, falls())
        };
        let parent = world.plan(Spec { max: 60.0, ..pair("DB", vec![cure("fix-db", 1.0)]) }, falls());
        servers().iter().take(7).map(child).chain([parent]).collect::<Vec<_>>()
    };
    let watch = world.watch_with(plans(), stormy(), Saved::default(), time);
    world.until(300.0).await;
    let watch = killed(&world, watch, plans(), stormy(), time).await;
    let before = world.count("DB", "run fix-db");
    world.until(600.0).await;
    assert!(before >= 1 && world.count("DB", "run fix-db") > before, "the parent is healed on");
    assert_eq!((told_of(&world, "agent").len(), runs(&world)), (0, world.count("DB", "run fix-db")));
    watch.end().await;
}
