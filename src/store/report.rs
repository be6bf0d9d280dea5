//! Reads what the healing report and the records of commands are made of. The arithmetic lives in `domain::report` and
//! `domain::record`; rows are handed over one by one, so that a year of history never lies in memory.

use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use sqlx::{Any, AnyPool, AssertSqlSafe, FromRow};

use super::apply::time;
use super::{Store, StoreError};
use crate::domain::name::PairName;
use crate::domain::record::Records;
use crate::domain::report::{Action, Draft, Ending, Incident, Outcome, Report};

/// Rows of one kind that one report reads, at most: some seconds of work.
pub const MOST_READ: u32 = 300_000;

/// Runs that a start reads for the records of commands, at most: it waits for them.
const MOST_RECALLED: u32 = 100_000;

/// What a report is about.
#[derive(Debug, Clone)]
pub struct Period {
    /// Its begin.
    pub since: Timestamp,
    /// Its end, usually now.
    pub until: Timestamp,
    /// This pair only.
    pub pair: Option<PairName>,
}

impl Store {
    /// Draws the healing report of a period. Rows whose pair is no name are left out.
    pub async fn report(&self, period: &Period) -> Result<Report, StoreError> {
        self.draw(period, MOST_READ).await
    }

    async fn draw(&self, period: &Period, most: u32) -> Result<Report, StoreError> {
        self.within_limit(async {
            let mut draft = Draft::new(period.since, period.until);
            watched(&self.readers, period, &mut draft).await?;
            let incidents = incidents(&self.readers, period, most, &mut draft).await?;
            let actions = actions(&self.readers, period, most, &mut draft).await?;
            Ok(draft.finish(incidents > most || actions > most))
        })
        .await
    }

    /// Recalls what every command has achieved for its pair since a moment; of a very long history the newest part.
    pub async fn records(&self, since: Timestamp) -> Result<Records, StoreError> {
        const RUNS: &str = "SELECT pair, command, rung, incident, refusal, verdict, ended_at, duration_ms, judged_at FROM runs \
                            WHERE intended_at >= $1 AND rung > 0 AND verdict IN ('healed', 'ran_but_down', 'failed') \
                            ORDER BY intended_at DESC, id DESC LIMIT $2";
        self.within_limit(async {
            let query = sqlx::query_as::<Any, ActionRow>(RUNS);
            let mut rows = query.bind(since.as_millisecond()).bind(i64::from(MOST_RECALLED)).fetch(&self.readers);
            let mut records = Records::default();
            while let Some(row) = rows.try_next().await? {
                let Some(Action { pair, command, outcome, took, .. }) = row.read() else { continue };
                match outcome {
                    // One whose times were lost would be neither.
                    Outcome::Healed if took.is_some() => records.recall(&pair, &command, took),
                    Outcome::RanButDown | Outcome::Failed => records.recall(&pair, &command, None),
                    Outcome::Healed
                    | Outcome::CouldNotRun
                    | Outcome::Interrupted
                    | Outcome::Refused(_)
                    | Outcome::NotNeeded
                    | Outcome::UnderWay => {}
                }
            }
            Ok(records)
        })
        .await
    }
}

/// `$1` and `$2` are the period, `$3` the limit, `$4` the pair where one is asked for.
fn of_pair(sql: &str, period: &Period, order: &str) -> AssertSqlSafe<String> {
    // Only our own words are joined here; what comes from outside is bound.
    let pair = if period.pair.is_some() { "AND pair = $4" } else { "" };
    AssertSqlSafe(format!("{sql} {pair} ORDER BY {order}, id LIMIT $3"))
}

async fn watched(readers: &AnyPool, period: &Period, draft: &mut Draft) -> Result<(), sqlx::Error> {
    let mut rows = sqlx::query_as::<Any, (String, i64)>("SELECT pair, since FROM watched").fetch(readers);
    while let Some((pair, since)) = rows.try_next().await? {
        let pair = pair.parse().ok().filter(|pair| period.pair.as_ref().is_none_or(|wanted| wanted == pair));
        if let Some(pair) = pair {
            draft.watched(pair, time(since));
        }
    }
    Ok(())
}

/// Gives how many rows there were; one more than `most` when some were left.
async fn incidents(readers: &AnyPool, period: &Period, most: u32, draft: &mut Draft) -> Result<u32, sqlx::Error> {
    let sql = of_pair(
        "SELECT pair, opened_at, closed_at, verdict FROM incidents \
         WHERE opened_at < $2 AND (closed_at IS NULL OR closed_at > $1 OR opened_at >= $1)",
        period,
        "opened_at",
    );
    each::<IncidentRow>(readers, sql, period, most, |row| row.read().into_iter().for_each(|i| draft.incident(&i))).await
}

/// Rung 0 is what is run once a pair is up again: it heals nothing, so it is not asked whether it helps.
async fn actions(readers: &AnyPool, period: &Period, most: u32, draft: &mut Draft) -> Result<u32, sqlx::Error> {
    let sql = of_pair(
        "SELECT pair, command, rung, incident, refusal, verdict, ended_at, duration_ms, judged_at FROM runs \
         WHERE intended_at >= $1 AND intended_at < $2 AND rung > 0",
        period,
        "intended_at",
    );
    each::<ActionRow>(readers, sql, period, most, |row| row.read().into_iter().for_each(|a| draft.action(a))).await
}

async fn each<T>(
    readers: &AnyPool,
    sql: AssertSqlSafe<String>,
    period: &Period,
    most: u32,
    mut take: impl FnMut(T),
) -> Result<u32, sqlx::Error>
where
    T: for<'r> FromRow<'r, sqlx::any::AnyRow> + Send + Unpin,
{
    let mut query = sqlx::query_as::<Any, T>(sql)
        .bind(period.since.as_millisecond())
        .bind(period.until.as_millisecond())
        .bind(i64::from(most) + 1);
    if let Some(pair) = &period.pair {
        query = query.bind(pair.to_string());
    }
    let mut rows = query.fetch(readers).enumerate();
    let mut read = 0;
    while let Some((place, row)) = rows.next().await {
        read = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let row = row?;
        if read <= most {
            take(row);
        }
    }
    Ok(read)
}

#[derive(FromRow)]
struct IncidentRow {
    pair: String,
    opened_at: i64,
    closed_at: Option<i64>,
    verdict: Option<String>,
}

impl IncidentRow {
    fn read(self) -> Option<Incident> {
        let ending = match self.verdict.as_deref() {
            Some("healed") => Ending::Healed,
            Some("retired") => Ending::Retired,
            _ => Ending::Recovered,
        };
        let closed = self.closed_at.map(|at| (time(at), ending));
        Some(Incident { pair: self.pair.parse().ok()?, opened_at: time(self.opened_at), closed })
    }
}

#[derive(FromRow)]
struct ActionRow {
    pair: String,
    command: String,
    rung: i64,
    incident: Option<String>,
    refusal: Option<String>,
    verdict: Option<String>,
    ended_at: Option<i64>,
    duration_ms: Option<i64>,
    judged_at: Option<i64>,
}

impl ActionRow {
    fn read(self) -> Option<Action> {
        let (outcome, took) = (self.outcome(), self.took());
        let rung = u32::try_from(self.rung).unwrap_or_default();
        Some(Action { pair: self.pair.parse().ok()?, command: self.command, rung, outcome, took })
    }

    fn outcome(&self) -> Outcome {
        if let Some(refusal) = &self.refusal {
            return Outcome::Refused(word(refusal));
        }
        match (self.verdict.as_deref(), &self.incident) {
            (Some("healed"), _) => Outcome::Healed,
            (Some("could_not_run"), _) => Outcome::CouldNotRun,
            (Some("interrupted"), _) => Outcome::Interrupted,
            // A version before this one left no reason.
            (Some("skipped"), _) => Outcome::Refused("unknown".to_owned()),
            (Some("ran_but_down"), Some(_)) => Outcome::RanButDown,
            (Some("failed"), Some(_)) => Outcome::Failed,
            (Some("ran_but_down" | "failed"), None) => Outcome::NotNeeded,
            // Nothing is judged where nothing was down and the command succeeded.
            (_, None) if self.ended_at.is_some() => Outcome::NotNeeded,
            _ => Outcome::UnderWay,
        }
    }

    /// The command's own time, and from its end to the verdict; waiting for the host's turn is not in it.
    fn took(&self) -> Option<std::time::Duration> {
        let (ran, ended, judged) = (self.duration_ms?, self.ended_at?, self.judged_at?);
        let millis = ran.saturating_add(judged.saturating_sub(ended).max(0));
        u64::try_from(millis).ok().map(std::time::Duration::from_millis)
    }
}

/// The word of a refusal, which is written alone or with its particulars.
fn word(refusal: &str) -> String {
    let read: Option<serde_json::Value> = serde_json::from_str(refusal).ok();
    let word = read.as_ref().and_then(|value| {
        value.as_str().or_else(|| value.as_object().and_then(|fields| fields.keys().next()).map(String::as_str))
    });
    word.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reading::Cause;
    use crate::domain::remedy::IncidentId;
    use crate::store::Write;

    #[test]
    fn the_word_of_a_refusal_is_found_with_its_particulars_and_without() {
        for (written, expected) in [
            (r#""dry_run""#, "dry_run"),
            (r#"{"storm":{"down":3,"of":4}}"#, "storm"),
            ("not JSON", "unknown"),
            ("[1]", "unknown"),
        ] {
            assert_eq!(word(written), expected);
        }
    }

    #[tokio::test]
    async fn more_rows_than_are_read_at_once_make_the_report_incomplete_and_no_fewer() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/a.db", folder.path().display())).await.unwrap();
        let opened = |n: u32| Write::IncidentOpened {
            id: IncidentId(uuid::Uuid::from_u128(u128::from(n))),
            pair: "DC3-SRV4".parse().unwrap(),
            at: Timestamp::from_second(i64::from(n)).unwrap(),
            cause: Cause::Refused,
            reason: String::new(),
        };
        store.commit(&[opened(1), opened(2), opened(3)]).await.unwrap();
        let until = Timestamp::from_second(10).unwrap();
        let period = Period { since: Timestamp::UNIX_EPOCH, until, pair: None };
        for (most, incidents, incomplete) in [(2, 2, true), (3, 3, false)] {
            let report = store.draw(&period, most).await.unwrap();
            assert_eq!((report.pairs[0].incidents, report.incomplete), (incidents, incomplete));
        }
    }
}
