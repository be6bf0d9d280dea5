//! What stories of the guard need besides the world itself: rules, scripts, what people were told, and a kill.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use monitor::domain::guard;
use monitor::domain::ladder::{Mode, Terms};
use monitor::domain::remedy::Verdict;
use monitor::domain::storm;
use monitor::engine::Saved;
use monitor::engine::clock::Clock;
use monitor::engine::plan::Plan;
use monitor::engine::witness::Witnesses;
use monitor::store::{Order, Write};

use super::engine::*;

/// The moment that lies so many seconds after the start of every world.
pub fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(EPOCH + second).unwrap()
}

/// Names of 200 servers.
pub fn servers() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| (0..200).map(|n| &*Box::leak(format!("S{n}").into_boxed_str())).collect())
}

/// Rules under which more than half of the pairs are a storm, which is over after five quiet minutes.
pub fn stormy() -> guard::Rules {
    guard::Rules { storm: storm::Rules { share: 0.5, window: secs(60.0), quiet: secs(300.0) }, ..calm() }
}

/// A command that runs in this mode, and not before the outage lasted so many seconds.
pub fn rung(command: &'static str, mode: Mode, after: f64) -> Cure {
    Cure { terms: Terms { mode, after: secs(after) }, ..cure(command, 1.0) }
}

/// Witnesses that follow these scripts; so many have to answer.
pub fn witnesses(world: &Arc<World>, scripts: Vec<(&'static str, Script)>, quorum: usize) -> Arc<Witnesses> {
    let plans: Vec<Arc<Plan>> =
        scripts.into_iter().map(|(name, script)| world.plan(pair(name, vec![]), script)).collect();
    let targets = plans.iter().map(|plan| plan.target.clone()).collect();
    let kit = plans.first().expect("a witness").kit.clone();
    Arc::new(Witnesses::new("WITNESSES", targets, quorum, secs(5.0), kit))
}

/// Down from a moment on until a command of that name has run for the pair.
pub fn down_until_run(world: &Arc<World>, server: &'static str, command: &'static str, from: f64) -> Script {
    let world = world.clone();
    Box::new(move |_, at| {
        let ran = || world.count(server, &format!("run {command}")) > 0;
        (std::time::Duration::ZERO, if at >= from && !ran() { See::Down } else { See::Up })
    })
}

/// Down in each of these spans.
pub fn down_in(spans: &'static [(f64, f64)]) -> Script {
    Box::new(move |_, at| {
        let down = spans.iter().any(|(from, to)| (*from..*to).contains(&at));
        (std::time::Duration::ZERO, if down { See::Down } else { See::Up })
    })
}

/// What people were told: whom about, and a word.
pub fn told(world: &World) -> Vec<(String, String)> {
    let told = |event: Event| Some((event.who, event.word.strip_prefix("tell ")?.to_owned()));
    world.events().into_iter().filter_map(told).collect()
}

/// What people were told about one pair, or about the agent.
pub fn told_of(world: &World, whom: &str) -> Vec<String> {
    told(world).into_iter().filter(|(who, _)| who == whom).map(|(_, word)| word).collect()
}

/// Commands that were run, over all pairs.
pub fn runs(world: &World) -> usize {
    world.events().iter().filter(|event| event.word.starts_with("run ")).count()
}

/// Everything that a store would give back after a kill.
pub fn saved(world: &World) -> Saved {
    let (mut runs, mut over, mut changes, mut whose) =
        (Vec::<Order>::new(), HashSet::new(), Vec::new(), HashMap::new());
    let (mut skipped, mut interrupted) = (HashSet::new(), HashSet::new());
    for write in world.writes() {
        match write {
            Write::RunIntended(order) => {
                runs.retain(|run| run.run != order.run);
                runs.push(order);
            }
            Write::RunEnded(ended) => drop(over.insert(ended.run)),
            Write::RunJudged { run, verdict, .. } => {
                over.insert(run);
                match verdict {
                    Verdict::Skipped(_) => drop(skipped.insert(run)),
                    Verdict::Interrupted => drop(interrupted.insert(run)),
                    _ => {}
                }
            }
            Write::IncidentOpened { id, pair, at, .. } => {
                whose.insert(id, pair.clone());
                changes.push((pair, at));
            }
            Write::IncidentClosed { id, at, .. } => changes.extend(whose.get(&id).cloned().map(|pair| (pair, at))),
            _ => {}
        }
    }
    Saved {
        states: world.states(),
        runs: runs.iter().filter(|run| !skipped.contains(&run.run)).map(|run| (run.pair.clone(), run.at)).collect(),
        interrupted: runs.iter().filter(|run| interrupted.contains(&run.run)).cloned().collect(),
        unfinished: runs.into_iter().filter(|run| !over.contains(&run.run)).collect(),
        changes,
        memory: world.memory(),
        ..Saved::default()
    }
}

/// Kills the engine as a power cut would, and starts another with what the store gives back.
pub async fn killed(
    world: &Arc<World>,
    watch: Watch,
    plans: Vec<Arc<Plan>>,
    rules: guard::Rules,
    clock: Clock,
) -> Watch {
    watch.cut().await;
    world.watch_with(plans, rules, saved(world), clock)
}
