//! Reports arrive once, and amount to the agent's state.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Host, Power, Source, SourceKind, Transition, TransitionKind, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{Digest, FactKey, State};
use farmwatch_shared::wire::{MAX_FACTS, MAX_UNPACKED};
use serde_json::json;

use super::super::{
    Anchor, AnchorKind, AnchorSeen, Arrival, Change, Device, Observed, Receipt, SharedStore, Standing,
};
use super::{Case, arrival, change, enrol, enrolled, heartbeat, laptop, minute};

pub const CASES: &[Case] = &[
    ("a change is there once it is acknowledged", |s| Box::pin(change_is_there(s))),
    ("a report that comes again changes nothing", |s| Box::pin(comes_again(s))),
    ("a report of an earlier boot that comes again is known", |s| Box::pin(earlier_boot(s))),
    ("two agents under one name are a conflict", |s| Box::pin(two_agents(s))),
    ("a state folder on other hardware is a conflict", |s| Box::pin(other_hardware(s))),
    ("unknown and revoked devices are told so", |s| Box::pin(unknown(s))),
    ("the whole state is wanted where digests differ, and mends it", |s| Box::pin(drift(s))),
    ("facts hashed again are stored so and keep the digest as sent", |s| Box::pin(hashed_again(s))),
    ("facts that only a newer agent knows are kept", |s| Box::pin(newer_agent(s))),
    ("a device that names ever new facts is told that there is no room", |s| Box::pin(no_room(s))),
    ("a device is listed by its host fact", |s| Box::pin(host_fact(s))),
    ("windows and transitions come back in order", |s| Box::pin(windows(s))),
    ("two halves of a window are put together", |s| Box::pin(half_windows(s))),
    ("what was sent can be read, heartbeats left out", |s| Box::pin(sent(s))),
    ("the shortest round trip counts", |s| Box::pin(round_trip(s))),
    ("what is past retention goes, and the state stays", |s| Box::pin(trim(s))),
    ("a batch is taken in order", |s| Box::pin(batch(s))),
];

async fn take(store: &SharedStore, report: Report) -> Receipt {
    store.ingest(vec![arrival(report)]).await.unwrap().remove(0)
}

fn taken() -> Receipt {
    Receipt::Taken { want_state: false }
}

fn on_mains(mains: bool) -> State {
    let mut state = State::default();
    state.put("self", &Power { mains: Some(mains), ..Power::default() });
    state
}

async fn change_is_there(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let (empty, mains, battery) = (State::default(), on_mains(true), on_mains(false));
    assert_eq!(take(&store, change(&device, 1, &empty, &mains)).await, taken());
    assert_eq!(store.state(&device).await.unwrap(), mains);
    assert_eq!(take(&store, change(&device, 2, &mains, &battery)).await, taken());
    assert_eq!(take(&store, heartbeat(&device, 3, &battery)).await, taken());
    assert_eq!(store.state(&device).await.unwrap(), battery);
    assert_eq!(take(&store, change(&device, 4, &battery, &empty)).await, taken());
    assert_eq!(store.state(&device).await.unwrap(), empty);
    let known = store.device(&device).await.unwrap().unwrap();
    assert_eq!((known.seq, known.boot.as_str(), known.digest), (4, "0a1b2c3d", empty.digest()));
    assert_eq!(known.last_seen, Some(minute(4)));
    assert_eq!(known.public_address, Some("203.0.113.7".parse().unwrap()));
    assert_eq!((known.country.as_deref(), known.clock_skew), (Some("US"), 0));
}

async fn comes_again(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let (empty, mains, battery) = (State::default(), on_mains(true), on_mains(false));
    let first = change(&device, 1, &empty, &mains);
    take(&store, first.clone()).await;
    take(&store, change(&device, 2, &mains, &battery)).await;
    assert_eq!(take(&store, first).await, Receipt::Duplicate);
    assert_eq!(store.state(&device).await.unwrap(), battery);
    assert_eq!(store.device(&device).await.unwrap().unwrap().seq, 2);
}

async fn earlier_boot(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let state = State::default();
    let of = |boot: &str, seq| Report { boot: boot.into(), ..heartbeat(&device, seq, &state) };
    for (boot, seq) in [("aaaaaaaa", 1), ("aaaaaaaa", 2), ("bbbbbbbb", 3), ("cccccccc", 4)] {
        assert_eq!(take(&store, of(boot, seq)).await, taken());
    }
    for (boot, seq) in [("aaaaaaaa", 1), ("aaaaaaaa", 2), ("bbbbbbbb", 3), ("cccccccc", 4)] {
        assert_eq!(take(&store, of(boot, seq)).await, Receipt::Duplicate, "{boot} {seq}");
    }
    assert!(matches!(take(&store, of("bbbbbbbb", 2)).await, Receipt::Conflict { .. }));
    assert_eq!(take(&store, of("cccccccc", 5)).await, taken());
}

async fn two_agents(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let state = State::default();
    let of = |boot: &str, seq| Report { boot: boot.into(), ..heartbeat(&device, seq, &state) };
    take(&store, of("aaaaaaaa", 1)).await;
    take(&store, of("bbbbbbbb", 2)).await;
    let receipt = take(&store, of("aaaaaaaa", 2)).await;
    let Receipt::Conflict { why } = receipt else { panic!("{receipt:?}") };
    assert!(why.contains("aaaaaaaa") && why.contains("bbbbbbbb"), "{why}");
}

async fn other_hardware(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let moved = Report { machine: "11111111".into(), ..heartbeat(&device, 1, &State::default()) };
    assert!(matches!(take(&store, moved).await, Receipt::Conflict { .. }));
    assert_eq!(store.device(&device).await.unwrap().unwrap().last_seen, None);
    assert_eq!(take(&store, heartbeat(&device, 1, &State::default())).await, taken());
}

async fn no_room(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let key = |n: usize| FactKey::try_from(format!("display/{n}")).unwrap();
    let mut full = State::default();
    (0..MAX_FACTS).for_each(|n| full.set(key(n), json!(n)));
    assert_eq!(take(&store, change(&device, 1, &State::default(), &full)).await, taken());
    let mut more = full.clone();
    more.set(key(MAX_FACTS), json!(1));
    let after = [change(&device, 2, &full, &more), heartbeat(&device, 3, &more)].map(arrival);
    let receipts = store.ingest(after.to_vec()).await.unwrap();
    assert!(matches!(&receipts[..], [Receipt::TooMuch { .. }, Receipt::TooMuch { .. }]), "{receipts:?}");
    let mut large = full.clone();
    large.set(key(0), json!("x".repeat(MAX_UNPACKED)));
    let receipt = take(&store, change(&device, 2, &full, &large)).await;
    assert!(matches!(receipt, Receipt::TooMuch { .. }), "{receipt:?}");
    assert_eq!(store.state(&device).await.unwrap(), full);
    assert_eq!(store.device(&device).await.unwrap().unwrap().seq, 1);

    let mut other = more.clone();
    other.remove(&key(0));
    assert_eq!(take(&store, change(&device, 2, &full, &other)).await, taken(), "one came, one went");
    let whole = Report { whole: true, ..change(&device, 3, &State::default(), &full) };
    assert_eq!(take(&store, whole).await, taken());
    assert_eq!(store.state(&device).await.unwrap(), full);
}

async fn unknown(store: SharedStore) {
    let stranger = heartbeat(&laptop(9), 1, &State::default());
    assert_eq!(take(&store, stranger).await, Receipt::Unknown);
    let device = enrol(&store, 1).await;
    assert_eq!(take(&store, heartbeat(&device, 1, &State::default())).await, taken());
    store.set_standing(&device, Standing::Revoked).await.unwrap();
    assert_eq!(take(&store, heartbeat(&device, 2, &State::default())).await, Receipt::Unknown);
    store.set_standing(&device, Standing::Enrolled).await.unwrap();
    assert_eq!(take(&store, heartbeat(&device, 2, &State::default())).await, taken());
}

async fn drift(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let (mains, battery) = (on_mains(true), on_mains(false));
    take(&store, change(&device, 1, &State::default(), &mains)).await;
    let wanted = Receipt::Taken { want_state: true };
    assert_eq!(take(&store, heartbeat(&device, 2, &battery)).await, wanted);
    let whole = Report { whole: true, ..change(&device, 3, &State::default(), &battery) };
    assert_eq!(take(&store, whole).await, taken());
    assert_eq!(store.state(&device).await.unwrap(), battery);
    let nothing = Report { whole: true, ..heartbeat(&device, 4, &State::default()) };
    assert_eq!(take(&store, nothing).await, taken());
    assert_eq!(store.state(&device).await.unwrap(), State::default());
}

async fn hashed_again(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let key = FactKey::try_from("usb_device/1-4".to_owned()).unwrap();
    let (sent, kept) = (json!({"serial": "agents"}), json!({"serial": "ours"}));
    let mut agent = State::default();
    agent.set(key.clone(), sent.clone());
    let mut report = change(&device, 1, &State::default(), &agent);
    report.set.insert(key.clone(), kept.clone());
    let as_sent = BTreeMap::from([(key.clone(), Digest::of_fact(&key, &sent))]);
    let arrival = Arrival { as_sent, ..arrival(report) };
    assert_eq!(store.ingest(vec![arrival]).await.unwrap(), [taken()]);
    assert_eq!(store.state(&device).await.unwrap().value(&key), Some(&kept));
    assert_eq!(store.device(&device).await.unwrap().unwrap().digest, agent.digest());
    assert_eq!(take(&store, heartbeat(&device, 2, &agent)).await, taken());
    assert_eq!(take(&store, change(&device, 3, &agent, &State::default())).await, taken());
}

async fn newer_agent(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let mut state = State::default();
    state.set(
        FactKey::try_from("star_sign/self".to_owned()).unwrap(),
        json!({"sign": "Leo", "moons": [1, 2]}),
    );
    state.set(FactKey::of::<Power>("self"), json!({"mains": true, "fuel_cell": "hydrogen"}));
    take(&store, change(&device, 1, &State::default(), &state)).await;
    assert_eq!(store.state(&device).await.unwrap(), state);
}

async fn host_fact(store: SharedStore) {
    let unnamed = Device { serial: None, ..enrolled(1) };
    let device = unnamed.id.clone();
    store.add_device(unnamed).await.unwrap();
    let host = |serial: Option<&str>| {
        let mut state = State::default();
        let (os, os_version) = ("linux".into(), "Debian GNU/Linux 13".into());
        let serial = serial.map(str::to_owned);
        state.put("self", &Host { os, os_version, hostname: "acme-0042".into(), serial, ..Host::default() });
        state
    };
    let serial = async |id: &DeviceId| store.device(id).await.unwrap().unwrap().serial;
    let (none, other) = (State::default(), enrol(&store, 2).await);
    let theirs = serial(&other).await;

    take(&store, change(&device, 1, &none, &host(theirs.as_deref()))).await;
    assert_eq!(serial(&device).await, None, "another device has it");
    take(&store, change(&device, 2, &host(theirs.as_deref()), &host(Some("PF0001")))).await;
    let known = store.devices_by_serial("PF0001").await.unwrap().remove(0);
    assert_eq!((known.hostname.as_str(), known.os.as_str()), ("acme-0042", "Debian GNU/Linux 13"));
    take(&store, change(&device, 3, &host(Some("PF0001")), &host(None))).await;
    assert_eq!(serial(&device).await.as_deref(), Some("PF0001"));
    take(&store, change(&other, 1, &none, &host(Some("PF0002")))).await;
    assert_eq!(serial(&other).await, theirs, "it keeps the one that it enrolled with");
}

/// A window that begins at a minute.
pub fn window(at: i64, keys: u32) -> Window {
    let source = Source { keys, pointer: 10, active_seconds: 60 };
    Window {
        start: minute(at),
        observed_seconds: 200,
        sources: BTreeMap::from([(SourceKind::BuiltIn, source)]),
        injected_seconds: 0,
        absolute_permille: 0,
        periodic_permille: 0,
        pointer_centinats: Some(-50),
    }
}

async fn windows(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let lost = Transition { at: minute(7), kind: TransitionKind::MainsLost };
    let back = Transition { at: minute(9), kind: TransitionKind::MainsRegained };
    let report = Report {
        windows: vec![window(10, 20), window(5, 10)],
        transitions: vec![back.clone(), lost.clone(), lost.clone()],
        ..heartbeat(&device, 1, &State::default())
    };
    take(&store, report).await;
    assert_eq!(store.windows(&device, minute(0)).await.unwrap(), [window(5, 10), window(10, 20)]);
    assert_eq!(store.windows(&device, minute(6)).await.unwrap(), [window(10, 20)]);
    assert_eq!(store.transitions(&device, minute(0)).await.unwrap(), [lost, back.clone()]);
    assert_eq!(store.transitions(&device, minute(8)).await.unwrap(), [back]);
}

async fn half_windows(store: SharedStore) {
    let device = enrol(&store, 1).await;
    for seq in [1, 2] {
        let half = Report { windows: vec![window(5, 10)], ..heartbeat(&device, seq, &State::default()) };
        take(&store, half).await;
    }
    let both = store.windows(&device, minute(0)).await.unwrap().remove(0);
    assert_eq!((both.observed_seconds, both.pointer_centinats), (300, Some(-100)));
    assert_eq!(both.sources[&SourceKind::BuiltIn], Source { keys: 20, pointer: 20, active_seconds: 120 });
}

async fn sent(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let mut large = State::default();
    for n in 0..100 {
        large.set(FactKey::try_from(format!("display/{n}")).unwrap(), json!({"connector": "HDMI", "n": n}));
    }
    let small = change(&device, 1, &State::default(), &on_mains(true));
    let whole = Report { whole: true, ..change(&device, 3, &State::default(), &large) };
    take(&store, small.clone()).await;
    take(&store, heartbeat(&device, 2, &on_mains(true))).await;
    take(&store, whole.clone()).await;
    let sent = store.sent(&device, 10).await.unwrap();
    assert_eq!(sent.iter().map(|s| &s.report).collect::<Vec<_>>(), [&whole, &small]);
    assert_eq!((sent[0].seq, sent[0].received_at), (3, minute(3)));
    assert_eq!(store.sent(&device, 1).await.unwrap().len(), 1);
}

async fn round_trip(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let silent = enrol(&store, 2).await;
    for (seq, rtt) in [(1, 40), (2, 30), (3, 90)] {
        let observed = Observed { rtt_ms: Some(rtt), mss: None };
        let arrival = Arrival { observed, ..arrival(heartbeat(&device, seq, &State::default())) };
        store.ingest(vec![arrival]).await.unwrap();
    }
    for (since, least) in [(minute(0), Some(30)), (minute(3 * 24 * 60), None)] {
        assert_eq!(store.dossier(&device, since).await.unwrap().unwrap().min_rtt_ms, least);
    }
    let asked = [silent.clone(), laptop(9), device.clone()];
    assert_eq!(store.last_reports(&asked).await.unwrap(), [(silent, 0), (device, 3)]);
}

async fn trim(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let state = on_mains(true);
    let lost = Transition { at: minute(1), kind: TransitionKind::MainsLost };
    let old = Report {
        windows: vec![window(0, 10)],
        transitions: vec![lost],
        ..change(&device, 1, &State::default(), &state)
    };
    let new = Report { windows: vec![window(100, 10)], ..heartbeat(&device, 100, &state) };
    take(&store, old).await;
    take(&store, new.clone()).await;
    let home = |at: i64, current| AnchorSeen {
        anchor: Anchor { kind: AnchorKind::Gateway, value: format!("home {at}") },
        first_seen: minute(0),
        last_seen: minute(at),
        current,
    };
    let shown = vec![home(20, true), home(29, false), home(30, false)];
    store.apply(vec![Change::Anchors(device.clone(), shown.clone())]).await.unwrap();
    assert_eq!(store.trim(minute(50), minute(30)).await.unwrap(), 4);
    assert_eq!(store.anchors_of(&device).await.unwrap(), [shown[0].clone(), shown[2].clone()]);
    assert_eq!(store.windows(&device, minute(0)).await.unwrap(), [window(100, 10)]);
    assert_eq!(store.transitions(&device, minute(0)).await.unwrap(), []);
    assert_eq!(store.sent(&device, 10).await.unwrap().len(), 1);
    assert_eq!(store.state(&device).await.unwrap(), state);
    assert_eq!(take(&store, new).await, Receipt::Duplicate);
}

async fn batch(store: SharedStore) {
    let (one, two) = (enrol(&store, 1).await, laptop(2));
    store.add_device(enrolled(2)).await.unwrap();
    let (mains, battery) = (on_mains(true), on_mains(false));
    let reports = [
        change(&one, 1, &State::default(), &mains),
        heartbeat(&two, 1, &State::default()),
        change(&one, 2, &mains, &battery),
        heartbeat(&laptop(3), 1, &State::default()),
        change(&one, 1, &State::default(), &mains),
    ];
    let receipts = store.ingest(reports.map(arrival).to_vec()).await.unwrap();
    assert_eq!(receipts, [taken(), taken(), taken(), Receipt::Unknown, Receipt::Duplicate]);
    assert_eq!(store.state(&one).await.unwrap(), battery);
}
