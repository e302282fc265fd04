//! A database that lets nobody in or is away while laptops report: nothing is lost, nothing doubled, and the alerts are
//! those of a life in which nothing happened.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use farmwatch_tests::books;
use farmwatch_tests::load::runtime;
use farmwatch_tests::postgres::Server;
use farmwatch_tests::street::{Phase, Standing, Street, assert_unharmed, leases_end, start};
use farmwatch_tests::world::{Collector, http_get, wait_for};

const LONG: Duration = Duration::from_mins(2);
/// For how long the database is away; in the environment, for who has the time, `FARMWATCH_TEST_OUTAGE` in seconds.
const OUTAGE: u64 = 4;

fn collector(folder: &Path, server: &Server, database: &str) -> Collector {
    server.create(database).unwrap();
    let mut collector = Collector::init_on(&folder.join(database), &[], Some(&server.url(database))).unwrap();
    start(&mut collector, 6).unwrap();
    collector
}

/// Alerts of a life in which nothing happens.
fn undisturbed(folder: &Path, server: &Server) -> Vec<Standing> {
    let (runtime, collector) = (runtime().unwrap(), collector(folder, server, "quiet"));
    let street = runtime.block_on(Street::enrol(&collector)).unwrap();
    let waiting = || books::waiting_on(server, "quiet");
    let street = street.whole_life(&runtime, &[collector.agents_port], waiting, |_: Phase| {}).unwrap();
    let alerts = street.alerts(&collector).unwrap();
    assert!(
        alerts.iter().any(|alert| alert.about == "site/[1, 2, 3, 4]"),
        "the farm is not found: {alerts:#?}"
    );
    alerts
}

/// A life with a fault in it, on two collectors; afterwards the books balance and the alerts are the same.
fn disturbed(folder: &Path, mut server: Server, mut fault: impl FnMut(Phase, &mut Server, &Collector)) {
    let wanted = undisturbed(folder, &server);
    let (runtime, first) = (runtime().unwrap(), collector(folder, &server, "farmwatch"));
    let mut second = first.beside(&folder.join("second")).unwrap();
    start(&mut second, 6).unwrap();
    let street = runtime.block_on(Street::enrol(&first)).unwrap();
    let shared = std::cell::RefCell::new(&mut server);
    let waiting = || books::waiting_on(&shared.borrow(), "farmwatch");
    let ports = [first.agents_port, second.agents_port];
    let street = street.whole_life(&runtime, &ports, waiting, |phase: Phase| {
        fault(phase, &mut shared.borrow_mut(), &first);
        leases_end(&shared.borrow()).unwrap();
    });
    let street = street.unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", first.said(), second.said()));
    let server = shared.into_inner();
    for (device, said) in street.said() {
        books::compare(&books::rows_on(server, "farmwatch", device).unwrap(), said).unwrap();
    }
    assert_unharmed(&street, &first, &wanted).unwrap();
    println!("{} reports were sent again", street.sent_again());
}

fn not_ready(collector: &Collector) {
    let port = collector.metrics_port;
    wait_for("not to be ready", LONG, || {
        Ok(http_get(port, "/readyz")?.starts_with("HTTP/1.1 503").then_some(()))
    })
    .unwrap();
}

#[test]
fn a_database_that_is_away_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let outage = std::env::var("FARMWATCH_TEST_OUTAGE").map_or(OUTAGE, |seconds| seconds.parse().unwrap());
    disturbed(folder.path(), Server::start().unwrap(), |phase, server, collector| {
        if matches!(phase, Phase::Merge | Phase::MergeAgain) {
            std::thread::sleep(Duration::from_millis(200));
            if phase == Phase::Merge {
                server.stop();
            } else {
                server.kill();
            }
            not_ready(collector);
            std::thread::sleep(Duration::from_secs(if phase == Phase::Merge { outage } else { 1 }));
            server.start_again().unwrap();
        }
    });
}

/// Takes every connection that the server has, throwing out who holds one.
fn take_all_connections(server: &Server) -> Vec<Child> {
    let psql = |sql: &str| {
        server
            .psql("postgres", sql)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let throw_out = "DO $$ BEGIN LOOP PERFORM pg_stat_clear_snapshot();
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'farmwatch-collector';
        PERFORM pg_sleep(0.02); END LOOP; END $$";
    let mut taken = vec![psql(throw_out)];
    let start = Instant::now();
    let full = || {
        let refused =
            server.sql("postgres", "SELECT 1").err().map(|error| error.to_string()).unwrap_or_default();
        refused.contains("too many clients") || refused.contains("connection slots")
    };
    while !full() {
        assert!(start.elapsed() < LONG, "the connections were never all taken");
        taken.extend((0..4).map(|_| psql("SELECT pg_sleep(600)")));
        std::thread::sleep(Duration::from_millis(100));
    }
    taken
}

#[test]
fn a_database_that_has_no_connection_left() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(
        &std::env::temp_dir(),
        &["max_connections=24", "client_connection_check_interval=500"],
    )
    .unwrap();
    disturbed(folder.path(), server, |phase, server, collector| {
        if matches!(phase, Phase::Merge | Phase::Split) {
            std::thread::sleep(Duration::from_millis(150));
            let mut taken = take_all_connections(server);
            not_ready(collector);
            std::thread::sleep(Duration::from_secs(2));
            for child in &mut taken {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            // A server notices that a client is gone when it speaks to it.
            let gone = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE application_name = 'psql' AND pid <> pg_backend_pid()";
            wait_for("a connection", LONG, || {
                // The one who throws out may hold on; nobody else has any rights that this does not have.
                server.sql("postgres", gone).map(Some)
            })
            .unwrap();
        }
    });
}
