//! Approvals: rungs that wait for a person, and the answers.

use axum::Json;
use axum::extract::{Path, State as Given};
use serde::{Deserialize, Serialize};

use crate::engine::handle::{Answered, Approval};
use crate::web::{Body, Person, Problem, State};

/// A person's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Whether the command may run.
    pub yes: bool,
    /// Who says so.
    pub by: Person,
}

/// Lists what waits, by pair.
pub async fn list(Given(state): Given<State>) -> Result<Json<Vec<Approval>>, Problem> {
    let status = state.engine.status().await?;
    Ok(Json(status.pairs.into_iter().filter_map(|pair| pair.approval).collect()))
}

/// Takes an answer; yes runs the command if the pair is still down.
pub async fn answer(
    Given(state): Given<State>,
    Path(id): Path<String>,
    Body(answer): Body<Answer>,
) -> Result<Json<Answered>, Problem> {
    Ok(Json(state.engine.answer(id, answer.yes, answer.by.into_name()).await?))
}
