//! Floor 5: the engine. One task owns every pair and its judge; rounds run beside it and report back.
//!
//! schedule ─▶ probe ─▶ judge ─▶ guard ─▶ remedy ─▶ verify ─▶ record ─▶ notify
//!
//! `round` holds what is done between two decisions, `decide` and `runs` the decisions, `ledger` what is written of them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::guard::Guard;
use crate::domain::judge::Judge;
use crate::domain::name::PairName;
use crate::domain::reading::Reading;
use crate::message::Line;
use crate::remedy::{Call, Done};

pub mod clock;
mod decide;
pub mod delivery;
pub mod handle;
mod lanes;
mod lateness;
pub mod ledger;
pub mod narrate;
mod orders;
pub mod plan;
mod resume;
mod round;
mod runs;
mod timetable;

use clock::{Clock, JumpDetector};
use handle::{Doing, HealReport, Order};
use lanes::Lanes;
use lateness::Lateness;
use ledger::Ledger;
use narrate::Narrator;
use plan::{Plan, Plans, Rung};
use timetable::Timetable;

/// Orders that may wait for the engine; those who order wait when it is full.
const ORDERS: usize = 64;

/// How often the engine shows that it lives and compares the clocks.
const PULSE: Duration = Duration::from_secs(1);

/// How long a running command may go on after the stop was asked for (contract, command line).
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// The engine.
pub struct Engine {
    clock: Clock,
    pairs: HashMap<PairName, Pair>,
    guard: Guard,
    lanes: Lanes,
    timetable: Timetable,
    rounds: JoinSet<Report>,
    gate: Arc<Semaphore>,
    orders: mpsc::Receiver<Order>,
    ledger: Ledger,
    narrator: Arc<Narrator>,
    pulse: watch::Sender<u64>,
    /// Rounds started before the last gap in time carry an older number, and what they saw is thrown away.
    epoch: u64,
    counters: Counters,
    stopping: bool,
}

struct Counters {
    started_at: Timestamp,
    checks: u64,
    commands: u64,
    lateness: Lateness,
}

/// One pair as the engine holds it.
struct Pair {
    plan: Arc<Plan>,
    judge: Judge,
    doing: Doing,
    /// A check fell due while a verify window was open.
    overdue: bool,
    last: Option<Last>,
}

struct Last {
    reading: Reading,
    at: Timestamp,
}

/// What a round came to.
#[expect(clippy::large_enum_variant, reason = "a report is moved once, from a task to the engine")]
enum Report {
    Checked { pair: PairName, epoch: u64, check: round::Check },
    Ran { host: String, done: Option<Box<Done>>, ended: Instant },
    Verified { call: Call, rung: Rung, up_after: Option<Duration>, by_hand: Option<ByHand> },
    Answered,
    Panicked { pair: PairName, host: Option<String> },
}

/// Who waits for the end of a run that a person ordered.
struct ByHand {
    reply: oneshot::Sender<HealReport>,
    report: HealReport,
}

/// What the engine is built from.
pub struct Parts {
    /// What is watched.
    pub plans: Plans,
    /// Wall time.
    pub clock: Clock,
    /// Where it is written and told.
    pub ledger: Ledger,
    /// The log's lines.
    pub narrator: Arc<Narrator>,
    /// What was saved by the agent before this one.
    pub saved: resume::Saved,
}

pub use resume::Saved;

impl Engine {
    /// Builds the engine and the door to it.
    pub fn new(parts: Parts) -> (Self, handle::Handle, watch::Receiver<u64>) {
        let Parts { plans, clock, ledger, narrator, saved } = parts;
        let (send, orders) = mpsc::channel(ORDERS);
        let (pulse, pulses) = watch::channel(0);
        let mut engine = Self {
            counters: Counters { started_at: clock.now(), checks: 0, commands: 0, lateness: Lateness::default() },
            clock,
            pairs: HashMap::new(),
            guard: Guard::new(plans.guard),
            lanes: Lanes::default(),
            timetable: Timetable::new(),
            rounds: JoinSet::new(),
            gate: Arc::new(Semaphore::new(plans.attempts_at_once)),
            orders,
            ledger,
            narrator,
            pulse,
            epoch: 0,
            stopping: false,
        };
        engine.enter(plans, saved);
        (engine, handle::Handle::new(send), pulses)
    }

    /// Watches until `stop`, then lets a running command finish for [`STOP_GRACE`].
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(PULSE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut jumps = JumpDetector::new(&self.clock);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                (pair, due) = self.timetable.next() => self.start_check(&pair, due),
                Some(report) = self.rounds.join_next() => self.take_joined(report),
                Some(order) = self.orders.recv() => self.obey(order),
                _ = tick.tick() => {
                    self.pulse.send_modify(|beat| *beat = beat.wrapping_add(1));
                    if let Some(gap) = jumps.check(&self.clock) {
                        self.after_gap(gap);
                    }
                }
            }
        }
        self.stop().await;
    }

    fn start_check(&mut self, pair: &PairName, due: Instant) {
        let Some(known) = self.pairs.get_mut(pair) else { return };
        match known.doing {
            Doing::Waiting => {}
            Doing::Verifying => {
                known.overdue = true;
                return;
            }
            Doing::Checking | Doing::Healing => return,
        }
        known.doing = Doing::Checking;
        let (epoch, name) = (self.epoch, pair.clone());
        let check = round::check(known.plan.clone(), due, self.gate.clone(), self.narrator.clone());
        self.round(pair.clone(), None, async move { Report::Checked { pair: name, epoch, check: check.await } });
    }

    /// Starts a round; one that panics is reported, so that no pair is ever forgotten.
    fn round(&mut self, pair: PairName, host: Option<String>, work: impl Future<Output = Report> + Send + 'static) {
        self.rounds.spawn(async move {
            AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Report::Panicked { pair, host })
        });
    }

    fn take_joined(&mut self, report: Result<Report, tokio::task::JoinError>) {
        match report {
            Ok(report) => self.take(report),
            Err(error) => tracing::error!("a round ended without a report: {error}"),
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Checked { pair, epoch, check } => self.checked(&pair, epoch, check),
            Report::Ran { host, done, ended } => self.ran(&host, done.map(|done| *done), ended),
            Report::Verified { call, rung, up_after, by_hand } => self.verified(&call, &rung, up_after, by_hand),
            Report::Answered => {}
            Report::Panicked { pair, host } => self.panicked(&pair, host.as_deref()),
        }
    }

    fn panicked(&mut self, pair: &PairName, host: Option<&str>) {
        tracing::error!(%pair, "a round of {pair} panicked; this is a bug in the monitor. The pair is checked again.");
        if let Some(host) = host {
            self.ran(host, None, Instant::now());
        }
        if let Some(known) = self.pairs.get_mut(pair) {
            known.doing = Doing::Waiting;
            let again = Instant::now() + known.plan.backoff.interval();
            self.timetable.at(pair, again);
        }
    }

    /// Throws away what is under way and looks at every pair again.
    fn after_gap(&mut self, gap: jiff::SignedDuration) {
        self.narrator.clock_jumped(gap);
        self.epoch += 1;
        for pair in self.pairs.values_mut() {
            pair.judge.look_again();
        }
        self.timetable.start_over();
    }

    async fn stop(mut self) {
        self.stopping = true;
        self.narrator.info(&Line::Stopping);
        for member in self.lanes.drop_waiting() {
            self.unmet(member, &crate::domain::refusal::Refusal::Stopping);
        }
        let end = Instant::now() + STOP_GRACE;
        while !self.lanes.is_empty() {
            tokio::select! {
                Some(report) = self.rounds.join_next() => {
                    if matches!(report, Ok(Report::Ran { .. } | Report::Verified { .. } | Report::Panicked { .. })) {
                        self.take_joined(report);
                    }
                }
                () = tokio::time::sleep_until(end) => break,
            }
        }
        self.rounds.shutdown().await;
    }
}
