//! Servers that report to us: silence, trouble, and all the times at which nobody could hear them.

use std::sync::Arc;

use jiff::SignedDuration;
use monitor::domain::push::Word;
use monitor::engine::Saved;
use monitor::engine::handle::{PairState, Unmet};
use monitor::engine::plan::{Plan, Plans};
use monitor::fetch::Roots;
use monitor::probe::wire::pushes::{Pushes, Token};
use monitor::probe::wire::{Kit, Pushes as Shared};
use monitor::store::Write;

use crate::support::engine::*;
use crate::support::target::configured;

const TOKEN: &str = "a-token-of-srv4-alone";

/// The pair `SRV4` that reports each `every` and is healed by `fix`; and the engine's share of what it hears.
fn reporting(world: &Arc<World>, every: &str, spec: Spec) -> (Arc<Plan>, Saved) {
    with(world, every, spec, Arc::default())
}

fn with(world: &Arc<World>, every: &str, spec: Spec, pushes: Arc<Shared>) -> (Arc<Plan>, Saved) {
    let plan = world.plan(spec, up);
    let target = configured(&format!("SRV4_URL=push://{every}\nSRV4_PUSH_TOKEN={TOKEN}")).unwrap();
    let kit = Kit::new(&Roots::load(None).unwrap()).hearing(pushes.clone());
    let plan = Plan { target, kit: Arc::new(kit), ..Plan::clone(&plan) };
    (Arc::new(plan), Saved { pushes, states: world.states(), ..Saved::default() })
}

fn spec() -> Spec {
    pair("SRV4", vec![cure("fix", 1.0)])
}

fn watch(world: &Arc<World>, (plan, saved): (Arc<Plan>, Saved)) -> Watch {
    world.watch_with(vec![plan], calm(), saved, clock())
}

async fn state(watch: &Watch) -> (PairState, String) {
    let pair = watch.handle.status().await.unwrap().pairs.remove(0);
    (pair.state, pair.fault.map(|fault| fault.reason).unwrap_or_default())
}

/// It says that it is well, each `rhythm` seconds from `from` to `to`.
async fn reports(world: &Arc<World>, watch: &Watch, from: f64, to: f64, rhythm: f64) {
    let mut at = from;
    while at <= to {
        world.until(at).await;
        watch.handle.push("SRV4", Word::Well).await.unwrap();
        at += rhythm;
    }
}

/// What would be restored at the next start.
fn kept(world: &World) -> String {
    let pushes = world.writes().into_iter().rev().find_map(|write| match write {
        Write::Setting { key, value } if key == "pushes" => Some(value),
        _ => None,
    });
    pushes.expect("it was kept")
}

#[tokio::test(start_paused = true)]
async fn it_is_neither_up_nor_down_until_its_first_report_and_down_when_that_never_comes() {
    let world = World::new();
    let watch = watch(&world, reporting(&world, "90s", spec()));
    world.until(85.0).await;
    let (unknown, why) = state(&watch).await;
    assert_eq!((unknown, why.as_str()), (PairState::Unknown, "waiting for the first report, expected every 1m 30s"));
    world.until(115.0).await;
    assert_eq!(world.count("SRV4", "run fix"), 1);
    let at = world.times("SRV4", "open")[0];
    assert!((90.0..120.1).contains(&at), "noticed by the check after 90 s: {at}");
    let (down, why) = state(&watch).await;
    assert!(down == PairState::Down && why.starts_with("no report at all for "), "{why}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_reports_in_time_stays_up_and_whoever_falls_silent_is_healed_and_comes_back_at_once() {
    let world = World::new();
    let watch = watch(&world, reporting(&world, "90s", spec()));
    reports(&world, &watch, 5.0, 605.0, 60.0).await;
    assert_eq!(state(&watch).await, (PairState::Up, String::new()));
    assert!(world.words("SRV4").is_empty(), "{:?}", world.words("SRV4"));
    world.until(760.0).await;
    let fell = world.times("SRV4", "open")[0];
    assert!((695.0..725.1).contains(&fell), "{fell}");
    world.until(800.0).await;
    watch.handle.push("DC1-SRV4", Word::Well).await.unwrap();
    world.until(800.5).await;
    assert_eq!(state(&watch).await.0, PairState::Up);
    let closed = world.times("incident", "close")[0];
    assert!((800.0..800.2).contains(&closed), "{closed}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_of_trouble_is_acted_on_at_once_and_repeating_it_changes_no_pace() {
    let world = World::new();
    let watch = watch(&world, reporting(&world, "90s", spec()));
    reports(&world, &watch, 5.0, 5.0, 1.0).await;
    world.until(20.0).await;
    let trouble = |text: &str| Word::Trouble(text.to_owned());
    watch.handle.push("SRV4", trouble("disk \u{1b}[31m full\nnow")).await.unwrap();
    world.until(20.5).await;
    let (down, why) = state(&watch).await;
    assert_eq!((down, why.as_str()), (PairState::Down, "it reports: disk  [31m full now"));
    assert_eq!(world.count("SRV4", "intend fix"), 1);
    for n in 0..200 {
        world.until(20.5 + f64::from(n) * 0.1).await;
        watch.handle.push("SRV4", trouble(&"x".repeat(5000))).await.unwrap();
    }
    assert_eq!(world.count("SRV4", "intend fix"), 1, "200 reports of the same make no check");
    assert!(state(&watch).await.1.len() < 200);
    watch.handle.push("SRV4", Word::Well).await.unwrap();
    world.until(60.0).await;
    assert_eq!(world.words("incident").len(), 1);
    assert_eq!(state(&watch).await.0, PairState::Up);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_changes_its_mind_all_the_time_does_not_set_the_pace() {
    let world = World::new();
    let watch = watch(&world, reporting(&world, "90s", spec()));
    for n in 0..400 {
        world.until(5.0 + f64::from(n) * 0.05).await;
        let said = if n % 2 == 0 { Word::Well } else { Word::Trouble(String::new()) };
        watch.handle.push("SRV4", said).await.unwrap();
    }
    let made = watch.handle.status().await.unwrap().checks.made;
    assert!((5..=30).contains(&made), "{made} checks in 20 s");
    let saved =
        world.writes().into_iter().filter(|write| matches!(write, Write::Setting { key, .. } if key == "pushes"));
    assert!((5..=45).contains(&saved.count()));
    world.until(30.0).await;
    assert_eq!(state(&watch).await.0, PairState::Down, "its last word counts");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_what_was_heard_and_holds_nothing_against_what_could_not_be_heard() {
    let world = World::new();
    let first = watch(&world, reporting(&world, "90s", spec()));
    reports(&world, &first, 5.0, 65.0, 60.0).await;
    first.end().await;
    // For ten minutes nobody listens.
    world.until(665.0).await;
    let second = World::new();
    let pushes = Arc::new(Pushes::restored(&kept(&world)).unwrap());
    let watch = watch(&second, with(&second, "90s", spec(), pushes));
    second.until(10.0).await;
    assert_eq!(state(&watch).await.0, PairState::Up);
    second.until(170.0).await;
    let (unknown, why) = state(&watch).await;
    assert!(unknown == PairState::Unknown && why.starts_with("a report may have been missed"), "{why}");
    assert_eq!(second.count("SRV4", "open"), 0);
    second.until(215.0).await;
    assert_eq!(second.count("SRV4", "open"), 1, "it did not come back");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_forget_trouble_not_even_after_a_power_cut() {
    let world = World::new();
    let first = watch(&world, reporting(&world, "26h", spec()));
    reports(&world, &first, 5.0, 5.0, 1.0).await;
    first.handle.push("SRV4", Word::Trouble("no backup".to_owned())).await.unwrap();
    first.cut().await;
    let second = World::new();
    let pushes = Arc::new(Pushes::restored(&kept(&world)).unwrap());
    let watch = watch(&second, with(&second, "26h", spec(), pushes));
    second.until(5.0).await;
    assert_eq!(state(&watch).await, (PairState::Down, "it reports: no backup".to_owned()));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_is_missed_though_the_agent_is_restarted_before_its_time_is_over_again_and_again() {
    let mut saved: Option<String> = None;
    let mut opened = Vec::new();
    for start in 0..3 {
        let world = World::new();
        let pushes = saved.take().map(|saved| Pushes::restored(&saved).unwrap()).unwrap_or_default();
        let watch = watch(&world, with(&world, "26m", spec(), Arc::new(pushes)));
        if start == 0 {
            watch.handle.push("SRV4", Word::Well).await.unwrap();
        }
        world.until(24.0 * 60.0).await;
        watch.end().await;
        saved = Some(kept(&world));
        opened.push(world.count("SRV4", "open"));
    }
    assert_eq!(opened, [0, 0, 1], "after two periods in which somebody listened");
}

#[tokio::test(start_paused = true)]
async fn a_sleep_of_the_machine_is_nobodys_silence() {
    let world = World::new();
    let (plan, saved) = reporting(&world, "90s", spec());
    let clock = clock().set_after(secs(80.0), SignedDuration::from_hours(8));
    let watch = world.watch_with(vec![plan], calm(), saved, clock);
    reports(&world, &watch, 5.0, 5.0, 1.0).await;
    world.until(180.0).await;
    assert_eq!(state(&watch).await.0, PairState::Unknown);
    assert_eq!(world.count("SRV4", "open"), 0);
    world.until(230.0).await;
    assert_eq!(world.count("SRV4", "open"), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_reach_us_while_we_were_cut_off_is_not_condemned_when_we_are_back() {
    // The network is gone from 100 on; the service reports all the time, and is heard when there is one. With 10 s it is due
    // three times between two checks, and the check at 390 may be the first that finds the network back.
    for (every, rhythm, back, alone) in [
        ("10s", 5.0, 389.5, true),
        ("10s", 5.0, 389.5, false),
        ("10s", 5.0, 400.0, false),
        ("90s", 60.0, 389.5, true),
        ("90s", 60.0, 400.0, false),
        ("400s", 200.0, 400.0, true),
    ] {
        let case = format!("{every}, back at {back}, alone {alone}");
        let world = World::new();
        let gone = move |at: f64| (100.0..back).contains(&at);
        let answers = move |_: usize, at: f64| (secs(0.5), if gone(at) { See::Down } else { See::Up });
        let witnesses = Some(world.witnesses("WITNESSES", answers));
        let (plan, saved) = reporting(&world, every, Spec { witnesses: witnesses.clone(), ..spec() });
        // Another pair may be the one that finds out.
        let other = pair("OTHER", vec![cure_on("h2", "other", 1.0)]);
        let other = world.plan(Spec { witnesses, interval: 7.0, ..other }, down_between(100.0, back));
        let plans = [Some(plan), (!alone).then_some(other)].into_iter().flatten().collect();
        let watch = world.watch_with(plans, calm(), saved, clock());
        reports(&world, &watch, 1.0, 99.0, rhythm).await;
        reports(&world, &watch, back + rhythm * 0.9, 1500.0, rhythm).await;
        assert_eq!(world.count("SRV4", "open"), 0, "{case}");
        assert_eq!(world.count("agent", "tell cut off"), 1, "{case}");
        world.until(3000.0).await;
        assert_eq!(world.count("SRV4", "open"), 1, "{case}: a real silence still counts");
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_to_say_yet_is_no_part_of_a_storm_and_holds_no_child() {
    let world = World::new();
    let rules = monitor::domain::guard::Rules {
        storm: monitor::domain::storm::Rules { share: 0.5, window: secs(60.0), quiet: secs(300.0) },
        ..calm()
    };
    let (plan, saved) = reporting(&world, "26h", spec());
    // Four pairs of it, each of a server of its own, and one that is asked and falls.
    let mut plans: Vec<Arc<Plan>> = ["SRV4", "A", "B", "C"]
        .iter()
        .map(|server| Arc::new(Plan { pair: name(server), ..Plan::clone(&plan) }))
        .collect();
    let parent =
        monitor::engine::plan::Parent { server: name("SRV4").server, target: plan.target.clone(), timeout: secs(10.0) };
    let child = world.plan(pair("CHILD", vec![cure_on("h2", "child", 1.0)]), down_between(100.0, 200.0));
    plans.push(Arc::new(Plan { parents: vec![parent].into(), kit: plan.kit.clone(), ..Plan::clone(&child) }));
    let watch = world.watch_with(plans, rules, saved, clock());
    world.until(300.0).await;
    assert_eq!(world.count("CHILD", "tell down #1 executed"), 1, "{:?}", world.words("CHILD"));
    assert_eq!(world.count("agent", "tell storm"), 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_for_nobody_says_who_there_is_and_a_token_names_its_server() {
    let world = World::new();
    let watch = watch(&world, reporting(&world, "90s", spec()));
    let push = async |name: &str| watch.handle.push(name, Word::Well).await;
    for name in ["SRV5", "", "DC1-SRV5", "a b"] {
        let error = push(name).await.unwrap_err();
        assert!(error.to_string().contains("these report: SRV4"), "{error}");
    }
    assert_eq!(push("DC9-SRV4").await, Err(Unmet::NoSuchPair("DC9:SRV4".parse().unwrap())));
    let by = async |token: &str| watch.handle.push_by(&Token::of(token).unwrap(), Word::Well).await;
    assert_eq!(by(TOKEN).await.unwrap().as_str(), "SRV4");
    assert_eq!(by("another-token-of-nobody").await, Err(Unmet::NoSuchToken));
    watch.handle.reload(plans(vec![world.plan(pair("A", vec![]), up)], calm())).await.unwrap();
    assert_eq!(by(TOKEN).await, Err(Unmet::NoSuchToken), "it was taken out");
    assert!(push("SRV4").await.unwrap_err().to_string().contains("no server does"));
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_stays_shut_accuses_nobody_and_people_hear_that_reports_are_missing() {
    let world = World::new();
    let (plan, saved) = reporting(&world, "90s", spec());
    let all = Plans { unknown_after: secs(600.0), ..plans(vec![plan], calm()) };
    let watch = world.watch_all(all, saved, clock());
    reports(&world, &watch, 10.0, 190.0, 60.0).await;
    for second in 200..1700 {
        world.until(f64::from(second)).await;
        watch.handle.missed(secs(1.0)).await.unwrap();
        if second == 850 {
            assert_eq!(world.count("SRV4", "tell"), 0, "{:?}", world.words("SRV4"));
            assert_eq!(state(&watch).await.0, PairState::Unknown);
        }
    }
    assert_eq!(world.count("SRV4", "tell") + world.count("agent", "tell"), 1, "{:?}", world.words("SRV4"));
    assert_eq!(world.count("SRV4", "run"), 0);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_each_day_does_not_hide_that_the_reports_have_ended() {
    let world = World::new();
    let (plan, saved) = reporting(&world, "1000s", spec());
    let watch = world.watch_all(plans(vec![plan], calm()), saved, clock());
    reports(&world, &watch, 10.0, 10.0, 60.0).await;
    for n in 1..=5 {
        world.until(f64::from(n) * 950.0).await;
        watch.handle.missed(secs(1.0)).await.unwrap();
    }
    assert_eq!(world.count("SRV4", "tell down #1"), 1, "{:?}", world.words("SRV4"));
    watch.end().await;
}
