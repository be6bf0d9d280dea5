//! How each pair fared in a period, and whether its commands help. The arithmetic lives in `domain::report`.

use axum::Json;
use axum::extract::{Query, State as Given};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::history::{moment, pair};
use crate::domain::report::Report;
use crate::engine::clock::Clock;
use crate::store::KEPT_DAYS;
use crate::store::report::Period;
use crate::web::{Problem, State};

/// A week: long enough to see whether a command helps, short enough to be about now.
pub const USUAL: &str = "7d";

/// Which period is wanted, as people write it in a URL.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// A time ago (`7d`), a day (`2026-01-31`, UTC) or a moment; a week when absent.
    since: Option<String>,
    /// Of this pair only, `DC3-SRV4`.
    pair: Option<String>,
}

impl Wanted {
    /// The period from then to now, no longer than what is kept.
    fn period(self, now: Timestamp) -> Result<Period, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let since = self.since.filter(|text| !text.trim().is_empty());
        let since = moment(since.as_deref().unwrap_or(USUAL), now).map_err(bad)?;
        if since >= now {
            return Err(bad(
                "`since` lies ahead of now, so there is nothing to report; give an earlier time".to_owned()
            ));
        }
        let kept = now.checked_sub(SignedDuration::from_hours(24 * KEPT_DAYS)).unwrap_or(Timestamp::MIN);
        Ok(Period { since: since.max(kept), until: now, pair: pair(self.pair)? })
    }
}

/// Draws the report.
pub async fn report(Given(state): Given<State>, Query(wanted): Query<Wanted>) -> Result<Json<Report>, Problem> {
    Ok(Json(state.store.report(&wanted.period(Clock::System.now())?).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_week_unless_told_and_never_longer_than_what_is_kept() {
        let now: Timestamp = "2026-02-08T12:00:00Z".parse().unwrap();
        let period =
            |since: &str, pair: &str| Wanted { since: Some(since.to_owned()), pair: Some(pair.to_owned()) }.period(now);
        for (since, expected) in
            [("", "2026-02-01T12:00:00Z"), ("2026-02-08", "2026-02-08T00:00:00Z"), ("3000d", "2025-02-08T12:00:00Z")]
        {
            assert_eq!(period(since, "").unwrap().since, expected.parse().unwrap(), "{since}");
        }
        assert_eq!(period("", "DC3:SRV4").unwrap().pair.unwrap().to_string(), "DC3-SRV4");
        for (bad, word) in
            [(period("2999-01-01", ""), "ahead"), (period("soon", ""), "7d"), (period("", "a b"), "pair")]
        {
            let problem = bad.unwrap_err();
            assert!(problem.status == 400 && problem.detail.contains(word), "{problem:?}");
        }
    }
}
