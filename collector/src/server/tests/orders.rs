//! Orders on waiting connections.

use std::time::{Duration, Instant};

use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{Order, OrderKind, OrderResult, Outcome};
use farmwatch_shared::sealed::{Sealed, open, seal};
use farmwatch_shared::wire::Orders;
use jiff::{SignedDuration, Timestamp};

use super::field::{Field, refusal};
use crate::store::{Change, OrderState, SharedStore, StoredOrder};

async fn order(field: &Field, store: &SharedStore, device: &DeviceId) -> OrderId {
    let now = Timestamp::now();
    let id = OrderId::new(1, (field.app.draw)());
    let content = Order { id: id.clone(), issued_at: now, kind: OrderKind::Challenge };
    let counter = store.next_order_counter(device, now).await.unwrap();
    let expires_at = now + SignedDuration::from_hours(1);
    let sealed = Sealed { counter, expires_at, device: Some(device.clone()), content };
    let stored = StoredOrder {
        device: device.clone(),
        envelope: seal(&field.app.order_key, &sealed).unwrap(),
        sealed,
        actor: "anna".into(),
        state: OrderState::Waiting,
        why: None,
        updated_at: now,
    };
    store.apply(vec![Change::PutOrder(Box::new(stored))]).await.unwrap();
    id
}

#[tokio::test]
async fn a_waiting_laptop_has_an_order_within_a_second_whoever_wrote_it() {
    let field = Field::new().await;
    let (enrolment, laptop) = field.enrolled("S1").await;
    let (_, bystander) = field.enrolled("S2").await;
    let waits = tokio::spawn(async move {
        let orders: Orders = laptop.get("/v1/orders?after=0&wait=15").await.json().await.unwrap();
        (orders, Instant::now(), laptop)
    });
    let idle = tokio::spawn(async move {
        let started = Instant::now();
        let orders: Orders = bystander.get("/v1/orders?after=0&wait=2").await.json().await.unwrap();
        (orders, started.elapsed())
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let written = Instant::now();
    let id = order(&field, &field.other_store(), &enrolment.device).await;
    let (orders, at, laptop) = waits.await.unwrap();
    assert!(at - written < Duration::from_secs(1), "{:?}", at - written);
    let [envelope] = &orders.orders[..] else { panic!("{orders:?}") };
    let key = field.app.order_key.verifying_key();
    let got = open::<Order>(&key, envelope, &enrolment.device, 0, Timestamp::now()).unwrap();
    assert_eq!(got.content.id, id);

    let (none, waited) = idle.await.unwrap();
    assert!(none.orders.is_empty() && waited >= Duration::from_millis(1900), "{waited:?}");
    let again: Orders = laptop.get(&format!("/v1/orders?after={}", got.counter)).await.json().await.unwrap();
    assert!(again.orders.is_empty());
}

#[tokio::test]
async fn past_the_cap_laptops_are_answered_at_once_and_told_to_poll() {
    let field = Field::with(|config| config.agents.max_waiting = 0).await;
    let (_, laptop) = field.enrolled("S1").await;
    let started = Instant::now();
    let response = laptop.get("/v1/orders?after=0&wait=15").await;
    assert_eq!(response.headers()["retry-after"], "60");
    let orders: Orders = response.json().await.unwrap();
    assert!(orders.orders.is_empty() && started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_stopping_collector_answers_those_that_wait() {
    let mut field = Field::new().await;
    let (_, laptop) = field.enrolled("S1").await;
    let waits = tokio::spawn(async move { laptop.get("/v1/orders?after=0&wait=15").await.status() });
    tokio::time::sleep(Duration::from_millis(500)).await;
    field.shutdown.cancel();
    let running = field.running.take().unwrap();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap().unwrap();
    assert_eq!(waits.await.unwrap(), 200);
}

#[tokio::test]
async fn what_became_of_an_order_only_its_own_device_can_tell() {
    let field = Field::new().await;
    let (enrolment, laptop) = field.enrolled("S1").await;
    let (_, other) = field.enrolled("S2").await;
    let id = order(&field, &field.app.store, &enrolment.device).await;
    let done = OrderResult { order: Some(id.clone()), outcome: Outcome::Done, why: None };
    assert_eq!(refusal(other.post("/v1/orders/result", &done).await).await, (403, "other_device".into()));
    let nobodys = OrderResult { order: Some(OrderId::new(1, 99)), ..done.clone() };
    assert_eq!(
        refusal(laptop.post("/v1/orders/result", &nobodys).await).await,
        (404, "order_unknown".into())
    );
    let state = async || field.app.store.order(&id).await.unwrap().unwrap().state;
    assert_eq!(state().await, OrderState::Waiting);
    assert_eq!(laptop.post("/v1/orders/result", &done).await.status(), 204);
    assert_eq!(state().await, OrderState::Done);
}

#[tokio::test]
async fn a_refused_order_is_audited_and_an_alert_even_if_it_could_not_be_read() {
    let field = Field::new().await;
    let (enrolment, laptop) = field.enrolled("S1").await;
    let refused = OrderResult { order: None, outcome: Outcome::Refused, why: Some("bad signature\n".into()) };
    assert_eq!(laptop.post("/v1/orders/result", &refused).await.status(), 204);
    let audited = field.audited().await;
    let told = |(action, object, why): &(String, String, String)| {
        action == "order_refused" && object == enrolment.device.as_str() && why.ends_with(": bad signature")
    };
    assert!(audited.iter().any(told), "{audited:?}");
    assert_eq!(field.alerts().await, [format!("policy/{}/order_refused", enrolment.device)]);
}
