//! Turns facts into SQL. Every statement may be repeated: inserts keep what is there, updates set the same values again.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use jiff::Timestamp;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use super::write::{Closing, Ended, Order, Write};
use crate::domain::name::PairName;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{RunId, Verdict};

/// Rows of one multi-row insert: 3 × 200 parameters are below SQLite's oldest limit of 999.
const ROWS: usize = 200;

type Statement = Query<'static, Any, AnyArguments>;

pub(super) async fn apply(connection: &mut AnyConnection, writes: &[&Write]) -> Result<(), sqlx::Error> {
    // Neighbouring states go into one statement: a restart or an outage leaves thousands of them in a row.
    let same = |a: &&Write, b: &&Write| matches!((a, b), (Write::PairState { .. }, Write::PairState { .. }));
    for group in writes.chunk_by(same) {
        match group {
            [Write::PairState { .. }, ..] => states(connection, group).await?,
            [Write::Watched { pairs, at }] => watched(connection, pairs, *at).await?,
            _ => {
                for write in group {
                    if let Some(statement) = statement(write)? {
                        statement.execute(&mut *connection).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

async fn states(connection: &mut AnyConnection, group: &[&Write]) -> Result<(), sqlx::Error> {
    // PostgreSQL refuses to touch a row twice in one statement, so only the latest state of a pair stays.
    let mut latest = HashMap::with_capacity(group.len());
    for write in group {
        if let Write::PairState { pair, state_json, at } = write {
            latest.insert(pair, (state_json, at));
        }
    }
    let rows: Vec<_> = latest.into_iter().collect();
    for chunk in rows.chunks(ROWS) {
        let mut sql = String::from("INSERT INTO pair_states (pair, state, at) VALUES ");
        for row in 0..chunk.len() {
            let comma = if row == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}(${}, ${}, ${})", row * 3 + 1, row * 3 + 2, row * 3 + 3);
        }
        sql.push_str(" ON CONFLICT (pair) DO UPDATE SET state = excluded.state, at = excluded.at");
        let mut query = sqlx::query::<Any>(AssertSqlSafe(sql));
        for (pair, (state, at)) in chunk {
            query = query.bind(pair.to_string()).bind(text(state)).bind(at.as_millisecond());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn watched(connection: &mut AnyConnection, pairs: &[PairName], at: Timestamp) -> Result<(), sqlx::Error> {
    let distinct: BTreeSet<&PairName> = pairs.iter().collect();
    for chunk in distinct.into_iter().collect::<Vec<_>>().chunks(ROWS) {
        let mut sql = String::from("INSERT INTO watched (pair, since, seen_at) VALUES ");
        for row in 0..chunk.len() {
            let comma = if row == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}(${}, ${}, ${})", row * 3 + 1, row * 3 + 2, row * 3 + 3);
        }
        sql.push_str(" ON CONFLICT (pair) DO UPDATE SET seen_at = excluded.seen_at");
        let mut query = sqlx::query::<Any>(AssertSqlSafe(sql));
        for pair in chunk {
            query = query.bind(pair.to_string()).bind(at.as_millisecond()).bind(at.as_millisecond());
        }
        query.execute(&mut *connection).await?;
    }
    // The pairs of this very moment are those that were just found.
    let gone = sqlx::query::<Any>("DELETE FROM watched WHERE seen_at <> $1").bind(at.as_millisecond());
    gone.execute(&mut *connection).await?;
    Ok(())
}

fn statement(write: &Write) -> Result<Option<Statement>, sqlx::Error> {
    Ok(Some(match write {
        Write::IncidentOpened { id, pair, at, cause, reason } => sqlx::query(
            "INSERT INTO incidents (id, pair, opened_at, cause, reason) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(id.to_string())
        .bind(pair.to_string())
        .bind(at.as_millisecond())
        .bind(cause.as_str().to_owned())
        .bind(text(reason)),
        Write::IncidentClosed { id, at, closing } => {
            let by = match closing {
                Closing::Healed { by } => Some(by.to_string()),
                Closing::Recovered | Closing::Retired => None,
            };
            sqlx::query("UPDATE incidents SET closed_at = $2, verdict = $3, healed_by = $4 WHERE id = $1")
                .bind(id.to_string())
                .bind(at.as_millisecond())
                .bind(closing.as_str().to_owned())
                .bind(by)
        }
        Write::RunIntended(order) => ordered(order, None)?,
        Write::RunRefused { order, refusal } => ordered(order, Some(refusal))?,
        Write::RunEnded(ended) => run_ended(ended),
        Write::RunJudged { run, verdict, at } => judged(*run, verdict, *at)?,
        // Written by `states` and `watched`.
        Write::PairState { .. } | Write::Watched { .. } => return Ok(None),
        Write::PairForgotten { pair } => sqlx::query("DELETE FROM pair_states WHERE pair = $1").bind(pair.to_string()),
        Write::NoticeQueued { notice, channel } => sqlx::query(
            "INSERT INTO outbox (id, channel, pair, incident, queued_at, notice, stage, tries) \
             VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0) ON CONFLICT DO NOTHING",
        )
        .bind(notice.id.to_string())
        .bind(text(channel))
        .bind(notice.pair.as_ref().map(ToString::to_string).unwrap_or_default())
        .bind(notice.incident.to_string())
        .bind(notice.at.as_millisecond())
        .bind(json(notice)?),
        Write::NoticeDelivered { id, channel, at, message_ref } => sqlx::query(
            "UPDATE outbox SET stage = 'delivered', done_at = $3, message_ref = $4, next_at = NULL WHERE id = $1 AND channel = $2",
        )
        .bind(id.to_string())
        .bind(text(channel))
        .bind(at.as_millisecond())
        .bind(message_ref.as_deref().map(text)),
        Write::NoticeDead { id, channel, at, why } => {
            sqlx::query("UPDATE outbox SET stage = 'dead', done_at = $3, why = $4, next_at = NULL WHERE id = $1 AND channel = $2")
                .bind(id.to_string())
                .bind(text(channel))
                .bind(at.as_millisecond())
                .bind(text(why))
        }
        Write::NoticeRetry { id, channel, tries, next_at, why } => sqlx::query(
            "UPDATE outbox SET tries = $3, next_at = $4, why = $5 WHERE id = $1 AND channel = $2 AND stage = 'waiting'",
        )
        .bind(id.to_string())
        .bind(text(channel))
        .bind(i64::from(*tries))
        .bind(next_at.as_millisecond())
        .bind(text(why)),
        Write::Thread { incident, channel, message_ref } => sqlx::query(
            "INSERT INTO threads (incident, channel, message_ref) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(incident.to_string())
        .bind(text(channel))
        .bind(text(message_ref)),
        Write::ChannelMoved { channel, from, to } => sqlx::query(
            "INSERT INTO channel_moves (channel, old_ref, new_ref) VALUES ($1, $2, $3) \
             ON CONFLICT (channel, old_ref) DO UPDATE SET new_ref = excluded.new_ref",
        )
        .bind(text(channel))
        .bind(text(from))
        .bind(text(to)),
        Write::Setting { key, value } => sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(text(key))
        .bind(text(value)),
    }))
}

/// One that had to wait for its host is ordered again when its turn comes: that moment counts.
fn ordered(order: &Order, refusal: Option<&Refusal>) -> Result<Statement, sqlx::Error> {
    let verdict = refusal.map(|_| "skipped".to_owned());
    Ok(sqlx::query(
        "INSERT INTO runs (id, incident, pair, site, command, rung, attempt, intended_at, refusal, status, verdict) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO UPDATE \
         SET intended_at = excluded.intended_at WHERE runs.ended_at IS NULL AND runs.intended_at < excluded.intended_at",
    )
    .bind(order.run.to_string())
    .bind(order.incident.map(|id| id.to_string()))
    .bind(order.pair.to_string())
    .bind(order.site.to_string())
    .bind(text(&order.command))
    .bind(i64::from(order.rung))
    .bind(i64::from(order.attempt))
    .bind(order.at.as_millisecond())
    .bind(refusal.map(json).transpose()?)
    .bind(verdict.clone())
    .bind(verdict))
}

/// A run that was permitted and never sent reads like one that was refused at once: `skipped`, and why.
fn judged(run: RunId, verdict: &Verdict, at: Timestamp) -> Result<Statement, sqlx::Error> {
    let (sql, refusal) = match verdict {
        Verdict::Skipped(refusal) => (
            "UPDATE runs SET verdict = $2, judged_at = $3, refusal = $4, status = COALESCE(status, 'skipped') WHERE id = $1",
            Some(json(refusal)?),
        ),
        _ => ("UPDATE runs SET verdict = $2, judged_at = $3 WHERE id = $1", None),
    };
    let query = sqlx::query(sql).bind(run.to_string()).bind(verdict.as_str().to_owned()).bind(at.as_millisecond());
    Ok(match refusal {
        Some(refusal) => query.bind(refusal),
        None => query,
    })
}

fn run_ended(ended: &Ended) -> Statement {
    sqlx::query(
        "UPDATE runs SET ended_at = $2, status = $3, exit_code = $4, signal = $5, duration_ms = $6, output_bytes = $7, \
         output_sha256 = $8, truncated = $9, output = $10, error = $11 WHERE id = $1",
    )
    .bind(ended.run.to_string())
    .bind(ended.at.as_millisecond())
    .bind(ended.status.map(|status| status.as_str().to_owned()))
    .bind(ended.exit_code.map(i64::from))
    .bind(ended.signal.as_deref().map(text))
    .bind(i64::try_from(ended.duration_ms).unwrap_or(i64::MAX))
    .bind(i64::try_from(ended.output_bytes).unwrap_or(i64::MAX))
    .bind(text(&ended.output_sha256))
    .bind(i64::from(ended.truncated))
    .bind(text(&ended.output))
    .bind(text(&ended.error))
}

/// PostgreSQL refuses NUL inside TEXT and SQLite's own tools stop reading at it.
fn text(raw: &str) -> String {
    raw.replace('\0', "\u{fffd}")
}

fn json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

impl Closing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healed { .. } => "healed",
            Self::Recovered => "recovered",
            Self::Retired => "retired",
        }
    }
}

/// Reads epoch milliseconds back; a value outside jiff's years becomes the epoch rather than an error at start.
pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
