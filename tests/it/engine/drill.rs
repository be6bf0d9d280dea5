//! Drills in paused time: what they wait for, what they leave alone, and what they find.

use monitor::domain::evidence::Afar;
use monitor::domain::guard::{self, Budget};
use monitor::domain::stop::Scope;
use monitor::engine::Saved;
use monitor::engine::handle::{DrillReport, Stage, Unmet};

use crate::support::engine::*;

fn by() -> String {
    "anna".to_owned()
}

/// The steps that did not go as they should, with what came of them.
fn faults(report: &DrillReport) -> Vec<(Stage, &str)> {
    let bad = report.steps.iter().filter(|step| !step.ok);
    bad.map(|step| (step.name, step.detail.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_harmless_drill_moves_nothing_and_counts_nowhere() {
    let world = World::new();
    let rules = guard::Rules { budget: Budget { runs: 1, window: secs(1000.0) }, ..calm() };
    let plans = vec![world.plan(pair("A", vec![cure("fix", 2.0)]), up)];
    let watch = world.watch_with(plans, rules, Saved::default(), clock());
    world.until(20.0).await;
    let report = watch.handle.drill(name("A"), false, by()).await.unwrap();
    assert_eq!(faults(&report), []);
    assert_near(&[world.start.elapsed().as_secs_f64()], &[26.0]);
    assert_eq!(world.words("A"), ["intend true (instead of fix)", "run true", "audit executed", "tell drill"]);
    let status = watch.handle.status().await.unwrap();
    assert_eq!((status.pairs[0].budget_spent, status.pairs[0].failures), (0, 0));
    assert_eq!(watch.handle.drill(name("X"), false, by()).await, Err(Unmet::NoSuchPair(name("X"))));
    world.until(100.0).await;
    let times: Vec<f64> = world.times("A", "probe");
    // Its own checks go on every 30 s, whatever the drill looks at between them.
    let own: Vec<f64> = times.iter().copied().filter(|at| ((at - times[0]) % 30.0).abs() < 0.01).collect();
    assert_near(&gaps(&own), &[30.0, 30.0, 30.0]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_drill_of_a_pair_that_is_down_finds_it_down_and_its_incident_goes_on_as_if_there_were_none() {
    let run = |drilled: bool| async move {
        let world = World::new();
        let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 2.0)]), down)]);
        // Between the end of the first verify window and the next check.
        world.until(25.0).await;
        if drilled {
            let report = watch.handle.drill(name("A"), false, by()).await.unwrap();
            let names: Vec<Stage> = faults(&report).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [Stage::Verify], "{report:?}");
            assert!(report.steps[0].detail.starts_with("down already"), "{report:?}");
        }
        world.until(400.0).await;
        let told = ["tell down #1 executed", "tell down #2 executed", "tell down #3 executed"];
        let times: Vec<f64> = told.iter().flat_map(|word| world.times("A", word)).collect();
        watch.end().await;
        times
    };
    let (with, without) = (run(true).await, run(false).await);
    assert_eq!(without.len(), 3);
    assert_near(&with, &without);
}

#[tokio::test(start_paused = true)]
async fn a_drill_waits_for_its_turn_on_the_host() {
    let world = World::new();
    let busy = world.plan(pair("B", vec![cure("long", 100.0)]), down);
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 2.0)]), up), busy]);
    world.until(10.0).await;
    let report = watch.handle.drill(name("A"), false, by()).await.unwrap();
    assert_eq!(faults(&report), []);
    let lane: Vec<String> = world.words("h1").into_iter().take(4).collect();
    assert_eq!(lane, ["begin long", "done long", "begin true", "done true"]);
    let command = report.steps.iter().find(|step| step.name == Stage::Command).unwrap();
    assert!(command.took_ms > 80_000, "its wait is told: {}", command.took_ms);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn no_check_runs_beside_a_real_drill_and_what_it_restarts_is_no_incident() {
    let world = World::new();
    // It is down from the begin of the command at 20 s until it is up again at 28 s; a check falls due meanwhile.
    let spec = Spec { interval: 4.0, ..pair("A", vec![cure("fix", 5.0)]) };
    let watch = world.watch(vec![world.plan(spec, down_between(20.001, 28.0))]);
    world.until(20.0).await;
    let report = watch.handle.drill(name("A"), true, by()).await.unwrap();
    assert_eq!(faults(&report), []);
    assert_eq!(world.words("A"), ["intend fix", "run fix", "audit executed", "tell drill"]);
    let status = watch.handle.status().await.unwrap();
    assert_eq!(status.pairs[0].budget_spent, 1, "a person's order counts against the budget");
    let probes = world.count("A", "probe");
    world.until(60.0).await;
    assert!(world.count("A", "probe") >= probes + 5, "it is looked at as before");
    assert_eq!(world.count("A", "open"), 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_real_drill_that_breaks_the_pair_is_an_incident_once_its_window_is_over() {
    let world = World::new();
    let spec = Spec { interval: 4.0, ..pair("A", vec![cure("fix", 5.0)]) };
    let watch = world.watch(vec![world.plan(spec, down_between(20.001, 1000.0))]);
    world.until(20.0).await;
    let report = watch.handle.drill(name("A"), true, by()).await.unwrap();
    assert_eq!(faults(&report), [(Stage::Verify, "no probe saw the pair up within 15 s (VERIFY_WINDOW)")]);
    world.until(60.0).await;
    assert_eq!(world.count("A", "open"), 1);
    assert!(world.times("A", "open")[0] >= 40.0, "not inside the window");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_drill_that_waits_while_its_command_changes_runs_nothing_and_says_so() {
    let world = World::new();
    let busy = |world: &std::sync::Arc<World>| world.plan(pair("B", vec![cure("long", 50.0)]), down);
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 2.0)]), up), busy(&world)]);
    world.until(10.0).await;
    let drill = watch.handle.drill(name("A"), true, by());
    let change = async {
        world.until(20.0).await;
        let next = vec![world.plan(pair("A", vec![cure("other", 2.0)]), up), busy(&world)];
        watch.handle.reload(plans(next, calm())).await.unwrap();
    };
    let (report, ()) = tokio::join!(drill, change);
    let report = report.unwrap();
    assert_eq!(
        faults(&report),
        [(Stage::Command, "not run: the configuration changed while the command waited for its turn")]
    );
    assert_eq!((world.count("A", "run fix"), world.count("A", "run other")), (0, 0));
    let status = watch.handle.status().await.unwrap();
    assert_eq!(status.pairs.iter().find(|known| known.pair == name("A")).unwrap().budget_spent, 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_guard_would_refuse_is_told_and_a_harmless_drill_goes_on() {
    let world = World::new();
    let parent = world.parent("DB", down);
    let dependent = Spec { parents: vec![parent], ..pair("A", vec![cure("fix", 1.0)]) };
    let afar = |server, afar| Spec { afar: Some(afar), ..pair(server, vec![cure_on(server, "fix", 1.0)]) };
    let watch = world.watch(vec![
        world.plan(dependent, up),
        world.plan(afar("BOTH", Afar::Up), up),
        world.plan(afar("ODD", Afar::Down), up),
        world.plan(afar("BLIND", Afar::CannotLook("install curl".to_owned())), up),
        world.plan(pair("NONE", vec![]), up),
    ]);
    world.until(5.0).await;
    for (server, bad) in [
        ("A", &[Stage::Dependencies, Stage::Guard][..]),
        ("BOTH", &[]),
        ("ODD", &[Stage::CrossCheck]),
        ("BLIND", &[Stage::CrossCheck, Stage::Guard]),
        ("NONE", &[]),
    ] {
        let report = watch.handle.drill(name(server), false, by()).await.unwrap();
        let names: Vec<Stage> = faults(&report).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, bad, "{server}: {report:?}");
        assert_eq!(world.count(server, "run true"), usize::from(server != "NONE"), "{server}");
    }
    watch.handle.stop(Scope::All, by(), None).await.unwrap();
    let report = watch.handle.drill(name("BOTH"), false, by()).await.unwrap();
    assert!(faults(&report)[0].1.contains("healing was stopped by anna"), "{report:?}");
    assert_eq!(world.count("BOTH", "run true"), 2);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_disk_a_drill_sends_nothing_and_a_stop_is_not_promised() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), up)]);
    world.until(5.0).await;
    world.disk(Disk::Fails);
    let report = watch.handle.drill(name("A"), true, by()).await.unwrap();
    let names: Vec<Stage> = faults(&report).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [Stage::Command, Stage::Record], "{report:?}");
    assert_eq!(world.count("A", "run fix"), 0);
    assert_eq!(watch.handle.stop(Scope::All, by(), None).await, Err(Unmet::NotKept));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_real_drill_starts_is_ended_after_it_and_a_harmless_one_starts_nothing() {
    for (really, ended) in [(true, 1), (false, 0)] {
        let world = World::new();
        let start = Cure { once: true, repeatable: true, ..cure("start", 1.0) };
        let halt = Cure { repeatable: true, ..cure("halt", 1.0) };
        let watch = world.watch(vec![world.plan(Spec { recovery: Some(halt), ..pair("A", vec![start]) }, up)]);
        world.until(10.0).await;
        watch.handle.drill(name("A"), really, by()).await.unwrap();
        world.until(300.0).await;
        assert_eq!(
            (world.count("A", "run start"), world.count("A", "run halt")),
            (ended, ended),
            "{:?}",
            world.words("A")
        );
        watch.end().await;
    }
}
