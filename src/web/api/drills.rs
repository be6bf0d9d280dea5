//! Drills: the whole chain for one pair, as if it were down.

use axum::Json;
use axum::extract::{Path, State as Given};
use serde::{Deserialize, Serialize};

use super::pairs::named;
use crate::engine::handle::DrillReport;
use crate::web::{Body, Person, Problem, State};

/// How a drill is made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Whether the pair's own command is run, in place of a harmless one.
    #[serde(default)]
    pub really: bool,
    /// Who says so.
    pub by: Person,
}

/// Makes a drill and answers once its notice is queued.
pub async fn drill(
    Given(state): Given<State>,
    Path(pair): Path<String>,
    Body(order): Body<Drill>,
) -> Result<Json<DrillReport>, Problem> {
    Ok(Json(state.engine.drill(named(&pair)?, order.really, order.by.into_name()).await?))
}
