//! Flapping: what goes up and down too often is one piece of news, and no command has helped it.

use std::sync::Arc;

use monitor::domain::flap::Limit;
use monitor::domain::guard;
use monitor::engine::Saved;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

/// Six changes within an hour.
fn limited() -> guard::Rules {
    guard::Rules { flap: Limit { changes: 6, window: secs(3600.0) }, ..calm() }
}

/// Five short outages, 200 s apart.
const SHAKY: &[(f64, f64)] = &[(100.0, 140.0), (300.0, 340.0), (500.0, 540.0), (700.0, 740.0), (900.0, 940.0)];
/// Three of them, and one that lasts.
const BROKEN: &[(f64, f64)] = &[(100.0, 140.0), (300.0, 340.0), (500.0, 540.0), (700.0, 1e9)];

fn shaky(world: &Arc<World>, spans: &'static [(f64, f64)]) -> Vec<Arc<Plan>> {
    let sound = world.plan(pair("B", vec![cure_on("h2", "fix", 1.0)]), down_between(750.0, 790.0));
    vec![world.plan(Spec { max: 60.0, ..pair("A", vec![cure("fix", 1.0)]) }, down_in(spans)), sound]
}

fn count(world: &World, server: &str, start: &str) -> usize {
    told_of(world, server).iter().filter(|word| word.starts_with(start)).count()
}

#[tokio::test(start_paused = true)]
async fn what_flaps_is_told_once_and_not_healed_until_it_has_settled() {
    let world = World::new();
    let watch = world.watch_with(shaky(&world, SHAKY), limited(), Saved::default(), clock());
    world.until(690.0).await;
    assert_eq!((count(&world, "A", "down #1"), count(&world, "A", "up ")), (3, 3), "{:?}", told_of(&world, "A"));
    assert_eq!(told_of(&world, "A").last().unwrap(), "flapping", "the third recovery is the sixth change");
    let (told, ran) = (told_of(&world, "A").len(), world.count("A", "run"));
    world.until(1200.0).await;
    assert_eq!((told_of(&world, "A").len(), world.count("A", "run")), (told, ran), "{:?}", told_of(&world, "A"));
    assert!(world.count("A", "refuse flapping") >= 2, "each refusal is recorded");
    assert!(watch.handle.status().await.unwrap().pairs.iter().any(|pair| pair.pair == name("A") && pair.flapping));
    assert_eq!(count(&world, "B", "down #1 executed"), 1, "others are healed as ever");
    world.until(5000.0).await;
    assert_eq!(told_of(&world, "A")[told..], ["settled up"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_stays_down_after_it_flapped_is_healed_once_it_has_settled() {
    let world = World::new();
    let watch = world.watch_with(shaky(&world, BROKEN), limited(), Saved::default(), clock());
    world.until(1200.0).await;
    let (told, ran) = (told_of(&world, "A").len(), world.count("A", "run"));
    assert_eq!(told_of(&world, "A").last().unwrap(), "flapping");
    world.until(5000.0).await;
    let words = told_of(&world, "A");
    assert_eq!(words[told], "settled down", "{words:?}");
    assert!(words[told + 1].contains("executed") && world.count("A", "run") > ran, "{words:?}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_does_not_forget_the_changes_before_it() {
    let world = World::new();
    let time = clock();
    let watch = world.watch_with(shaky(&world, SHAKY), limited(), Saved::default(), time);
    world.until(450.0).await;
    let watch = killed(&world, watch, shaky(&world, SHAKY), limited(), time).await;
    world.until(690.0).await;
    assert_eq!(count(&world, "A", "flapping"), 1, "{:?}", told_of(&world, "A"));
    let (told, ran) = (told_of(&world, "A").len(), world.count("A", "run"));
    let watch = killed(&world, watch, shaky(&world, SHAKY), limited(), time).await;
    // And in an outage that is held.
    world.until(735.0).await;
    let watch = killed(&world, watch, shaky(&world, SHAKY), limited(), time).await;
    world.until(5000.0).await;
    assert_eq!(world.count("A", "run"), ran);
    assert_eq!(told_of(&world, "A")[told..], ["settled up"], "{:?}", told_of(&world, "A"));
    watch.end().await;
}
