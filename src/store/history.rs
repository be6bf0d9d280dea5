//! Questions about the past: for the command line, the API and the per-pair budget after a restart.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, FromRow, Row};

use super::apply::time;
use super::{Store, StoreError};
use crate::domain::name::PairName;

/// Rows of one answer, at most.
pub const MOST: u32 = 1000;

/// Which rows are wanted, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Of this pair only.
    pub pair: Option<PairName>,
    /// Open incidents, or runs whose end is not known, only.
    pub open_only: bool,
    /// At most this many; none or more than [`MOST`] counts as [`MOST`].
    pub limit: Option<u32>,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// Whose.
    pub pair: String,
    /// When it began.
    pub opened_at: Timestamp,
    /// Class of the fault, the word of `domain::reading::Cause`.
    pub cause: String,
    /// The fault in words.
    pub reason: String,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// `healed` or `recovered`, once it ended.
    pub verdict: Option<String>,
    /// The run that healed it.
    pub healed_by: Option<String>,
}

/// One run of a remedy, or one refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: String,
    /// The incident it served.
    pub incident: Option<String>,
    /// Whose.
    pub pair: String,
    /// Where it ran.
    pub site: String,
    /// The command's text.
    pub command: String,
    /// Rung of the ladder, from 1.
    pub rung: i64,
    /// k of the incident, from 1.
    pub attempt: i64,
    /// When it was ordered.
    pub intended_at: Timestamp,
    /// Why it was not permitted, as `domain::refusal::Refusal` is written.
    pub refusal: Option<serde_json::Value>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The word of `domain::remedy::RunStatus`.
    pub status: Option<String>,
    /// The word of `domain::remedy::Verdict`.
    pub verdict: Option<String>,
    /// The exit code, where there was one.
    pub exit_code: Option<i64>,
    /// The signal's name, where one ended it.
    pub signal: Option<String>,
    /// Wall time from the order to the end.
    pub duration_ms: Option<i64>,
    /// Bytes of all its output.
    pub output_bytes: Option<i64>,
    /// SHA-256 of all its output.
    pub output_sha256: Option<String>,
    /// True when the kept output is not all of it.
    pub truncated: bool,
    /// Head and tail of its output.
    pub output: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Incidents.
    pub incidents: i64,
    /// Incidents that are not over.
    pub open_incidents: i64,
    /// Runs and refusals.
    pub runs: i64,
    /// Notices that wait.
    pub waiting_notices: i64,
    /// Notices that no channel will take.
    pub dead_notices: i64,
    /// Size of the database.
    pub bytes: i64,
}

impl Store {
    /// Lists incidents, newest first.
    pub async fn incidents(&self, filter: &Filter) -> Result<Vec<Incident>, StoreError> {
        const COLUMNS: &str = "SELECT id, pair, opened_at, cause, reason, closed_at, verdict, healed_by FROM incidents";
        self.ask(COLUMNS, "opened_at", "closed_at IS NULL", filter).await
    }

    /// Lists runs and refusals, newest first.
    pub async fn actions(&self, filter: &Filter) -> Result<Vec<Action>, StoreError> {
        self.ask(
            "SELECT * FROM runs",
            "intended_at",
            "ended_at IS NULL AND refusal IS NULL AND verdict IS NULL",
            filter,
        )
        .await
    }

    /// Gives the starts of runs since a moment, of one pair or of all, oldest first: what budgets are counted from. A run
    /// that was refused, or permitted and never sent, is not among them; names that are no pairs are left out.
    pub async fn last_runs(
        &self,
        pair: Option<&PairName>,
        since: Timestamp,
    ) -> Result<Vec<(PairName, Timestamp)>, StoreError> {
        let of_pair = if pair.is_some() { "AND pair = $2" } else { "" };
        let sql = format!(
            "SELECT pair, intended_at FROM runs WHERE intended_at >= $1 AND refusal IS NULL \
             AND (verdict IS NULL OR verdict <> 'skipped') \
             AND (rung > 0 OR incident IS NOT NULL) {of_pair} ORDER BY intended_at, id"
        );
        let mut query = sqlx::query_as::<Any, (String, i64)>(AssertSqlSafe(sql)).bind(since.as_millisecond());
        if let Some(pair) = pair {
            query = query.bind(pair.to_string());
        }
        let rows = self.within_limit(query.fetch_all(&self.readers)).await?;
        Ok(rows.into_iter().filter_map(|(pair, at)| Some((pair.parse().ok()?, time(at)))).collect())
    }

    /// Gives when pairs went down and came up since a moment, oldest first: what flapping is counted from.
    pub async fn last_changes(&self, since: Timestamp) -> Result<Vec<(PairName, Timestamp)>, StoreError> {
        let since = since.as_millisecond();
        let sql = "SELECT pair, opened_at FROM incidents WHERE opened_at >= $1 UNION ALL \
                   SELECT pair, closed_at FROM incidents WHERE closed_at >= $2 ORDER BY 2";
        let query = sqlx::query_as::<Any, (String, i64)>(sql).bind(since).bind(since);
        let rows = self.within_limit(query.fetch_all(&self.readers)).await?;
        Ok(rows.into_iter().filter_map(|(pair, at)| Some((pair.parse().ok()?, time(at)))).collect())
    }

    /// Counts what is kept.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let bytes = self.bytes().await?;
        let sql = "SELECT (SELECT COUNT(*) FROM incidents), (SELECT COUNT(*) FROM incidents WHERE closed_at IS NULL), \
                   (SELECT COUNT(*) FROM runs), (SELECT COUNT(*) FROM outbox WHERE stage = 'waiting'), \
                   (SELECT COUNT(*) FROM outbox WHERE stage = 'dead')";
        let row = sqlx::query_as::<Any, (i64, i64, i64, i64, i64)>(sql).fetch_one(&self.readers);
        let (incidents, open_incidents, runs, waiting_notices, dead_notices) = self.within_limit(row).await?;
        Ok(Counts { incidents, open_incidents, runs, waiting_notices, dead_notices, bytes })
    }

    async fn ask<T>(&self, columns: &str, time: &str, open: &str, filter: &Filter) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        // Only our own words are joined here; what comes from outside is bound.
        let pair = if filter.pair.is_some() { "AND pair = $3" } else { "" };
        let open = if filter.open_only { format!("AND {open}") } else { String::new() };
        let sql = format!("{columns} WHERE {time} >= $1 {pair} {open} ORDER BY {time} DESC, id DESC LIMIT $2");
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millisecond);
        let limit = filter.limit.unwrap_or(MOST).min(MOST);
        let mut query = sqlx::query_as::<Any, T>(AssertSqlSafe(sql)).bind(since).bind(i64::from(limit));
        if let Some(pair) = &filter.pair {
            query = query.bind(pair.to_string());
        }
        self.within_limit(query.fetch_all(&self.readers)).await
    }
}

impl<'r> FromRow<'r, AnyRow> for Incident {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            pair: row.try_get("pair")?,
            opened_at: time(row.try_get("opened_at")?),
            cause: row.try_get("cause")?,
            reason: row.try_get("reason")?,
            closed_at: row.try_get::<Option<i64>, _>("closed_at")?.map(time),
            verdict: row.try_get("verdict")?,
            healed_by: row.try_get("healed_by")?,
        })
    }
}

impl<'r> FromRow<'r, AnyRow> for Action {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        let refusal: Option<String> = row.try_get("refusal")?;
        Ok(Self {
            id: row.try_get("id")?,
            incident: row.try_get("incident")?,
            pair: row.try_get("pair")?,
            site: row.try_get("site")?,
            command: row.try_get("command")?,
            rung: row.try_get("rung")?,
            attempt: row.try_get("attempt")?,
            intended_at: time(row.try_get("intended_at")?),
            refusal: refusal.map(|text| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))),
            ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(time),
            status: row.try_get("status")?,
            verdict: row.try_get("verdict")?,
            exit_code: row.try_get("exit_code")?,
            signal: row.try_get("signal")?,
            duration_ms: row.try_get("duration_ms")?,
            output_bytes: row.try_get("output_bytes")?,
            output_sha256: row.try_get("output_sha256")?,
            truncated: row.try_get::<Option<i64>, _>("truncated")?.is_some_and(|flag| flag != 0),
            output: row.try_get("output")?,
            error: row.try_get("error")?,
        })
    }
}
