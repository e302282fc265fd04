//! Devices: found by what people know of them.

use farmwatch_shared::facts::{Host, Power};
use farmwatch_shared::id::SiteId;
use farmwatch_shared::judge::Judged;
use farmwatch_shared::state::State;

use super::super::{
    Asset, Change, Device, DeviceCount, DeviceFilter, Page, Receipt, SharedStore, Standing, StoreError,
};
use super::{Case, arrival, change, enrol, enrolled, heartbeat, laptop, minute};

pub const CASES: &[Case] = &[
    ("a device comes back as it was added", |s| Box::pin(round_trip(s))),
    ("an id is given once", |s| Box::pin(once(s))),
    ("standing and certificates change", |s| Box::pin(standing(s))),
    ("devices are listed by id, page by page", |s| Box::pin(pages(s))),
    ("devices are found by id, serial, host name and user", |s| Box::pin(text(s))),
    ("the silent are found", |s| Box::pin(silent(s))),
    ("a judgement stands beside its device", |s| Box::pin(judged(s))),
    ("a device stands where the last report of a group left it", |s| Box::pin(stands_last(s))),
];

async fn listed(store: &SharedStore, filter: DeviceFilter) -> Vec<u128> {
    let found = store.devices(&filter, &Page::first(100)).await.unwrap();
    (1..=20).filter(|n| found.iter().any(|d| d.id == laptop(*n))).collect()
}

async fn round_trip(store: SharedStore) {
    let device = Device {
        standing: Standing::Pending,
        serial: None,
        public_address: Some("2001:db8::1".parse().unwrap()),
        last_seen: Some(minute(3)),
        seq: 7,
        boot: "0a1b2c3d".into(),
        judged: Some(Judged { posterior: 0.5, ..Judged::default() }),
        site: Some(SiteId::new(1, 1)),
        ..enrolled(1)
    };
    store.add_device(device.clone()).await.unwrap();
    assert_eq!(store.device(&laptop(1)).await.unwrap(), Some(device));
    assert_eq!(store.device(&laptop(2)).await.unwrap(), None);
}

async fn once(store: SharedStore) {
    enrol(&store, 1).await;
    assert!(matches!(store.add_device(enrolled(1)).await, Err(StoreError::Conflict(_))));
}

async fn standing(store: SharedStore) {
    let device = enrol(&store, 1).await;
    enrol(&store, 2).await;
    store.set_standing(&device, Standing::Revoked).await.unwrap();
    store.set_certificates(&device, &["0b".into(), "0c".into()]).await.unwrap();
    let known = store.device(&device).await.unwrap().unwrap();
    assert_eq!((known.standing, known.certificates), (Standing::Revoked, vec!["0b".into(), "0c".into()]));
    assert_eq!(store.device_count().await.unwrap(), DeviceCount { enrolled: 1, pending: 0, revoked: 1 });
    let revoked = DeviceFilter { standing: Some(Standing::Revoked), ..DeviceFilter::default() };
    assert_eq!(listed(&store, revoked).await, [1]);
    assert!(store.set_standing(&laptop(9), Standing::Revoked).await.is_err());
    assert!(store.set_certificates(&laptop(9), &[]).await.is_err());
}

async fn pages(store: SharedStore) {
    for n in [3, 1, 2, 5, 4] {
        enrol(&store, n).await;
    }
    let mut page = Page::first(2);
    let mut ids = Vec::new();
    loop {
        let devices = store.devices(&DeviceFilter::default(), &page).await.unwrap();
        let Some(last) = devices.last() else { break };
        page.after = Some(last.id.to_string());
        ids.extend(devices.into_iter().map(|d| d.id));
    }
    assert_eq!(ids, (1..=5).map(laptop).collect::<Vec<_>>());
}

async fn text(store: SharedStore) {
    for n in 1..=3 {
        enrol(&store, n).await;
    }
    let asset = Asset { serial: "SN0002".into(), user: "Jo.Doe_x".into(), ..Asset::default() };
    store.put_assets(vec![asset]).await.unwrap();
    let of = |text: &str| DeviceFilter { text: Some(text.into()), ..DeviceFilter::default() };
    assert_eq!(listed(&store, of("sn000")).await, [1, 2, 3]);
    assert_eq!(listed(&store, of("laptop-3")).await, [3]);
    assert_eq!(listed(&store, of("jo.doe_")).await, [2]);
    assert_eq!(listed(&store, of("o_d")).await, [], "_ is no wildcard");
    assert_eq!(listed(&store, of(laptop(1).as_str())).await, [1]);
    assert_eq!(listed(&store, of("-3")).await, [3], "two letters");
    assert_eq!(listed(&store, of("o.")).await, [2], "two letters of a user");
    for odd in ["\"", "a\" OR \"b", "*", "NOT laptop", "\0\0\0", "%%%", "\\\\\\"] {
        assert_eq!(listed(&store, of(odd)).await, [], "{odd:?} is no operator");
    }
    let asset = Asset { serial: "SN0002".into(), user: "Mary Ann".into(), ..Asset::default() };
    store.put_assets(vec![asset.clone()]).await.unwrap();
    store.put_assets(vec![asset]).await.unwrap();
    assert_eq!(listed(&store, of("jo.doe_")).await, [], "another's now");
    assert_eq!(listed(&store, of("ary an")).await, [2]);
    let revoked = DeviceFilter { standing: Some(Standing::Revoked), ..of("sn000") };
    assert_eq!(listed(&store, revoked.clone()).await, []);
    store.set_standing(&laptop(3), Standing::Revoked).await.unwrap();
    assert_eq!(listed(&store, revoked).await, [3]);
    let mut host = State::default();
    host.put("self", &Host { hostname: "mill-7".into(), ..Host::default() });
    store.ingest(vec![arrival(change(&laptop(1), 1, &State::default(), &host))]).await.unwrap();
    assert_eq!(listed(&store, of("mill-7")).await, [1]);
    assert_eq!(listed(&store, of("laptop-1")).await, [], "it has another name now");
    assert_eq!(listed(&store, of("sn0001")).await, [1], "and the same serial number");
    let mut page = Page { after: None, limit: 1 };
    let mut found = Vec::new();
    while let Some(device) = store.devices(&of("sn000"), &page).await.unwrap().pop() {
        page.after = Some(device.id.to_string());
        found.push(device.id);
    }
    assert_eq!(found, (1..=3).map(laptop).collect::<Vec<_>>());
}

async fn silent(store: SharedStore) {
    for n in 1..=3 {
        enrol(&store, n).await;
    }
    let day = 24 * 60;
    for (n, at) in [(1, 10), (2, 5 * day)] {
        let mut seen = arrival(heartbeat(&laptop(n), 1, &Default::default()));
        seen.received_at = minute(at);
        store.ingest(vec![seen]).await.unwrap();
    }
    let since = |at| DeviceFilter { silent_since: Some(minute(at)), ..DeviceFilter::default() };
    assert_eq!(listed(&store, since(10)).await, [3], "never heard since it enrolled");
    assert_eq!(listed(&store, since(11)).await, [1, 3]);
    assert_eq!(listed(&store, since(5 * day)).await, [1, 3]);
    assert_eq!(listed(&store, since(5 * day + 1)).await, [1, 2, 3]);
}

async fn judged(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let judged = Judged { llr: 7.5, posterior: 0.15, ..Judged::default() };
    store.apply(vec![Change::Judged(device.clone(), Box::new(judged.clone()))]).await.unwrap();
    assert_eq!(store.device(&device).await.unwrap().unwrap().judged, Some(judged));
    let stranger = Change::Judged(laptop(9), Box::default());
    assert!(store.apply(vec![stranger]).await.is_err());
}

async fn stands_last(store: SharedStore) {
    let (device, empty) = (enrol(&store, 1).await, State::default());
    let mut mains = State::default();
    mains.put("self", &Power { mains: Some(true), ..Power::default() });
    let beat = |seq, state| heartbeat(&device, seq, state);
    let groups = [
        vec![beat(1, &empty), beat(2, &empty), beat(3, &empty)],
        vec![beat(4, &empty), change(&device, 5, &empty, &mains)],
        vec![change(&device, 6, &mains, &empty), beat(7, &empty), beat(8, &empty)],
        // 9 and 10 are lost
        vec![beat(11, &empty), beat(12, &empty)],
    ];
    for group in groups {
        let last = group.last().map(|report| (report.seq, Some(report.at)));
        store.ingest(group.into_iter().map(arrival).collect()).await.unwrap();
        let known = store.device(&device).await.unwrap().unwrap();
        assert_eq!(Some((known.seq, known.last_seen)), last);
    }
    // What is refused meanwhile undoes no heartbeat.
    let nobody = laptop(2);
    let refused = store.set_standing(&nobody, Standing::Revoked);
    let (taken, refused) = tokio::join!(store.ingest(vec![arrival(beat(13, &empty))]), refused);
    assert_eq!(taken.unwrap(), [Receipt::Taken { want_state: false }]);
    assert!(refused.is_err());
    let known = store.device(&device).await.unwrap().unwrap();
    assert_eq!((known.seq, known.last_seen), (13, Some(minute(13))));
}
