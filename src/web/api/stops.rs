//! Stops: a person says that nothing is healed, and that healing goes on.

use std::time::Duration;

use axum::Json;
use axum::extract::State as Given;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::domain::name::SiteName;
use crate::domain::stop::{Scope, Stop};
use crate::env::duration;
use crate::web::{Body, Person, Problem, State};

/// Whose healing stops, and for how long.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// A site, `DC3`, or a pair, `DC3-SRV4`; all pairs when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How long, `2h`; until somebody resumes it when absent.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
    /// Who says so.
    pub by: Person,
}

/// Whose healing goes on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// A site or a pair; all pairs when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Who says so.
    pub by: Person,
}

/// What a resume ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// How many stops.
    pub ended: usize,
}

/// Stops healing; checks and notices go on.
pub async fn pause(Given(state): Given<State>, Body(order): Body<Pause>) -> Result<Json<Stop>, Problem> {
    let scope = scope(order.scope.as_deref()).map_err(bad)?;
    let lasts = order.lasts.as_deref().map(lasts).transpose().map_err(bad)?;
    Ok(Json(state.engine.stop(scope, order.by.into_name(), lasts).await?))
}

/// Lets healing go on: ends stops, and the hold on pairs that flap; for all pairs a storm, too.
pub async fn resume(Given(state): Given<State>, Body(order): Body<Resume>) -> Result<Json<Resumed>, Problem> {
    let scope = scope(order.scope.as_deref()).map_err(bad)?;
    Ok(Json(Resumed { ended: state.engine.resume(scope, order.by.into_name()).await? }))
}

fn bad(why: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
}

/// Reads for whom an order holds: `DC3`, `DC3-SRV4`, or nothing for all pairs.
///
/// # Errors
///
/// An empty text is none: a variable that was not set in a script must not stop everything.
pub fn scope(text: Option<&str>) -> Result<Scope, String> {
    let Some(text) = text else { return Ok(Scope::All) };
    let read =
        if text.contains([':', '-']) { text.parse().map(Scope::Pair) } else { SiteName::new(text).map(Scope::Site) };
    read.map_err(|why| format!("expected a site such as DC3, a pair such as DC3-SRV4, or nothing for all pairs: {why}"))
}

/// Reads how long a stop lasts.
pub fn lasts(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err("a stop lasts longer than nothing: write for example 2h".to_owned()),
        Ok(lasts) => Ok(lasts),
        Err(why) => Err(format!("how long a stop lasts is {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_for_a_site_for_a_pair_or_for_all() {
        for (text, expected) in [(None, "all pairs"), (Some("DC3"), "DC3"), (Some("DC3:SRV4"), "DC3-SRV4")] {
            assert_eq!(scope(text).unwrap().to_string(), expected);
        }
        assert_eq!(scope(Some("DC3")).unwrap(), Scope::Site(SiteName::new("DC3").unwrap()));
        for bad in ["", " ", "DC3-", "D C", "-SRV4"] {
            assert!(scope(Some(bad)).unwrap_err().contains("such as DC3-SRV4"), "{bad:?}");
        }
    }

    #[test]
    fn a_stop_lasts_for_some_time() {
        assert_eq!(lasts("2h").unwrap(), Duration::from_hours(2));
        for (text, expected) in [("0", "2h"), ("soon", "a duration such as"), ("9999d", "at most 3650d")] {
            assert!(lasts(text).unwrap_err().contains(expected), "{text}");
        }
    }
}
