//! Who may enrol, who may report, who may look.

pub mod authority;
pub mod connection;
mod desk;
mod enrol;
pub mod folder;
mod gate;
pub mod limiter;
pub mod orders;
pub mod password;
pub mod peer;
pub mod refusal;
mod rekey;
mod renew;
pub mod server_certificate;
pub mod signed;
pub mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tower_http::timeout::TimeoutLayer;

pub use connection::{Connection, Presented};
pub use desk::Desk;
pub use folder::Folder;
pub use gate::Gate;
pub use peer::Peer;
pub use refusal::Refusal;

use self::orders::Counter;
use self::signed::Signed;

/// Largest body of the calls here, in bytes.
const MAX_BODY: usize = 64 << 10;

/// Everything that agents call: what is here, and `device_routes` (reports), behind the same gate.
///
/// Requests carry an `Arc<Connection>` as an extension; past the gate also a [`Peer`]. `body_timeout` bounds each
/// call but the wait for orders.
pub fn router(
    desk: Arc<Desk>,
    counter: Arc<Counter>,
    signed: Arc<Signed>,
    device_routes: Router,
    body_timeout: std::time::Duration,
) -> Router {
    let gate_keeper = Arc::new(Gate::new(Arc::clone(&desk.app)));
    let in_time = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, body_timeout);
    let open = Router::new().route("/v1/enrol", post(enrol::enrol)).with_state(Arc::clone(&desk));
    let waits = Router::new().route("/v1/orders", get(orders::fetch)).with_state(Arc::clone(&counter));
    let identity = Router::new()
        .route("/v1/renew", post(renew::renew))
        .route("/v1/rekey", post(rekey::rekey))
        .with_state(desk);
    let results = Router::new().route("/v1/orders/result", post(orders::result)).with_state(counter);
    let fetched = Router::new()
        .route("/v1/policy", get(signed::policy))
        .route("/v1/catalogue", get(signed::catalogue))
        .with_state(signed);
    let small = identity.merge(results).merge(fetched).layer(DefaultBodyLimit::max(MAX_BODY));
    let closed = small
        .merge(device_routes)
        .layer(in_time)
        .merge(waits)
        .layer(from_fn_with_state(gate_keeper, gate::gate));
    open.layer(DefaultBodyLimit::max(MAX_BODY)).layer(in_time).merge(closed).fallback(no_such_call)
}

async fn no_such_call() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no_such_call",
        "this collector has no such call; is the agent newer?",
    )
}
