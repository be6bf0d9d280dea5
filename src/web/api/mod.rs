//! One file per resource.

use axum::Router;
use axum::routing::{get, post};

use super::State;

pub mod approvals;
pub mod drills;
pub mod health;
pub mod history;
pub mod pairs;
pub mod push;
pub mod report;
pub mod stops;

/// Every route below `/api`.
pub fn routes() -> Router<State> {
    Router::new()
        .route("/health", get(health::basic))
        .route("/health/", get(health::basic))
        .route("/health/live", get(health::live))
        .route("/health/live/", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/ready/", get(health::ready))
        .route("/push/{token}", get(push::by_token).post(push::by_token))
        .route("/servers/{name}/push", post(push::by_name))
        .route("/status", get(pairs::status))
        .route("/pairs/{pair}/probe", post(pairs::probe))
        .route("/pairs/{pair}/heal", post(pairs::heal))
        .route("/pairs/{pair}/drill", post(drills::drill))
        .route("/pause", post(stops::pause))
        .route("/resume", post(stops::resume))
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", post(approvals::answer))
        .route("/incidents", get(history::incidents))
        .route("/actions", get(history::actions))
        .route("/report", get(report::report))
        .route("/reload", post(pairs::reload))
}
