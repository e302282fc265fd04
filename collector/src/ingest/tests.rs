use axum::body::Body;
use axum::http::{Request, StatusCode};
use farmwatch_shared::facts::{Power, UsbDevice};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::report::VERSION;
use farmwatch_shared::state::State;
use farmwatch_shared::wire::{ErrorBody, MAX_BODY, RefusedReport};
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

use super::*;
use crate::policy::Policy;
use crate::store::{AuditEntry, Page, sqlite, suite};

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first laptop's report of what leads from one state to another.
pub fn report(seq: u64, from: &State, to: &State) -> Report {
    let report = suite::change(&suite::laptop(1), seq, from, to);
    Report { v: VERSION, at: Timestamp::now(), ..report }
}

fn peer(n: u128) -> Peer {
    Peer {
        device: suite::laptop(n),
        certificate: "0a".into(),
        address: "[::ffff:203.0.113.7]:50000".parse().unwrap(),
        rtt_ms: Some(20),
        mss: Some(1400),
    }
}

async fn ingest() -> Arc<Ingest> {
    let store = sqlite::in_memory().unwrap();
    suite::enrol(&store, 1).await;
    let policy = Policy { version: 7, ..Policy::default() };
    Arc::new(Ingest::new(Arc::new(App::fixed(store, policy)), Places::default()))
}

async fn post<T: DeserializeOwned>(ingest: &Arc<Ingest>, peer: Peer, body: Vec<u8>) -> (StatusCode, T) {
    let request = Request::post("/v1/reports").extension(peer).body(Body::from(body)).unwrap();
    let response = router(ingest.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn audit(ingest: &Ingest) -> Vec<AuditEntry> {
    ingest.app.store.audit_entries(None, &Page::first(10)).await.unwrap()
}

#[tokio::test]
async fn what_is_acknowledged_is_stored_hashed_again_and_queued() {
    let ingest = ingest().await;
    let mut state = State::default();
    let serial = HashKey::new([1; 32]).hash("serial", "DOCK-1");
    state.put("1-4", &UsbDevice { serial: Some(serial.clone()), ..UsbDevice::default() });
    let body = wire::pack(&[report(1, &State::default(), &state), report(2, &state, &state)]).unwrap();
    let (status, ack) = post::<Ack>(&ingest, peer(1), body).await;
    assert_eq!((status, ack), (StatusCode::ACCEPTED, Ack { seq: 2, policy: 7, ..Ack::default() }));
    let store = &ingest.app.store;
    let stored = store.state(&suite::laptop(1)).await.unwrap();
    let stored = stored.get::<UsbDevice>("1-4").unwrap();
    assert_eq!(stored.serial, Some(hash_again(&serial, &ingest.app.hash_key)));
    let device = store.device(&suite::laptop(1)).await.unwrap().unwrap();
    assert_eq!(device.public_address, Some("203.0.113.7".parse().unwrap()));
    assert_eq!(suite::take(store, 9, Timestamp::now()).await, [suite::laptop(1)]);
    let dossier = store.dossier(&suite::laptop(1), Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
    assert_eq!(dossier.min_rtt_ms, Some(20));
}

#[tokio::test]
async fn a_device_that_writes_anothers_id_is_refused_and_audited_once_an_hour() {
    let ingest = ingest().await;
    suite::enrol(&ingest.app.store, 2).await;
    for _ in 0..3 {
        let body = wire::pack(&[report(1, &State::default(), &State::default())]).unwrap();
        let (status, error) = post::<ErrorBody>(&ingest, peer(2), body).await;
        assert_eq!((status, error.error.as_str()), (StatusCode::FORBIDDEN, "foreign_report"));
    }
    let entries = audit(&ingest).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].entry.action, "foreign_report");
    assert_eq!(entries[0].entry.object, suite::laptop(2).to_string());
    assert_eq!(ingest.app.store.device(&suite::laptop(1)).await.unwrap().unwrap().seq, 0);
}

#[tokio::test]
async fn a_copied_state_folder_is_a_conflict_and_judged() {
    let ingest = ingest().await;
    let copy = Report { machine: "11111111".into(), ..report(1, &State::default(), &State::default()) };
    let (status, error) = post::<ErrorBody>(&ingest, peer(1), wire::pack(&[copy]).unwrap()).await;
    assert_eq!((status, error.error.as_str()), (StatusCode::CONFLICT, "conflict"));
    assert_eq!(audit(&ingest).await[0].entry.action, "conflict");
    assert_eq!(suite::take(&ingest.app.store, 9, Timestamp::now()).await, [suite::laptop(1)]);
}

#[tokio::test]
async fn a_bad_report_does_not_cost_those_before_it() {
    let ingest = ingest().await;
    let mut state = State::default();
    state.put("self", &Power { mains: Some(true), ..Power::default() });
    let good = serde_json::to_string(&report(1, &State::default(), &state)).unwrap();
    for bad in ["{\"v\":1", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "\u{7f}"] {
        let lines = format!("{good}\n{bad}\n{good}\n");
        let body = zstd::bulk::compress(lines.as_bytes(), 3).unwrap();
        let (status, refused) = post::<RefusedReport>(&ingest, peer(1), body).await;
        assert_eq!((status, refused.line), (StatusCode::UNPROCESSABLE_ENTITY, 2), "{bad}");
        assert_eq!(refused.ack.map(|ack| ack.seq), Some(1));
        assert!(refused.message.contains("line 2"), "{}", refused.message);
    }
    assert_eq!(ingest.app.store.state(&suite::laptop(1)).await.unwrap(), state);
}

#[tokio::test]
async fn a_report_that_can_never_be_taken_is_named() {
    let ingest = ingest().await;
    let zero = Report { seq: 0, ..report(1, &State::default(), &State::default()) };
    let (status, refused) = post::<RefusedReport>(&ingest, peer(1), wire::pack(&[zero]).unwrap()).await;
    assert_eq!((status, refused.line, refused.ack), (StatusCode::UNPROCESSABLE_ENTITY, 1, None));
}

#[tokio::test]
async fn bodies_out_of_bounds_are_refused_as_such() {
    let ingest = ingest().await;
    let cases = [
        (vec![0; MAX_BODY + 1], StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        (b"not zstd".to_vec(), StatusCode::BAD_REQUEST, "bad_body"),
        (zstd::bulk::compress(&vec![b' '; 1 << 20], 3).unwrap(), StatusCode::PAYLOAD_TOO_LARGE, "bomb"),
        (wire::pack(&[]).unwrap(), StatusCode::BAD_REQUEST, "bad_body"),
    ];
    for (body, status, word) in cases {
        let (got, error) = post::<ErrorBody>(&ingest, peer(1), body).await;
        assert_eq!((got, error.error.as_str()), (status, word), "{}", error.message);
    }
}

#[tokio::test]
async fn a_stranger_is_told_to_enrol() {
    let ingest = ingest().await;
    let stranger = Report { device: suite::laptop(3), ..report(1, &State::default(), &State::default()) };
    let (status, error) = post::<ErrorBody>(&ingest, peer(3), wire::pack(&[stranger]).unwrap()).await;
    assert_eq!((status, error.error.as_str()), (StatusCode::FORBIDDEN, "unknown_device"));
}

#[tokio::test]
async fn agents_are_turned_away_while_too_much_waits() {
    let ingest = ingest().await;
    let others = 9000..9000 + admission::ROOM_KIB as u128;
    let all: Vec<_> = others.map(|n| ingest.admission.enter(&suite::laptop(n), 1).unwrap()).collect();
    let body = wire::pack(&[report(1, &State::default(), &State::default())]).unwrap();
    let request = || Request::post("/v1/reports").extension(peer(1)).body(Body::from(body.clone())).unwrap();
    let response = router(ingest.clone()).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let again: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((10..=30).contains(&again), "{again}");
    drop(all);
    let response = router(ingest.clone()).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
}
