//! Is the agent well? Kept cheap, for those who ask every second.

use axum::Json;
use axum::extract::State as Given;
use axum::http::StatusCode;
use serde::Serialize;

use crate::web::State;

/// The answer, in the shape of the seed's health check.
#[derive(Debug, Serialize)]
pub struct Health {
    /// `healthy`, or `degraded` when something we need is in trouble.
    pub status: &'static str,
    /// What is in trouble, a sentence each.
    pub troubles: Vec<String>,
}

/// Tells whether everything we need works.
pub async fn basic(Given(state): Given<State>) -> Json<Health> {
    let mut troubles: Vec<String> = state
        .channels
        .iter()
        .map(|channel| channel.borrow().clone())
        .filter(|channel| !channel.trouble.is_empty())
        .map(|channel| format!("{}: {} ({} waiting)", channel.channel, channel.trouble, channel.waiting))
        .collect();
    troubles.extend((state.troubles)());
    let recorder = state.recorder.health();
    if !recorder.healthy {
        let why = recorder.last_error.unwrap_or_default();
        troubles.push(format!("store: {why} ({} batches waiting)", recorder.pending));
    }
    let status = if troubles.is_empty() { "healthy" } else { "degraded" };
    Json(Health { status, troubles })
}

/// Tells that the process answers.
pub async fn live() -> StatusCode {
    StatusCode::OK
}

/// Tells whether the engine takes orders.
pub async fn ready(Given(state): Given<State>) -> StatusCode {
    match state.engine.status().await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
