//! The queue of devices to be judged.

use farmwatch_shared::facts::{Power, Session, Transition, TransitionKind, UsbDevice};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::Judged;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use super::super::work::WINDOWS_WAIT_IN_DOUBT;
use super::super::{AWAY_DAYS, Change, SharedStore, StoreError, Taken, WINDOWS_WAIT};
use super::{Case, arrival, change, enrol, heartbeat, laptop, minute};

pub const CASES: &[Case] = &[
    ("what changed is queued, a heartbeat is not", |s| Box::pin(queued(s))),
    ("what only windows changed is due later, sooner where facts speak for a farm", |s| Box::pin(later(s))),
    ("work is taken by one, oldest first", |s| Box::pin(taken(s))),
    ("work that is not done comes back after a minute", |s| Box::pin(lease(s))),
    ("a change while a device is judged keeps it on the queue", |s| Box::pin(changed_again(s))),
    ("who judges longer than his lease writes over nobody", |s| Box::pin(late(s))),
    ("one that is heard again after weeks is judged", |s| Box::pin(back_again(s))),
];

async fn report(store: &SharedStore, report: Report) {
    store.ingest(vec![arrival(report)]).await.unwrap();
}

/// Takes work; which devices.
pub async fn take(store: &SharedStore, limit: u32, now: Timestamp) -> Vec<DeviceId> {
    let taken = store.take_work(limit, now).await.unwrap();
    taken.into_iter().map(|taken| taken.device).collect()
}

/// Takes the one device that is due, and is done with it.
async fn judge_one(store: &SharedStore, device: &DeviceId, now: Timestamp) {
    let taken = store.take_work(9, now).await.unwrap();
    assert_eq!(taken.iter().map(|taken| &taken.device).collect::<Vec<_>>(), [device]);
    store.apply(taken.into_iter().map(Change::Done).collect()).await.unwrap();
}

/// Queue emptied.
async fn idle(store: &SharedStore) {
    for taken in store.take_work(100, minute(1000)).await.unwrap() {
        store.apply(vec![Change::Done(taken)]).await.unwrap();
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
    state.put("1", &Session::default());
    report(&store, change(&device, 5, &before, &state)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0, "a fact that no rule reads");
    let before = state.clone();
    state.put("self", &Power { battery: true, ..Power::default() });
    report(&store, change(&device, 6, &before, &state)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1, "one that a rule reads");
    idle(&store).await;
    let mut moved = arrival(heartbeat(&device, 7, &state));
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
    assert_eq!(take(&store, 9, soon - SignedDuration::from_secs(1)).await, []);
    assert_eq!(store.work_due(soon).await.unwrap(), 1);
    judge_one(&store, &suspicious, soon).await;
    // What comes meanwhile does not put it off.
    let mut more = arrival(told(&quiet, 3));
    more.received_at = soon;
    store.ingest(vec![more]).await.unwrap();
    judge_one(&store, &quiet, arrived + WINDOWS_WAIT).await;
    // A fact is due at once, and takes along what would have waited.
    report(&store, told(&quiet, 4)).await;
    let mut next = state.clone();
    next.put("1-1", &UsbDevice::default());
    report(&store, change(&quiet, 5, &state, &next)).await;
    assert_eq!(take(&store, 9, minute(5)).await, [quiet]);
}

async fn back_again(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let beat = |seq, days: i64| {
        let mut beat = arrival(heartbeat(&device, seq, &State::default()));
        beat.received_at = minute(days * 24 * 60);
        beat
    };
    store.ingest(vec![beat(1, 0)]).await.unwrap();
    idle(&store).await;
    store.ingest(vec![beat(2, AWAY_DAYS - 1)]).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
    store.ingest(vec![beat(3, 2 * AWAY_DAYS - 1)]).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1);
}

async fn taken(store: SharedStore) {
    for (n, at) in [(1, 3), (2, 1), (3, 2)] {
        store.queue(&[enrol(&store, n).await], minute(at)).await.unwrap();
    }
    store.queue(&[laptop(9)], minute(0)).await.unwrap();
    let mut all = store.take_work(2, minute(5)).await.unwrap();
    all.extend(store.take_work(2, minute(5)).await.unwrap());
    assert_eq!(all.iter().map(|taken| taken.device.clone()).collect::<Vec<_>>(), [2, 3, 1].map(laptop));
    assert_eq!(take(&store, 2, minute(5)).await, []);
    store.apply(all.into_iter().map(Change::Done).collect()).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
}

async fn lease(store: SharedStore) {
    let device = enrol(&store, 1).await;
    store.queue(std::slice::from_ref(&device), minute(0)).await.unwrap();
    assert_eq!(take(&store, 1, minute(5)).await, std::slice::from_ref(&device));
    assert_eq!(take(&store, 1, minute(5)).await, []);
    assert_eq!(take(&store, 1, minute(6)).await, [device]);
}

async fn changed_again(store: SharedStore) {
    let device = enrol(&store, 1).await;
    store.queue(std::slice::from_ref(&device), minute(0)).await.unwrap();
    let taken = store.take_work(1, minute(5)).await.unwrap();
    report(&store, heartbeat(&device, 1, &State::default())).await;
    store.apply(taken.into_iter().map(Change::Done).collect()).await.unwrap();
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1);
    judge_one(&store, &device, minute(5)).await;
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
}

/// One who took longer than his lease, and another who judges what has changed since.
async fn late(store: SharedStore) {
    let device = enrol(&store, 1).await;
    store.queue(std::slice::from_ref(&device), minute(0)).await.unwrap();
    let first = store.take_work(1, minute(5)).await.unwrap().remove(0);
    store.queue(std::slice::from_ref(&device), minute(6)).await.unwrap();
    let second = store.take_work(1, minute(7)).await.unwrap().remove(0);
    let judged = |llr, taken: &Taken| {
        let judged = Judged { llr, ..Judged::default() };
        vec![Change::Judged(device.clone(), Box::new(judged)), Change::Done(taken.clone())]
    };
    let refused = store.apply(judged(1.0, &first)).await;
    assert!(matches!(&refused, Err(StoreError::Late(late)) if *late == device), "{refused:?}");
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 1, "it is still to be judged");
    store.apply(judged(2.0, &second)).await.unwrap();
    assert!(matches!(store.apply(judged(3.0, &first)).await, Err(StoreError::Late(_))));
    let known = store.device(&device).await.unwrap().unwrap();
    assert_eq!(known.judged.unwrap().llr.to_bits(), 2.0f64.to_bits());
    assert_eq!(store.work_due(Timestamp::MAX).await.unwrap(), 0);
}
