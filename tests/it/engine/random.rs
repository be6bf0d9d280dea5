//! Whatever targets, commands, the disk and people do: what must never happen does not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use monitor::domain::outage::State;
use monitor::domain::remedy::RunStatus;
use monitor::engine::plan::Plan;
use monitor::store::{Closing, Write};
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::support::engine::*;

const SERVERS: [&str; 5] = ["A", "B", "C", "D", "E"];
const HORIZON: f64 = 1500.0;
const MAX: f64 = 60.0;

/// What one pair's target and command do.
#[derive(Debug, Clone)]
struct Part {
    looks: Vec<(u16, u8)>,
    lane: bool,
    shared: bool,
    took: u16,
    ending: u8,
    window: bool,
}

/// What happens at a moment.
#[derive(Debug, Clone)]
enum Deed {
    DiskFails,
    DiskWrites,
    Heal(usize),
    Probe(usize),
    Reload(u8),
}

fn part() -> impl Strategy<Value = Part> {
    let looks = prop::collection::vec((0..12_u16, 0..24_u8), 1..12);
    (looks, any::<bool>(), any::<bool>(), 0..90_u16, 0..13_u8, any::<bool>())
        .prop_map(|(looks, lane, shared, took, ending, window)| Part { looks, lane, shared, took, ending, window })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => Just(Deed::DiskFails),
        2 => Just(Deed::DiskWrites),
        2 => (0..SERVERS.len()).prop_map(Deed::Heal),
        1 => (0..SERVERS.len()).prop_map(Deed::Probe),
        1 => any::<u8>().prop_map(Deed::Reload),
    ]
}

fn see(kind: u8) -> See {
    match kind {
        0..=11 => See::Down,
        12..=17 => See::Up,
        18..=20 => See::Blind,
        21 | 22 => See::Hang,
        _ => See::Panic,
    }
}

fn build(world: &Arc<World>, place: usize, part: &Part) -> Arc<Plan> {
    let command = if part.shared { "all" } else { ["a", "b", "c", "d", "e"][place] };
    let fix = Cure {
        lane: if part.lane { "h1" } else { "h2" },
        took: secs(f64::from(part.took) / 3.0),
        status: [RunStatus::Executed, RunStatus::Failed, RunStatus::Timeout, RunStatus::Unreachable]
            [usize::from(part.ending) % 4],
        panics: part.ending == 12,
        ..cure(command, 0.0)
    };
    let window = if part.window { 15.0 } else { 0.0 };
    let spec = Spec { interval: 10.0, max: MAX, attempts: 2, window, ..pair(SERVERS[place], vec![fix]) };
    let looks = part.looks.clone();
    world.plan(spec, move |count, _| {
        let (took, kind) = looks[count % looks.len()];
        (secs(f64::from(took)), see(kind))
    })
}

async fn play(parts: Vec<Part>, deeds: Vec<(u16, Deed)>) -> Arc<World> {
    let world = World::new();
    let all: Vec<Arc<Plan>> = parts.iter().enumerate().map(|(place, part)| build(&world, place, part)).collect();
    let watch = world.watch(all.clone());
    let mut asked = JoinSet::new();
    let mut at = 0.0;
    for (wait, deed) in deeds {
        at += f64::from(wait);
        world.until(at).await;
        let handle = watch.handle.clone();
        match deed {
            Deed::DiskFails => world.disk(Disk::Fails),
            Deed::DiskWrites => world.disk(Disk::Writes(Duration::from_millis(300))),
            Deed::Heal(place) => {
                asked.spawn(async move { drop(handle.heal(name(SERVERS[place]), 1).await) });
            }
            Deed::Probe(place) => {
                asked.spawn(async move { drop(handle.probe(name(SERVERS[place])).await) });
            }
            Deed::Reload(kept) => {
                // A pair that is not kept comes back at once, as another one.
                let some = all.iter().enumerate().filter(|(place, _)| kept >> place & 1 == 1);
                let some = some.map(|(_, plan)| plan.clone()).collect();
                handle.reload(plans(some, calm())).await.unwrap();
                handle.reload(plans(all.clone(), calm())).await.unwrap();
            }
        }
    }
    world.until(at.max(HORIZON)).await;
    watch.end().await;
    world
}

fn check(world: &World) -> Result<(), TestCaseError> {
    for lane in ["lane h1", "lane h2"] {
        let words = world.words(lane);
        let alternate = words.iter().enumerate().all(|(place, word)| (word == "begin") == (place % 2 == 0));
        prop_assert!(alternate, "two commands at once on {lane}: {words:?}");
    }
    let mut intended: HashMap<(String, String), i64> = HashMap::new();
    for event in world.events() {
        let (what, command) = event.word.split_once(' ').unwrap_or((&event.word, ""));
        let left = intended.entry((event.who.clone(), command.to_owned())).or_default();
        match what {
            "intend" => *left += 1,
            "run" => {
                *left -= 1;
                prop_assert!(*left >= 0, "{} ran {command} at {:?} without an intent", event.who, event.at);
            }
            _ => {}
        }
    }
    let cut_off = |state: State| match state {
        State::Down(outage) if outage.ordered.is_some() => Some(outage.incident),
        State::Down(_) | State::Up { .. } | State::Fresh => None,
    };
    let ordered: HashSet<_> = world.states().into_values().filter_map(cut_off).collect();
    let (mut open, mut told, mut retired, mut ended, mut runs) =
        (HashSet::new(), HashSet::new(), HashSet::new(), HashSet::new(), HashSet::new());
    for write in world.writes() {
        match write {
            Write::IncidentOpened { id, .. } => drop(open.insert(id)),
            Write::NoticeQueued { notice, .. } => drop(told.insert(notice.incident)),
            Write::IncidentClosed { id, closing: Closing::Retired, .. } => drop(retired.insert(id)),
            Write::RunIntended(order) => drop(runs.insert(order.run)),
            Write::RunJudged { run, .. } => drop(ended.insert(run)),
            _ => {}
        }
    }
    let silent: Vec<_> =
        open.iter().filter(|id| !(told.contains(id) || retired.contains(id) || ordered.contains(id))).collect();
    prop_assert!(silent.is_empty(), "nobody was told of {silent:?}");
    let unjudged = runs.difference(&ended).count();
    // Only what the stop cut off, one command on each host with all who share it, may lack its verdict.
    prop_assert!(unjudged <= SERVERS.len() + 12, "{unjudged} runs without a verdict");
    // The longest way from one look to the next: the delay, a window, a check, and the whole queue of its host.
    // Five pairs and three orders by hand: each may wait for its intent, run, and look once before it runs.
    let bound = MAX + 15.0 + 21.0 + 8.0 * (10.0 + 30.0 + 10.0);
    for server in SERVERS {
        let mut times = world.times(server, "probe");
        times.push(HORIZON);
        let longest = gaps(&times).into_iter().fold(times[0], f64::max);
        prop_assert!(longest <= bound, "{server} was not looked at for {longest} s: {:?}", world.words(server));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_one_run_per_host_no_run_without_intent_every_incident_told_no_pair_forgotten(
        parts in prop::collection::vec(part(), SERVERS.len()),
        deeds in prop::collection::vec((0..120_u16, deed()), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let world = runtime.block_on(play(parts, deeds));
        check(&world)?;
    }
}
