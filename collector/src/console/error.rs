//! What people see when something is not there or does not work.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use farmwatch_shared::wire::ErrorBody;
use maud::html;

use super::frame;
use crate::alerts::ChangeError;
use crate::quarantine::QuarantineError;
use crate::store::StoreError;

/// Why a page cannot be shown or an action not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing under this address.
    #[error("There is nothing under this address.")]
    NotFound,
    /// A program asked for what there cannot be; the sentence says what there can.
    #[error("{0}")]
    Wrong(String),
    /// No session.
    #[error("Log in first.")]
    NoSession,
    /// The form is not from a page of this session.
    #[error("This form is too old, or another site sent it. Open the page again and repeat what you did.")]
    Forged,
    /// What was asked does not make sense, or no longer does.
    #[error("{0}")]
    Refused(String),
    /// Somebody else was faster.
    #[error("{0}")]
    Outdated(String),
    /// The store does not answer.
    #[error("The store does not answer: {0}. Nothing was changed; try again in a moment.")]
    Store(String),
}

impl Failure {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Wrong(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NoSession => (StatusCode::UNAUTHORIZED, "no_session"),
            Self::Forged => (StatusCode::FORBIDDEN, "forged"),
            Self::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Self::Outdated(_) => (StatusCode::CONFLICT, "outdated"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
        }
    }

    /// As JSON, for programs.
    pub fn into_json(self) -> Response {
        let (status, error) = self.status();
        (status, Json(ErrorBody { error: error.into(), message: self.to_string() })).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, word) = self.status();
        if status.is_server_error() {
            tracing::error!(error = %self, word, "a page of the console failed");
        }
        let body = html! {
            p.lead { (self) }
            p { a href="/alerts" { "Back to the alerts" } }
        };
        (status, frame::bare(status.canonical_reason().unwrap_or("Error"), &body)).into_response()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(why) => Self::Outdated(why),
            other => Self::Store(other.to_string()),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown(_) => Self::NotFound,
            ChangeError::Outdated { .. } => Self::Outdated(error.to_string()),
            ChangeError::NotNow(why) => Self::Refused(why),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<QuarantineError> for Failure {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Store(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// The answer of addresses that lead nowhere: a page, and to programs JSON.
pub async fn not_found(address: Uri) -> Response {
    if address.path() == "/api" || address.path().starts_with("/api/") {
        return Failure::NotFound.into_json();
    }
    Failure::NotFound.into_response()
}
