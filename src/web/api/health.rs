//! Is the agent well? Kept cheap, for those who ask every second.

use std::time::Duration;

use axum::extract::State as Given;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;

use crate::web::{Asker, State};

/// An engine that does not answer within this takes no orders.
const SOON: Duration = Duration::from_secs(5);

/// The answer, in the shape of the seed's health check.
#[derive(Debug, Serialize)]
pub struct Health {
    /// `healthy`, or `degraded` when something we need is in trouble.
    pub status: &'static str,
    /// What is in trouble, a sentence each; a stranger is told nothing.
    pub troubles: Vec<String>,
}

/// Tells whether everything we need works.
pub async fn basic(Given(state): Given<State>, Extension(asker): Extension<Asker>) -> Json<Health> {
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
    let troubles = if asker == Asker::Owner { troubles } else { Vec::new() };
    Json(Health { status, troubles })
}

/// Tells that the process answers.
pub async fn live() -> StatusCode {
    StatusCode::OK
}

/// Tells whether the engine takes orders.
pub async fn ready(Given(state): Given<State>) -> StatusCode {
    let ready = tokio::time::timeout(SOON, state.engine.ready()).await;
    if matches!(ready, Ok(Ok(()))) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
