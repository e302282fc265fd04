//! Collectors on a PostgreSQL database: two are as one, and whatever happens to the database, nothing is lost and nothing
//! doubled.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farmwatch_tests::books;
use farmwatch_tests::load::{Laptop, enrol_many, report_without_end, runtime};
use farmwatch_tests::postgres::Server;
use farmwatch_tests::world::{Collector, http_get, wait_for};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_mins(2);

/// A server, and two collectors on one database.
fn two_collectors(folder: &Path) -> (Server, Collector, Collector) {
    let server = Server::start().unwrap();
    server.create("farmwatch").unwrap();
    let mut first = Collector::init_on(&folder.join("first"), &[], Some(&server.url("farmwatch"))).unwrap();
    let mut second = first.beside(&folder.join("second")).unwrap();
    first.start().unwrap();
    second.start().unwrap();
    (server, first, second)
}

/// Keys of all alerts, each as often as it stands there.
fn alert_keys(collector: &Collector) -> anyhow::Result<Vec<String>> {
    let alerts = collector.ask(&["alerts", "list", "--absorbed", "--limit", "1000"])?;
    let alerts = alerts.as_array().cloned().unwrap_or_default();
    Ok(alerts.iter().map(|alert| alert["key"].as_str().unwrap_or_default().to_owned()).collect())
}

async fn sends_the_tool(mut laptop: Laptop) -> Laptop {
    let tool = json!({ "name": "AnyDesk", "class": "remote_desktop", "serving": true, "seen": [{ "by": "process", "what": "anydesk" }] });
    let report = laptop.change(&[("remote_tool/anydesk", tool)]).unwrap();
    assert_eq!(laptop.send(&[report]).await.unwrap().status, 202);
    laptop
}

#[test]
fn two_collectors_on_one_database_raise_each_alert_once_and_deliver_each_others_orders() {
    // Fewer than make a tool the fleet's.
    const EACH: u32 = 10;
    let folder = tempfile::tempdir().unwrap();
    let (server, first, second) = two_collectors(folder.path());
    let runtime = runtime().unwrap();
    let laptops = runtime.block_on(async {
        let mut laptops = enrol_many(&first, 1, EACH).await.unwrap();
        laptops.extend(enrol_many(&second, 1 + EACH, EACH).await.unwrap());
        let sending: Vec<_> =
            laptops.into_iter().map(|laptop| tokio::spawn(sends_the_tool(laptop))).collect();
        let mut laptops = Vec::new();
        for laptop in sending {
            laptops.push(laptop.await.unwrap());
        }
        laptops
    });
    let wanted: BTreeSet<String> =
        laptops.iter().map(|laptop| format!("policy/{}/remote_tool/anydesk", laptop.device)).collect();
    wait_for("an alert about each laptop", LONG, || {
        let keys: BTreeSet<String> = alert_keys(&first)?.into_iter().collect();
        Ok(wanted.is_subset(&keys).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", first.said(), second.said()));
    let keys = alert_keys(&second).unwrap();
    let tools = keys.iter().filter(|key| key.ends_with("/remote_tool/anydesk")).count();
    assert_eq!(tools, wanted.len(), "each once: {keys:?}");
    let sites: Vec<_> = keys.iter().filter(|key| key.starts_with("site/")).collect();
    assert!(sites.len() <= 1, "one place, one alert: {sites:?}");

    let stranger = Collector::init_on(&folder.path().join("stranger"), &[], Some(&server.url("farmwatch")));
    let refused = format!("{:#}", stranger.err().unwrap());
    assert!(refused.contains("other keys"), "{refused}");

    // The laptop waits at the first collector; the order is written by the second's command line.
    let mut laptop = laptops.into_iter().next().unwrap();
    let device = laptop.device.to_string();
    let waits =
        runtime.spawn(async move { laptop.line.call("GET", "/v1/orders?after=0&wait=20", &[]).await });
    std::thread::sleep(Duration::from_millis(500));
    second.ask(&["isolate", &device, "--reason", "drill"]).unwrap();
    let answer = runtime.block_on(waits).unwrap().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["orders"].as_array().map(Vec::len), Some(1), "{}", answer.text());
    let check = first.ask(&["audit", "check"]).unwrap();
    assert_eq!(check["whole"], true, "{check}");
}

#[test]
fn a_database_that_is_restarted_under_load_and_gone_for_a_while_loses_nothing_and_doubles_nothing() {
    const RESTARTS: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let (mut server, first, second) = two_collectors(folder.path());
    let runtime = runtime().unwrap();
    let mut laptops = runtime.block_on(enrol_many(&first, 1, 3)).unwrap();
    laptops.extend(runtime.block_on(enrol_many(&second, 4, 3)).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = laptops
        .into_iter()
        .map(|laptop| runtime.spawn(report_without_end(laptop, Arc::clone(&stop))))
        .collect();
    let mut random = fastrand::Rng::with_seed(5);
    for n in 0..RESTARTS {
        std::thread::sleep(Duration::from_millis(random.u64(200..1200)));
        if n % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        if n == RESTARTS / 2 {
            // Gone for a while: whoever watches the collector is told.
            wait_for("not to be ready", LONG, || {
                Ok(http_get(first.metrics_port, "/readyz")?.starts_with("HTTP/1.1 503").then_some(()))
            })
            .unwrap();
            std::thread::sleep(Duration::from_secs(5));
        }
        server.start_again().unwrap();
    }
    wait_for("both to be ready", LONG, || {
        let ready = |port| Ok::<_, anyhow::Error>(http_get(port, "/readyz")?.starts_with("HTTP/1.1 200"));
        Ok((ready(first.metrics_port)? && ready(second.metrics_port)?).then_some(()))
    })
    .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    let (mut compared, mut again) = (0, 0);
    for task in tasks {
        let (laptop, reports, retries) = runtime.block_on(task).unwrap().unwrap();
        let rows = books::rows_on(&server, "farmwatch", laptop.device.as_str()).unwrap();
        compared += books::compare(&rows, &reports).unwrap();
        again += retries;
    }
    println!("{RESTARTS} restarts, {compared} reports compared, {again} sent again");
    assert!(compared > 100 && again > RESTARTS, "{compared} compared, {again} sent again: too few to tell");
    let check: Value = first.ask(&["audit", "check"]).unwrap();
    assert_eq!(check["whole"], true, "{check}");
}
