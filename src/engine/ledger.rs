//! The ledger: what is decided becomes writes, audit records and notices, in one batch per decision.
//!
//! Record, then notify: a batch holds state, events and outbox rows, and is one transaction.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::environment::Environment;
use crate::domain::memory::Memory;
use crate::domain::name::PairName;
use crate::domain::notice::{News, Notice};
use crate::domain::outage::{Outage, State};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, NoticeId, RunId, RunStatus, Verdict};
use crate::remedy::{Call, Done};
use crate::store::audit::CommandRecord;
use crate::store::{Closing, Ended, Order, Write};

use super::plan::Rung;

/// The setting in which the guard's memory is kept.
pub const MEMORY: &str = "guard";

/// The setting in which it is kept what servers reported.
pub const PUSHES: &str = "pushes";

/// Where batches go; kept in order.
pub trait Journal: Send + Sync {
    /// Hands writes over; returns at once.
    fn record(&self, writes: Vec<Write>);

    /// Hands writes over and waits until they, and all before them, are durable; false when that took too long.
    fn recorded(&self, writes: Vec<Write>, within: Duration) -> BoxFuture<'static, bool>;
}

/// Where audit records go; must not block.
pub type AuditSink = Arc<dyn Fn(CommandRecord) + Send + Sync>;

/// A way into one channel's delivery.
#[derive(Clone)]
pub struct Outlet {
    /// The channel's name in the outbox.
    pub channel: String,
    /// The way in.
    pub notices: mpsc::UnboundedSender<Notice>,
}

/// Writes what the engine decides.
#[derive(Clone)]
pub struct Ledger {
    /// Where batches go.
    pub journal: Arc<dyn Journal>,
    /// Where audit records go.
    pub audit: AuditSink,
    /// Where notices go.
    pub outlets: Vec<Outlet>,
    /// Masks configured secrets.
    pub mask: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// The zone of the `time` field.
    pub zone: TimeZone,
}

impl Ledger {
    /// Records a batch and hands its notices to the channels; returns at once.
    pub fn record(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let (writes, notices) = self.split(batch);
        self.journal.record(writes);
        self.hand_over(notices);
    }

    /// Records batches and waits until they are on disk, all or none.
    pub fn recorded(&self, batches: Vec<Batch>, within: Duration) -> BoxFuture<'static, bool> {
        let (writes, notices): (Vec<_>, Vec<_>) = batches.into_iter().map(|batch| self.split(batch)).unzip();
        let done = self.journal.recorded(writes.into_iter().flatten().collect(), within);
        self.hand_over(notices.into_iter().flatten().collect());
        done
    }

    /// Writes `COMMAND_EXECUTED` to the log and to the audit.
    pub fn audit(&self, record: CommandRecord) {
        match record.to_line() {
            Ok(line) => tracing::info!("COMMAND_EXECUTED: {line}"),
            Err(error) => tracing::error!("a record cannot be written as JSON: {error}"),
        }
        (self.audit)(record);
    }

    /// Masks configured secrets in everything that will be written or told of a run.
    pub fn masked(&self, mut done: Done) -> Done {
        let mask = |text: &mut String| *text = (self.mask)(text);
        mask(&mut done.run.error);
        mask(&mut done.output.text);
        // Cut after masking: half a secret would not be recognised.
        done.run.excerpt = crate::remedy::excerpt(&done.output.text);
        done
    }

    /// Builds the record of a run.
    pub fn run_record(&self, call: &Call, rung: &Rung, done: &Done, at: Timestamp) -> CommandRecord {
        CommandRecord {
            output: done.output.text.clone(),
            status: done.run.status,
            exit_code: done.run.exit_code,
            signal: done.run.signal.clone(),
            duration_ms: millis(done.run.duration),
            output_bytes: done.output.bytes,
            output_sha256: done.output.sha256_hex.clone(),
            truncated: done.output.truncated > 0,
            error: done.run.error.clone(),
            ..self.bare_record(call, rung, at)
        }
    }

    /// Builds the record of a refusal.
    pub fn refusal_record(&self, call: &Call, rung: &Rung, refusal: &Refusal, at: Timestamp) -> CommandRecord {
        let reason = serde_json::to_string(refusal).unwrap_or_else(|_| refusal.as_str().to_owned());
        CommandRecord { error: format!("not run: {reason}"), ..self.bare_record(call, rung, at) }
    }

    /// Builds the record of a command that was ordered before we were stopped, and whose end nobody saw.
    pub fn interrupted_record(&self, order: &Order, host: &str, at: Timestamp) -> CommandRecord {
        let error = "interrupted: we were stopped after it was ordered; whether it ran, and how it ended, is not known";
        CommandRecord { status: RunStatus::Failed, error: error.to_owned(), ..self.record_of(order, host, at) }
    }

    fn bare_record(&self, call: &Call, rung: &Rung, at: Timestamp) -> CommandRecord {
        self.record_of(&order(call, rung, at), rung.remedy.host(), at)
    }

    /// The record of something that was ordered, as long as nothing came of it.
    fn record_of(&self, order: &Order, host: &str, at: Timestamp) -> CommandRecord {
        CommandRecord {
            timestamp: at.to_zoned(self.zone.clone()),
            time: at.to_zoned(self.zone.clone()),
            pair: order.pair.clone(),
            dc_host: host.to_owned(),
            command: (self.mask)(&order.command),
            output: String::new(),
            status: RunStatus::Skipped,
            run_id: order.run,
            incident_id: order.incident,
            attempt: order.attempt,
            rung: order.rung,
            exit_code: None,
            signal: None,
            duration_ms: 0,
            output_bytes: 0,
            output_sha256: String::new(),
            truncated: false,
            error: String::new(),
        }
    }

    fn split(&self, batch: Batch) -> (Vec<Write>, Vec<Notice>) {
        let Batch { pair, at, mut writes, state, notices } = batch;
        writes.extend(pair.zip(state).map(|(pair, state_json)| Write::PairState { pair, state_json, at }));
        for notice in &notices {
            for outlet in &self.outlets {
                writes.push(Write::NoticeQueued { notice: Box::new(notice.clone()), channel: outlet.channel.clone() });
            }
        }
        (writes, notices)
    }

    fn hand_over(&self, notices: Vec<Notice>) {
        for notice in notices {
            for outlet in &self.outlets {
                // A delivery that has ended leaves the notice in the outbox, for the next start.
                let _ = outlet.notices.send(notice.clone());
            }
        }
    }
}

/// What one decision about one pair, or about the agent itself, writes.
#[derive(Debug)]
pub struct Batch {
    pair: Option<PairName>,
    at: Timestamp,
    writes: Vec<Write>,
    state: Option<String>,
    notices: Vec<Notice>,
}

impl Batch {
    /// Starts an empty batch about a pair.
    pub fn new(pair: PairName, at: Timestamp) -> Self {
        Self { pair: Some(pair), ..Self::of_agent(at) }
    }

    /// Starts an empty batch about the agent itself.
    pub fn of_agent(at: Timestamp) -> Self {
        Self { pair: None, at, writes: Vec::new(), state: None, notices: Vec::new() }
    }

    /// True when nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.state.is_none() && self.notices.is_empty()
    }

    /// An incident was opened.
    pub fn opened(&mut self, outage: &Outage) {
        let Some(pair) = self.pair.clone() else { return };
        self.writes.push(Write::IncidentOpened {
            id: outage.incident,
            pair,
            at: outage.since,
            cause: outage.fault.cause,
            reason: outage.fault.reason.clone(),
        });
    }

    /// An incident was closed, by this run if it healed.
    pub fn closed(&mut self, id: IncidentId, healed_by: Option<RunId>) {
        let closing = healed_by.map_or(Closing::Recovered, |by| Closing::Healed { by });
        self.writes.push(Write::IncidentClosed { id, at: self.at, closing });
    }

    /// The pair is watched no more; people who were told that it is down are told so.
    pub fn retired(&mut self, outage: Option<&Outage>, environment: Option<Environment>) {
        if let Some(outage) = outage {
            let (id, at) = (outage.incident, self.at);
            self.writes.push(Write::IncidentClosed { id, at, closing: Closing::Retired });
            if outage.told {
                let down_for = Duration::try_from(at.duration_since(outage.since)).unwrap_or_default();
                self.tell(id, environment, News::Retired { down_for });
            }
        }
        self.writes.extend(self.pair.clone().map(|pair| Write::PairForgotten { pair }));
    }

    /// A command was permitted and will be sent once this is on disk.
    pub fn intended(&mut self, call: &Call, rung: &Rung) {
        let order = order(call, rung, self.at);
        self.writes.push(Write::RunIntended(order));
    }

    /// A command was refused.
    pub fn refused(&mut self, call: &Call, rung: &Rung, refusal: &Refusal) {
        let order = order(call, rung, self.at);
        self.writes.push(Write::RunRefused { order, refusal: refusal.clone() });
    }

    /// A command ended.
    pub fn ran(&mut self, call: &Call, done: &Done) {
        self.writes.push(Write::RunEnded(Box::new(Ended {
            run: call.run,
            at: self.at,
            status: Some(done.run.status),
            exit_code: done.run.exit_code,
            signal: done.run.signal.clone(),
            duration_ms: millis(done.run.duration),
            output_bytes: done.output.bytes,
            output_sha256: done.output.sha256_hex.clone(),
            truncated: done.output.truncated > 0,
            output: done.output.text.clone(),
            error: done.run.error.clone(),
        })));
    }

    /// A run's verdict is known.
    pub fn judged(&mut self, run: RunId, verdict: Verdict) {
        self.writes.push(Write::RunJudged { run, verdict, at: self.at });
    }

    /// People are to be told.
    pub fn tell(&mut self, incident: IncidentId, environment: Option<Environment>, news: News) {
        let id = NoticeId(Uuid::now_v7());
        self.notices.push(Notice { id, pair: self.pair.clone(), incident, at: self.at, environment, news });
    }

    /// These pairs are watched from now on.
    pub fn watched(&mut self, pairs: Vec<PairName>) {
        self.writes.push(Write::Watched { pairs, at: self.at });
    }

    /// What of the guard cannot be read back from recorded runs.
    pub fn memory(&mut self, memory: &Memory) {
        let value = serde_json::to_string(memory).unwrap_or_default();
        self.writes.push(Write::Setting { key: MEMORY.to_owned(), value });
    }

    /// What servers had reported.
    pub fn pushes(&mut self, value: String) {
        self.writes.push(Write::Setting { key: PUSHES.to_owned(), value });
    }

    /// Where the pair stands after this decision.
    pub fn state(&mut self, state: &State) {
        self.state = serde_json::to_string(state).ok();
    }
}

/// What is wanted of a host, as the store keeps it.
fn order(call: &Call, rung: &Rung, at: Timestamp) -> Order {
    Order {
        run: call.run,
        incident: call.incident,
        pair: call.pair.clone(),
        site: rung.site.clone(),
        command: rung.command.to_string(),
        rung: call.rung,
        attempt: call.attempt,
        at,
    }
}

/// Whole milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
