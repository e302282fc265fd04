//! HTTP on one connection, and its metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{Counter, Histogram, counter, histogram};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Bytes that a connection buffers; a request's head must fit.
const BUFFER: usize = 16 << 10;
/// The route that agents call all the time.
const REPORTS: &str = "/v1/reports";

/// Serves one connection until it ends, is idle for too long, or `stop`; then the request in flight is finished.
/// `extend` adds to each request what is known of the connection.
pub async fn serve<S>(
    stream: S,
    router: Router,
    idle: Duration,
    extend: impl Fn(&mut axum::http::Extensions),
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        extend(request.extensions_mut());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Counts requests and their durations by route.
pub fn measured(router: Router) -> Router {
    router.layer(from_fn_with_state(Arc::new(Meters::new()), measure))
}

/// Metrics of what agents call all the time, looked up once: to find one by its name takes longer than to count.
struct Meters {
    taken: Counter,
    duration: Histogram,
}

impl Meters {
    fn new() -> Self {
        Self {
            taken: counter!(
                "farmwatch_http_requests_total", "route" => REPORTS, "method" => "POST", "status" => "202"
            ),
            duration: histogram!("farmwatch_http_request_duration_seconds", "route" => REPORTS),
        }
    }
}

async fn measure(State(meters): State<Arc<Meters>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = match *request.method() {
        axum::http::Method::GET => "GET",
        axum::http::Method::POST => "POST",
        _ => "other",
    };
    let response = next.run(request).await;
    let route = path.as_ref().map_or("other", MatchedPath::as_str);
    if (route, response.status()) == (REPORTS, StatusCode::ACCEPTED) {
        meters.taken.increment(1);
        meters.duration.record(started.elapsed().as_secs_f64());
        return response;
    }
    let (route, status) = (route.to_owned(), response.status().as_u16().to_string());
    counter!("farmwatch_http_requests_total", "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    histogram!("farmwatch_http_request_duration_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}
