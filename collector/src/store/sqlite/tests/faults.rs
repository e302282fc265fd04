//! Full disks, refused neighbours, other processes, tampering.

use std::sync::Arc;
use std::time::Duration;

use farmwatch_shared::facts::Power;
use farmwatch_shared::state::State;
use rusqlite::Connection;

use super::super::super::suite::{arrival, change, enrol, enrolled, heartbeat, laptop, minute, take};
use super::super::super::{
    Change, Devices as _, NewAudit, Receipt, Reports as _, SharedStore, Standing, StoreError,
};
use super::super::readers::Readers;
use super::super::writer::{Hand, Writer};
use super::super::{Sqlite, open, schema};

fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("farmwatch.db")
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let hand = Hand::new(schema::open_to_write(&file(&folder)).unwrap());
    let readers = Readers::new(&file(&folder)).unwrap();
    let store = Sqlite::File { bell: Arc::clone(&hand.bell), writer: Writer::start(hand).unwrap(), readers };
    store.add_device(enrolled(1)).await.unwrap();
    let limit = async |pages: u32| {
        let set = move |hand: &mut Hand| {
            Ok(hand
                .conn
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, u32>(0))?)
        };
        store.write(set).await.unwrap()
    };
    limit(1).await; // SQLite takes it as: not one page more than there are
    let mut state = State::default();
    let (mut seq, mut refused) = (0, None);
    while refused.is_none() {
        let mut next = state.clone();
        next.put(&format!("{seq}"), &Power { keep_awake: vec!["x".repeat(2000)], ..Power::default() });
        match store.ingest(vec![arrival(change(&laptop(1), seq + 1, &state, &next))]).await {
            Ok(receipts) => {
                assert_eq!(receipts, [Receipt::Taken { want_state: false }]);
                (state, seq) = (next, seq + 1);
            }
            Err(error) => refused = Some(error),
        }
        assert!(seq < 1000, "the disk never filled");
    }
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.state(&laptop(1)).await.unwrap(), state);
    let beat = || vec![arrival(heartbeat(&laptop(1), seq + 1, &state))];
    assert_eq!(store.ingest(beat()).await.unwrap(), [Receipt::Taken { want_state: false }], "needs no room");
    limit(1_000_000).await;
    let mut next = state.clone();
    next.put("after", &Power { keep_awake: vec!["x".repeat(2000)], ..Power::default() });
    let report = change(&laptop(1), seq + 2, &state, &next);
    assert_eq!(store.ingest(vec![arrival(report)]).await.unwrap(), [Receipt::Taken { want_state: false }]);
    assert_eq!(store.state(&laptop(1)).await.unwrap(), next);
}

#[tokio::test]
async fn one_refused_write_does_not_hurt_others_of_its_group() {
    const LAPTOPS: u128 = 50;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder)).unwrap();
    for n in 1..=LAPTOPS {
        enrol(&store, n).await;
    }
    // Each has one report: who comes first among them says nothing of what it finds.
    let calls = (1..=LAPTOPS).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let report = heartbeat(&laptop(n), 1, &State::default());
            let (refused, taken) =
                tokio::join!(store.add_device(enrolled(n)), store.ingest(vec![arrival(report)]));
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
            assert_eq!(taken.unwrap(), [Receipt::Taken { want_state: false }]);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    for n in 1..=LAPTOPS {
        assert_eq!(store.device(&laptop(n)).await.unwrap().unwrap().seq, 1);
    }
}

#[tokio::test]
async fn a_device_that_another_process_revokes_is_not_taken_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, command_line) = (open(&file(&folder)).unwrap(), open(&file(&folder)).unwrap());
    let device = enrol(&collector, 1).await;
    let beat = async |seq| {
        let report = heartbeat(&device, seq, &State::default());
        collector.ingest(vec![arrival(report)]).await.unwrap().remove(0)
    };
    assert_eq!(beat(1).await, Receipt::Taken { want_state: false });
    command_line.set_standing(&device, Standing::Revoked).await.unwrap();
    assert_eq!(beat(2).await, Receipt::Unknown);
    command_line.set_standing(&device, Standing::Enrolled).await.unwrap();
    assert_eq!(beat(2).await, Receipt::Taken { want_state: false });
}

#[tokio::test]
async fn two_processes_never_take_the_same_work_or_token() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [open(&file(&folder)).unwrap(), open(&file(&folder)).unwrap()];
    for n in 1..=40 {
        let device = enrol(&stores[0], n).await;
        stores[0].queue(&[device], minute(0)).await.unwrap();
    }
    let take_all = async |store: SharedStore| {
        let mut all = Vec::new();
        loop {
            let some = take(&store, 3, minute(1)).await;
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    };
    let (one, two) =
        tokio::join!(tokio::spawn(take_all(stores[0].clone())), tokio::spawn(take_all(stores[1].clone())));
    let mut taken = [one.unwrap(), two.unwrap()].concat();
    taken.sort();
    assert_eq!(taken, (1..=40).map(laptop).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_audit_that_was_tampered_with_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder)).unwrap();
    for n in 1..=4 {
        let entry = NewAudit {
            at: minute(n),
            actor: "ann".into(),
            action: "isolate".into(),
            object: "dev_1".into(),
            why: "drill".into(),
        };
        store.apply(vec![Change::Audit(entry)]).await.unwrap();
    }
    assert_eq!(store.audit_check().await.unwrap(), None);
    let hand = Connection::open(file(&folder)).unwrap();
    let refused = hand.execute("UPDATE audit SET actor = 'eve' WHERE number = 2", []).unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    assert!(hand.execute("DELETE FROM audit WHERE number = 2", []).is_err());
    hand.execute_batch("DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete").unwrap();
    hand.execute("UPDATE audit SET actor = 'eve' WHERE number = 2", []).unwrap();
    assert_eq!(store.audit_check().await.unwrap(), Some(2));
    hand.execute("DELETE FROM audit WHERE number = 2", []).unwrap();
    assert_eq!(store.audit_check().await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_file_of_something_else_or_of_a_newer_version_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    std::fs::write(
        &path,
        "this is not a database, and longer than a header of one, which has 100 bytes: .......",
    )
    .unwrap();
    assert!(open(&path).is_err());
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is not"));
    std::fs::remove_file(&path).unwrap();
    drop(open(&path).unwrap());
    let hand = Connection::open(&path).unwrap();
    hand.execute_batch(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
         VALUES (99, 'newer', '2030-01-01T00:00:00Z', '1')",
    )
    .unwrap();
    let refused = open(&path).err().unwrap();
    assert!(refused.to_string().contains("newer"), "{refused}");
    let missing = open(&folder.path().join("no/such/folder.db")).err().unwrap();
    assert!(missing.to_string().contains("no/such"), "{missing}");
}

#[test]
fn a_store_that_is_closed_never_hangs() {
    // Its writer and its readers close their connections at the same time. SQLite 3.51.1 deadlocked on that.
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        for round in 0..2000_u64 {
            let hand = Hand::new(schema::open_to_write(&path).unwrap());
            let reader = schema::open_to_read(&path).unwrap();
            reader.query_row("SELECT count(*) FROM device", [], |row| row.get::<_, i64>(0)).unwrap();
            let writer = std::thread::spawn(move || drop(hand));
            for _ in 0..(round % 64) * 40 {
                std::hint::spin_loop();
            }
            drop(reader);
            writer.join().unwrap();
        }
        done.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_mins(1)).expect("a store's threads wait for each other for ever");
}
