//! Maintenance: while somebody works on it nothing is run and no failure is told.

use std::sync::Arc;

use monitor::domain::evidence::Quiet;
use monitor::domain::guard;
use monitor::domain::maintenance::{Calendar, Kind, Once, Window};
use monitor::engine::Saved;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

/// A window from 100 s to 400 s for these, or for all.
fn planned(scope: Vec<monitor::domain::maintenance::Scope>) -> guard::Rules {
    let kind = Kind::Once(Once { begin: moment(100), end: moment(400) });
    guard::Rules { maintenance: Calendar::new(vec![Window { scope, kind }]), ..calm() }
}

fn worked_on(world: &Arc<World>, spans: &'static [(f64, f64)]) -> Vec<Arc<Plan>> {
    vec![world.plan(Spec { max: 60.0, ..pair("A", vec![cure("fix", 1.0)]) }, down_in(spans))]
}

#[tokio::test(start_paused = true)]
async fn what_falls_and_rises_inside_a_window_is_recorded_and_no_news() {
    let world = World::new();
    let watch = world.watch_with(worked_on(&world, &[(120.0, 350.0)]), planned(vec![]), Saved::default(), clock());
    world.until(340.0).await;
    assert!(world.count("A", "refuse maintenance") >= 2, "it is looked at, and each refusal is recorded");
    assert_eq!(watch.handle.status().await.unwrap().pairs[0].quiet, Some(Quiet::Maintenance));
    world.until(1000.0).await;
    assert_eq!((runs(&world), told(&world).len()), (0, 0), "{:?}", told(&world));
    assert_eq!((world.count("A", "open"), world.words("incident")), (1, vec!["close recovered".to_owned()]));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_still_down_when_the_window_closes_is_told_and_healed_then() {
    let world = World::new();
    let watch = world.watch_with(worked_on(&world, &[(120.0, 470.0)]), planned(vec![]), Saved::default(), clock());
    world.until(399.0).await;
    assert_eq!((runs(&world), told(&world).len()), (0, 0));
    world.until(1000.0).await;
    assert!(world.times("A", "run")[0] >= 400.0 && world.times("A", "run")[0] <= 460.0);
    let words = told_of(&world, "A");
    assert!(words[0].ends_with("executed") && words.last().unwrap().starts_with("up "), "{words:?}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_before_the_window_is_told_to_be_up_inside_it() {
    let world = World::new();
    let watch = world.watch_with(worked_on(&world, &[(20.0, 300.0)]), planned(vec![]), Saved::default(), clock());
    world.until(99.0).await;
    let (before, ran) = (told(&world).len(), runs(&world));
    assert!(before >= 1 && ran >= 1);
    world.until(299.0).await;
    assert_eq!((told(&world).len(), runs(&world)), (before, ran));
    world.until(399.0).await;
    assert_eq!(told(&world).len(), before + 1);
    assert!(told_of(&world, "A").last().unwrap().starts_with("up "), "whoever heard of it hears of its end");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waits_for_its_host_is_not_sent_once_the_window_is_open() {
    let world = World::new();
    let often = |server, command, took| Spec { interval: 2.0, max: 60.0, ..pair(server, vec![cure(command, took)]) };
    let long = world.plan(often("LONG", "long", 40.0), down_between(70.0, 1e9));
    let short = world.plan(often("A", "short", 1.0), down_between(92.0, 350.0));
    let watch = world.watch_with(vec![long, short], planned(vec![]), Saved::default(), clock());
    world.until(395.0).await;
    let sent: Vec<f64> = world.times("A", "run short").into_iter().chain(world.times("LONG", "run long")).collect();
    assert!(!sent.is_empty() && sent.iter().all(|at| *at < 100.0), "{sent:?}");
    assert_eq!(
        (world.count("A", "intend"), world.count("A", "tell")),
        (1, 0),
        "it waited, and that it may not run is no news"
    );
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn those_a_window_does_not_name_are_healed_as_ever() {
    let world = World::new();
    let other = world.plan(pair("B", vec![cure_on("h2", "fix", 1.0)]), down_between(120.0, 300.0));
    let plans = worked_on(&world, &[(120.0, 300.0)]).into_iter().chain([other]).collect();
    let scope = vec![monitor::domain::maintenance::Scope::Server(name("A").server)];
    let watch = world.watch_with(plans, planned(scope), Saved::default(), clock());
    world.until(290.0).await;
    assert_eq!((world.count("A", "run"), told_of(&world, "A").len()), (0, 0));
    assert!(world.count("B", "run") >= 1 && told_of(&world, "B")[0] == "down #1 executed");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_s_order_runs_inside_a_window() {
    let world = World::new();
    let watch = world.watch_with(worked_on(&world, &[(120.0, 350.0)]), planned(vec![]), Saved::default(), clock());
    world.until(200.0).await;
    watch.handle.heal(name("A"), 1).await.unwrap();
    assert_eq!(runs(&world), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_inside_a_window_tells_nothing_and_what_is_down_at_its_end_is_told_once() {
    let world = World::new();
    let time = clock();
    let plans = || worked_on(&world, &[(120.0, 470.0)]);
    let watch = world.watch_with(plans(), planned(vec![]), Saved::default(), time);
    world.until(200.0).await;
    let watch = killed(&world, watch, plans(), planned(vec![]), time).await;
    world.until(399.0).await;
    assert_eq!((runs(&world), told(&world).len()), (0, 0), "{:?}", told(&world));
    world.until(1000.0).await;
    let words = told_of(&world, "A");
    assert!(words[0].ends_with("executed"), "{words:?}");
    assert_eq!(words.iter().filter(|word| word.starts_with("up ")).count(), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_a_kill_cut_before_the_window_is_no_news_inside_it() {
    let world = World::new();
    let time = clock();
    let plans = || vec![world.plan(pair("A", vec![cure("fix", 50.0)]), down_between(70.0, 350.0))];
    let watch = world.watch_with(plans(), planned(vec![]), Saved::default(), time);
    world.until(99.0).await;
    assert_eq!(runs(&world), 1);
    watch.cut().await;
    world.until(150.0).await;
    let watch = world.watch_with(plans(), planned(vec![]), saved(&world), time);
    world.until(1000.0).await;
    assert_eq!(runs(&world), 1);
    assert_eq!(told_of(&world, "A"), [""; 0]);
    assert_eq!(world.count("run", "judge interrupted"), 2, "the records have it: {:?}", world.words("run"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_permitted_before_a_window_is_not_sent_in_it() {
    let world = World::new();
    let slow = Cure { connects: secs(15.0), ..cure("fix", 1.0) };
    let plan = world.plan(Spec { interval: 2.0, max: 60.0, ..pair("A", vec![slow]) }, down_between(93.0, 350.0));
    let watch = world.watch_with(vec![plan], planned(vec![]), Saved::default(), clock());
    world.until(399.0).await;
    assert_eq!(world.count("A", "intend"), 1, "permitted before it");
    assert_eq!((runs(&world), told(&world).len()), (0, 0), "{:?}", world.words("A"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_run_on_recovery_is_not_run_inside_a_window() {
    let world = World::new();
    let spec = Spec { recovery: Some(cure("warm", 1.0)), ..pair("A", vec![]) };
    let watch =
        world.watch_with(vec![world.plan(spec, down_between(50.0, 200.0))], planned(vec![]), Saved::default(), clock());
    world.until(399.0).await;
    assert_eq!(world.words("incident"), ["close recovered"]);
    assert_eq!(runs(&world), 0);
    watch.end().await;
}
