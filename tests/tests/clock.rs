//! Clocks that are wrong: an hour back and a year ahead, at the laptop and at the collector.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::process::Command;
use std::time::Duration;

use farmwatch_tests::machine::Machine;
use farmwatch_tests::world::{Agent, Collector, wait_for};
use farmwatch_tests::{books, clock};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(90);
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

fn about(value: &Value, seconds: i64) -> bool {
    value.as_i64().is_some_and(|value| (value - seconds).abs() < 120)
}

#[test]
fn a_laptop_whose_clock_jumps_an_hour_back_and_a_year_ahead_reports_on_and_its_times_are_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::init(&folder.path().join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let machine = Machine::new(&folder.path().join("root"), "44444444").unwrap();
    let mut agent = Agent::new(&folder.path().join("agent"), "").unwrap().below(machine.root());
    let device = agent.enrol(&collector).unwrap();
    let file = folder.path().join("clock");
    clock::set(&file, 0).unwrap();
    clock::library(&file).unwrap().iter().for_each(|(name, value)| agent.set_environment(name, value));
    agent.start().unwrap();
    wait_for("the first report", LONG, || Ok((books::rows(&collector, &device)?.seq > 0).then_some(())))
        .unwrap();
    let (start, mut on) = (Timestamp::now(), true);
    for (n, offset) in [0, -HOUR, YEAR, 0, YEAR, -HOUR].into_iter().enumerate() {
        clock::set(&file, offset).unwrap();
        if n == 4 {
            // A start in the wrong year is no other.
            agent.stop();
            agent.start().unwrap();
            std::thread::sleep(Duration::from_secs(5));
        }
        // Two pulls within one second would be one row.
        std::thread::sleep(Duration::from_millis(1100));
        on = !on;
        machine.mains(on).unwrap();
        let tool = if n % 2 == 0 { machine.install("anydesk") } else { machine.remove("anydesk") };
        tool.unwrap();
        wait_for(&format!("the change at {offset} s"), LONG, || {
            let shown = collector.device(&device)?;
            let power = shown["facts"]["power/self"]["mains"] == on;
            let tool = shown["facts"]["remote_tool/anydesk"].is_object() == (n % 2 == 0);
            Ok((power && tool && about(&shown["device"]["clock_skew"], offset)).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    }
    assert!(agent.program().unwrap().runs());
    let rows = books::rows(&collector, &device).unwrap();
    assert_eq!(rows.gaps, 0);
    assert_eq!(rows.transitions.len(), 6, "each pull of the plug once: {:?}", rows.transitions);
    let (from, to) =
        (start - SignedDuration::from_secs(HOUR + 60), Timestamp::now() + SignedDuration::from_secs(60));
    for (at, kind) in &rows.transitions {
        let at = Timestamp::from_millisecond(*at).unwrap();
        assert!(from < at && at < to, "{kind} at {at} is in no time of ours");
    }
}

#[test]
fn a_laptop_a_year_ahead_takes_policy_and_a_new_certificate_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::init(&folder.path().join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let machine = Machine::new(&folder.path().join("root"), "55555555").unwrap();
    let mut agent = Agent::new(&folder.path().join("agent"), "").unwrap().below(machine.root());
    let device = agent.enrol(&collector).unwrap();
    let file = folder.path().join("clock");
    clock::set(&file, YEAR).unwrap();
    clock::library(&file).unwrap().iter().for_each(|(name, value)| agent.set_environment(name, value));
    agent.start().unwrap();
    // By its own clock the policy ended long ago; what counts is the collector's.
    wait_for("the policy", LONG, || Ok((agent.status()?["status"]["policy"] == 1).then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    wait_for("the renewal", LONG, || {
        Ok((collector.metric("farmwatch_certificate_renewals_total")? > 0.0).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    let refused = |(action, _): &(String, String)| action == "order_refused";
    assert!(!collector.audit(&device).unwrap().iter().any(refused));
    assert!(agent.program().unwrap().runs());
}

#[test]
fn a_collector_whose_clock_was_wrong_has_everything_once_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::init(&folder.path().join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let machine = Machine::new(&folder.path().join("root"), "66666666").unwrap();
    let mut agent = Agent::new(&folder.path().join("agent"), "").unwrap().below(machine.root());
    let device = agent.enrol(&collector).unwrap();
    agent.start().unwrap();
    wait_for("the first report", LONG, || Ok((books::rows(&collector, &device)?.seq > 0).then_some(())))
        .unwrap();
    let file = folder.path().join("clock");
    clock::library(&file).unwrap().iter().for_each(|(name, value)| collector.set_environment(name, value));
    let mut on = true;
    for offset in [-HOUR, YEAR, 0] {
        collector.stop();
        clock::set(&file, offset).unwrap();
        collector.start().unwrap();
        on = !on;
        machine.mains(on).unwrap();
        if offset == YEAR {
            // By this clock the laptop's certificate ended long ago: it waits.
            wait_for("the agent's trouble", LONG, || {
                Ok(agent.status()?["status"]["trouble"].as_str().map(str::to_owned))
            })
            .unwrap();
            continue;
        }
        let pid = agent.program().unwrap().id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().unwrap();
        wait_for(&format!("the change at {offset} s"), LONG, || {
            let shown = collector.device(&device)?;
            Ok((shown["facts"]["power/self"]["mains"] == on).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", agent.said(), collector.said()));
    }
    let rows = wait_for("each pull of the plug", LONG, || {
        Ok(Some(books::rows(&collector, &device)?).filter(|rows| rows.transitions.len() == 3))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {:?}\n{}", books::rows(&collector, &device), agent.said()));
    assert_eq!(rows.gaps, 0);
    assert_eq!(collector.device(&device).unwrap()["device"]["standing"], "enrolled");
}
