//! What lanes remember of devices while others write to them.

use std::time::Duration;

use farmwatch_shared::facts::{Host, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::State;
use tokio_postgres::{Client, NoTls};

use super::super::super::suite::{arrival, change, enrol, heartbeat, laptop, minute, window};
use super::super::super::{Receipt, SharedStore, Standing};
use super::server::Server;
use super::{at, server};

const TAKEN: Receipt = Receipt::Taken { want_state: false };

async fn send(store: &SharedStore, report: Report) -> Receipt {
    store.ingest(vec![arrival(report)]).await.unwrap().remove(0)
}

async fn beat(store: &SharedStore, device: &DeviceId, seq: u64) -> Receipt {
    send(store, heartbeat(device, seq, &State::default())).await
}

async fn connect(server: &Server) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url("farmwatch"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_collector_does_to_a_device_shows_with_its_next_report() {
    let server = server().await;
    let (one, other) = (at(&server, "farmwatch").await, at(&server, "farmwatch").await);
    let (device, beside) = (enrol(&one, 1).await, enrol(&one, 2).await);
    for seq in 1..=3 {
        assert_eq!((beat(&one, &device, seq).await, beat(&one, &beside, seq).await), (TAKEN, TAKEN));
    }
    // In one group with a device to which nothing happened.
    let both = async |seq| {
        let reports = [&device, &beside].map(|device| arrival(heartbeat(device, seq, &State::default())));
        one.ingest(reports.into()).await.unwrap()
    };
    other.set_standing(&device, Standing::Revoked).await.unwrap();
    assert_eq!(both(4).await, [Receipt::Unknown, TAKEN]);
    assert_eq!(beat(&one, &device, 4).await, Receipt::Unknown);
    other.set_standing(&device, Standing::Pending).await.unwrap();
    assert_eq!(both(5).await, [TAKEN, TAKEN]);
    assert_eq!(beat(&other, &device, 6).await, TAKEN);
    assert_eq!(both(6).await, [Receipt::Duplicate, TAKEN]);
    let elsewhere = Report { machine: "00000000".into(), ..heartbeat(&device, 7, &State::default()) };
    assert!(matches!(send(&one, elsewhere).await, Receipt::Conflict { .. }));
    assert_eq!(beat(&one, &device, 7).await, TAKEN);
    // The other remembers number 6.
    assert_eq!(beat(&other, &device, 7).await, Receipt::Duplicate);
    let booted = Report { boot: "1b2c3d4e".into(), ..heartbeat(&device, 8, &State::default()) };
    assert_eq!(send(&other, booted).await, TAKEN);
    assert!(matches!(beat(&one, &device, 9).await, Receipt::Taken { .. }));
    assert_eq!(beat(&other, &device, 7).await, Receipt::Duplicate);
    assert_eq!(one.device(&device).await.unwrap().unwrap().seq, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_and_parts_of_windows_that_come_by_two_collectors_add_up() {
    let server = server().await;
    let stores = [at(&server, "farmwatch").await, at(&server, "farmwatch").await];
    let device = enrol(&stores[0], 1).await;
    let mut state = State::default();
    for seq in 1..=60u64 {
        let before = state.clone();
        let host = Host { hostname: format!("h{}", seq % 4), ..Host::default() };
        state.put("self", &host);
        state.put(&format!("n{}", seq % 5), &host);
        let window = window(5 * i64::try_from(seq / 4).unwrap(), 1);
        let report = Report { windows: vec![window], ..change(&device, seq, &before, &state) };
        let by = &stores[usize::from(seq % 7 < 3)];
        assert_eq!(send(by, report.clone()).await, TAKEN, "{seq}");
        let again = &stores[usize::from(seq % 3 == 0)];
        assert_eq!(send(again, report).await, Receipt::Duplicate, "{seq}");
    }
    assert_eq!(stores[0].state(&device).await.unwrap(), state);
    let windows = stores[1].windows(&device, minute(0)).await.unwrap();
    let keys = |window: &Window| window.sources.values().map(|source| source.keys).sum::<u32>();
    assert_eq!((windows.len(), windows.iter().map(keys).sum::<u32>()), (16, 60));
    assert_eq!(stores[0].sent(&device, 100).await.unwrap().len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_head_finds_it_as_it_is_then() {
    let server = server().await;
    let store = at(&server, "farmwatch").await;
    let device = enrol(&store, 1).await;
    for seq in 1..=2 {
        assert_eq!(beat(&store, &device, seq).await, TAKEN);
    }
    let mut client = connect(&server).await;
    let sends = |seq| {
        let (store, device) = (store.clone(), device.clone());
        tokio::spawn(async move { beat(&store, &device, seq).await })
    };
    let moment = || tokio::time::sleep(Duration::from_millis(200));
    // Locked and let go, it is the same.
    let held = client.transaction().await.unwrap();
    held.batch_execute("SELECT * FROM head FOR UPDATE").await.unwrap();
    let waiting = sends(3);
    moment().await;
    assert!(!waiting.is_finished());
    held.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), TAKEN);
    // Written and undone, too.
    let held = client.transaction().await.unwrap();
    held.batch_execute("UPDATE head SET seq = 100").await.unwrap();
    let waiting = sends(4);
    moment().await;
    held.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), TAKEN);
    let held = client.transaction().await.unwrap();
    held.batch_execute("UPDATE head SET seq = 100").await.unwrap();
    let waiting = sends(5);
    moment().await;
    assert!(!waiting.is_finished());
    held.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Receipt::Duplicate);
    // It is revoked while a report waits, and by one who only then begins to be waited for.
    assert_eq!(beat(&store, &device, 101).await, TAKEN);
    let held = client.transaction().await.unwrap();
    held.batch_execute("UPDATE head SET seq = seq").await.unwrap();
    let waiting = sends(102);
    moment().await;
    held.batch_execute("UPDATE device SET standing = 'revoked'").await.unwrap();
    held.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Receipt::Unknown);
    assert_eq!(store.device(&device).await.unwrap().unwrap().seq, 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_whose_reports_come_by_two_lanes_loses_none() {
    let server = server().await;
    let store = at(&server, "farmwatch").await;
    let devices =
        [enrol(&store, 1).await, enrol(&store, 2).await, enrol(&store, 3).await, enrol(&store, 4).await];
    for seq in 1..=40u64 {
        // A call goes by the lane of its first device.
        let first = usize::try_from(seq).unwrap() % devices.len();
        let calls = (0..devices.len()).map(|n| &devices[(first + n) % devices.len()]);
        let reports = calls.map(|device| arrival(heartbeat(device, seq, &State::default()))).collect();
        assert_eq!(store.ingest(reports).await.unwrap(), [TAKEN; 4]);
    }
    for n in 1..=4 {
        assert_eq!(store.device(&laptop(n)).await.unwrap().unwrap().seq, 40);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_a_device_is_revoked_nobody_takes_a_report_of_it() {
    let server = server().await;
    let stores = [at(&server, "farmwatch").await, at(&server, "farmwatch").await];
    let device = enrol(&stores[0], 1).await;
    let mut seq = 0;
    for round in 0..40 {
        // Reports come all the time while its standing changes.
        let standing = if round % 2 == 0 { Standing::Revoked } else { Standing::Enrolled };
        let beats = async {
            for _ in 0..4 {
                seq += 1;
                beat(&stores[0], &device, seq).await;
            }
        };
        let (changed, ()) = tokio::join!(stores[1].set_standing(&device, standing), beats);
        changed.unwrap();
        for store in &stores {
            seq += 1;
            let receipt = beat(store, &device, seq).await;
            assert_eq!(receipt == Receipt::Unknown, standing == Standing::Revoked, "{round}: {receipt:?}");
        }
    }
}
