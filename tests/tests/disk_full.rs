//! A full disk below the collector's store while laptops report: what cannot be kept is not acknowledged, so nothing is
//! lost, nothing doubled, and the alerts are those of a life in which nothing happened. Mounts a small file system, so it
//! needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::Path;
use std::time::Duration;

use farmwatch_tests::books;
use farmwatch_tests::disk::Disk;
use farmwatch_tests::load::runtime;
use farmwatch_tests::postgres::Server;
use farmwatch_tests::street::{Fault, Phase, Standing, Street, assert_unharmed, leases_end, start};
use farmwatch_tests::world::{Collector, wait_for};
use rusqlite::Connection;

/// For how long the disk is full.
const FULL: Duration = Duration::from_secs(3);

fn collector(folder: &Path, store: Option<&str>) -> Collector {
    let mut collector = Collector::init_on(folder, &[], store).unwrap();
    start(&mut collector, 6).unwrap();
    collector
}

/// A life on a collector; what happens in it.
fn life(collector: &Collector, waiting: impl Fn() -> anyhow::Result<u64>, fault: impl Fault) -> Street {
    let runtime = runtime().unwrap();
    let street = runtime.block_on(Street::enrol(collector)).unwrap();
    let lived = street.whole_life(&runtime, &[collector.agents_port], waiting, fault);
    lived.unwrap_or_else(|error| panic!("{error:#}\n{}", collector.said()))
}

/// Alerts of a life in which nothing happens.
fn undisturbed(folder: &Path) -> Vec<Standing> {
    let collector = collector(&folder.join("quiet"), None);
    life(&collector, || books::waiting(&collector), |_: Phase| {}).alerts(&collector).unwrap()
}

/// The disk is full while the farm's halves come together, and when they do so again.
fn is_hit(phase: Phase) -> bool {
    matches!(phase, Phase::Merge | Phase::MergeAgain)
}

/// The disk below SQLite, full for a while.
struct Full<'a>(&'a Disk, &'a Collector);

impl Fault for Full<'_> {
    /// Gives back the room that SQLite's log has taken: what is written next needs some.
    fn before(&mut self, phase: Phase) {
        if !is_hit(phase) {
            return;
        }
        let db = open(self.1);
        wait_for("the log to be cut", FULL * 10, || {
            let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            Ok((busy == 0).then_some(()))
        })
        .unwrap();
    }

    fn during(&mut self, phase: Phase) {
        if is_hit(phase) {
            self.0.fill().unwrap();
            std::thread::sleep(FULL);
            self.0.make_room().unwrap();
            // A minute passes: what a judge took and could not write is free again.
            let db = open(self.1);
            db.busy_timeout(FULL * 10).unwrap();
            db.execute("UPDATE work SET leased_until = 0", []).unwrap();
        }
    }
}

fn open(collector: &Collector) -> Connection {
    Connection::open(collector.folder().join("farmwatch.db")).unwrap()
}

#[test]
fn a_full_disk_below_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = undisturbed(folder.path());
    let home = folder.path().join("full");
    let disk = Disk::mount(&home, 400).unwrap();
    let collector = collector(&home, None);
    let street = life(&collector, || books::waiting(&collector), Full(&disk, &collector));
    for (device, said) in street.said() {
        books::balance(&collector, device, said).unwrap();
    }
    assert_unharmed(&street, &collector, &wanted).unwrap();
    let said = collector.said();
    assert!(said.contains("full"), "the log does not say what to do: {said}");
}

#[test]
fn a_full_disk_below_postgresql() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = undisturbed(folder.path());
    let home = folder.path().join("server");
    let disk = Disk::mount(&home, 200).unwrap();
    let mut server = Server::start_in(&home, &["max_wal_size=32MB", "min_wal_size=32MB"]).unwrap();
    server.create("farmwatch").unwrap();
    let collector = collector(&folder.path().join("collector"), Some(&server.url("farmwatch")));
    let shared = std::cell::RefCell::new(&mut server);
    let street = life(
        &collector,
        || books::waiting_on(&shared.borrow(), "farmwatch"),
        |phase| {
            if !is_hit(phase) {
                return;
            }
            disk.fill().unwrap();
            std::thread::sleep(FULL);
            disk.make_room().unwrap();
            // PostgreSQL gives up where there is no room for its log, and waits for a person.
            let mut server = shared.borrow_mut();
            if server.sql("farmwatch", "SELECT 1").is_err() {
                server.stop();
                server.start_again().unwrap();
            }
            leases_end(&server).unwrap();
        },
    );
    let server = shared.into_inner();
    for (device, said) in street.said() {
        books::compare(&books::rows_on(server, "farmwatch", device).unwrap(), said).unwrap();
    }
    assert_unharmed(&street, &collector, &wanted).unwrap();
}
