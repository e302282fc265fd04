//! The same lists as JSON, for scripts and for the page's own news; with the console's session.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use farmwatch_shared::id::AlertId;
use serde::Serialize;

use super::error::Failure;
use super::session::ApiPerson;
use super::{Console, devices, queue, sites};
use crate::store::{Alert, AlertEvent, Device, Site};

/// Most rows of an answer.
const ROWS: u32 = 500;

fn rows(limit: Option<u32>) -> u32 {
    limit.unwrap_or(50).clamp(1, ROWS)
}

/// A page of a list.
#[derive(Serialize)]
pub struct List<T> {
    /// How many there are in all, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// The rows.
    items: Vec<T>,
}

/// An alert with its life.
#[derive(Serialize)]
pub struct Whole {
    #[serde(flatten)]
    alert: Alert,
    events: Vec<AlertEvent>,
}

/// `GET /api/v1/alerts`: the queue, with the parameters of its page.
pub async fn alerts(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    Query(wanted): Query<queue::Wanted>,
) -> Result<Json<List<Alert>>, Response> {
    let filter = wanted.filter();
    let store = &console.app.store;
    let items = store.alerts(&filter, &wanted.page(rows(wanted.limit))).await.map_err(json)?;
    let count = Some(store.alert_count(&filter).await.map_err(json)?);
    Ok(Json(List { count, items }))
}

/// `GET /api/v1/alerts/{id}`: one alert with its life.
pub async fn alert(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    Path(id): Path<String>,
) -> Result<Json<Whole>, Response> {
    let id: AlertId = id.parse().map_err(|_| Failure::NotFound.into_json())?;
    let found = console.app.store.alert(&id).await.map_err(json)?;
    let alert = found.ok_or_else(|| Failure::NotFound.into_json())?;
    let events = console.app.store.alert_events(&id).await.map_err(json)?;
    Ok(Json(Whole { alert, events }))
}

/// `GET /api/v1/devices`: the laptops.
pub async fn devices(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    Query(wanted): Query<devices::Wanted>,
) -> Result<Json<List<Device>>, Response> {
    let page = wanted.page(rows(wanted.limit));
    let items = console.app.store.devices(&wanted.filter(), &page).await.map_err(json)?;
    Ok(Json(List { count: None, items }))
}

/// `GET /api/v1/sites`: the places.
pub async fn sites(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    Query(wanted): Query<sites::Wanted>,
) -> Result<Json<List<Site>>, Response> {
    let items = console.app.store.sites(&wanted.page(rows(wanted.limit))).await.map_err(json)?;
    Ok(Json(List { count: None, items }))
}

fn json(error: crate::store::StoreError) -> Response {
    Failure::from(error).into_json()
}
