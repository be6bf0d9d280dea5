//! When pairs are looked at.

use std::time::Duration;

use monitor::engine::handle::PairState;

use crate::support::engine::*;

#[tokio::test(start_paused = true)]
async fn a_healthy_pair_is_looked_at_at_a_fixed_rate_however_long_a_look_takes() {
    let world = World::new();
    let plan = world.plan(pair("A", vec![]), |_, _| (secs(7.0), See::Up));
    let watch = world.watch(vec![plan]);
    world.until(605.0).await;
    let times = world.times("A", "probe");
    assert_near(&gaps(&times), &[30.0; 20]);
    assert_near(&[times[20] - times[0]], &[600.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn slots_that_were_missed_are_skipped_not_bunched() {
    let world = World::new();
    let spec = Spec { interval: 10.0, timeout: 60.0, ..pair("A", vec![]) };
    let watch = world.watch(vec![world.plan(spec, |n, _| (secs(if n == 2 { 34.0 } else { 0.0 }), See::Up))]);
    world.until(95.0).await;
    assert_near(&gaps(&world.times("A", "probe")), &[10.0, 10.0, 40.0, 10.0, 10.0, 10.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_small_set_is_first_looked_at_within_a_second_and_not_all_at_once() {
    let world = World::new();
    let names: Vec<&'static str> = (0..50).map(|n| &*format!("S{n}").leak()).collect();
    let watch = world.watch(names.iter().map(|server| world.plan(pair(server, vec![]), up)).collect());
    world.until(1.1).await;
    let mut moments = Vec::new();
    for server in names {
        let times = world.times(server, "probe");
        assert_eq!(times.len(), 1, "{server}");
        assert!(times[0] <= 1.002, "{server} at {}", times[0]);
        moments.extend(times);
    }
    for tenth in 0..10_u8 {
        let from = f64::from(tenth) / 10.0;
        let inside = moments.iter().filter(|at| (from..from + 0.1).contains(*at)).count();
        assert!(inside < 25, "{inside} of 50 in one tenth of a second: {moments:?}");
    }
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_delays_nobody() {
    let world = World::new();
    let names: Vec<&'static str> = (0..30).map(|n| &*format!("S{n}").leak()).collect();
    let spec = |server| Spec { interval: 5.0, timeout: 60.0, ..pair(server, vec![]) };
    let mut plans: Vec<_> = names.iter().map(|server| world.plan(spec(server), up)).collect();
    plans.push(world.plan(spec("STUCK"), |_, _| (Duration::ZERO, See::Hang)));
    let watch = world.watch(plans);
    world.until(121.0).await;
    for server in names {
        let times = world.times(server, "probe");
        assert_near(&gaps(&times), &vec![5.0; times.len() - 1]);
        assert!(times.len() >= 24, "{server} was looked at {} times", times.len());
    }
    assert_eq!(world.count("STUCK", "probe"), 2, "one look of 60 s and the next slot");
    let late = watch.handle.status().await.unwrap().checks.late_p99_ms;
    assert!(late <= 1.0, "no more than the timer's grain: {late}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_success_ends_a_check_and_attempts_are_a_retry_delay_apart() {
    let world = World::new();
    let spec = Spec { attempts: 3, ..pair("A", vec![]) };
    let watch = world.watch(vec![world.plan(spec, in_turn(vec![See::Down, See::Down, See::Up]))]);
    world.until(20.0).await;
    assert_near(&gaps(&world.times("A", "probe")), &[1.0, 1.0]);
    assert!(world.words("A").is_empty(), "nothing was written or told: {:?}", world.words("A"));
    world.until(35.0).await;
    let times = world.times("A", "probe");
    assert_near(&[times[3] - times[0]], &[30.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_check_whose_every_attempt_was_down_is_down() {
    let world = World::new();
    let spec = Spec { attempts: 3, ..pair("A", vec![]) };
    let watch = world.watch(vec![world.plan(spec, down)]);
    world.until(5.0).await;
    assert_near(&gaps(&world.times("A", "probe")), &[1.0, 1.0]);
    let first = world.times("A", "probe")[0];
    assert_near(&[world.times("A", "tell")[0] - first], &[2.0]);
    assert_eq!(world.words("A"), ["open", "tell down #1 nothing"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn blind_attempts_are_unknown_and_move_nothing() {
    for looks in [vec![See::Blind], vec![See::Down, See::Blind, See::Down, See::Down, See::Down, See::Blind]] {
        let world = World::new();
        let spec = Spec { attempts: 3, ..pair("A", vec![cure("fix", 1.0)]) };
        let script = looks.clone();
        let watch = world.watch(vec![world.plan(spec, move |n, _| (Duration::ZERO, script[n % script.len()]))]);
        world.until(58.0).await;
        assert_eq!(world.count("A", "probe"), 6, "two whole checks of three attempts");
        assert!(world.words("A").is_empty(), "{looks:?} led to {:?}", world.words("A"));
        let status = watch.handle.status().await.unwrap();
        assert_eq!(status.pairs[0].state, PairState::Unknown, "{looks:?}");
        assert_eq!(status.pairs[0].failures, 0);
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_check_inside_an_incident_keeps_its_pace_and_its_counter() {
    let world = World::new();
    let looks = vec![See::Down, See::Down, See::Blind, See::Down, See::Up];
    let watch = world.watch(vec![world.plan(pair("A", vec![]), in_turn(looks))]);
    world.until(400.0).await;
    assert_near(&gaps(&world.times("A", "probe"))[..4], &[30.0, 67.5, 67.5, 101.25]);
    assert_eq!(
        world.words("A"),
        ["open", "tell down #1 nothing", "tell down #2 nothing", "tell down #3 nothing", "tell up #3"]
    );
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn delays_grow_from_check_to_check_up_to_the_maximum_and_recovery_resets_them() {
    let world = World::new();
    let mut looks = vec![See::Down; 8];
    looks.extend([See::Up, See::Up, See::Down, See::Up]);
    let watch = world.watch(vec![world.plan(pair("A", vec![]), in_turn(looks))]);
    world.until(1600.0).await;
    let wanted = [30.0, 67.5, 101.25, 151.875, 227.8125, 300.0, 300.0, 300.0, 30.0, 30.0, 30.0, 30.0];
    assert_near(&gaps(&world.times("A", "probe"))[..12], &wanted);
    assert_eq!(world.count("A", "tell up #8"), 1);
    assert_eq!(world.count("A", "tell down #1"), 2, "the second incident counts from one");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_pairs_are_each_looked_at_once_per_interval() {
    let world = World::new();
    let names: Vec<&'static str> = (0..10_000).map(|n| &*format!("S{n}").leak()).collect();
    let spec = |server| Spec { interval: 10.0, ..pair(server, vec![]) };
    let plans = names.iter().map(|server| world.plan(spec(server), |_, _| (secs(0.2), See::Up))).collect();
    let watch = world.watch(plans);
    // Each pair's first look lies in the first interval; a grain of time lets those on the edge end.
    world.until(60.3).await;
    let status = watch.handle.status().await.unwrap();
    assert_eq!(status.pairs.len(), 10_000);
    assert!(status.checks.made.abs_diff(60_000) <= 350, "{} checks", status.checks.made);
    assert!(status.checks.late_p99_ms <= 1.0, "{}", status.checks.late_p99_ms);
    let mut per_pair = std::collections::HashMap::new();
    let mut busiest = std::collections::BTreeMap::<u64, u32>::new();
    for event in world.events() {
        *per_pair.entry(event.who).or_insert(0) += 1;
        *busiest.entry(event.at.as_secs()).or_insert(0) += 1;
    }
    assert!(per_pair.len() == 10_000 && per_pair.values().all(|count| (6..=7).contains(count)));
    assert!(
        busiest.range(..60).all(|(_, count)| (700..1300).contains(count)) && busiest.len() >= 60,
        "spread over the interval: {busiest:?}"
    );
    watch.end().await;
}
