//! What is run, in which order, and how it is proved.

use std::time::Duration;

use monitor::domain::remedy::{RunStatus, Verdict};
use monitor::engine::handle::Unmet;
use monitor::store::Write;

use crate::support::engine::*;

#[tokio::test(start_paused = true)]
async fn the_intent_is_on_disk_before_the_command_is_sent_and_a_probe_in_the_window_proves_it() {
    let world = World::new();
    let looks = in_turn(vec![See::Down, See::Down, See::Up]);
    world.disk(Disk::Writes(secs(0.5)));
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 2.0)]), looks)]);
    world.until(50.0).await;
    assert_eq!(
        world.words("A"),
        ["open", "intend fix", "run fix", "audit executed", "tell down #1 executed", "tell up #1"]
    );
    assert_eq!(world.words("run"), ["end executed", "judge ran_but_down", "judge healed"]);
    assert_eq!(world.words("incident"), ["close healed"]);
    let first = world.times("A", "probe")[0];
    let from_first = |times: Vec<f64>| times.iter().map(|at| at - first).collect::<Vec<_>>();
    assert_near(&from_first(world.times("A", "run")), &[0.5]);
    assert_near(&from_first(world.times("A", "tell")), &[2.5, 12.5]);
    assert_near(&from_first(world.times("A", "probe")), &[0.0, 7.5, 12.5, 42.5]);
    let verdicts: Vec<_> = world
        .writes()
        .into_iter()
        .filter_map(|write| if let Write::RunJudged { run, .. } = write { Some(run) } else { None })
        .collect();
    assert_eq!(verdicts[0], verdicts[1], "both verdicts are of the one run");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_window_nothing_is_proved_and_the_next_check_counts_from_the_end_of_the_command() {
    let world = World::new();
    let spec = Spec { window: 0.0, ..pair("A", vec![cure("fix", 2.0)]) };
    let watch = world.watch(vec![world.plan(spec, in_turn(vec![See::Down, See::Up]))]);
    world.until(60.0).await;
    assert_near(&gaps(&world.times("A", "probe"))[..1], &[32.0]);
    assert_eq!(world.words("incident"), ["close recovered"], "no command is credited");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_falls_due_inside_the_window_comes_right_after_it() {
    let world = World::new();
    let spec = Spec { interval: 10.0, window: 25.0, ..pair("A", vec![cure("fix", 0.0)]) };
    let watch = world.watch(vec![world.plan(spec, down)]);
    world.until(26.5).await;
    assert_near(&gaps(&world.times("A", "probe"))[..6], &[5.0, 5.0, 5.0, 5.0, 5.0, 0.0]);
    assert_eq!(world.count("A", "tell down #2"), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_rungs_are_climbed_one_per_failing_check_and_the_last_one_stays() {
    let world = World::new();
    let ladder = vec![cure("soft", 1.0), cure("hard", 1.0)];
    let watch = world.watch(vec![world.plan(pair("A", ladder), down)]);
    world.until(250.0).await;
    let runs: Vec<String> = world.words("A").into_iter().filter(|word| word.starts_with("run ")).collect();
    assert_eq!(runs, ["run soft", "run hard", "run hard", "run hard"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_disk_nothing_is_run_and_people_are_told_why() {
    let world = World::new();
    world.disk(Disk::Fails);
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), down)]);
    world.until(15.0).await;
    assert_eq!(world.words("A"), ["open", "intend fix", "audit skipped", "tell down #1 not_recorded"]);
    assert_eq!(world.words("run"), ["judge skipped"]);
    assert_eq!(watch.handle.status().await.unwrap().pairs[0].budget_spent, 0, "what was not sent costs nothing");
    world.disk(Disk::Writes(Duration::ZERO));
    world.until(60.0).await;
    assert_eq!(world.count("A", "run fix"), 1, "the next check runs it");
    assert_near(&gaps(&world.times("A", "probe"))[..1], &[40.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_could_not_run_opens_no_window() {
    let world = World::new();
    let fix = Cure { status: RunStatus::AuthFailed, ..cure("fix", 1.0) };
    let watch = world.watch(vec![world.plan(pair("A", vec![fix]), down)]);
    world.until(29.0).await;
    assert_eq!(world.words("A")[2..], ["run fix", "audit auth_failed", "tell down #1 auth_failed"]);
    assert_eq!(world.count("A", "probe"), 1);
    assert_eq!(world.words("run"), ["end auth_failed", "judge could_not_run"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_remedy_that_panics_is_told_as_failed_and_its_pair_goes_on() {
    let world = World::new();
    let fix = Cure { panics: true, ..cure("fix", 1.0) };
    let other = world.plan(pair("B", vec![]), up);
    let watch = world.watch(vec![world.plan(pair("A", vec![fix]), down), other]);
    world.until(60.0).await;
    assert_eq!(world.count("A", "tell down #1 failed"), 1);
    assert_eq!(world.count("A", "tell down #2 failed"), 1);
    assert_near(&gaps(&world.times("A", "probe"))[..4], &[6.0, 5.0, 5.0, 15.0]);
    assert_near(&gaps(&world.times("B", "probe")), &[30.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_looked_at_again_and_condemns_nobody() {
    let world = World::new();
    let watch =
        world.watch(vec![world.plan(pair("A", vec![]), in_turn(vec![See::Up, See::Panic, See::Panic, See::Up]))]);
    world.until(125.0).await;
    assert_near(&gaps(&world.times("A", "probe")), &[30.0; 4]);
    assert!(world.words("A").is_empty());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_inside_the_window_proves_nothing_and_the_pair_goes_on() {
    let world = World::new();
    let looks = in_turn(vec![See::Down, See::Panic, See::Down]);
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), looks)]);
    world.until(40.0).await;
    assert_near(&gaps(&world.times("A", "probe"))[..2], &[6.0, 25.0]);
    assert_eq!(world.count("A", "tell down #2 executed"), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_pairs_that_want_the_same_command_on_one_host_share_one_run() {
    let world = World::new();
    let a = world.plan(pair("A", vec![cure("fix", 3.0)]), down_between(0.0, 4.0));
    let b = world.plan(pair("B", vec![cure("fix", 3.0)]), down_between(0.0, 4.0));
    let watch = world.watch(vec![a, b]);
    world.until(20.0).await;
    assert_eq!(world.words("h1"), ["begin fix", "done fix"]);
    for server in ["A", "B"] {
        let words = world.words(server);
        assert_eq!(words[..2], ["open", "intend fix"], "{server}");
        assert_eq!(words[words.len() - 2..], ["tell down #1 executed", "tell up #1"], "{server}");
    }
    assert_eq!(world.words("run").iter().filter(|word| *word == "judge healed").count(), 2);
    assert_near(&[world.times("A", "tell up")[0]], &[world.times("B", "tell up")[0]]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn different_commands_on_one_host_run_one_after_the_other_and_other_hosts_do_not_wait() {
    let world = World::new();
    let a = world.plan(pair("A", vec![cure("fix-a", 8.0)]), down);
    let b = world.plan(pair("B", vec![cure("fix-b", 8.0)]), down);
    let c = world.plan(pair("C", vec![cure_on("h2", "fix-c", 8.0)]), down);
    let watch = world.watch(vec![a, b, c]);
    world.until(18.0).await;
    let words = world.words("h1");
    assert_eq!(words.len(), 4, "{words:?}");
    assert!(words[0].starts_with("begin") && words[1].starts_with("done"), "{words:?}");
    assert_near(&[world.times("h1", "begin")[1]], &[world.times("h1", "done")[0]]);
    assert!(world.times("h2", "begin")[0] <= 1.002, "the other host began at once");
    watch.end().await;
}

/// A and B on one host with a command of 10 s each; gives them in the order in which they fell.
async fn who_waits() -> (&'static str, &'static str) {
    let world = World::new();
    let watch = world.watch(vec![
        world.plan(pair("A", vec![cure("fix-a", 10.0)]), down),
        world.plan(pair("B", vec![cure("fix-b", 10.0)]), down),
    ]);
    world.until(5.0).await;
    let first = world.words("h1") == ["begin fix-a"];
    watch.cut().await;
    if first { ("A", "B") } else { ("B", "A") }
}

#[tokio::test(start_paused = true)]
async fn who_came_back_while_its_command_waited_is_not_treated() {
    let (first, second) = who_waits().await;
    let world = World::new();
    let watch = world.watch(vec![
        world.plan(pair(first, vec![cure("long", 10.0)]), down),
        world.plan(pair(second, vec![cure("short", 1.0)]), in_turn(vec![See::Down, See::Up])),
    ]);
    world.until(20.0).await;
    assert_eq!(world.words("h1"), ["begin long", "done long"]);
    assert_eq!(world.words(second), ["open", "intend short", "audit skipped", "tell up #1"]);
    assert!(world.words("run").contains(&"judge skipped".to_owned()));
    assert_eq!(world.words("incident"), ["close recovered"]);
    assert_near(&world.times(second, "tell up"), &world.times("h1", "done"));
    let status = watch.handle.status().await.unwrap();
    assert_eq!(status.pairs.iter().find(|pair| pair.pair == name(second)).unwrap().budget_spent, 0);
    assert_eq!(status.checks.commands, 1);
    world.until(42.0).await;
    let times = world.times(second, "probe");
    assert_near(&[times[2] - times[1]], &[30.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_shared_command_that_waited_runs_for_those_who_still_need_it() {
    let world = World::new();
    let watch = world.watch(vec![
        world.plan(Spec { interval: 1000.0, ..pair("A", vec![cure("long", 10.0)]) }, down),
        world.plan(pair("B", vec![cure("short", 1.0)]), in_turn(vec![See::Up, See::Down, See::Up])),
        world.plan(pair("C", vec![cure("short", 1.0)]), in_turn(vec![See::Up, See::Down, See::Down, See::Up])),
    ]);
    world.until(28.0).await;
    // All of A's are over; the next run of it is started by hand so that both others have to wait.
    let by_hand = watch.handle.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { by_hand.heal(name("A"), 1).await });
    world.until(60.0).await;
    assert_eq!(world.words("h1"), ["begin long", "done long", "begin long", "done long", "begin short", "done short"]);
    assert_eq!(world.count("B", "tell down"), 0, "B came back while it waited");
    assert_eq!(
        world.words("C")[2..],
        ["intend short", "run short", "audit executed", "tell down #1 executed", "tell up #1"]
    );
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_persons_order_is_run_verified_and_reported_also_on_a_pair_that_is_up() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 2.0)]), up)]);
    world.until(3.0).await;
    let report = watch.handle.heal(name("A"), 1).await.unwrap();
    assert_eq!(report.verdict, Verdict::Healed);
    assert_eq!(report.up_after, Some(secs(5.0)));
    assert_eq!(report.run.unwrap().status, RunStatus::Executed);
    assert_near(&[world.start.elapsed().as_secs_f64()], &[10.0]);
    assert_eq!(world.words("A"), ["intend fix", "run fix", "audit executed"], "no incident, nobody is told");
    assert_eq!(world.words("run"), ["end executed"]);
    world.until(35.0).await;
    let times = world.times("A", "probe");
    assert_near(&[times[2] - times[0]], &[30.0]);
    assert_eq!(watch.handle.heal(name("A"), 2).await, Err(Unmet::NoSuchRung { pair: name("A"), rung: 2, rungs: 1 }));
    assert_eq!(watch.handle.heal(name("X"), 1).await, Err(Unmet::NoSuchPair(name("X"))));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_persons_order_that_heals_ends_the_incident_and_one_that_does_not_leaves_it() {
    let world = World::new();
    let spec = Spec { window: 10.0, ..pair("A", vec![cure("fix", 1.0)]) };
    let watch = world.watch(vec![world.plan(spec, down_between(0.0, 40.0))]);
    world.until(15.0).await;
    let report = watch.handle.heal(name("A"), 1).await.unwrap();
    assert_eq!((report.verdict, report.up_after), (Verdict::RanButDown, None));
    assert_near(&[world.start.elapsed().as_secs_f64()], &[26.0]);
    assert_eq!(world.count("A", "tell"), 1, "only the check's own");
    // The check at 31 s runs its own command; the order at 44 s comes after its window, inside the incident.
    world.until(44.0).await;
    let report = watch.handle.heal(name("A"), 1).await.unwrap();
    assert_eq!(report.verdict, Verdict::Healed);
    world.until(60.0).await;
    assert_eq!(world.count("A", "tell up"), 1);
    assert_eq!(world.words("incident"), ["close healed"]);
    world.until(200.0).await;
    assert!(world.times("A", "probe").last().unwrap() > &170.0, "the pair is looked at on");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pair_healed_by_hand_while_its_own_command_waits_is_not_forgotten() {
    let (first, second) = who_waits().await;
    let world = World::new();
    // The first one's command takes 100 s; meanwhile a person heals the second one on another host.
    let ladder = vec![cure("short", 1.0), cure_on("h2", "by-hand", 1.0)];
    let looks = in_turn(vec![See::Down, See::Up]);
    let watch = world
        .watch(vec![world.plan(pair(first, vec![cure("long", 100.0)]), down), world.plan(pair(second, ladder), looks)]);
    world.until(5.0).await;
    let report = watch.handle.heal(name(second), 2).await.unwrap();
    assert_eq!(report.verdict, Verdict::Healed);
    assert_eq!(world.count(second, "tell up"), 1);
    world.until(300.0).await;
    assert_eq!(world.count("h1", "begin short"), 0, "nobody needs it any more");
    let times = world.times(second, "probe");
    let since: Vec<f64> = times.into_iter().filter(|at| *at > 102.0).collect();
    assert!(since.len() >= 6, "looked at every 30 s again: {since:?}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_by_hand_moves_nothing() {
    let world = World::new();
    let spec = Spec { attempts: 2, ..pair("A", vec![cure("fix", 1.0)]) };
    let watch = world.watch(vec![world.plan(spec, |n, _| (Duration::ZERO, if n == 0 { See::Up } else { See::Down }))]);
    world.until(10.0).await;
    let report = watch.handle.probe(name("A")).await.unwrap();
    assert_eq!(report.made, 2);
    assert_near(&[world.start.elapsed().as_secs_f64()], &[11.0]);
    assert!(world.words("A").is_empty());
    assert_eq!(watch.handle.status().await.unwrap().checks.made, 1);
    world.until(29.0).await;
    assert_eq!(world.count("A", "probe"), 3);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_slow_to_get_ready_is_sent_nothing_when_the_pair_is_up_by_then() {
    let world = World::new();
    let slow = Cure { connects: secs(8.0), ..cure("fix", 1.0) };
    let watch = world.watch(vec![world.plan(pair("A", vec![slow]), down_between(0.0, 6.0))]);
    world.until(20.0).await;
    assert_eq!(world.count("A", "run fix"), 0, "{:?}", world.words("A"));
    assert_eq!(world.count("A", "tell up"), 1);
    watch.cut().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_command_waits_while_the_effect_of_the_last_one_is_looked_for() {
    let world = World::new();
    // B falls while what was done for A is still being verified; one command brings both back after four seconds.
    let plans = vec![
        world.plan(pair("A", vec![cure("fix", 0.1)]), down_between(0.0, 9.0)),
        world.plan(pair("B", vec![cure("fix", 0.1)]), down_between(0.0, 9.0)),
    ];
    let watch = world.watch(plans);
    world.until(25.0).await;
    assert_eq!(world.count("A", "run fix") + world.count("B", "run fix"), 1, "{:?}", world.words("h1"));
    assert_eq!(world.count("A", "tell up") + world.count("B", "tell up"), 2);
    watch.cut().await;
}
