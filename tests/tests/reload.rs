//! SIGHUP: the collector reads anew what can be read anew while it runs, and a mistake in it changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::process::Command;
use std::time::Duration;

use farmwatch_tests::load::{Laptop, enrol_many};
use farmwatch_tests::world::{Collector, wait_for};

fn hang_up(collector: &mut Collector) {
    let id = collector.program().unwrap().id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
}

fn edit(collector: &Collector, file: &str, from: &str, to: &str) {
    let path = collector.folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The policy's version as laptops are told.
fn version(runtime: &tokio::runtime::Runtime, laptop: &mut Laptop) -> u64 {
    let heartbeat = laptop.report();
    runtime.block_on(laptop.send(&[heartbeat])).unwrap().ack().unwrap().policy
}

fn says_soon(collector: &Collector, parts: &[&str]) {
    let said = wait_for(&format!("{parts:?} in the log"), Duration::from_secs(20), || {
        let said = collector.said();
        Ok(said.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(()))
    });
    assert!(said.is_ok(), "{}", collector.said());
}

#[test]
fn policy_weights_and_log_level_are_read_anew_and_a_mistake_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::init(folder.path(), &[]).unwrap();
    collector.start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut laptop = runtime.block_on(enrol_many(&collector, 1, 1)).unwrap().remove(0);
    assert_eq!(version(&runtime, &mut laptop), 1);

    edit(&collector, "policy.toml", "version = 1", "version = 2");
    hang_up(&mut collector);
    says_soon(&collector, &["read anew"]);
    says_soon(&collector, &["all laptops are judged anew"]);
    assert_eq!(version(&runtime, &mut laptop), 2);
    let signed = runtime.block_on(laptop.line.call("GET", "/v1/policy", b"")).unwrap();
    assert_eq!(signed.status, 200, "{}", signed.text());

    // A mistake: the one before stays in force, also in what is right of the change.
    edit(&collector, "policy.toml", "version = 2", "version = 3\nlerning = true");
    hang_up(&mut collector);
    says_soon(&collector, &["ERROR", "policy.toml", "line", "lerning", "what was in force stays"]);
    assert_eq!(version(&runtime, &mut laptop), 2);

    // A mistake in another file keeps the good policy out as well: all of it or nothing.
    edit(&collector, "policy.toml", "\nlerning = true", "");
    let weights = collector.folder().join("weights.toml");
    std::fs::write(&weights, "[threshold]\ndevice = \"high\"\n").unwrap();
    edit(&collector, "collector.toml", "# weights = \"weights.toml\"", "weights = \"weights.toml\"");
    hang_up(&mut collector);
    says_soon(&collector, &["ERROR", "weights.toml", "what was in force stays"]);
    assert_eq!(version(&runtime, &mut laptop), 2);

    std::fs::write(&weights, "[threshold]\ndevice = 0.5\n").unwrap();
    edit(&collector, "collector.toml", "level = \"info\"", "level = \"warn\"");
    hang_up(&mut collector);
    wait_for("the third version", Duration::from_secs(20), || {
        Ok((version(&runtime, &mut laptop) == 3).then_some(()))
    })
    .unwrap();
    assert_eq!(collector.said().matches("are read anew").count(), 1, "the level is above that by now");

    // What needs a restart says so.
    edit(&collector, "collector.toml", "certificate_days = 30", "certificate_days = 31");
    hang_up(&mut collector);
    says_soon(&collector, &["WARN", "[agents]", "next start"]);
    assert!(collector.program().unwrap().runs());
}
