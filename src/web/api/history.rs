//! What was recorded: incidents and actions.

use axum::Json;
use axum::extract::{Query, State as Given};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::domain::name::PairName;
use crate::engine::clock::Clock;
use crate::env::duration;
use crate::store::history::{Action, Filter, Incident};
use crate::web::{Problem, State};

/// Which rows are wanted, as people write it in a URL.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// A time ago (`7d`), a day (`2026-01-31`, UTC) or a moment (`2026-01-31T12:00:00Z`).
    since: Option<String>,
    /// Of this pair only, `DC3-SRV4`.
    pair: Option<String>,
    /// What has not ended only: `true` or `1`.
    #[serde(alias = "open_only")]
    open: Option<String>,
    /// At most this many.
    limit: Option<u32>,
}

impl Wanted {
    fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let since = self.since.filter(|text| !text.trim().is_empty());
        let since = since.map(|text| moment(&text, now).map_err(bad)).transpose()?;
        let open = self.open.filter(|text| !text.is_empty());
        let open = open.map(|text| crate::env::value::flag(&text).map_err(|why| bad(format!("`open`: {why}"))));
        Ok(Filter { since, pair: pair(self.pair)?, open_only: open.transpose()?.unwrap_or(false), limit: self.limit })
    }
}

/// Reads the parameter `pair`.
pub(super) fn pair(text: Option<String>) -> Result<Option<PairName>, Problem> {
    let text = text.filter(|text| !text.trim().is_empty());
    let read = text.map(|text| text.parse::<PairName>());
    read.transpose()
        .map_err(|why| Problem::new(StatusCode::BAD_REQUEST, format!("`pair` is no pair such as DC3-SRV4: {why}")))
}

/// Reads `7d`, `2026-01-31` or a moment with its offset.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(ago) = duration::parse(text) {
        return Ok(SignedDuration::try_from(ago)
            .ok()
            .and_then(|ago| now.checked_sub(ago).ok())
            .unwrap_or(Timestamp::MIN));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let day = text.parse::<jiff::civil::Date>().ok().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    day.map(|day| day.timestamp()).ok_or_else(|| {
        "`since` expects a time ago such as 7d or 12h, a day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z"
            .to_owned()
    })
}

/// Lists incidents, newest first.
pub async fn incidents(
    Given(state): Given<State>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Incident>>, Problem> {
    Ok(Json(state.store.incidents(&wanted.filter(Clock::System.now())?).await?))
}

/// Lists runs and refusals, newest first.
pub async fn actions(Given(state): Given<State>, Query(wanted): Query<Wanted>) -> Result<Json<Vec<Action>>, Problem> {
    Ok(Json(state.store.actions(&wanted.filter(Clock::System.now())?).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_ago_a_day_or_a_moment() {
        let now: Timestamp = "2026-02-08T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7d", "2026-02-01T12:00:00Z"),
            (" 90m ", "2026-02-08T10:30:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T12:00:00+03:00", "2026-01-31T09:00:00Z"),
        ] {
            assert_eq!(moment(text, now).unwrap(), expected.parse().unwrap(), "{text}");
        }
        assert!(moment("3650d", now).is_ok());
        for bad in ["yesterday", "2026-13-01", "-7d"] {
            assert!(moment(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_a_bad_request_that_says_what_is_expected() {
        let now = Timestamp::UNIX_EPOCH;
        let wanted = |since: &str, pair: &str, open: &str| {
            let text = |text: &str| Some(text.to_owned());
            Wanted { since: text(since), pair: text(pair), open: text(open), limit: None }.filter(now)
        };
        assert_eq!(wanted("", "DC3-SRV4", "1").unwrap().pair.unwrap().to_string(), "DC3-SRV4");
        assert!(wanted("", "", "1").unwrap().open_only && !wanted("", "", "").unwrap().open_only);
        for (bad, word) in
            [(wanted("x", "", ""), "since"), (wanted("", "a b", ""), "pair"), (wanted("", "", "x"), "open")]
        {
            let problem = bad.unwrap_err();
            assert!(problem.status == 400 && problem.detail.contains(word), "{problem:?}");
        }
    }
}
