//! The only door to the engine for the web, the bot and the command line: orders in, answers out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::domain::name::{MAX_NAME, PairName, ServerName};
use crate::domain::push::Word;
use crate::domain::stop::{Scope, Stop};
use crate::probe::wire::pushes::{Pushes, Token};

use super::plan::Plans;

pub use super::answers::{
    Answered, Approval, Changed, Denied, DrillReport, DrillStep, HealReport, ProbeReport, Reloaded, Stage,
};
pub use super::status::{CheckCounters, Doing, PairState, PairStatus, Status};
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
    /// Reports may have been missed for so long until now.
    Missed(Duration, oneshot::Sender<()>),
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

    /// Says that reports could not come in for so long until now, so that nobody's silence is held against them.
    pub async fn missed(&self, lasted: Duration) -> Result<(), Unmet> {
        self.ask(|reply| Order::Missed(lasted, reply)).await
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
