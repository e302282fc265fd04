//! Orders: fetched by whom they are for, once they are due and while they are good.

use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{Order, OrderKind, OrderResult, Outcome};
use farmwatch_shared::sealed::{Envelope, Sealed};
use jiff::Timestamp;

use super::super::{Change, OrderState, SharedStore, StoredOrder};
use super::{Case, enrol, laptop, minute};

pub const CASES: &[Case] = &[
    ("no counter is drawn twice", |s| Box::pin(counters(s))),
    ("an order is fetched until its counter is passed", |s| Box::pin(fetch(s))),
    ("a newer order makes those that wait void", |s| Box::pin(newer(s))),
    ("an order past its time is void", |s| Box::pin(past(s))),
    ("what became of an order is told by its own device", |s| Box::pin(results(s))),
    ("orders written by anybody show from a mark on", |s| Box::pin(marks(s))),
];

fn order(device: &DeviceId, counter: u64) -> StoredOrder {
    let content = Order {
        id: OrderId::new(counter, device.as_str().len() as u128),
        issued_at: minute(0),
        kind: OrderKind::Release { reason: "drill".into() },
    };
    StoredOrder {
        device: device.clone(),
        sealed: Sealed { counter, expires_at: minute(60), device: Some(device.clone()), content },
        envelope: Envelope { payload: "p".into(), signature: "s".into() },
        actor: "ann".into(),
        state: OrderState::Waiting,
        why: None,
        updated_at: minute(0),
    }
}

async fn put(store: &SharedStore, order: &StoredOrder) {
    store.apply(vec![Change::PutOrder(Box::new(order.clone()))]).await.unwrap();
}

async fn fetched(store: &SharedStore, device: &DeviceId, after: u64, at: i64) -> Vec<u64> {
    let orders = store.fetch_orders(device, after, minute(at)).await.unwrap();
    assert!(orders.iter().all(|o| o.state != OrderState::Waiting));
    orders.iter().map(|o| o.sealed.counter).collect()
}

async fn counters(store: SharedStore) {
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    let calls = (0..20).map(|_| store.next_order_counter(&one, Timestamp::UNIX_EPOCH));
    let mut drawn: Vec<_> =
        futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    drawn.sort_unstable();
    assert_eq!(drawn, (1..=20).collect::<Vec<_>>());
    let later = minute(5);
    let above_any_before = u64::try_from(later.as_millisecond()).unwrap();
    assert_eq!(store.next_order_counter(&two, later).await.unwrap(), above_any_before);
    assert_eq!(
        store.next_order_counter(&two, minute(0)).await.unwrap(),
        above_any_before + 1,
        "the clock went back"
    );
    assert!(store.next_order_counter(&laptop(9), later).await.is_err());
}

async fn fetch(store: SharedStore) {
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    put(&store, &order(&one, 1)).await;
    assert_eq!(fetched(&store, &two, 0, 1).await, [0u64; 0]);
    assert_eq!(fetched(&store, &one, 1, 1).await, [0u64; 0]);
    assert_eq!(store.orders(&one, 9).await.unwrap()[0].state, OrderState::Waiting);
    assert_eq!(fetched(&store, &one, 0, 1).await, [1]);
    assert_eq!(fetched(&store, &one, 0, 2).await, [1], "the answer may have been lost");
    let known = store.order(&order(&one, 1).sealed.content.id).await.unwrap().unwrap();
    assert_eq!((known.state, known.updated_at), (OrderState::Fetched, minute(1)));
    assert_eq!((known.sealed, known.envelope), (order(&one, 1).sealed, order(&one, 1).envelope));
}

async fn newer(store: SharedStore) {
    let (one, two) = (enrol(&store, 1).await, laptop(22));
    put(&store, &order(&one, 1)).await;
    put(&store, &order(&two, 7)).await;
    put(&store, &order(&one, 2)).await;
    let states: Vec<_> = store.orders(&one, 9).await.unwrap().iter().map(|o| o.state).collect();
    assert_eq!(states, [OrderState::Waiting, OrderState::Void]);
    assert_eq!(fetched(&store, &one, 0, 1).await, [2]);
    assert_eq!(fetched(&store, &two, 0, 1).await, [7]);
}

async fn past(store: SharedStore) {
    let one = enrol(&store, 1).await;
    put(&store, &order(&one, 1)).await;
    assert_eq!(fetched(&store, &one, 0, 60).await, [0u64; 0]);
    assert_eq!(store.orders(&one, 9).await.unwrap()[0].state, OrderState::Void);
}

async fn results(store: SharedStore) {
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    put(&store, &order(&one, 1)).await;
    let id = order(&one, 1).sealed.content.id;
    let failed =
        OrderResult { order: Some(id.clone()), outcome: Outcome::Failed, why: Some("no nft".into()) };
    assert!(!store.order_result(&two, &failed, minute(2)).await.unwrap());
    assert!(store.order_result(&one, &failed, minute(2)).await.unwrap());
    let known = store.order(&id).await.unwrap().unwrap();
    assert_eq!((known.state, known.why.as_deref()), (OrderState::Failed, Some("no nft")));
    let unreadable = OrderResult { order: None, outcome: Outcome::Refused, why: None };
    assert!(!store.order_result(&one, &unreadable, minute(2)).await.unwrap());
}

async fn marks(store: SharedStore) {
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    assert_eq!(store.orders_since(0).await.unwrap(), (Vec::new(), 0));
    put(&store, &order(&one, 1)).await;
    put(&store, &StoredOrder { state: OrderState::Done, ..order(&two, 101) }).await;
    put(&store, &order(&one, 2)).await;
    let (devices, mark) = store.orders_since(0).await.unwrap();
    assert_eq!(devices, std::slice::from_ref(&one));
    assert_eq!(store.orders_since(mark).await.unwrap(), (Vec::new(), mark));
    put(&store, &order(&two, 102)).await;
    assert_eq!(store.orders_since(mark).await.unwrap().0, [two]);
}
