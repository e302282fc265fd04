//! Collectors that are killed at the worst moment: after a commit and before its answer, in the middle of a site's merge,
//! and many of them on one queue. The result is that of one that nobody kills.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use farmwatch_tests::books;
use farmwatch_tests::load::{enrol_many, runtime};
use farmwatch_tests::postgres::Server;
use farmwatch_tests::street::{Phase, Standing, Street, assert_same, leases_end, start};
use farmwatch_tests::world::{Collector, wait_for};
use serde_json::json;

const LONG: Duration = Duration::from_mins(1);

/// A collector on a database of its own, or in a file.
fn collector(folder: &Path, store: Option<(&Server, &str)>) -> Collector {
    let url = store.map(|(server, database)| {
        server.create(database).unwrap();
        server.url(database)
    });
    let mut collector = Collector::init_on(folder, &[], url.as_deref()).unwrap();
    start(&mut collector, 5).unwrap();
    collector
}

/// Alerts of a life in which nobody is killed.
fn undisturbed(folder: &Path) -> Vec<Standing> {
    let (runtime, collector) = (runtime().unwrap(), collector(&folder.join("quiet"), None));
    let street = runtime.block_on(Street::enrol(&collector)).unwrap();
    let waiting = || books::waiting(&collector);
    let street = street.whole_life(&runtime, &[collector.agents_port], waiting, |_: Phase| {}).unwrap();
    street.alerts(&collector).unwrap()
}

/// Has the server sleep at an event of a table, within the transaction.
fn slow_down(server: &Server, trigger: &str, seconds: f32) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION sleeps() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$; {trigger} EXECUTE FUNCTION sleeps()"
    );
    server.sql("farmwatch", &sql).unwrap();
}

fn until_it_sleeps(server: &Server, query: &str) {
    let asleep = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query ILIKE '{query}'"
    );
    wait_for("the server to be in the middle of it", LONG, || {
        Ok((server.sql("farmwatch", &asleep)? != "0").then_some(()))
    })
    .unwrap();
}

#[test]
fn killed_between_commit_and_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().unwrap();
    let mut collector = collector(folder.path(), Some((&server, "farmwatch")));
    let runtime = runtime().unwrap();
    let mut laptop = runtime.block_on(enrol_many(&collector, 1, 1)).unwrap().remove(0);
    laptop.line.come_from([203, 0, 113, 9].into());
    let mut said = Vec::new();
    for n in 0..3 {
        // The server commits at leisure, and whoever asked for it is gone before it says so.
        let slowly = "CREATE CONSTRAINT TRIGGER slowly AFTER UPDATE ON head DEFERRABLE INITIALLY DEFERRED FOR EACH ROW";
        slow_down(&server, slowly, 0.7);
        let report = laptop.change(&[("locale/self", json!({ "ui_language": n }))]).unwrap();
        let mut other = laptop.line.clone_unconnected();
        let body = farmwatch_shared::wire::pack(std::slice::from_ref(&report)).unwrap();
        let unanswered = runtime.spawn(async move { other.call("POST", "/v1/reports", &body).await });
        until_it_sleeps(&server, "COMMIT");
        collector.program().unwrap().kill();
        runtime.block_on(unanswered).unwrap().unwrap_err();
        let seq = "SELECT seq FROM head";
        wait_for("the commit", LONG, || {
            Ok((server.sql("farmwatch", seq)? == report.seq.to_string()).then_some(()))
        })
        .unwrap();
        server.sql("farmwatch", "DROP TRIGGER slowly ON head").unwrap();
        collector.start().unwrap();
        laptop.line = laptop.line.clone_unconnected();
        let ack = runtime.block_on(laptop.send(std::slice::from_ref(&report))).unwrap().ack().unwrap();
        assert_eq!((ack.seq, ack.want_state), (report.seq, false));
        let known = "farmwatch_ingest_reports_total{result=\"duplicate\"}";
        assert!((collector.metric(known).unwrap() - 1.0).abs() < f64::EPSILON, "it was there and is known");
        said.push(report);
    }
    let rows = books::rows_on(&server, "farmwatch", laptop.device.as_str()).unwrap();
    assert_eq!(books::compare(&rows, &said).unwrap(), 3);
}

#[test]
fn killed_in_the_middle_of_a_sites_merge_on_postgresql() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = undisturbed(folder.path());
    let server = Server::start().unwrap();
    let collector = RefCell::new(collector(&folder.path().join("killed"), Some((&server, "farmwatch"))));
    let runtime = runtime().unwrap();
    let street = runtime.block_on(Street::enrol(&collector.borrow())).unwrap();
    let port = collector.borrow().agents_port;
    let waiting = || books::waiting_on(&server, "farmwatch");
    let mut killed = 0;
    let street = street.whole_life(&runtime, &[port], waiting, |phase: Phase| {
        if !matches!(phase, Phase::Merge | Phase::Split | Phase::MergeAgain) {
            return;
        }
        let mut collector = collector.borrow_mut();
        // Some of it is written by now: the site's row comes before its laptops and its alert.
        slow_down(&server, "CREATE TRIGGER slowly AFTER INSERT OR UPDATE ON site FOR EACH ROW", 1.0);
        until_it_sleeps(&server, "INSERT INTO site%");
        collector.program().unwrap().kill();
        killed += 1;
        let nobody = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'farmwatch-collector'";
        wait_for(
            "the server to notice",
            LONG,
            || Ok((server.sql("farmwatch", nobody)? == "0").then_some(())),
        )
        .unwrap();
        server.sql("farmwatch", "DROP TRIGGER slowly ON site").unwrap();
        collector.start().unwrap();
        leases_end(&server).unwrap();
    });
    let street = street.unwrap_or_else(|error| panic!("{error:#}\n{}", collector.borrow().said()));
    assert_eq!(killed, 3);
    for (device, said) in street.said() {
        books::compare(&books::rows_on(&server, "farmwatch", device).unwrap(), said).unwrap();
    }
    assert_same(&wanted, &street.alerts(&collector.borrow()).unwrap());
}

#[test]
fn killed_again_and_again_while_sites_merge_on_sqlite() {
    const KILLS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let wanted = undisturbed(folder.path());
    let collector = RefCell::new(collector(&folder.path().join("killed"), None));
    let file = collector.borrow().folder().join("farmwatch.db");
    let runtime = runtime().unwrap();
    let street = runtime.block_on(Street::enrol(&collector.borrow())).unwrap();
    let port = collector.borrow().agents_port;
    let waiting = || books::waiting(&collector.borrow());
    let mut random = fastrand::Rng::with_seed(9);
    let street = street.whole_life(&runtime, &[port], waiting, |phase: Phase| {
        if !matches!(phase, Phase::Merge | Phase::Split | Phase::MergeAgain) {
            return;
        }
        let mut collector = collector.borrow_mut();
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(random.u64(20..160)));
            collector.program().unwrap().kill();
            // Its port may be somebody's outgoing connection for a moment.
            (0..3).find(|_| collector.start().is_ok()).expect("it starts again");
            // A minute passes: who died with work in his hands has it no more.
            let db = rusqlite::Connection::open(&file).unwrap();
            db.busy_timeout(LONG).unwrap();
            db.execute("UPDATE work SET leased_until = 0", []).unwrap();
        }
    });
    let street = street.unwrap_or_else(|error| panic!("{error:#}\n{}", collector.borrow().said()));
    assert!(street.sent_again() > KILLS, "{} sent again: the kills were not felt", street.sent_again());
    for (device, said) in street.said() {
        books::balance(&collector.borrow(), device, said).unwrap();
    }
    assert_same(&wanted, &street.alerts(&collector.borrow()).unwrap());
}

#[test]
fn twenty_collectors_on_one_queue_some_of_them_killed_are_as_one() {
    const COLLECTORS: usize = 20;
    const KILLED: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let wanted = undisturbed(folder.path());
    let server = Server::start().unwrap();
    let mut collectors = vec![collector(&folder.path().join("0"), Some((&server, "farmwatch")))];
    for n in 1..COLLECTORS {
        let mut other = collectors[0].beside(&folder.path().join(n.to_string())).unwrap();
        start(&mut other, 5).unwrap();
        collectors.push(other);
    }
    let ports: Vec<u16> = collectors.iter().map(|collector| collector.agents_port).collect();
    let runtime = runtime().unwrap();
    let street = runtime.block_on(Street::enrol(&collectors[0])).unwrap();
    let waiting = || books::waiting_on(&server, "farmwatch");
    let mut killed = 0;
    let street = street.whole_life(&runtime, &ports, waiting, |phase: Phase| {
        // What the dead had in their hands is free a minute later; that is waited for once.
        if phase == Phase::MergeAgain {
            for collector in collectors.iter_mut().rev().take(KILLED) {
                std::thread::sleep(Duration::from_millis(60));
                collector.program().unwrap().kill();
                killed += 1;
            }
        }
    });
    let said = || collectors.iter().map(Collector::said).collect::<Vec<_>>().join("\n");
    let street = street.unwrap_or_else(|error| panic!("{error:#}\n{}", said()));
    assert_eq!(killed, KILLED);
    for (device, said) in street.said() {
        books::compare(&books::rows_on(&server, "farmwatch", device).unwrap(), said).unwrap();
    }
    assert_same(&wanted, &street.alerts(&collectors[0]).unwrap());
    let check = collectors[0].ask(&["audit", "check"]).unwrap();
    assert_eq!(check["whole"], true, "{check}");
}
