//! `/livez`, `/readyz` and `/metrics`, for whatever watches the collector.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::access::Folder;
use crate::app::App;

/// The disk must have this much left, in bytes.
const LEAST_FREE: u64 = 256 << 20;
/// The store must answer within this time.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The check that fails when the store does not answer at all; a restart may help.
pub const STORE_SILENT: &str = "store_silent";

/// What health is asked of.
pub struct Health {
    app: Arc<App>,
    folder: PathBuf,
    shutdown: CancellationToken,
}

impl Health {
    /// Of a running collector.
    pub fn new(app: Arc<App>, folder: &Folder, shutdown: CancellationToken) -> Self {
        Self { app, folder: folder.path().to_owned(), shutdown }
    }

    /// What keeps the collector from working, each with a word; empty if nothing does.
    pub async fn failing(&self) -> Vec<(&'static str, String)> {
        let mut failing = Vec::new();
        if self.shutdown.is_cancelled() {
            failing.push(("draining", "the collector stops".to_owned()));
        }
        // A write, for a store that only reads is of no use.
        let now = Timestamp::now().to_string();
        let written = self.app.store.put_value("health/last_write", &now);
        match tokio::time::timeout(STORE_ANSWERS_WITHIN, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failing.push(("store", error.to_string())),
            Err(_) => {
                failing.push((STORE_SILENT, format!("no answer in {} s", STORE_ANSWERS_WITHIN.as_secs())));
            }
        }
        match free_bytes(&self.folder) {
            Some(free) if free < LEAST_FREE => {
                let why = format!("{} MiB left for {}", free >> 20, self.folder.display());
                failing.push(("disk", why));
            }
            _ => {}
        }
        failing
    }
}

/// Routes of the operators' listener.
pub fn router(health: Arc<Health>, metrics: Box<dyn Fn() -> String + Send + Sync>) -> Router {
    let metrics: Arc<dyn Fn() -> String + Send + Sync> = metrics.into();
    let scraped = move || {
        let text = metrics();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(health)
        .route("/metrics", get(scraped))
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let failing = health.failing().await;
    let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let failing: serde_json::Map<String, serde_json::Value> =
        failing.into_iter().map(|(check, why)| (check.to_owned(), why.into())).collect();
    let body = serde_json::json!({ "ready": status.is_success(), "failing": failing });
    (status, Json(body)).into_response()
}

fn free_bytes(folder: &std::path::Path) -> Option<u64> {
    let about = rustix::fs::statvfs(folder).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}
