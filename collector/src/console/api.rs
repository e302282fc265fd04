//! The same lists as JSON, for scripts and for the page's own news; with the console's session.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use farmwatch_shared::id::{AlertId, DeviceId};
use serde::Serialize;

use super::error::Failure;
use super::session::ApiPerson;
use super::{Console, device, devices, queue, sites};
use crate::store::{Alert, AlertEvent, Device, Site};

/// Most rows of an answer.
const ROWS: u32 = 500;

/// A page of a list.
#[derive(Serialize)]
pub struct List<T> {
    /// How many match, on whatever page; none of a search for text, which would have to look at all.
    count: Option<u64>,
    /// The rows.
    items: Vec<T>,
    /// What to pass as `after` for the next page; none on the last.
    next: Option<String>,
}

impl<T> List<T> {
    /// A list of `rows` rows at most, from up to one more: that one says that there is a next page.
    fn of(count: Option<u64>, mut items: Vec<T>, rows: u32, id: impl Fn(&T) -> String) -> Json<Self> {
        let more = items.len() > rows as usize;
        items.truncate(rows as usize);
        let next = items.last().filter(|_| more).map(id);
        Json(Self { count, items, next })
    }
}

/// An alert with its life.
#[derive(Serialize)]
pub struct Whole {
    #[serde(flatten)]
    alert: Alert,
    events: Vec<AlertEvent>,
}

/// A laptop with how likely it is farm-operated, in both senses.
#[derive(Serialize)]
pub struct WholeDevice {
    #[serde(flatten)]
    device: Device,
    farm_operated: FarmOperated,
}

/// P(farm-operated) of a laptop.
#[derive(Serialize)]
struct FarmOperated {
    /// By what it shows alone, the same as `judged.posterior`; none before it was judged.
    by_itself: Option<f64>,
    /// Given those that it stands together with; none where it stands alone or IT has sanctioned the place.
    given_its_place: Option<f64>,
}

/// `GET /api/v1/alerts`: the queue, with the parameters of its page.
pub async fn alerts(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    wanted: Result<Query<queue::Wanted>, QueryRejection>,
) -> Result<Json<List<Alert>>, Response> {
    let wanted = read(wanted).map_err(json)?;
    one_of("state", &wanted.state, &queue::STATES).map_err(json)?;
    one_of("kind", &wanted.kind, &queue::KINDS).map_err(json)?;
    if !wanted.device.is_empty() && wanted.device.parse::<DeviceId>().is_err() {
        return Err(json(Failure::Wrong("`device` should be a laptop's id, `dev_…`".into())));
    }
    let (filter, rows) = (wanted.filter(), rows(wanted.limit).map_err(json)?);
    let store = &console.app.store;
    let items = store.alerts(&filter, &wanted.page(rows + 1)).await.map_err(json)?;
    let count = store.alert_count(&filter).await.map_err(json)?;
    Ok(List::of(Some(count), items, rows, |alert| alert.id.to_string()))
}

/// `GET /api/v1/alerts/{id}`: one alert with its life.
pub async fn alert(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    Path(id): Path<String>,
) -> Result<Json<Whole>, Response> {
    let id: AlertId = id.parse().map_err(|_| json(Failure::NotFound))?;
    let found = console.app.store.alert(&id).await.map_err(json)?;
    let alert = found.ok_or_else(|| json(Failure::NotFound))?;
    let events = console.app.store.alert_events(&id).await.map_err(json)?;
    Ok(Json(Whole { alert, events }))
}

/// `GET /api/v1/devices`: the laptops.
pub async fn devices(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    wanted: Result<Query<devices::Wanted>, QueryRejection>,
) -> Result<Json<List<Device>>, Response> {
    let wanted = read(wanted).map_err(json)?;
    one_of("standing", &wanted.standing, &devices::STANDINGS.map(|(word, ..)| word)).map_err(json)?;
    let (filter, rows) = (wanted.filter(), rows(wanted.limit).map_err(json)?);
    let items = console.app.store.devices(&filter, &wanted.page(rows + 1)).await.map_err(json)?;
    let count = devices::count(&console, &filter).await.map_err(json)?;
    Ok(List::of(count, items, rows, |device| device.id.to_string()))
}

/// `GET /api/v1/devices/{id}`: one laptop.
pub async fn device(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    Path(id): Path<String>,
) -> Result<Json<WholeDevice>, Response> {
    let id: DeviceId = id.parse().map_err(|_| json(Failure::NotFound))?;
    let found = console.app.store.device(&id).await.map_err(json)?;
    let device = found.ok_or_else(|| json(Failure::NotFound))?;
    let place = device::given_its_place(&console, &device).await.map_err(json)?;
    let farm_operated = FarmOperated {
        by_itself: device.judged.as_ref().map(|judged| judged.posterior),
        given_its_place: place.map(|(_, p)| p),
    };
    Ok(Json(WholeDevice { device, farm_operated }))
}

/// `GET /api/v1/sites`: the places.
pub async fn sites(
    State(console): State<Arc<Console>>,
    _person: ApiPerson,
    wanted: Result<Query<sites::Wanted>, QueryRejection>,
) -> Result<Json<List<Site>>, Response> {
    let wanted = read(wanted).map_err(json)?;
    let rows = rows(wanted.limit).map_err(json)?;
    let items = console.app.store.sites(&wanted.page(rows + 1)).await.map_err(json)?;
    let count = Some(console.app.store.site_count().await.map_err(json)?);
    Ok(List::of(count, items, rows, |site| site.id.to_string()))
}

fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Failure> {
    query.map(|Query(wanted)| wanted).map_err(|error| Failure::Wrong(error.body_text()))
}

fn rows(limit: Option<u32>) -> Result<u32, Failure> {
    let limit = limit.unwrap_or(50);
    let fits = (1..=ROWS).contains(&limit);
    fits.then_some(limit).ok_or_else(|| Failure::Wrong(format!("`limit` should be 1 to {ROWS}")))
}

/// A value is one of those there are, or empty.
fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<(), Failure> {
    if value.is_empty() || allowed.contains(&value) {
        return Ok(());
    }
    Err(Failure::Wrong(format!("`{name}` should be one of {}", allowed.join(", "))))
}

fn json(error: impl Into<Failure>) -> Response {
    error.into().into_json()
}
