//! Pairs: where they stand, and orders for one of them.

use axum::Json;
use axum::extract::{Path, Query, State as Given};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::domain::name::PairName;
use crate::engine::delivery::ChannelHealth;
use crate::engine::handle::{HealReport, ProbeReport, Reloaded, Status};
use crate::web::{Problem, State};

/// Where everything stands: the engine's view, and how channels and store fare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The engine's view.
    #[serde(flatten)]
    pub engine: Status,
    /// Every channel.
    pub channels: Vec<ChannelHealth>,
    /// True when what happens reaches the disk.
    pub store_healthy: bool,
    /// Why not.
    pub store_trouble: Option<String>,
    /// What else is in trouble, a sentence each: the log, the audit, another agent with the same file, the list of targets.
    #[serde(default)]
    pub troubles: Vec<String>,
}

/// Tells where everything stands.
pub async fn status(Given(state): Given<State>) -> Result<Json<Overview>, Problem> {
    let engine = state.engine.status().await?;
    let recorder = state.recorder.health();
    let channels = state.channels.iter().map(|channel| channel.borrow().clone()).collect();
    let (store_healthy, store_trouble) = (recorder.healthy, recorder.last_error);
    Ok(Json(Overview { engine, channels, store_healthy, store_trouble, troubles: (state.troubles)() }))
}

/// Checks a pair now; it moves no counter.
pub async fn probe(Given(state): Given<State>, Path(pair): Path<String>) -> Result<Json<ProbeReport>, Problem> {
    Ok(Json(state.engine.probe(named(&pair)?).await?))
}

/// Which rung is to be run.
#[derive(Debug, Deserialize)]
pub struct Rung {
    /// From 1; the first one when absent.
    pub rung: Option<u32>,
}

/// Runs a pair's remedy now and answers once it is verified.
pub async fn heal(
    Given(state): Given<State>,
    Path(pair): Path<String>,
    Query(Rung { rung }): Query<Rung>,
) -> Result<Json<HealReport>, Problem> {
    Ok(Json(state.engine.heal(named(&pair)?, rung.unwrap_or(1)).await?))
}

/// Reads the configuration again.
pub async fn reload(Given(state): Given<State>) -> Result<Json<Reloaded>, Problem> {
    (state.reload)().await.map(Json).map_err(|report| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, report))
}

/// Reads the pair of a path.
pub(super) fn named(pair: &str) -> Result<PairName, Problem> {
    pair.parse().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("`{pair}` is not a pair such as DC3-SRV4: {error}"))
    })
}
