//! `GET /v1/orders` and `POST /v1/orders/result`: orders travel on a connection on which the agent waits for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{Extension, Json};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::order::{OrderResult, Outcome};
use farmwatch_shared::wire::Orders;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::desk::read;
use super::limiter::Limiter;
use super::{Peer, Refusal};
use crate::app::App;
use crate::store::{NewAudit, SharedStore};

/// Longest wait on one request.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// Seconds after which an agent that found no room to wait asks again.
const POLL_SECONDS: u64 = 60;
/// How often the store is asked for orders that anybody wrote: this collector, another, or the command line.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Longest reason that is kept of a device's.
const LONGEST_WHY: usize = 500;
/// Answers to orders that are taken of one device in an hour: each is an entry of the audit, which only grows.
const ANSWERS_IN_AN_HOUR: u32 = 60;

/// Who waits for orders.
pub struct Counter {
    app: Arc<App>,
    waiting: Mutex<HashMap<DeviceId, Waiter>>,
    most: usize,
    answers: Limiter<DeviceId>,
    shutdown: CancellationToken,
}

struct Waiter {
    bell: Arc<Notify>,
    requests: usize,
}

/// The question.
#[derive(Deserialize)]
pub struct Asked {
    /// Counter of the last order taken.
    #[serde(default)]
    after: u64,
    /// Seconds to wait if there is none.
    #[serde(default)]
    wait: u64,
}

impl Counter {
    /// Room for so many that wait; all are answered at shutdown.
    pub fn new(app: Arc<App>, most: usize, shutdown: CancellationToken) -> Self {
        let answers = Limiter::new(ANSWERS_IN_AN_HOUR, SignedDuration::from_hours(1));
        Self { app, waiting: Mutex::default(), most, answers, shutdown }
    }

    /// Wakes those for whom there are orders, whoever wrote them, until shutdown.
    pub async fn watch(&self) {
        let mut mark = 0;
        let mut failed = false;
        while !self.shutdown.is_cancelled() {
            match self.app.store.orders_since(mark).await {
                Ok((devices, new_mark)) => {
                    mark = new_mark;
                    failed = false;
                    self.wake(&devices);
                }
                Err(error) if !failed => {
                    failed = true;
                    tracing::error!(%error, "cannot look for orders; trying on");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    fn wake(&self, devices: &[DeviceId]) {
        let waiting = self.lock();
        for waiter in devices.iter().filter_map(|device| waiting.get(device)) {
            waiter.bell.notify_waiters();
        }
    }

    /// A place to wait, or none if there is no room.
    fn seat(&self, device: &DeviceId) -> Option<Seat<'_>> {
        let mut waiting = self.lock();
        if waiting.len() >= self.most && !waiting.contains_key(device) {
            return None;
        }
        let waiter =
            waiting.entry(device.clone()).or_insert_with(|| Waiter { bell: Arc::default(), requests: 0 });
        waiter.requests += 1;
        let bell = Arc::clone(&waiter.bell);
        set_gauge(waiting.len());
        Some(Seat { counter: self, device: device.clone(), bell })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place to wait; given up when dropped, also when the agent hangs up.
struct Seat<'a> {
    counter: &'a Counter,
    device: DeviceId,
    bell: Arc<Notify>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut waiting = self.counter.lock();
        if let Some(waiter) = waiting.get_mut(&self.device) {
            waiter.requests -= 1;
            if waiter.requests == 0 {
                waiting.remove(&self.device);
            }
        }
        set_gauge(waiting.len());
    }
}

fn set_gauge(waiting: usize) {
    metrics::gauge!("farmwatch_orders_waiting").set(waiting as f64);
}

/// Orders above the counter that the agent names: at once, or when there are some, or none when its wait is over.
pub async fn fetch(
    State(counter): State<Arc<Counter>>,
    Extension(peer): Extension<Peer>,
    Query(asked): Query<Asked>,
) -> Result<(HeaderMap, Json<Orders>), Refusal> {
    let wait = Duration::from_secs(asked.wait).min(LONGEST_WAIT);
    let seat = if wait.is_zero() { None } else { counter.seat(&peer.device) };
    let mut headers = HeaderMap::new();
    // The bell is heard from here on: an order that is written between the look and the wait is not missed.
    let bell = seat.as_ref().map(|seat| Arc::clone(&seat.bell));
    let mut rung = bell.as_ref().map(|bell| Box::pin(bell.notified()));
    if let Some(rung) = &mut rung {
        rung.as_mut().enable();
    }
    let mut orders = waiting_orders(&counter.app.store, &peer.device, asked.after).await?;
    match rung {
        _ if !orders.orders.is_empty() => {}
        Some(rung) => {
            tokio::select! {
                () = rung => orders = waiting_orders(&counter.app.store, &peer.device, asked.after).await?,
                () = tokio::time::sleep(wait) => {}
                () = counter.shutdown.cancelled() => {}
            }
        }
        None if !wait.is_zero() => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(POLL_SECONDS));
        }
        None => {}
    }
    Ok((headers, Json(orders)))
}

async fn waiting_orders(store: &SharedStore, device: &DeviceId, after: u64) -> Result<Orders, Refusal> {
    let orders = store.fetch_orders(device, after, Timestamp::now()).await?;
    Ok(Orders { orders: orders.into_iter().map(|order| order.envelope).collect() })
}

/// What became of an order, as its device tells it.
pub async fn result(
    State(counter): State<Arc<Counter>>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let now = Timestamp::now();
    let mut result: OrderResult = read(&body)?;
    if !counter.answers.take(peer.device.clone(), now) {
        let message = "this device has told what became of sixty orders within an hour";
        return Err(Refusal::too_often(message, 600));
    }
    result.why = result.why.map(|why| why.chars().filter(|c| !c.is_control()).take(LONGEST_WHY).collect());
    let store = &counter.app.store;
    let device = &peer.device;
    if let Some(id) = &result.order
        && !store.order_result(device, &result, now).await?
    {
        let others = store.order(id).await?.is_some();
        tracing::warn!(%device, order = %id, others, "told what became of an order that is not its own");
        return Err(if others {
            Refusal::new(StatusCode::FORBIDDEN, "other_device", format!("order {id} is another device's"))
        } else {
            Refusal::new(StatusCode::NOT_FOUND, "order_unknown", format!("there is no order {id}"))
        });
    }
    let outcome = match result.outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Refused => "refused",
    };
    metrics::counter!("farmwatch_order_results_total", "outcome" => outcome).increment(1);
    let order = result.order.as_ref().map_or("an order that it could not read", |id| id.as_str());
    let why = result.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    tracing::info!(%device, order, outcome, why = result.why, "order");
    let entry = NewAudit {
        at: now,
        actor: device.to_string(),
        action: format!("order_{outcome}"),
        object: device.to_string(),
        why: format!("the laptop says of {order}: {outcome}{why}"),
    };
    store.audit(entry).await?;
    // When the device is judged, the audit's entry of an order that was not carried out becomes an alert.
    store.queue(std::slice::from_ref(device), now).await?;
    Ok(StatusCode::NO_CONTENT)
}
