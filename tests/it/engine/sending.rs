//! What lies between the verdict and the sending of a command: places, other hosts' turns, people's orders, lost time,
//! and another target.

use std::sync::Arc;

use jiff::SignedDuration;
use monitor::domain::refusal::Refusal;
use monitor::domain::remedy::Verdict;
use monitor::domain::stop::Scope;
use monitor::engine::Saved;
use monitor::engine::handle::HealReport;
use monitor::engine::plan::{Plan, Plans};
use monitor::store::Write;
use tokio::task::JoinSet;

use crate::support::engine::*;
use crate::support::guarded::*;

/// Why commands that had been permitted were not sent, in order.
fn unsent(world: &World) -> Vec<Refusal> {
    let refusal = |write| match write {
        Write::RunJudged { verdict: Verdict::Skipped(refusal), .. } => Some(refusal),
        _ => None,
    };
    world.writes().into_iter().filter_map(refusal).collect()
}

fn order(watch: &Watch, server: &str, rung: u32) -> JoinSet<HealReport> {
    let (handle, pair) = (watch.handle.clone(), name(server));
    let mut order = JoinSet::new();
    order.spawn(async move { handle.heal(pair, rung).await.expect("the order is taken") });
    order
}

async fn report(mut order: JoinSet<HealReport>) -> HealReport {
    order.join_next().await.expect("one order").unwrap()
}

/// A command whose host takes so many seconds to be ready.
fn slow_host(connects: f64, took: f64) -> Cure {
    Cure { connects: secs(connects), ..cure("fix", took) }
}

/// The same pair with another target.
fn elsewhere(world: &Arc<World>, plan: &Plan, see: See) -> Arc<Plan> {
    let other = world.plan(pair("ELSE", vec![]), move |_, _| (secs(0.0), see));
    Arc::new(Plan { target: other.target.clone(), ..plan.clone() })
}

/// Waits until `who` has sent `command`; gives the moment.
async fn sent(world: &World, who: &str, command: &str) -> f64 {
    loop {
        if let Some(at) = world.times(who, &format!("run {command}")).first() {
            return *at;
        }
        world.until(world.start.elapsed().as_secs_f64() + 0.1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_time_counts_from_the_sending_when_a_command_had_to_wait_for_a_place() {
    let (world, clock) = (World::new(), clock());
    let a = || world.plan(pair("A", vec![cure("fix", 55.0)]), down_between(2.0, 1000.0));
    let b = || world.plan(pair("B", vec![cure_on("h2", "slow", 50.0)]), down_between(0.0, 5.0));
    let one = || Plans { remedies_at_once: 1, ..plans(vec![a(), b()], calm()) };
    let watch = world.watch_with(vec![a(), b()], calm(), Saved::default(), clock);
    watch.handle.reload(one()).await.unwrap();
    let at = sent(&world, "A", "fix").await;
    assert!(at > 50.0, "it had to wait for the only place: {at}");
    world.until(at + 20.0).await;
    let watch = killed(&world, watch, vec![a(), b()], calm(), clock).await;
    world.until(at + 200.0).await;
    let again = world.times("A", "run fix")[1];
    assert!(again >= at + 70.0, "sent at {at} with 60 s and 10 s to get ready, and again at {again}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_a_host_is_left_alone_from_the_sending_on_when_a_command_had_to_wait_for_it() {
    let (world, clock) = (World::new(), clock());
    let a = || world.plan(pair("A", vec![cure("fix", 55.0)]), down_between(2.0, 1000.0));
    let b = || world.plan(pair("B", vec![cure("slow", 50.0)]), down_between(0.0, 40.0));
    let c = || world.plan(Spec { interval: 5.0, ..pair("C", vec![cure("other", 1.0)]) }, down_between(101.0, 1000.0));
    let watch = world.watch_with(vec![a(), b(), c()], calm(), Saved::default(), clock);
    let at = sent(&world, "A", "fix").await;
    assert!(at > 50.0, "it had to wait for its host: {at}");
    world.until(at + 50.0).await;
    let watch = killed(&world, watch, vec![a(), b(), c()], calm(), clock).await;
    world.until(at + 200.0).await;
    let other = world.times("C", "run other")[0];
    assert!(other >= at + 70.0, "sent at {at}, and another command at {other}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waits_for_a_place_when_we_stop_is_not_sent_and_delays_nothing() {
    let world = World::new();
    let a = Spec { interval: 5.0, ..pair("A", vec![cure("fix", 1.0)]) };
    let a = world.plan(a, down_between(2.0, 1000.0));
    let b = world.plan(pair("B", vec![cure_on("h2", "slow", 12.0)]), down_between(0.0, 5.0));
    let watch = world.watch(vec![a.clone(), b.clone()]);
    let one = Plans { remedies_at_once: 1, ..plans(vec![a, b], calm()) };
    watch.handle.reload(one).await.unwrap();
    world.until(11.0).await;
    assert_eq!((world.count("A", "intend fix"), world.count("B", "run slow")), (1, 1));
    let took = watch.end().await;
    assert!(took < secs(3.0), "only what runs is waited for: {took:?}");
    assert_eq!((unsent(&world), world.count("A", "run")), (vec![Refusal::Stopping], 0));
}

#[tokio::test(start_paused = true)]
async fn no_rung_of_its_own_is_sent_while_a_persons_order_is_under_way_or_verified() {
    let world = World::new();
    let seen = world.clone();
    let rungs = vec![cure("one", 1.0), cure("reboot", 1.0), cure("byhand", 40.0)];
    let a = world.plan(pair("A", rungs), move |_, at| {
        let healed = seen.times("h1", "done byhand").first().is_some_and(|done| at > done + 9.0);
        (secs(0.0), if healed { See::Up } else { See::Down })
    });
    let watch = world.watch(vec![a]);
    world.until(8.0).await;
    assert_eq!(world.count("A", "run one"), 1);
    let order = order(&watch, "A", 3);
    world.until(200.0).await;
    assert_eq!(world.count("A", "run reboot"), 0, "{:?}", world.words("A"));
    assert_eq!(report(order).await.verdict, Verdict::Healed);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rung_of_its_own_that_waits_or_gets_ready_is_not_sent_beside_a_persons_order() {
    for (others, connects, ordered) in [(50.0, 0.0, 35.0), (0.0, 5.0, 2.0)] {
        let world = World::new();
        let rungs = vec![slow_host(connects, 1.0), cure_on("h2", "byhand", 20.0)];
        let a =
            world.plan(Spec { max: 30.0, ..pair("A", rungs) }, down_between(if others > 0.0 { 2.0 } else { 0.0 }, 1e9));
        let b =
            world.plan(pair("B", vec![cure("slow", others)]), down_between(0.0, if others > 0.0 { 1e9 } else { 0.0 }));
        let watch = world.watch(vec![a, b]);
        world.until(ordered).await;
        assert_eq!((world.count("A", "intend fix"), world.count("A", "run fix")), (1, 0));
        let order = order(&watch, "A", 2);
        world.until(ordered + 34.0).await;
        assert_eq!((world.count("A", "run byhand"), world.count("A", "run fix")), (1, 0), "{:?}", world.words("A"));
        assert_eq!(unsent(&world), [Refusal::ByHand]);
        world.until(300.0).await;
        assert!(runs(&world) > 2, "it goes on afterwards: {:?}", world.words("A"));
        report(order).await;
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_order_of_a_person_keeps_checks_away_like_the_first() {
    let world = World::new();
    let seen = world.clone();
    let rungs = vec![cure("auto", 1.0), cure("one", 5.0), cure("two", 60.0)];
    let a = world.plan(pair("A", rungs), move |_, at| {
        let busy = seen.times("h1", "begin two").first().is_some_and(|begun| at > *begun && at < begun + 70.0);
        (secs(0.0), if busy { See::Down } else { See::Up })
    });
    let watch = world.watch(vec![a]);
    world.until(5.0).await;
    let first = order(&watch, "A", 2);
    world.until(6.0).await;
    let second = order(&watch, "A", 3);
    world.until(200.0).await;
    assert_eq!((world.count("A", "run auto"), world.count("A", "open")), (0, 0), "{:?}", world.words("A"));
    assert_eq!(report(first).await.up_after, None, "the second command was at work in its window");
    assert!(report(second).await.up_after.is_some());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_up_again_before_a_shared_command_is_sent_leaves_it_and_it_is_run_for_the_others() {
    let world = World::new();
    let a = world.plan(pair("A", vec![slow_host(5.0, 1.0)]), down_between(0.0, 36.0));
    let b = world.plan(pair("B", vec![slow_host(5.0, 1.0)]), down_between(0.0, 80.0));
    let first = world.plan(pair("DC2:DB", vec![cure("slow", 33.0)]), down_between(0.0, 0.9));
    let watch = world.watch(vec![a, b, first]);
    world.until(60.0).await;
    let busy = world.times("DB", "run slow");
    assert!(busy.first().is_some_and(|at| *at < 1.0), "it is first on the host: {busy:?}");
    assert_eq!((world.count("A", "run fix"), world.count("B", "run fix")), (0, 1));
    assert_eq!(unsent(&world), [Refusal::UpAgain]);
    assert_eq!(world.words("incident"), ["close healed", "close recovered"], "that of DB, and that of A");
    watch.end().await;
}

/// A pair whose command waits 50 s for its host, and goes on like this after 10 s.
async fn waits(then: See, has_witnesses: bool) -> (Arc<World>, Watch) {
    let world = World::new();
    let witnesses = has_witnesses.then(|| world.witnesses("WITNESSES", down_between(10.0, 500.0)));
    let p = world.plan(Spec { witnesses, ..pair("P", vec![cure("fix", 1.0)]) }, move |_, at| {
        (secs(0.0), if (2.0..500.0).contains(&at) { if at < 10.0 { See::Down } else { then } } else { See::Up })
    });
    let p =
        Arc::new(Plan { backoff: monitor::domain::backoff::Backoff::new(secs(3.0), 1.5, secs(300.0)), ..(*p).clone() });
    let b = world.plan(Spec { interval: 1.0, ..pair("B", vec![cure("slow", 50.0)]) }, down_between(0.0, 1000.0));
    let watch = world.watch(vec![p, b]);
    world.until(58.0).await;
    assert_eq!(world.count("P", "intend fix"), 1, "{:?}", world.words("P"));
    assert_eq!(world.count("P", "run fix"), 0, "{:?}", world.words("P"));
    (world, watch)
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_when_the_turn_comes_sends_nothing() {
    for see in [See::Down, See::Blind] {
        let (world, watch) = waits(see, true).await;
        assert_eq!(unsent(&world), [Refusal::CutOff { answered: 0, needed: 1 }]);
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_looked_at_when_the_turn_comes_is_sent_nothing() {
    for see in [See::Blind, See::Panic] {
        let (world, watch) = waits(see, false).await;
        assert_eq!(unsent(&world), [Refusal::Unsure], "{see:?}");
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_panics_while_the_host_gets_ready_sends_nothing_and_says_so() {
    let world = World::new();
    let script = in_turn(vec![See::Down, See::Panic, See::Up]);
    let watch = world.watch(vec![world.plan(pair("A", vec![slow_host(3.0, 1.0)]), script)]);
    world.until(10.0).await;
    assert_eq!(unsent(&world), [Refusal::Unsure]);
    assert_eq!(told_of(&world, "A"), ["down #1 unsure"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_while_what_it_depends_on_falls_is_not_treated() {
    let world = World::new();
    let db = || down_between(10.0, 500.0);
    let parents = vec![world.parent("DB", db())];
    let p = Spec { parents, interval: 5.0, ..pair("P", vec![cure("fix", 1.0)]) };
    let p = world.plan(p, down_between(2.0, 1000.0));
    let db = world.plan(Spec { interval: 5.0, ..pair("DC2:DB", vec![]) }, db());
    let b = world.plan(pair("B", vec![cure("slow", 50.0)]), down_between(0.0, 1000.0));
    let watch = world.watch(vec![p, db, b]);
    world.until(60.0).await;
    assert_eq!((world.count("P", "intend fix"), world.count("P", "run fix")), (1, 0), "{:?}", world.words("P"));
    assert!(matches!(&*unsent(&world), [Refusal::ParentDown { .. }]), "{:?}", unsent(&world));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_time_was_lost_while_the_host_got_ready_the_pair_is_looked_at_again() {
    for (then, runs) in [(See::Up, 0), (See::Blind, 0), (See::Down, 1)] {
        let world = World::new();
        let script = in_turn(vec![See::Down, then]);
        let p = world.plan(pair("P", vec![slow_host(1.9, 1.0)]), script);
        let clock = clock().set_after(secs(1.2), SignedDuration::from_hours(5));
        let watch = world.watch_with(vec![p], calm(), Saved::default(), clock);
        world.until(10.0).await;
        let intended = world.times("P", "intend fix")[0];
        assert!(intended < 1.2 && intended + 1.9 > 1.2, "the gap lies between: {intended}");
        assert_eq!(world.count("P", "run fix"), runs, "{then:?}: {:?}", world.words("P"));
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_for_another_pair_or_for_a_parent_keeps_nobody_from_being_healed() {
    let world = World::new();
    let panics = |_, _| (secs(0.0), See::Panic);
    let mut all: Vec<_> = ["B", "C", "D"].map(|server| world.plan(pair(server, vec![cure("x", 1.0)]), up)).into();
    all.push(world.plan(pair("X", vec![]), panics));
    let parents = vec![world.parent("DB", panics)];
    all.push(world.plan(Spec { parents, ..pair("A", vec![cure("fix", 1.0)]) }, down));
    let watch = world.watch_with(all, stormy(), Saved::default(), clock());
    world.until(20.0).await;
    assert_eq!(world.count("A", "run fix"), 1, "{:?}", world.words("A"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_ran_for_another_target_is_not_credited_with_what_the_new_one_shows() {
    let world = World::new();
    let old = world.plan(pair("A", vec![cure("fix", 10.0)]), down);
    let new = elsewhere(&world, &old, See::Up);
    let watch = world.watch(vec![old]);
    world.until(5.0).await;
    watch.handle.reload(plans(vec![new], calm())).await.unwrap();
    world.until(60.0).await;
    assert_eq!(world.count("A", "run fix"), 1);
    assert_eq!(world.words("incident"), ["close recovered"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_waits_for_another_target_is_not_sent() {
    let world = World::new();
    let a = world.plan(pair("A", vec![cure("fix", 1.0)]), down_between(2.0, 1000.0));
    let b = world.plan(pair("B", vec![cure("slow", 50.0)]), down);
    let moved = elsewhere(&world, &a, See::Down);
    let watch = world.watch(vec![a, b.clone()]);
    world.until(35.0).await;
    assert_eq!((world.count("A", "intend fix"), world.count("A", "run fix")), (1, 0));
    watch.handle.reload(plans(vec![moved, b], calm())).await.unwrap();
    world.until(60.0).await;
    assert_eq!(unsent(&world), [Refusal::Changed]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_window_of_a_persons_order_says_nothing_about_a_target_that_a_reload_brought() {
    let world = World::new();
    let old = world.plan(pair("A", vec![cure("fix", 1.0), cure("byhand", 1.0)]), down_between(0.0, 30.0));
    let new = elsewhere(&world, &old, See::Down);
    let watch = world.watch(vec![old]);
    world.until(20.0).await;
    let order = order(&watch, "A", 2);
    world.until(23.0).await;
    watch.handle.reload(plans(vec![new], calm())).await.unwrap();
    world.until(60.0).await;
    assert!(world.words("incident").is_empty(), "{:?}", world.words("incident"));
    assert_eq!(report(order).await.up_after, None);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_persons_order_is_not_refused_for_the_reason_of_those_whose_command_it_wants() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![slow_host(5.0, 1.0)]), down)]);
    world.until(2.0).await;
    watch.handle.stop(Scope::All, "anna".into(), None).await.unwrap();
    let order = order(&watch, "A", 1);
    world.until(60.0).await;
    assert!(matches!(&*unsent(&world), [Refusal::Stopped { .. }]), "{:?}", unsent(&world));
    assert_eq!(world.count("A", "run fix"), 1, "for the person: {:?}", world.words("A"));
    assert!(report(order).await.run.is_some());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_persons_order_shares_a_command_that_was_sent_before_healing_was_stopped() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 20.0)]), down)]);
    world.until(5.0).await;
    watch.handle.stop(Scope::All, "anna".into(), None).await.unwrap();
    world.until(8.0).await;
    let order = order(&watch, "A", 1);
    world.until(60.0).await;
    assert_eq!(world.count("A", "run fix"), 1, "{:?}", world.words("A"));
    assert!(report(order).await.run.is_some());
    watch.end().await;
}
