//! A store that is backed up under load, moved to PostgreSQL and back, and restored on another machine: laptops go on, and
//! nothing is lost on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farmwatch_shared::report::Report;
use farmwatch_tests::books;
use farmwatch_tests::load::{Laptop, enrol_many, report_without_end, runtime};
use farmwatch_tests::postgres::Server;
use farmwatch_tests::world::Collector;
use serde_json::Value;
use tokio::runtime::Runtime;

type Reported = (Laptop, Vec<Report>);

/// Lets laptops report for a while, during which something else happens.
fn under_load(runtime: &Runtime, laptops: Vec<Reported>, meanwhile: impl FnOnce()) -> Vec<Reported> {
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = laptops.into_iter().map(|(laptop, reports)| {
        let reporting = runtime.spawn(report_without_end(laptop, Arc::clone(&stop)));
        (reporting, reports)
    });
    let tasks: Vec<_> = tasks.collect();
    std::thread::sleep(Duration::from_millis(300));
    meanwhile();
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let ended = tasks.into_iter().map(|(reporting, mut reports)| {
        let (laptop, more, _) = runtime.block_on(reporting).unwrap().unwrap();
        reports.extend(more);
        (laptop, reports)
    });
    ended.collect()
}

/// What people see of a collector, save what the commands themselves add.
fn seen(collector: &Collector) -> Vec<Value> {
    let audit = collector.ask(&["audit", "list", "--limit", "1000"]).unwrap();
    let audit = audit
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| !["move", "backup", "restore"].iter().any(|action| entry["action"] == *action));
    let audit: Vec<Value> = audit.cloned().collect();
    let others = [&["devices", "list"][..], &["alerts", "list"], &["sites", "list"], &["tokens", "list"]];
    let mut seen: Vec<Value> = others.iter().map(|args| collector.ask(args).unwrap()).collect();
    seen.push(audit.into());
    seen
}

fn checked(collector: &Collector) {
    assert_eq!(collector.ask(&["audit", "check"]).unwrap()["whole"], true);
}

fn refused(collector: &Collector, args: &[&str], part: &str) {
    let output = collector.command(args).unwrap().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(part), "{said}");
}

#[test]
fn a_store_is_backed_up_under_load_moved_to_postgresql_and_back_and_restored_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().unwrap();
    server.create("farmwatch").unwrap();
    let url = server.url("farmwatch");
    let mut collector = Collector::init(&folder.path().join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let runtime = runtime().unwrap();
    let laptops = runtime.block_on(enrol_many(&collector, 1, 4)).unwrap();
    let laptops = laptops.into_iter().map(|laptop| (laptop, Vec::new())).collect();

    let backup = folder.path().join("backup.db");
    let backed_up = backup.to_str().unwrap().to_owned();
    let laptops = under_load(&runtime, laptops, || {
        let said = collector.ask(&["backup", &backed_up]).unwrap();
        assert_eq!((&said["rows"]["device"], &said["audit"]["whole"]), (&4.into(), &true.into()), "{said}");
        refused(&collector, &["move", "--to", &url], "stop the collector");
    });
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    refused(&collector, &["backup", &backed_up], "nothing is overwritten");
    collector.ask(&["isolate", laptops[0].0.device.as_str(), "--reason", "drill"]).unwrap();

    collector.stop();
    let before = seen(&collector);
    let said = collector.ask(&["move", "--from", "sqlite:farmwatch.db", "--to", &url]).unwrap();
    assert!(said["rows"]["device_order"].as_u64() >= Some(1), "{said}");
    refused(&collector, &["move", "--to", &url], "not empty");
    std::fs::rename(collector.folder().join("farmwatch.db"), folder.path().join("old.db")).unwrap();

    collector.use_store(Some(&url));
    assert_eq!(seen(&collector), before);
    collector.start().unwrap();
    let laptops = under_load(&runtime, laptops, || {
        let second = folder.path().join("second.db");
        collector.ask(&["backup", second.to_str().unwrap()]).unwrap();
        refused(&collector, &["move", "--to", "sqlite:farmwatch.db"], "stop them first");
    });
    for (laptop, reports) in &laptops {
        let rows = books::rows_on(&server, "farmwatch", laptop.device.as_str()).unwrap();
        books::compare(&rows, reports).unwrap();
    }
    checked(&collector);

    collector.stop();
    let before = seen(&collector);
    collector.ask(&["move", "--to", "sqlite:farmwatch.db"]).unwrap();
    collector.use_store(None);
    assert_eq!(seen(&collector), before);
    collector.start().unwrap();
    let laptops = under_load(&runtime, laptops, || {});
    let mut compared = 0;
    for (laptop, reports) in &laptops {
        compared += books::balance(&collector, laptop.device.as_str(), reports).unwrap();
    }
    println!("{compared} reports compared");
    assert!(compared > 100, "{compared} reports are too few to tell");
    checked(&collector);
    collector.stop();
    elsewhere(&runtime, &collector, &folder.path().join("elsewhere"), &backed_up, laptops);
}

/// The machine is lost: another gets its keys and the backup, and a laptop that is far ahead of it goes on.
fn elsewhere(runtime: &Runtime, lost: &Collector, folder: &Path, backup: &str, laptops: Vec<Reported>) {
    let mut collector = lost.again(folder, &["restore", backup]).unwrap();
    checked(&collector);
    collector.start().unwrap();
    for (mut laptop, _) in laptops {
        laptop.line.move_to(collector.agents_port);
        let report = laptop.report();
        let ack = runtime.block_on(laptop.send(&[report])).unwrap().ack().unwrap();
        assert_eq!((ack.seq, ack.want_state), (laptop.seq, true), "the whole state is asked for");
        let mut whole = laptop.report();
        (whole.whole, whole.set) = (true, laptop.state.to_map());
        let ack = runtime.block_on(laptop.send(&[whole])).unwrap().ack().unwrap();
        assert_eq!((ack.seq, ack.want_state), (laptop.seq, false));
    }
}
