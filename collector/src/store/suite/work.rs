//! The queue of devices to be judged.

use farmwatch_shared::facts::{Power, Transition, TransitionKind, UsbDevice};
use farmwatch_shared::judge::Judged;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use super::super::work::WINDOWS_WAIT_IN_DOUBT;
use super::super::{Change, SharedStore, WINDOWS_WAIT};
use super::{Case, arrival, change, enrol, heartbeat, laptop, minute};

pub const CASES: &[Case] = &[
    ("what changed is queued, a heartbeat is not", |s| Box::pin(queued(s))),
    ("what only windows changed is due later, sooner where facts speak for a farm", |s| Box::pin(later(s))),
    ("work is taken by one, oldest first", |s| Box::pin(taken(s))),
    ("work that is not done comes back after a minute", |s| Box::pin(lease(s))),
    ("a change while a device is judged keeps it on the queue", |s| Box::pin(changed_again(s))),
];

async fn report(store: &SharedStore, report: Report) {
    store.ingest(vec![arrival(report)]).await.unwrap();
}

/// Queue emptied.
async fn idle(store: &SharedStore) {
    for device in store.take_work(100, minute(1000)).await.unwrap() {
        store.apply(vec![Change::Done(device)]).await.unwrap();
    }
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
}

async fn queued(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let mut state = State::default();
    report(&store, heartbeat(&device, 1, &state)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1, "its public address is new");
    idle(&store).await;
    report(&store, heartbeat(&device, 2, &state)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
    let before = state.clone();
    state.put("1-1", &UsbDevice::default());
    report(&store, change(&device, 3, &before, &state)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1, "a fact");
    idle(&store).await;
    let whole = Report { whole: true, ..change(&device, 4, &State::default(), &state) };
    report(&store, whole).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0, "the whole state, and nothing new in it");
    let before = state.clone();
    state.put("self", &Power { battery: true, ..Power::default() });
    report(&store, change(&device, 5, &before, &state)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0, "a fact that no rule reads");
    let mut moved = arrival(heartbeat(&device, 6, &state));
    moved.source = Some("198.51.100.1".parse().unwrap());
    store.ingest(vec![moved]).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1, "another public address");
}

async fn later(store: SharedStore) {
    let (quiet, suspicious) = (enrol(&store, 1).await, enrol(&store, 2).await);
    let state = State::default();
    report(&store, heartbeat(&quiet, 1, &state)).await;
    report(&store, heartbeat(&suspicious, 1, &state)).await;
    let judged = Judged { llr: 2.0, honest_llr: 1.0, ..Judged::default() };
    store.apply(vec![Change::Judged(suspicious.clone(), Box::new(judged))]).await.unwrap();
    idle(&store).await;

    let moment = |at: i64| Transition { at: minute(at), kind: TransitionKind::LidClosed };
    let told = |device, seq| Report {
        transitions: vec![moment(seq)],
        ..heartbeat(device, seq.cast_unsigned(), &state)
    };
    let arrived = arrival(told(&quiet, 2)).received_at;
    for device in [&quiet, &suspicious] {
        report(&store, told(device, 2)).await;
    }
    let soon = arrived + WINDOWS_WAIT_IN_DOUBT;
    assert_eq!(store.take_work(9, soon - SignedDuration::from_secs(1)).await.unwrap(), []);
    assert_eq!(store.work_due(soon).await.unwrap(), 1);
    assert_eq!(store.take_work(9, soon).await.unwrap(), std::slice::from_ref(&suspicious));
    store.apply(vec![Change::Done(suspicious.clone())]).await.unwrap();
    // What comes meanwhile does not put it off.
    let mut more = arrival(told(&quiet, 3));
    more.received_at = soon;
    store.ingest(vec![more]).await.unwrap();
    assert_eq!(store.take_work(9, arrived + WINDOWS_WAIT).await.unwrap(), std::slice::from_ref(&quiet));
    store.apply(vec![Change::Done(quiet.clone())]).await.unwrap();
    // A fact is due at once, and takes along what would have waited.
    report(&store, told(&quiet, 4)).await;
    let mut next = state.clone();
    next.put("1-1", &UsbDevice::default());
    report(&store, change(&quiet, 5, &state, &next)).await;
    assert_eq!(store.take_work(9, minute(5)).await.unwrap(), [quiet]);
}

async fn taken(store: SharedStore) {
    for (n, at) in [(1, 3), (2, 1), (3, 2)] {
        store.queue(&[enrol(&store, n).await], minute(at)).await.unwrap();
    }
    store.queue(&[laptop(9)], minute(0)).await.unwrap();
    assert_eq!(store.take_work(2, minute(5)).await.unwrap(), [laptop(2), laptop(3)]);
    assert_eq!(store.take_work(2, minute(5)).await.unwrap(), [laptop(1)]);
    assert_eq!(store.take_work(2, minute(5)).await.unwrap(), []);
    let done = [1, 2, 3].map(|n| Change::Done(laptop(n)));
    store.apply(done.to_vec()).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
}

async fn lease(store: SharedStore) {
    let device = enrol(&store, 1).await;
    store.queue(std::slice::from_ref(&device), minute(0)).await.unwrap();
    assert_eq!(store.take_work(1, minute(5)).await.unwrap(), std::slice::from_ref(&device));
    assert_eq!(store.take_work(1, minute(5)).await.unwrap(), []);
    assert_eq!(store.take_work(1, minute(6)).await.unwrap(), [device]);
}

async fn changed_again(store: SharedStore) {
    let device = enrol(&store, 1).await;
    store.queue(std::slice::from_ref(&device), minute(0)).await.unwrap();
    store.take_work(1, minute(5)).await.unwrap();
    report(&store, heartbeat(&device, 1, &State::default())).await;
    store.apply(vec![Change::Done(device.clone())]).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1);
    assert_eq!(store.take_work(1, minute(5)).await.unwrap(), std::slice::from_ref(&device), "at once");
    store.apply(vec![Change::Done(device)]).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
}
