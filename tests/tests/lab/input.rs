//! Who types and points, as the activity windows tell it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::laptop::Laptop;
use super::sensors;

/// A person at the keyboard, an operator at the PiKVM's pointer and a jiggler, all in one window; and a route that is
/// away for three seconds.
pub fn of_three_kinds(laptop: &mut Laptop) {
    sensors::of_a_virtual_mouse(laptop);
    for _ in 0..6 {
        laptop.guest.press("t h e space q u i c k ret").unwrap();
        laptop.guest.run("operate").unwrap();
    }
    laptop.guest.run("ip route del default; sleep 3; ip route add default via 10.0.2.2").unwrap();
    laptop.guest.pass(Duration::from_mins(5)).unwrap();
    laptop.guest.run("kill $(cat /tmp/jiggle.pid)").unwrap();

    let reports = laptop.until_sent("a window of activity", |reports| {
        reports.iter().any(|report| report["windows"].as_array().is_some_and(|all| !all.is_empty()))
    });
    let all = |name: &'static str| {
        reports.iter().flat_map(move |report| report[name].as_array().cloned().unwrap_or_default())
    };
    let window = all("windows").find(|window| !window["sources"]["usb"].is_null()).unwrap();
    let sources = &window["sources"];
    assert!(sources["built_in"]["keys"].as_u64() >= Some(60), "somebody typed: {window}");
    assert!(sources["usb"]["pointer"].as_u64() >= Some(100), "an operator pointed: {window}");
    assert!(sources["virtual"]["active_seconds"].as_u64() > Some(3), "a jiggler moved: {window}");
    assert!(window["absolute_permille"].as_u64() > Some(500), "{window}");

    let transitions: Vec<Value> = all("transitions").collect();
    let at = |kind: &str| -> Timestamp {
        let found = transitions.iter().find(|t| t["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {transitions:?}"))["at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let apart = at("network_regained").duration_since(at("network_lost")).as_secs_f64();
    assert!((2.0..8.0).contains(&apart), "the route was away for three seconds, told as {apart}");
}
