//! What was recorded: incidents and actions.

use axum::Json;
use axum::extract::{Query, State as Given};

use crate::store::history::{Action, Filter, Incident};
use crate::web::{Problem, State};

/// Lists incidents, newest first.
pub async fn incidents(
    Given(state): Given<State>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<Incident>>, Problem> {
    Ok(Json(state.store.incidents(&filter).await?))
}

/// Lists runs and refusals, newest first.
pub async fn actions(Given(state): Given<State>, Query(filter): Query<Filter>) -> Result<Json<Vec<Action>>, Problem> {
    Ok(Json(state.store.actions(&filter).await?))
}
