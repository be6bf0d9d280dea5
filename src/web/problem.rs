//! Errors of the API: RFC 9457 `application/problem+json`.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::engine::handle::Unmet;
use crate::store::StoreError;

/// One error as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What happened and what to do.
    pub detail: String,
}

impl Problem {
    /// Joins a status and what to say.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("error").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

impl From<Unmet> for Problem {
    fn from(unmet: Unmet) -> Self {
        let status = match unmet {
            Unmet::Stopping | Unmet::NotKept => StatusCode::SERVICE_UNAVAILABLE,
            Unmet::NoSuchPair(_)
            | Unmet::NoSuchRung { .. }
            | Unmet::NoSuchSite(_)
            | Unmet::NoSuchApproval(_)
            | Unmet::NotReporting { .. }
            | Unmet::NoSuchToken => StatusCode::NOT_FOUND,
            Unmet::NoRemedy(_) | Unmet::Refused(_) => StatusCode::CONFLICT,
        };
        Self::new(status, unmet.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

/// Answers a path that does not exist.
pub async fn no_such_path(uri: Uri) -> Problem {
    // Somebody may have meant to report; the path then holds a token, and is answered as an unknown one is.
    if uri.path().starts_with("/api/push") {
        return Unmet::NoSuchToken.into();
    }
    Problem::new(StatusCode::NOT_FOUND, format!("there is no `{}` here", uri.path()))
}
