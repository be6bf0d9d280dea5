//! Whom people are not told of, and certificates that end.

use crate::support::engine::*;
use monitor::engine::Saved;

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
