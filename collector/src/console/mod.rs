//! The console: pages for people, rendered on the server. One file per page.
//!
//! Everything works without JavaScript; `console.js` adds keys and local times. Every page but the log-in needs
//! a session; every form carries the session's token. What devices and users wrote is escaped by the templates.

mod alert;
mod api;
mod device;
mod devices;
mod error;
mod facts;
mod frame;
mod isolate_all;
mod login;
mod queue;
mod session;
mod site;
mod sites;
#[cfg(test)]
mod tests;
mod waterfall;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use jiff::SignedDuration;
use tokio::sync::Semaphore;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::access::limiter::Limiter;
use crate::app::App;

/// What the pages share.
pub(crate) struct Console {
    app: Arc<App>,
    /// Cookies may be for HTTPS only.
    secure: bool,
    /// Password checks at a time: each takes some tens of milliseconds of a core.
    checks: Semaphore,
    /// Failed log-ins by name.
    failures: Limiter<String>,
    /// Failed log-ins that are audited: whoever tries names without end does not fill the audit.
    audited_failures: Limiter<()>,
}

/// A request must have come whole, and be answered, within this time.
const WITHIN: std::time::Duration = std::time::Duration::from_mins(1);
/// Largest form in bytes: the longest note that a person writes, and some.
const MAX_FORM: usize = 64 << 10;

/// No code, style or frame but our own, and nothing loaded from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The console's pages. `secure` says that people reach them by HTTPS.
pub fn router(app: Arc<App>, secure: bool) -> Router {
    let failures = Limiter::new(5, SignedDuration::from_mins(1));
    let audited_failures = Limiter::new(30, SignedDuration::from_mins(1));
    let console = Arc::new(Console { app, secure, checks: Semaphore::new(2), failures, audited_failures });
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .route("/", get(|| async { Redirect::to("/alerts") }))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/alerts", get(queue::page))
        .route("/alerts/{id}", get(alert::page))
        .route("/alerts/{id}/isolate-all", get(isolate_all::page).post(isolate_all::act))
        .route("/alerts/{id}/{action}", post(alert::act))
        .route("/devices", get(devices::page))
        .route("/devices/{id}", get(device::page))
        .route("/devices/{id}/{action}", post(device::act))
        .route("/sites", get(sites::page))
        .route("/sites/{id}", get(site::page))
        .route("/api/v1/alerts", get(api::alerts))
        .route("/api/v1/alerts/{id}", get(api::alert))
        .route("/api/v1/devices", get(api::devices))
        .route("/api/v1/devices/{id}", get(api::device))
        .route("/api/v1/sites", get(api::sites))
        .route("/icon.svg", get(|| async { asset("image/svg+xml", include_str!("icon.svg")) }))
        .route("/style.css", get(|| async { asset("text/css; charset=utf-8", include_str!("style.css")) }))
        .route(
            "/console.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("console.js")) }),
        )
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, WITHIN))
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .with_state(console)
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=3600")], text)
}
