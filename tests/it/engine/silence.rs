//! Whom people are not told of, and certificates that end.

use std::time::Duration;

use monitor::engine::Saved;
use monitor::engine::plan::Plans;

use crate::support::engine::*;

#[tokio::test(start_paused = true)]
async fn a_server_whose_notices_are_off_is_healed_and_not_told() {
    let world = World::new();
    let spec = Spec { notify: false, ..pair("A", vec![cure("fix", 0.0)]) };
    let watch = world.watch(vec![world.plan(spec, down_between(25.0, 100.0))]);
    world.until(300.0).await;
    assert!(world.count("A", "run fix") >= 1);
    assert_eq!(world.count("A", "tell"), 0, "{:?}", world.words("A"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn switching_notices_off_in_an_outage_that_was_told_does_not_hide_its_end() {
    let world = World::new();
    let loud = world.plan(pair("A", vec![cure("fix", 0.0)]), down_between(25.0, 1e9));
    let watch = world.watch(vec![loud.clone()]);
    world.until(100.0).await;
    assert_eq!(world.count("A", "tell down"), 2);
    let silent = Spec { notify: false, ..pair("A", vec![cure("fix", 0.0)]) };
    let silent = world.plan(silent, down_between(25.0, 400.0));
    watch.handle.reload(plans(vec![silent], calm())).await.unwrap();
    world.until(1200.0).await;
    let told: Vec<String> = world.words("A").into_iter().filter(|word| word.starts_with("tell")).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].starts_with("tell up"), "{told:?}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_certificate_is_told_once_a_server_and_never_healed() {
    const HOUR: f64 = 3600.0;
    let world = World::new();
    let spec = || Spec {
        interval: HOUR,
        max: HOUR,
        warns: &[30, 3],
        certificate: Some(31.0),
        ..pair("A", vec![cure("fix", 0.0)])
    };
    let watch = world.watch(vec![world.plan(spec(), up)]);
    world.until(23.0 * HOUR).await;
    assert_eq!(world.count("A", "tell"), 0);
    world.until(30.0 * HOUR).await;
    assert_eq!(world.words("A").iter().filter(|word| word.starts_with("tell")).count(), 1);
    assert_eq!(world.count("A", "tell expiring 30"), 1);
    assert_eq!(world.count("A", "run"), 0);
    let memory = world.memory();
    watch.end().await;
    // The next agent knows that it was told.
    let later = World::new();
    let saved = Saved { memory, ..Saved::default() };
    let spec = Spec { certificate: Some(29.0), ..spec() };
    let watch = later.watch_with(vec![later.plan(spec, up)], calm(), saved, clock());
    later.until(10.0 * HOUR).await;
    assert_eq!(later.count("A", "tell"), 0, "{:?}", later.words("A"));
    watch.end().await;
}

/// Cannot be looked at from one moment to another.
fn blind_between(from: f64, to: f64) -> impl FnMut(usize, f64) -> Look + Send + 'static {
    move |_, at| if (from..to).contains(&at) { (Duration::ZERO, See::Denied) } else { up(0, at) }
}

fn told(world: &World, who: &str) -> Vec<String> {
    world.words(who).into_iter().filter(|word| word.starts_with("tell")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_cannot_be_looked_at_for_long_is_told_once_and_its_end_too() {
    let world = World::new();
    let short = world.plan(pair("A", vec![cure("fix", 0.0)]), blind_between(25.0, 500.0));
    let long = world.plan(pair("B", vec![cure("fix", 0.0)]), blind_between(25.0, 1000.0));
    let silent = Spec { notify: false, ..pair("C", vec![cure("fix", 0.0)]) };
    let silent = world.plan(silent, blind_between(25.0, 1000.0));
    let plans = Plans { unknown_after: secs(600.0), ..plans(vec![short, long, silent], calm()) };
    let watch = world.watch_all(plans, Saved::default(), clock());
    world.until(900.0).await;
    assert_eq!((told(&world, "A"), told(&world, "C")), (Vec::new(), Vec::new()));
    assert_eq!(told(&world, "B"), ["tell unseen 1 denied"]);
    let status = watch.handle.status().await.unwrap();
    let unknown = |at: usize| status.pairs[at].unknown_since.map(|since| status.at.duration_since(since).as_secs());
    assert!(unknown(0).is_none() && unknown(1).is_some_and(|held| held > 850), "{:?}", unknown(1));
    world.until(1500.0).await;
    assert_eq!(told(&world, "B"), ["tell unseen 1 denied", "tell seen"]);
    assert_eq!(["A", "B", "C"].map(|pair| world.count(pair, "run")), [0; 3]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_lies_with_this_machine_is_told_once_for_all_pairs() {
    let world = World::new();
    let blind = |_: usize, at: f64| if (25.0..1000.0).contains(&at) { (Duration::ZERO, See::Blind) } else { up(0, at) };
    let pairs = ["A", "B", "C"].map(|server| world.plan(pair(server, vec![cure("fix", 0.0)]), blind));
    let plans = Plans { unknown_after: secs(600.0), ..plans(pairs.into(), calm()) };
    let watch = world.watch_all(plans, Saved::default(), clock());
    world.until(1500.0).await;
    assert_eq!(told(&world, "agent"), ["tell unseen 3 network", "tell seen"]);
    assert_eq!(["A", "B", "C"].map(|pair| told(&world, pair).len()), [0; 3]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_unknown_check_is_not_told_however_long_the_interval_is() {
    let world = World::new();
    let spec = Spec { interval: 3600.0, max: 3600.0, ..pair("A", vec![cure("fix", 0.0)]) };
    let plan = world.plan(spec, blind_between(0.0, 3000.0));
    let plans = Plans { unknown_after: secs(600.0), ..plans(vec![plan], calm()) };
    let watch = world.watch_all(plans, Saved::default(), clock());
    world.until(9000.0).await;
    assert_eq!(told(&world, "A"), [""; 0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_has_to_be_up_first_is_told_and_not_healed_before_it_was() {
    let world = World::new();
    let spec = || Spec { up_first: true, ..pair("A", vec![cure("fix", 0.0)]) };
    let never = world.plan(spec(), down_between(0.0, 300.0));
    let watch = world.watch(vec![never]);
    world.until(250.0).await;
    assert_eq!(world.count("A", "run"), 0);
    assert!(told(&world, "A").iter().all(|word| word.ends_with("never_up")), "{:?}", told(&world, "A"));
    world.until(1000.0).await;
    let states = world.states();
    watch.end().await;
    // It was up once, and the next agent knows that.
    let later = World::new();
    let saved = Saved { states, ..Saved::default() };
    let watch = later.watch_with(vec![later.plan(spec(), down)], calm(), saved, clock());
    later.until(100.0).await;
    assert!(later.count("A", "run fix") >= 1, "{:?}", later.words("A"));
    watch.end().await;
}
