//! A person's word: that healing stops, and that it goes on.

use std::sync::Arc;

use monitor::domain::guard;
use monitor::domain::stop::Scope;
use monitor::engine::Saved;
use monitor::engine::handle::Unmet;
use monitor::engine::plan::Plan;

use crate::support::engine::*;
use crate::support::guarded::*;

/// Two pairs on two sites that stay down, checked at least every 60 s.
fn two(world: &Arc<World>) -> Vec<Arc<Plan>> {
    let plan = |server, lane| world.plan(Spec { max: 60.0, ..pair(server, vec![cure_on(lane, "fix", 1.0)]) }, down);
    vec![plan("DC1:A", "h1"), plan("DC2:B", "h2")]
}

fn ran(world: &World) -> (usize, usize) {
    (world.count("A", "run"), world.count("B", "run"))
}

#[tokio::test(start_paused = true)]
async fn while_healing_is_stopped_checks_and_notices_go_on_and_nothing_is_run() {
    let world = World::new();
    let watch = world.watch(two(&world));
    world.until(70.0).await;
    let before = ran(&world);
    assert!(before.0 >= 1 && before.1 >= 1);
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    let told = told_of(&world, "A").len();
    world.until(400.0).await;
    assert_eq!(ran(&world), before);
    assert!(told_of(&world, "A")[told..].iter().any(|word| word.contains("stopped")), "{:?}", told_of(&world, "A"));
    assert_eq!(watch.handle.status().await.unwrap().stops.len(), 1);
    assert_eq!(watch.handle.resume(Scope::All, "anna".to_owned()).await, Ok(1));
    world.until(500.0).await;
    assert!(ran(&world).0 > before.0 && ran(&world).1 > before.1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_one_site_or_pair_leaves_the_others_and_one_for_a_time_ends_by_itself() {
    for scope in [Scope::Site(name("DC1:A").site), Scope::Pair(name("DC1:A"))] {
        let world = World::new();
        let watch = world.watch(two(&world));
        watch.handle.stop(scope, "anna".to_owned(), Some(secs(300.0))).await.unwrap();
        world.until(299.0).await;
        assert!(ran(&world).0 == 0 && ran(&world).1 >= 2, "{:?}", ran(&world));
        world.until(400.0).await;
        assert!(ran(&world).0 >= 1);
        assert!(watch.handle.status().await.unwrap().stops.is_empty());
        watch.end().await;
    }
    let world = World::new();
    let watch = world.watch(two(&world));
    let nobody = watch.handle.stop(Scope::Pair(name("DC9:A")), "anna".to_owned(), None).await;
    assert_eq!(nobody, Err(Unmet::NoSuchPair(name("DC9:A"))));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_host_is_not_run_after_a_stop() {
    let world = World::new();
    let plans = ["A", "B"].map(|server| world.plan(pair(server, vec![cure(server, 20.0)]), down));
    let watch = world.watch(plans.to_vec());
    world.until(5.0).await;
    assert_eq!(runs(&world), 1);
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    world.until(300.0).await;
    assert_eq!(runs(&world), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_what_was_permitted_and_waits_for_its_host_to_be_ready() {
    let world = World::new();
    let slow = Cure { connects: secs(8.0), ..cure("fix", 1.0) };
    let watch = world.watch(vec![world.plan(pair("A", vec![slow]), down)]);
    world.until(4.0).await;
    assert_eq!(world.count("A", "intend"), 1);
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    world.until(25.0).await;
    assert_eq!((runs(&world), told_of(&world, "A")), (0, vec!["down #1 stopped".to_owned()]));
    assert_eq!(watch.handle.status().await.unwrap().pairs[0].budget_spent, 0, "what was not sent costs nothing");
    watch.handle.resume(Scope::All, "anna".to_owned()).await.unwrap();
    world.until(100.0).await;
    assert!(runs(&world) >= 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_run_on_recovery_is_not_run_after_a_stop() {
    let world = World::new();
    let often = |spec: Spec| Spec { interval: 2.0, max: 60.0, ..spec };
    let long = world.plan(often(pair("LONG", vec![cure("long", 50.0)])), down_between(10.0, 1e9));
    let cared = Spec { recovery: Some(cure("warm", 1.0)), ..pair("A", vec![]) };
    let watch = world.watch(vec![long, world.plan(often(cared), down_between(5.0, 20.0))]);
    world.until(30.0).await;
    assert_eq!(world.count("A", "intend warm"), 1);
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    world.until(300.0).await;
    assert_eq!(world.count("A", "run"), 0, "{:?}", world.words("A"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_touch_a_command_that_runs_nor_a_person_s_order() {
    let world = World::new();
    let long = Cure { connects: secs(3.0), ..cure("long", 10.0) };
    let watch = world.watch(vec![
        world.plan(pair("A", vec![cure("fix", 10.0)]), down),
        world.plan(pair("B", vec![Cure { lane: "h2", ..long }]), up),
    ]);
    world.until(2.0).await;
    assert_eq!(runs(&world), 1);
    let by_hand = watch.handle.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { by_hand.heal(name("B"), 1).await });
    world.until(2.5).await;
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    world.until(25.0).await;
    assert_eq!(told_of(&world, "A"), ["down #1 executed"]);
    assert_eq!(world.words("h2"), ["begin long", "done long"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_survives_a_kill_and_so_does_its_end() {
    let world = World::new();
    let time = clock();
    let watch = world.watch_with(two(&world), calm(), Saved::default(), time);
    watch.handle.stop(Scope::All, "anna".to_owned(), None).await.unwrap();
    world.until(50.0).await;
    let watch = killed(&world, watch, two(&world), calm(), time).await;
    world.until(200.0).await;
    assert_eq!(ran(&world), (0, 0));
    watch.handle.resume(Scope::All, "anna".to_owned()).await.unwrap();
    let watch = killed(&world, watch, two(&world), calm(), time).await;
    world.until(400.0).await;
    assert!(ran(&world).0 >= 1 && ran(&world).1 >= 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_resumes_everything_overrules_a_storm_until_it_is_over() {
    let world = World::new();
    let plans = servers().iter().take(10).map(|server| {
        world.plan(
            Spec { max: 60.0, ..pair(server, vec![cure_on(server, "fix", 1.0)]) },
            down_in(&[(100.0, 900.0), (2000.0, 1e9)]),
        )
    });
    let watch = world.watch_with(plans.collect(), stormy(), Saved::default(), clock());
    world.until(300.0).await;
    assert_eq!(runs(&world), 0);
    watch.handle.resume(Scope::All, "anna".to_owned()).await.unwrap();
    world.until(400.0).await;
    let ran = runs(&world);
    assert!(ran >= 10, "{ran}");
    world.until(1990.0).await;
    let ran = runs(&world);
    world.until(2500.0).await;
    assert_eq!(runs(&world), ran, "the next storm is one again");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn between_two_runs_of_a_pair_lies_the_cooldown_also_across_a_kill() {
    let world = World::new();
    let time = clock();
    let rules = || guard::Rules { cooldown: secs(150.0), ..calm() };
    let plans = || vec![world.plan(Spec { max: 30.0, ..pair("A", vec![cure("fix", 1.0)]) }, down)];
    let watch = world.watch_with(plans(), rules(), Saved::default(), time);
    world.until(100.0).await;
    assert_eq!(runs(&world), 1);
    let watch = killed(&world, watch, plans(), rules(), time).await;
    world.until(800.0).await;
    let times = world.times("A", "run");
    assert!(times.len() >= 4 && gaps(&times).iter().all(|gap| *gap >= 149.0 && *gap <= 185.0), "{times:?}");
    assert!(told_of(&world, "A").iter().any(|word| word.contains("cooldown")));
    watch.end().await;
}
