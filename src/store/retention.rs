//! Keeps the database from growing without bound.

use jiff::{SignedDuration, Timestamp};

use super::{Kind, Store, StoreError};

/// Finished incidents and runs are kept this long; open ones, and the audit, are kept for ever.
pub const KEPT_DAYS: i64 = 365;

/// Rows removed at once: the writer is free for the recorder in between.
const STEP: u64 = 1000;
/// A delivered notice is kept this long, for questions like "was I told?".
const DELIVERED_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// How many rows were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Incidents.
    pub incidents: u64,
    /// Runs and refusals.
    pub runs: u64,
    /// Notices.
    pub notices: u64,
}

impl Store {
    /// Removes closed incidents, runs that are over and dead notices older than `before`, and delivered notices older than a
    /// day; what is open, unfinished or waiting stays whatever its age. `SQLite` reuses the freed pages: the file stops
    /// growing and does not shrink.
    pub async fn prune(&self, before: Timestamp, now: Timestamp) -> Result<Pruned, StoreError> {
        let day_ago = now.checked_sub(DELIVERED_KEPT).unwrap_or(before).as_millisecond();
        let before = before.as_millisecond();
        let runs = self
            .remove(
                "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE intended_at < $1 \
                 AND (ended_at IS NOT NULL OR refusal IS NOT NULL OR verdict IS NOT NULL) \
                 AND (incident IS NULL OR incident NOT IN (SELECT id FROM incidents WHERE closed_at IS NULL)) LIMIT $2)",
                before,
            )
            .await?;
        let incidents = self
            .remove(
                "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE closed_at < $1 LIMIT $2)",
                before,
            )
            .await?;
        let done = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE stage = 'delivered' AND done_at < $1 LIMIT $2) \
                    AND stage = 'delivered'";
        let delivered = self.remove(done, day_ago).await?;
        let dead = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE stage = 'dead' AND done_at < $1 LIMIT $2) \
                    AND stage = 'dead'";
        let dead = self.remove(dead, before).await?;
        let threads = "DELETE FROM threads WHERE incident IN (SELECT incident FROM threads \
                       WHERE $1 IS NOT NULL AND incident NOT IN (SELECT id FROM incidents) \
                       AND incident NOT IN (SELECT incident FROM outbox WHERE stage = 'waiting') LIMIT $2)";
        self.remove(threads, before).await?;
        Ok(Pruned { incidents, runs, notices: delivered + dead })
    }

    /// Size of the database in bytes, without `SQLite`'s log beside it.
    pub async fn bytes(&self) -> Result<i64, StoreError> {
        let sql = match *self.kind {
            Kind::Sqlite { .. } => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            Kind::Postgres => "SELECT pg_database_size(current_database())",
        };
        self.within_limit(sqlx::query_scalar(sql).fetch_one(&self.readers)).await
    }

    async fn remove(&self, sql: &'static str, before: i64) -> Result<u64, StoreError> {
        let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
        let mut removed = 0;
        loop {
            let rows = self
                .within_limit(async {
                    let (mut place, mut connection) = self.writer.lend().await?;
                    let done = sqlx::query(sql).bind(before).bind(limit).execute(&mut connection).await?;
                    *place = Some(connection);
                    Ok(done.rows_affected())
                })
                .await?;
            removed += rows;
            if rows < STEP {
                return Ok(removed);
            }
        }
    }
}
