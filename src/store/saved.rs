//! What the agent reads back when it starts.

use std::fmt::Display;

use jiff::Timestamp;
use sqlx::{AnyPool, FromRow};
use uuid::Uuid;

use super::apply::time;
use super::{Order, Store, StoreError};
use crate::domain::name::{PairName, SiteName};
use crate::domain::notice::Notice;
use crate::domain::remedy::{IncidentId, RunId};

const UNFINISHED: &str = "SELECT id, incident, pair, site, command, rung, attempt, intended_at FROM runs \
    WHERE ended_at IS NULL AND refusal IS NULL AND verdict IS NULL ORDER BY intended_at, id";

/// No more than can be at work at once, by far.
const INTERRUPTED: &str = "SELECT id, incident, pair, site, command, rung, attempt, intended_at FROM runs \
    WHERE ended_at IS NULL AND verdict = 'interrupted' ORDER BY intended_at DESC, id LIMIT 1000";

/// Everything a start needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// The engine's own JSON of each pair, by name.
    pub states: Vec<(PairName, String)>,
    /// Runs that were intended and whose end is not known, oldest first.
    pub unfinished: Vec<Order>,
    /// The latest runs whose end was not known at an earlier start, and never will be.
    pub interrupted: Vec<Order>,
    /// Notices that still wait, in order of delivery.
    pub outbox: Vec<PendingNotice>,
    /// First messages of open incidents and of incidents with waiting notices.
    pub threads: Vec<Thread>,
    /// Old and new id of each chat that moved: channel, from, to.
    pub moves: Vec<(String, String, String)>,
    /// Named values.
    pub settings: Vec<(String, String)>,
    /// Rows that could not be understood, one sentence each; they stay where they are.
    pub unreadable: Vec<String>,
}

/// A notice that waits for one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingNotice {
    /// The notice.
    pub notice: Notice,
    /// The channel.
    pub channel: String,
    /// Tries so far.
    pub tries: u32,
    /// Not before this; none when it was never tried.
    pub next_at: Option<Timestamp>,
}

/// The first message of an incident in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The incident.
    pub incident: IncidentId,
    /// The channel.
    pub channel: String,
    /// The channel's own name of the message.
    pub message_ref: String,
}

impl Store {
    /// Reads what a start needs; a row that makes no sense is reported in [`Saved::unreadable`] and does not stop it.
    pub async fn load(&self) -> Result<Saved, StoreError> {
        self.within_limit(self.read_all()).await
    }

    async fn read_all(&self) -> Result<Saved, sqlx::Error> {
        let pool = &self.readers;
        let mut saved = Saved::default();
        let rows: Vec<(String, String)> = rows(pool, "SELECT pair, state FROM pair_states ORDER BY pair").await?;
        for (pair, state) in rows {
            let read = pair.parse().map(|name| (name, state));
            keep(&mut saved.states, &mut saved.unreadable, "state", &pair, read);
        }
        for (into, sql) in [(&mut saved.unfinished, UNFINISHED), (&mut saved.interrupted, INTERRUPTED)] {
            for row in self::rows::<OrderRow>(pool, sql).await? {
                let id = row.id.clone();
                keep(into, &mut saved.unreadable, "run", &id, row.read());
            }
        }
        let rows: Vec<(String, String, String, i64, Option<i64>)> = self::rows(
            pool,
            "SELECT id, channel, notice, tries, next_at FROM outbox WHERE stage = 'waiting' ORDER BY id, channel",
        )
        .await?;
        for (id, channel, notice, tries, next_at) in rows {
            let tries = u32::try_from(tries).unwrap_or_default();
            let read = serde_json::from_str(&notice);
            let read = read.map(|notice| PendingNotice { notice, channel, tries, next_at: next_at.map(time) });
            keep(&mut saved.outbox, &mut saved.unreadable, "notice", &id, read);
        }
        let rows: Vec<(String, String, String)> = self::rows(
            pool,
            "SELECT incident, channel, message_ref FROM threads \
             WHERE incident IN (SELECT id FROM incidents WHERE closed_at IS NULL) \
             OR incident IN (SELECT incident FROM outbox WHERE stage = 'waiting') ORDER BY incident, channel",
        )
        .await?;
        for (incident, channel, message_ref) in rows {
            let read = Uuid::parse_str(&incident).map(|id| Thread { incident: IncidentId(id), channel, message_ref });
            keep(&mut saved.threads, &mut saved.unreadable, "thread", &incident, read);
        }
        saved.moves =
            self::rows(pool, "SELECT channel, old_ref, new_ref FROM channel_moves ORDER BY channel, old_ref").await?;
        saved.settings = self::rows(pool, "SELECT key, value FROM settings ORDER BY key").await?;
        Ok(saved)
    }

    /// Gives one named value.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1").bind(key.to_owned());
        self.within_limit(query.fetch_optional(&self.readers)).await
    }
}

async fn rows<T>(pool: &AnyPool, sql: &'static str) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, sqlx::any::AnyRow> + Send + Unpin,
{
    sqlx::query_as(sql).fetch_all(pool).await
}

fn keep<T, E: Display>(into: &mut Vec<T>, unreadable: &mut Vec<String>, what: &str, name: &str, read: Result<T, E>) {
    match read {
        Ok(value) => into.push(value),
        Err(error) => {
            let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            unreadable.push(format!("the saved {what} {name} cannot be read and is ignored: {error}"));
        }
    }
}

#[derive(FromRow)]
struct OrderRow {
    id: String,
    incident: Option<String>,
    pair: String,
    site: String,
    command: String,
    rung: i64,
    attempt: i64,
    intended_at: i64,
}

impl OrderRow {
    fn read(self) -> Result<Order, String> {
        let id = |text: &str| Uuid::parse_str(text).map_err(|error| error.to_string());
        Ok(Order {
            run: RunId(id(&self.id)?),
            incident: self.incident.as_deref().map(id).transpose()?.map(IncidentId),
            pair: self.pair.parse().map_err(|error: crate::domain::name::BadName| error.to_string())?,
            site: SiteName::new(&self.site).map_err(|error| error.to_string())?,
            command: self.command,
            rung: u32::try_from(self.rung).unwrap_or_default(),
            attempt: u32::try_from(self.attempt).unwrap_or_default(),
            at: time(self.intended_at),
        })
    }
}
