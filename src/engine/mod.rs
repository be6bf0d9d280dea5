//! Floor 5: the engine. One task owns every pair and its judge; rounds run beside it and report back.
//!
//! schedule ─▶ probe ─▶ judge ─▶ guard ─▶ remedy ─▶ verify ─▶ record ─▶ notify
//!
//! `round` holds what is done between two decisions, `decide` and `runs` the decisions, `ledger` what is written of them.
//! Between probe and judge `weigh` finds out what speaks for or against a failure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::alarm::Alarms;
use crate::domain::evidence::Evidence;
use crate::domain::guard::Guard;
use crate::domain::name::{PairName, ServerName};
use crate::domain::record::Records;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::RunId;
use crate::message::Line;
use crate::probe::wire::Pushes;
use crate::remedy::{Call, Done};

mod aftercare;
mod alarm;
mod answers;
mod backlog;
pub mod clock;
mod decide;
pub mod delivery;
mod drill;
mod govern;
pub mod handle;
mod lanes;
mod lateness;
pub mod ledger;
pub mod narrate;
mod orders;
mod pair;
mod places;
pub mod plan;
pub mod pushes;
mod rehearsal;
mod reload;
mod resume;
mod round;
mod runs;
mod status;
mod timetable;
mod turn;
mod unmet;
mod unseen;
mod weigh;
mod window;
pub mod witness;

use clock::{Clock, JumpDetector};
use handle::{Doing, HealReport, Order};
use lanes::Lanes;
use lateness::Lateness;
use ledger::Ledger;
use narrate::Narrator;
use pair::{Last, Pair, Pairs};
use plan::{Plans, Rung};
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
    pairs: Pairs,
    guard: Guard,
    lanes: Lanes,
    timetable: Timetable,
    rounds: JoinSet<Report>,
    gate: Arc<Semaphore>,
    attempts_at_once: usize,
    orders: mpsc::Receiver<Order>,
    ledger: Ledger,
    narrator: Arc<Narrator>,
    pulse: watch::Sender<u64>,
    /// Checks that were started, so that each has a number.
    serial: u64,
    /// What people were told of, and not yet the end of.
    alarms: Alarms,
    sampler: Arc<weigh::Sampler>,
    /// What commands have achieved.
    records: Records,
    /// What servers report to us.
    pushes: Arc<Pushes>,
    /// Those that do.
    reporting: HashMap<ServerName, pushes::Reporter>,
    /// When what they reported was saved last, and whether it has to be again.
    pushes_kept: pushes::Kept,
    /// Drills whose command is on its way.
    drills: HashMap<RunId, Box<drill::Drill>>,
    /// As many remedies as may be under way at once.
    places: places::Places,
    /// How long a pair may be unknown before that is told; zero: for ever.
    unknown_after: Duration,
    counters: Counters,
    /// Cancelled when the stop was asked for: nothing is sent any more.
    halt: CancellationToken,
}

struct Counters {
    started_at: Timestamp,
    checks: u64,
    commands: u64,
    lateness: Lateness,
}

/// What a round came to.
#[expect(clippy::large_enum_variant, reason = "a report is moved once, from a task to the engine")]
enum Report {
    Checked { pair: PairName, serial: u64, check: Option<round::Check> },
    Weighed { pair: PairName, serial: u64, check: round::Check, weighed: Option<weigh::Weighed> },
    Placed { host: String, place: Option<OwnedSemaphorePermit> },
    Looked { host: String, leaves: round::Leaves, place: OwnedSemaphorePermit },
    Ran { host: String, done: Result<Box<Done>, Refusal>, ended: Instant },
    Verified { call: Call, rung: Rung, up_after: Option<Duration>, by_hand: Option<ByHand> },
    Drilled(drill::Progress),
    Over { host: String },
    Answered,
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
            pairs: Pairs::default(),
            guard: Guard::new(plans.guard.clone()),
            lanes: Lanes::default(),
            timetable: Timetable::new(),
            rounds: JoinSet::new(),
            gate: Arc::new(Semaphore::new(plans.attempts_at_once)),
            places: places::Places::new(plans.remedies_at_once),
            attempts_at_once: plans.attempts_at_once,
            unknown_after: plans.unknown_after,
            orders,
            ledger,
            narrator,
            pulse,
            serial: 0,
            alarms: Alarms::default(),
            sampler: Arc::default(),
            records: Records::default(),
            pushes: saved.pushes.clone(),
            reporting: HashMap::new(),
            pushes_kept: pushes::Kept::default(),
            drills: HashMap::new(),
            halt: CancellationToken::new(),
        };
        let handle = handle::Handle::new(send, saved.pushes.clone());
        engine.enter(plans, saved);
        (engine, handle, pulses)
    }

    /// Watches until `stop`, then lets a running command finish for [`STOP_GRACE`].
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(PULSE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut jumps = JumpDetector::new(&self.clock);
        loop {
            tokio::select! {
                // In a fixed order, so that the same story ends in the same way. None can keep those below it waiting for
                // long: beats and orders are few, a round ends once, and a pair is due again only after its round.
                biased;
                () = stop.cancelled() => break,
                _ = tick.tick() => {
                    self.pulse.send_modify(|beat| *beat = beat.wrapping_add(1));
                    self.compare(&mut jumps);
                    self.weather();
                    self.look_for_unseen();
                    self.reconsider();
                    let beat = *self.pulse.borrow();
                    self.keep_pushes_at(beat);
                }
                Some(order) = self.orders.recv() => self.obey(order),
                Some(report) = self.rounds.join_next() => {
                    // After a suspend this may come before the next tick, and must not be believed.
                    self.compare(&mut jumps);
                    self.take_joined(report);
                }
                (pair, due) = self.timetable.next() => self.start_check(&pair, due),
            }
        }
        self.stop().await;
    }

    /// Starts a check. One that falls due while the pair is busy is made when it is not.
    fn start_check(&mut self, pair: &PairName, due: Instant) {
        let Some(known) = self.pairs.get_mut(pair) else { return };
        if known.doing != Doing::Waiting {
            return;
        }
        self.serial += 1;
        (known.doing, known.check, known.stale) = (Doing::Checking, self.serial, false);
        known.evidence = Evidence::default();
        let (serial, pair) = (self.serial, pair.clone());
        let check = round::check(known.plan.clone(), due, self.gate.clone(), self.narrator.clone());
        self.rounds.spawn(async move {
            let check = round::caught(&pair, check).await;
            Report::Checked { pair, serial, check }
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
            Report::Checked { pair, serial, check } => self.checked(&pair, serial, check),
            Report::Weighed { pair, serial, check, weighed } => self.weighed(&pair, serial, check, weighed),
            Report::Placed { host, place } => self.placed(&host, place),
            Report::Looked { host, leaves, place } => self.looked(&host, leaves, place),
            Report::Ran { host, done, ended } => self.ran(&host, done.map(|done| *done), ended),
            Report::Verified { call, rung, up_after, by_hand } => self.verified(&call, &rung, up_after, by_hand),
            Report::Drilled(progress) => self.drilled(progress),
            Report::Over { host } => self.over(&host),
            Report::Answered => {}
        }
    }

    /// Compares wall clock and monotonic clock.
    fn compare(&mut self, jumps: &mut JumpDetector) {
        if let Some(gap) = jumps.check(&self.clock) {
            self.after_gap(gap);
        }
    }

    /// Throws away what is being looked at and looks at every pair again.
    fn after_gap(&mut self, gap: jiff::SignedDuration) {
        self.narrator.clock_jumped(gap);
        if gap.is_negative() {
            self.guard.set_back(gap.unsigned_abs());
        }
        for pair in self.pairs.values_mut() {
            if gap.is_negative() {
                pair.judge.set_back(gap.abs());
            }
            pair.judge.look_again();
            pair.stale = pair.doing == Doing::Checking;
        }
        self.pushes.nobody_listened();
        self.timetable.start_over();
        self.weather();
    }

    async fn stop(mut self) {
        self.halt.cancel();
        self.keep_pushes();
        self.narrator.info(&Line::Stopping);
        for member in self.lanes.drop_waiting() {
            self.unmet(member, &Refusal::Stopping);
        }
        let end = Instant::now() + STOP_GRACE;
        while !self.lanes.is_empty() {
            tokio::select! {
                Some(report) = self.rounds.join_next() => {
                    if !matches!(report, Ok(Report::Checked { .. } | Report::Weighed { .. })) {
                        self.take_joined(report);
                    }
                }
                () = tokio::time::sleep_until(end) => break,
            }
        }
        self.rounds.shutdown().await;
    }
}
