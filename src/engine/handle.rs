//! The only door to the engine for the web, the bot and the command line: orders in, answers out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::domain::evidence::Quiet;
use crate::domain::name::{MAX_NAME, PairName, ServerName};
use crate::domain::push::Word;
use crate::domain::reading::{Fault, Phases};
use crate::domain::remedy::IncidentId;
use crate::domain::stop::{Scope, Stop};
use crate::probe::wire::pushes::{Pushes, Token};

use super::plan::Plans;

pub use super::answers::{Answered, Approval, DrillReport, DrillStep, HealReport, ProbeReport, Reloaded, Stage};
pub use super::unmet::Unmet;

/// A clonable door to the running engine.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    /// Only to find out whose a report is: it comes in as an order.
    pushes: Arc<Pushes>,
}

/// What the engine can be asked.
pub enum Order {
    /// Whether it takes orders.
    Ready(oneshot::Sender<()>),
    /// Reports may have been missed.
    Missed(oneshot::Sender<()>),
    /// A server reports.
    Push {
        /// Which one.
        server: ServerName,
        /// The pair by which it was named, if it was.
        pair: Option<PairName>,
        /// What it says.
        word: Word,
        /// The answer.
        reply: oneshot::Sender<Result<(), Unmet>>,
    },
    /// Where everything stands.
    Status(oneshot::Sender<Status>),
    /// One check of a pair, now; it moves no counter.
    Probe(PairName, oneshot::Sender<Result<ProbeReport, Unmet>>),
    /// One run of a pair's remedy, now.
    Heal {
        /// The pair.
        pair: PairName,
        /// Which rung, from 1.
        rung: u32,
        /// The answer, once it is verified.
        reply: oneshot::Sender<HealReport>,
        /// Why not.
        refused: oneshot::Sender<Unmet>,
    },
    /// Heal nothing in this scope until further notice.
    Stop {
        /// For whom.
        scope: Scope,
        /// Who says so.
        by: String,
        /// How long; absent until somebody resumes it.
        lasts: Option<Duration>,
        /// The answer.
        reply: oneshot::Sender<Result<Stop, Unmet>>,
    },
    /// Let healing go on.
    Resume {
        /// For whom.
        scope: Scope,
        /// Who says so.
        by: String,
        /// How many stops ended.
        reply: oneshot::Sender<Result<usize, Unmet>>,
    },
    /// Answer a rung that waits for a person.
    Answer {
        /// Which approval.
        id: String,
        /// Whether it may run.
        yes: bool,
        /// Who says so.
        by: String,
        /// The answer.
        reply: oneshot::Sender<Result<Answered, Unmet>>,
    },
    /// Walk the whole chain as if the pair were down.
    Drill {
        /// The pair.
        pair: PairName,
        /// Whether its own command is run.
        really: bool,
        /// Who says so.
        by: String,
        /// The answer, once all is done.
        reply: oneshot::Sender<Result<DrillReport, Unmet>>,
    },
    /// Watch this from now on.
    Reload(Box<Plans>, oneshot::Sender<Reloaded>),
}

impl Handle {
    /// Joins a handle to the engine's queue of orders.
    pub fn new(orders: mpsc::Sender<Order>, pushes: Arc<Pushes>) -> Self {
        Self { orders, pushes }
    }

    /// Asks whether the engine takes orders at all.
    pub async fn ready(&self) -> Result<(), Unmet> {
        self.ask(Order::Ready).await
    }

    /// Says that reports could not come in for a moment, so that nobody's silence is held against them.
    pub async fn missed(&self) -> Result<(), Unmet> {
        self.ask(Order::Missed).await
    }

    /// Takes the report of a server, which is named by itself or by a pair; gives its name.
    pub async fn push(&self, name: &str, word: Word) -> Result<ServerName, Unmet> {
        let pair: Option<PairName> = name.parse().ok();
        let server = pair.as_ref().map(|pair| pair.server.clone()).or_else(|| ServerName::new(name).ok());
        let known = |server: &ServerName| self.pushes.is_heard(server);
        let server = server.filter(known).ok_or_else(|| self.not_reporting(name))?;
        let order = |reply| Order::Push { server: server.clone(), pair, word, reply };
        self.ask(order).await??;
        Ok(server)
    }

    /// Takes the report of the server that has this token; gives its name.
    pub async fn push_by(&self, token: &Token, word: Word) -> Result<ServerName, Unmet> {
        // Looked up here, so that wrong tokens never stand in the engine's queue.
        let server = self.pushes.by_token(token).ok_or(Unmet::NoSuchToken)?;
        let order = |reply| Order::Push { server: server.clone(), pair: None, word, reply };
        match self.ask(order).await? {
            // Taken out meanwhile.
            Err(Unmet::NotReporting { .. }) => Err(Unmet::NoSuchToken),
            answer => answer.map(|()| server),
        }
    }

    /// Whether some server reports by this token.
    pub fn knows(&self, token: &Token) -> bool {
        self.pushes.by_token(token).is_some()
    }

    fn not_reporting(&self, name: &str) -> Unmet {
        Unmet::NotReporting { name: crate::message::one_line(name, MAX_NAME), there: self.pushes.servers() }
    }

    /// Asks where everything stands.
    pub async fn status(&self) -> Result<Status, Unmet> {
        self.ask(Order::Status).await
    }

    /// Checks a pair now; it moves no counter and runs nothing.
    pub async fn probe(&self, pair: PairName) -> Result<ProbeReport, Unmet> {
        self.ask(|reply| Order::Probe(pair, reply)).await?
    }

    /// Runs a rung of a pair's ladder now and waits until it is verified.
    pub async fn heal(&self, pair: PairName, rung: u32) -> Result<HealReport, Unmet> {
        let (reply, answer) = oneshot::channel();
        let (refused, refusal) = oneshot::channel();
        let order = Order::Heal { pair, rung, reply, refused };
        self.orders.send(order).await.map_err(|_| Unmet::Stopping)?;
        match answer.await {
            Ok(report) => Ok(report),
            Err(_) => Err(refusal.await.unwrap_or(Unmet::Stopping)),
        }
    }

    /// Heals nothing in this scope until it is resumed, or for so long. Checks and notices go on.
    pub async fn stop(&self, scope: Scope, by: String, lasts: Option<Duration>) -> Result<Stop, Unmet> {
        self.ask(|reply| Order::Stop { scope, by, lasts, reply }).await?
    }

    /// Lets healing go on; gives how many stops ended.
    pub async fn resume(&self, scope: Scope, by: String) -> Result<usize, Unmet> {
        self.ask(|reply| Order::Resume { scope, by, reply }).await?
    }

    /// Answers a rung that waits for a person: yes runs it, if the pair is still down; no keeps it from running in this
    /// incident.
    pub async fn answer(&self, id: String, yes: bool, by: String) -> Result<Answered, Unmet> {
        self.ask(|reply| Order::Answer { id, yes, by, reply }).await?
    }

    /// Walks the whole chain as if the pair were down: its command is replaced by a harmless one, unless `really`. It moves
    /// no counter and opens no incident.
    pub async fn drill(&self, pair: PairName, really: bool, by: String) -> Result<DrillReport, Unmet> {
        self.ask(|reply| Order::Drill { pair, really, by, reply }).await?
    }

    /// Swaps what is watched; running incidents and counters survive.
    pub async fn reload(&self, plans: Plans) -> Result<Reloaded, Unmet> {
        self.ask(|reply| Order::Reload(Box::new(plans), reply)).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Unmet> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| Unmet::Stopping)?;
        answer.await.map_err(|_| Unmet::Stopping)
    }
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// When the agent was started.
    pub started_at: Timestamp,
    /// When this was asked.
    pub at: Timestamp,
    /// True while too many pairs are down together, so that nothing is healed.
    pub storm: bool,
    /// What people stopped.
    #[serde(default)]
    pub stops: Vec<Stop>,
    /// Witnesses that do not answer, by their key, with the moment they were first missed.
    #[serde(default)]
    pub cut_off: BTreeMap<String, Timestamp>,
    /// Counters of the engine.
    pub checks: CheckCounters,
    /// Every pair, by name.
    pub pairs: Vec<PairStatus>,
}

/// Counters since the start, and how punctual the last checks were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckCounters {
    /// Checks made.
    pub made: u64,
    /// Commands run.
    pub commands: u64,
    /// Median lateness of the last checks, milliseconds.
    pub late_p50_ms: f64,
    /// 99th percentile of the lateness of the last checks, milliseconds.
    pub late_p99_ms: f64,
}

/// Where one pair stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairStatus {
    /// Its name, `DC-SRV`.
    pub pair: PairName,
    /// Its URL as people may see it.
    pub url: String,
    /// The state.
    pub state: PairState,
    /// What the engine is doing with it.
    pub doing: Doing,
    /// Since when it is up or down.
    pub since: Option<Timestamp>,
    /// The open incident.
    pub incident: Option<IncidentId>,
    /// k: consecutive `down` checks.
    pub failures: u32,
    /// Time to the answer of the last reading, milliseconds; absent when there was no answer.
    pub response_ms: Option<f64>,
    /// Phase timings of the last reading.
    pub phases: Option<Phases>,
    /// Why the last reading was not up.
    pub fault: Option<Fault>,
    /// When the last check ended.
    pub checked_at: Option<Timestamp>,
    /// Seconds to the next check; absent while one is under way.
    pub next_check_s: Option<f64>,
    /// Runs that count against the budget.
    pub budget_spent: u32,
    /// Why its failures are not told.
    #[serde(default)]
    pub quiet: Option<Quiet>,
    /// True while it goes up and down too often to be healed.
    #[serde(default)]
    pub flapping: bool,
    /// When its maintenance ends, while it is under way.
    #[serde(default)]
    pub maintenance_until: Option<Timestamp>,
    /// The approval that it waits for.
    #[serde(default)]
    pub approval: Option<Approval>,
}

/// The state of a pair, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// Not looked at yet.
    Fresh,
    /// Up.
    Up,
    /// Down.
    Down,
    /// The last check could not look.
    Unknown,
}

/// What the engine is doing with a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Waiting for the next check.
    Waiting,
    /// Checking.
    Checking,
    /// Running its remedy, or waiting for the host's turn.
    Healing,
    /// Probing inside the verify window.
    Verifying,
}
