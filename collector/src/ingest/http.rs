//! `POST /v1/reports`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use farmwatch_shared::wire::{self, Ack, BadBody, ErrorBody, RefusedReport, Unpacked};
use jiff::Timestamp;

use super::admission::{Turned, come_again};
use super::{Ingest, Refused};
use crate::access::peer::Peer;
use crate::app::draw_from_system;

/// Longest time in which a body must have come.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Bodies of more bytes than this are unpacked where they hold up nobody.
const LARGE: usize = 16 << 10;

/// The route. The device that the connection's certificate names comes as an extension, [`Peer`].
pub fn router(ingest: Arc<Ingest>) -> Router {
    Router::new().route("/v1/reports", post(reports)).with_state(ingest)
}

async fn reports(
    State(ingest): State<Arc<Ingest>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Response {
    let start = Instant::now();
    let answer = take(&ingest, &peer, body).await;
    let result = answer.as_ref().map_or_else(Answer::word, |_| "taken");
    ingest.meters.batch(result);
    ingest.meters.duration.record(start.elapsed().as_secs_f64());
    match answer {
        Ok(ack) => (StatusCode::ACCEPTED, Json(ack)).into_response(),
        Err(answer) => {
            tracing::debug!(device = %peer.device, result, "reports refused");
            if let Some(why) = answer.lasting() {
                ingest.complain(&peer, "bad_report", why, Timestamp::now()).await;
            }
            answer.into_response()
        }
    }
}

async fn take(ingest: &Ingest, peer: &Peer, body: Body) -> Result<Ack, Answer> {
    // As large as it says, before it is read: what is read waits in memory.
    let size = body.size_hint().upper().and_then(|size| usize::try_from(size).ok());
    if size.is_some_and(|size| size > wire::MAX_BODY) {
        return Err(BadBody::TooLarge.into());
    }
    // Counts until the reports are written.
    let mut place = ingest.admission.enter(&peer.device, size.unwrap_or(wire::MAX_BODY))?;
    let bytes = read(body).await?;
    ingest.meters.bytes.increment(bytes.len() as u64);
    let Unpacked { reports, bytes: size, bad } = unpack(ingest, bytes).await?;
    place.grow(size)?;
    if reports.is_empty() && bad.is_none() {
        return Err(Answer::Body(StatusCode::BAD_REQUEST, "bad_body", "a body without a report".into()));
    }
    let some = !reports.is_empty();
    let ack = ingest.take(reports, peer, Timestamp::now()).await?;
    match bad {
        None | Some(BadBody::TooMany) => Ok(ack),
        Some(bad) => Err(Answer::Report {
            line: bad.line().unwrap_or(0),
            message: bad.to_string(),
            ack: some.then_some(ack),
        }),
    }
}

async fn read(body: Body) -> Result<Bytes, Answer> {
    let read = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, wire::MAX_BODY));
    match read.await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Past the limit is the one way in which this fails that anybody is left to be told.
        Ok(Err(_)) => Err(BadBody::TooLarge.into()),
        Err(_) => Err(Answer::Body(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come".into())),
    }
}

async fn unpack(ingest: &Ingest, bytes: Bytes) -> Result<Unpacked, Answer> {
    // What it says of its own size counts: a small body may be large work.
    if bytes.len() <= LARGE && wire::room_for(&bytes) <= 4 * LARGE {
        return Ok(wire::unpack_some(&bytes)?);
    }
    let cut_short = |why: String| Answer::Unavailable("store", format!("unpacking was cut short: {why}"));
    let _turn = ingest.unpacking.acquire().await.map_err(|error| cut_short(error.to_string()))?;
    match tokio::task::spawn_blocking(move || wire::unpack_some(&bytes)).await {
        Ok(unpacked) => Ok(unpacked?),
        Err(error) => Err(cut_short(error.to_string())),
    }
}

/// An answer that refuses.
enum Answer {
    /// The body as such.
    Body(StatusCode, &'static str, String),
    /// One report of it.
    Report { line: usize, message: String, ack: Option<Ack> },
    /// Not now, for a reason in one word and in a sentence.
    Unavailable(&'static str, String),
}

impl Answer {
    /// Why what was sent can never be taken, if that is so and nobody has been told yet.
    fn lasting(&self) -> Option<String> {
        match self {
            Self::Body(_, "too_large" | "bomb" | "bad_body", message) | Self::Report { message, .. } => {
                Some(format!("refused what it sent: {message} (told once an hour)"))
            }
            _ => None,
        }
    }

    /// One word for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Body(_, word, _) => word,
            Self::Report { .. } => "bad_report",
            Self::Unavailable(..) => "unavailable",
        }
    }
}

impl From<BadBody> for Answer {
    fn from(bad: BadBody) -> Self {
        match bad {
            BadBody::Bomb => Self::Body(StatusCode::PAYLOAD_TOO_LARGE, "bomb", bad.to_string()),
            BadBody::TooLarge => Self::Body(StatusCode::PAYLOAD_TOO_LARGE, "too_large", bad.to_string()),
            _ => Self::Body(StatusCode::BAD_REQUEST, "bad_body", bad.to_string()),
        }
    }
}

impl From<Turned> for Answer {
    fn from(turned: Turned) -> Self {
        Self::Unavailable(turned.word(), turned.sentence().into())
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Foreign { named } => Self::Body(
                StatusCode::FORBIDDEN,
                "foreign_report",
                format!("a report names {named}, which is not the device of this certificate"),
            ),
            Refused::Unknown => Self::Body(
                StatusCode::FORBIDDEN,
                "unknown_device",
                "this device is revoked or not enrolled here; enrol it with a new token".into(),
            ),
            Refused::Conflict { why } => Self::Body(StatusCode::CONFLICT, "conflict", why),
            Refused::Fault { index, why, ack } => Self::Report { line: index + 1, message: why, ack },
            Refused::Store(why) => Self::Unavailable("store", why),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let error = self.word().to_owned();
        match self {
            Self::Body(status, _, message) => (status, Json(ErrorBody { error, message })).into_response(),
            Self::Report { line, message, ack } => {
                let body = RefusedReport { error, message, line, ack };
                (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
            }
            Self::Unavailable(reason, message) => {
                metrics::counter!("farmwatch_ingest_turned_away_total", "reason" => reason).increment(1);
                tracing::warn!(reason, message, "reports turned away");
                let mut response =
                    (StatusCode::SERVICE_UNAVAILABLE, Json(ErrorBody { error, message })).into_response();
                let seconds = come_again(draw_from_system());
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}
