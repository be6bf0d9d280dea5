//! What is refused, and how that is told.

use monitor::domain::evidence::Afar;
use monitor::domain::guard::{self, Budget};
use monitor::domain::refusal::Refusal;
use monitor::domain::remedy::Verdict;
use monitor::domain::storm;
use monitor::engine::Saved;

use crate::support::engine::*;

const STORM: &str = "our own network is suspected, nothing is healed";
const STORM_OVER: &str = "The storm is over";

/// More than half of the pairs down together are a storm; it is over after 100 quiet seconds.
fn stormy() -> guard::Rules {
    guard::Rules { storm: storm::Rules { share: 0.5, window: secs(60.0), quiet: secs(100.0) }, ..calm() }
}

fn budget(runs: u32, window: f64) -> guard::Rules {
    guard::Rules { budget: Budget { runs, window: secs(window) }, ..calm() }
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_told_once_and_healing_goes_on_when_its_window_has_moved() {
    let world = World::new();
    let spec = Spec { factor: 1.0, window: 0.0, ..pair("A", vec![cure("fix", 0.0)]) };
    let watch = world.watch_with(vec![world.plan(spec, down)], budget(2, 100.0), Saved::default(), clock());
    world.until(165.0).await;
    let told: Vec<String> = world.words("A").into_iter().filter(|word| word.starts_with("tell")).collect();
    let wanted = [
        "tell down #1 executed",
        "tell down #2 executed",
        "tell down #3 budget_spent gave up",
        "tell down #5 executed",
        "tell down #6 executed",
    ];
    assert_eq!(told, wanted, "the first run is 100 s old at the fifth check");
    assert_eq!(world.count("A", "refuse budget_spent"), 2, "each refusal is recorded");
    assert_eq!(world.count("A", "audit skipped"), 2);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_stops_healing_is_said_once_and_its_end_once() {
    let lines = Lines::listen();
    let world = World::new();
    let rules = stormy();
    let servers = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let plans = servers.iter().enumerate().map(|(place, server)| {
        let (from, to) = if place < 6 { (25.0, 200.0) } else { (1e9, 1e9) };
        let spec = Spec { window: 0.0, ..pair(server, vec![cure_on(server, "fix", 1.0)]) };
        world.plan(spec, down_between(from, to))
    });
    let watch = world.watch_with(plans.collect(), rules, Saved::default(), clock());
    world.until(33.0).await;
    let count = |word: &str| servers.iter().map(|server| world.count(server, word)).sum::<usize>();
    assert_eq!((count("run fix"), count("refuse storm")), (0, 6), "the sample tells it before the first command");
    assert_eq!((count("tell"), world.words("agent")), (0, vec!["tell storm".to_owned()]), "one alarm in place of six");
    assert!(watch.handle.status().await.unwrap().storm);
    assert_eq!((lines.count(STORM), lines.count(STORM_OVER)), (1, 0));
    world.until(190.0).await;
    assert_eq!(count("run fix"), 0, "the re-checks run nothing either");
    world.until(290.0).await;
    assert!(watch.handle.status().await.unwrap().storm, "it may come back");
    assert_eq!(world.words("agent").len(), 1);
    world.until(500.0).await;
    assert!(!watch.handle.status().await.unwrap().storm);
    assert_eq!((lines.count(STORM), lines.count(STORM_OVER)), (1, 1));
    assert_eq!(world.words("agent"), ["tell storm", "tell storm over"]);
    assert_eq!(count("tell"), 0, "whoever heard of no failure hears of no recovery");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_records_and_tells_and_runs_nothing_not_even_by_hand() {
    let world = World::new();
    let rules = guard::Rules { dry_run: true, ..calm() };
    let plan = world.plan(pair("A", vec![cure("fix", 1.0)]), down);
    let watch = world.watch_with(vec![plan], rules, Saved::default(), clock());
    world.until(5.0).await;
    assert_eq!(world.words("A"), ["audit skipped", "open", "refuse dry_run", "tell down #1 dry_run"]);
    let report = watch.handle.heal(name("A"), 1).await.unwrap();
    assert_eq!((report.verdict, report.run), (Verdict::Skipped(Refusal::DryRun), None));
    world.until(300.0).await;
    assert_eq!(world.count("A", "run"), 0);
    assert_near(&gaps(&world.times("A", "probe"))[..2], &[30.0, 67.5]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_exist_is_told_and_not_treated() {
    let world = World::new();
    let watch = world.watch(vec![world.plan(pair("A", vec![cure("fix", 1.0)]), in_turn(vec![See::Nameless]))]);
    world.until(5.0).await;
    assert_eq!(world.words("A").last().unwrap(), "tell down #1 name_not_found");
    assert_eq!(world.count("A", "run"), 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_site_that_gives_no_answer_holds_the_first_command_of_an_outage_and_no_other() {
    let world = World::new();
    let silent = Afar::NoAnswer { why: "no answer".to_owned(), again: false };
    let spec = Spec { factor: 1.0, afar: Some(silent), ..pair("A", vec![cure("fix", 0.0)]) };
    let down = |_: usize, at: f64| if (20.0..200.0).contains(&at) || at > 400.0 { down(0, at) } else { up(0, at) };
    let watch = world.watch(vec![world.plan(spec, down)]);
    world.until(195.0).await;
    assert_eq!(world.count("A", "refuse not_cross_checked"), 1);
    assert!(world.count("A", "run fix") > 1);
    // A new outage asks anew.
    world.until(440.0).await;
    assert_eq!(world.count("A", "refuse not_cross_checked"), 2);
    watch.end().await;
}
