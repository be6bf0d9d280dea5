//! Kills at any moments, whatever targets, witnesses and windows do: what was promised before a kill holds after it.

use std::collections::HashMap;
use std::sync::Arc;

use monitor::domain::flap::Limit;
use monitor::domain::guard::{self, Budget};
use monitor::domain::ladder::{Mode, Terms};
use monitor::domain::maintenance::{Calendar, Kind, Once, Window};
use monitor::domain::storm;
use monitor::engine::Saved;
use monitor::engine::plan::Plan;
use monitor::store::Write;
use proptest::prelude::*;

use crate::support::engine::*;
use crate::support::guarded::*;

const SERVERS: [&str; 4] = ["A", "B", "C", "D"];
const BUDGET: Budget = Budget { runs: 3, window: std::time::Duration::from_secs(400) };
/// From here on everything is up.
const CALM: f64 = 2000.0;
const HORIZON: f64 = 6000.0;
/// Limit of every command.
const LIMIT: f64 = 60.0;

#[derive(Debug, Clone)]
struct Life {
    /// For each pair, the spans in which it is down.
    down: Vec<Vec<(u16, u16)>>,
    /// When the witness is silent.
    silent: Vec<(u16, u16)>,
    /// When somebody works on it.
    planned: (u16, u16),
    /// How long commands take.
    took: u8,
    /// Successes that end an incident.
    successes: u32,
    /// Whose command waits for a person; nobody answers.
    asks: Vec<bool>,
    kills: Vec<u16>,
}

fn spans(count: usize) -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::vec((0..2000_u16, 1..400_u16), 0..count)
}

/// Down for a moment, again and again.
fn shaky() -> impl Strategy<Value = Vec<(u16, u16)>> {
    (0..1200_u16, 4..12_u16, 40..70_u16)
        .prop_map(|(from, count, every)| (0..count).map(|n| (from + n * every, every / 2)).collect())
}

/// All at once, or each for itself.
fn outages() -> impl Strategy<Value = Vec<Vec<(u16, u16)>>> {
    let own = prop::collection::vec(prop_oneof![3 => spans(6), 1 => shaky()], SERVERS.len());
    (own, prop::option::weighted(0.3, (0..2000_u16, 1..400_u16))).prop_map(|(mut own, shared)| {
        for spans in &mut own {
            spans.extend(shared);
        }
        own
    })
}

fn life() -> impl Strategy<Value = Life> {
    let down = outages();
    let asks = prop::collection::vec(prop::bool::weighted(0.2), SERVERS.len());
    let kills = prop::collection::vec(0..2400_u16, 0..6);
    (down, spans(3), (0..2000_u16, 0..500_u16), 0..50_u8, 1..4_u32, asks, kills).prop_map(
        |(down, silent, planned, took, successes, asks, mut kills)| {
            kills.sort_unstable();
            kills.dedup();
            Life { down, silent, planned, took, successes, asks, kills }
        },
    )
}

fn within(spans: &[(u16, u16)], at: f64) -> bool {
    at < CALM && spans.iter().any(|(from, long)| at >= f64::from(*from) && at < f64::from(from + long))
}

fn script(spans: Vec<(u16, u16)>) -> Script {
    Box::new(move |_, at| (std::time::Duration::ZERO, if within(&spans, at) { See::Down } else { See::Up }))
}

fn rules(life: &Life) -> guard::Rules {
    let (from, long) = (i64::from(life.planned.0), i64::from(life.planned.1));
    let kind = Kind::Once(Once { begin: moment(from), end: moment(from + long) });
    guard::Rules {
        budget: BUDGET,
        storm: storm::Rules { share: 0.7, window: secs(60.0), quiet: secs(100.0) },
        flap: Limit { changes: 8, window: secs(900.0) },
        maintenance: Calendar::new(vec![Window { scope: Vec::new(), kind }]),
        ..calm()
    }
}

fn all(world: &Arc<World>, life: &Life) -> Vec<Arc<Plan>> {
    let witness = world.witnesses("WITNESSES", script(life.silent.clone()));
    let plan = |(place, server): (usize, &&'static str)| {
        let fix = Cure { lane: ["h1", "h2"][place % 2], ..cure(["a", "b", "c", "d"][place], f64::from(life.took)) };
        let terms = Terms { mode: if life.asks[place] { Mode::Approve } else { Mode::Auto }, ..Terms::default() };
        let spec = Spec {
            interval: 10.0,
            max: 60.0,
            successes: life.successes,
            witnesses: Some(witness.clone()),
            ..pair(server, vec![Cure { terms, ..fix }])
        };
        world.plan(spec, script(life.down[place].clone()))
    };
    SERVERS.iter().enumerate().map(plan).collect()
}

async fn play(life: &Life) -> Arc<World> {
    let world = World::new();
    let time = clock();
    let mut watch = world.watch_with(all(&world, life), rules(life), Saved::default(), time);
    for kill in &life.kills {
        world.until(f64::from(*kill) + 0.5).await;
        watch = killed(&world, watch, all(&world, life), rules(life), time).await;
    }
    world.until(HORIZON).await;
    watch.end().await;
    world
}

fn check(life: &Life, world: &World) -> Result<(), TestCaseError> {
    let (from, to) = (f64::from(life.planned.0), f64::from(life.planned.0 + life.planned.1));
    for (place, server) in SERVERS.iter().enumerate() {
        let times = world.times(server, "run ");
        let runs = usize::try_from(BUDGET.runs).unwrap();
        let thrifty = times.windows(runs + 1).all(|some| some[runs] - some[0] > BUDGET.window.as_secs_f64() - 61.0);
        prop_assert!(thrifty, "{server}: more than the budget: {times:?}");
        prop_assert!(!life.asks[place] || times.is_empty(), "{server}: nobody approved it");
        for at in &times {
            // What was permitted right before the window may begin right in it.
            prop_assert!(*at < from + 1.0 || *at >= to, "{server}: run at {at}, in the window from {from} to {to}");
            let killed = life.kills.iter().map(|kill| f64::from(*kill) + 0.5);
            let cut = killed.into_iter().any(|kill| *at < kill && kill < at + f64::from(life.took));
            let next = times.iter().find(|next| *next > at);
            prop_assert!(
                !cut || next.is_none_or(|next| next - at >= LIMIT),
                "{server}: run at {at} and {next:?}, cut between"
            );
        }
        let mut heard = false;
        for word in told_of(world, server) {
            if word.starts_with("down") {
                prop_assert!(!(heard && word.starts_with("down #1 ")), "{server}: {:?}", told_of(world, server));
                heard = true;
            } else if word.starts_with("up") || word.starts_with("settled") {
                heard = false;
            }
        }
        prop_assert!(!heard, "{server}: nobody heard of the end: {:?}", told_of(world, server));
    }
    let mut open = HashMap::new();
    for write in world.writes() {
        match write {
            Write::IncidentOpened { id, pair, .. } => {
                prop_assert!(!open.values().any(|other| *other == pair), "{pair}: two incidents at once");
                open.insert(id, pair);
            }
            Write::IncidentClosed { id, .. } => prop_assert!(open.remove(&id).is_some(), "closed twice"),
            _ => {}
        }
    }
    prop_assert!(open.is_empty(), "everything is up, and open are {open:?}");
    let agent = told_of(world, "agent");
    for (begin, end) in [("storm", "storm over"), ("cut off", "reconnected")] {
        let mut open = false;
        for word in &agent {
            let (begins, ends) = (word == begin, word == end);
            prop_assert!(!(begins && open || ends && !open), "{begin} is not told in turn: {agent:?}");
            open = (open || begins) && !ends;
        }
        prop_assert!(!open, "the end of {begin} is not told: {agent:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whenever_it_is_killed_budgets_windows_and_counts_hold_and_each_end_is_told_once(life in life()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let world = runtime.block_on(play(&life));
        check(&life, &world)?;
    }
}
