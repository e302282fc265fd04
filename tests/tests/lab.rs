//! The hardware lab: what each family's sensor must see in a virtual machine with an IP-KVM on it.
//!
//! See `tests/lab/README.md`. Some 90 seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Facts = BTreeMap<String, Value>;

#[test]
fn in_the_lab_each_sensor_sees_the_hardware_it_is_for() {
    let steps = run();
    println!("{}", table(&steps["pikvm"][0]));
    a_laptop_before_anything_is_plugged_in(&facts(&steps["bare"][0]));
    a_pikvm_by_its_defaults(&facts(&steps["pikvm"][0]));
    a_jetkvm_in_its_logitech_disguise(&facts(&steps["jetkvm"][0]));
    what_happened_while_sensors_ran(&steps["watch"]);
    for step in ["pikvm", "jetkvm"] {
        let scan = &steps[step][0];
        assert_ne!(scan["verdict"], "unremarkable", "{step}");
        for group in ["usb.", "display."] {
            let found = list(scan, "findings").iter().any(|f| f["rule"].as_str().unwrap().starts_with(group));
            assert!(found, "no finding of {group} in {step}: {}", scan["findings"]);
        }
    }
}

fn a_laptop_before_anything_is_plugged_in(seen: &Facts) {
    for sensor in ["host", "display", "usb_device", "hid_device", "activity", "network", "power"] {
        assert_eq!(seen[&format!("sensor/{sensor}")]["state"], "ok", "{sensor}");
    }
    let display = &seen["display/Virtual-1"];
    assert_eq!(display["edid"]["model"], "PiKVM V3");
    assert!(has_trait(&display["edid"], "known_kvm:"), "{display}");
    let keyboard = &seen["hid_device/ps2:0001:0001:0"];
    assert!(keyboard["built_in"] == true && keyboard["caps"]["keyboard"] == true, "{keyboard}");
    assert_eq!(family(seen, "usb_device").count(), 0);
    let network = &seen["network/eth0"];
    assert!(network["default_route"] == true && network["kind"] == "ethernet", "{network}");
}

fn a_pikvm_by_its_defaults(seen: &Facts) {
    let (_, device) = family(seen, "usb_device").next().unwrap();
    assert_eq!((&device["vendor_id"], &device["product_id"]), (&"1d6b".into(), &"0104".into()));
    assert_eq!(device["speed_tenths"], 4800);
    assert!(has_trait(device, "known_kvm:"), "{device}");
    let classes: Vec<_> =
        device["interfaces"].as_array().unwrap().iter().map(|i| i["class"].clone()).collect();
    assert_eq!(classes, [3, 3, 8]);
    let hid: Vec<_> = family(seen, "hid_device").filter(|(key, _)| key.contains("usb:1d6b:0104")).collect();
    assert_eq!(hid.len(), 2);
    assert!(hid[0].1["caps"]["keyboard"] == true && hid[1].1["caps"]["absolute"] == true);
    assert!(hid.iter().all(|(_, device)| device["built_in"] == false));
    let jiggler = family(seen, "hid_device").find(|(_, device)| device["bus"] == "virtual");
    assert_eq!(jiggler.unwrap().1["name"], "Lab jiggler", "though it claims to be on USB");
    let gateway = &seen["network/eth0"]["gateway"];
    assert_eq!(gateway.as_str().map(str::len), Some(32), "hashed: {gateway}");
    let sent = serde_json::to_string(seen).unwrap();
    for secret in ["CAFEBABE", "10.0.2.", "52:55:0a"] {
        assert!(!sent.contains(secret), "{secret} leaves the laptop in plain");
    }
}

fn a_jetkvm_in_its_logitech_disguise(seen: &Facts) {
    let (_, device) = family(seen, "usb_device").next().unwrap();
    assert_eq!((&device["vendor_id"], &device["product_id"]), (&"046d".into(), &"c52b".into()));
    let remarkable = device["traits"].as_array().is_some_and(|traits| !traits.is_empty());
    assert!(remarkable, "the disguise is not seen through: {device}");
}

fn what_happened_while_sensors_ran(lines: &[Value]) {
    let appeared = |wanted: &str| lines.iter().any(|line| facts(line).keys().any(|key| key.contains(wanted)));
    assert!(appeared("hid_device/usb:1d6b:0104:1") && appeared("hid_device/usb:046d:c52b:1"));
    let last = facts(lines.last().unwrap());
    assert_eq!(family(&last, "usb_device").count(), 0, "what is unplugged is gone");

    let transitions: Vec<&Value> = lines.iter().flat_map(|line| list(line, "transitions")).collect();
    let at = |kind: &str| -> jiff::Timestamp {
        let found = transitions.iter().find(|t| t["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {transitions:?}"))["at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let apart = at("network_regained").duration_since(at("network_lost")).as_secs_f64();
    assert!((2.0..8.0).contains(&apart), "the route was away for three seconds, told as {apart}");

    let windows: Vec<&Value> = lines.iter().flat_map(|line| list(line, "windows")).collect();
    let window = windows.first().expect("a window of activity ended");
    let sources = &window["sources"];
    assert!(sources["built_in"]["keys"].as_u64() > Some(50), "somebody typed: {window}");
    assert!(sources["usb"]["pointer"].as_u64() > Some(20), "an operator pointed: {window}");
    assert!(sources["virtual"]["active_seconds"].as_u64() > Some(3), "a jiggler moved: {window}");
    assert!(window["absolute_permille"].as_u64() > Some(500), "{window}");
}

/// Runs the lab and takes its results apart: by step, the JSON values that it printed.
fn run() -> BTreeMap<String, Vec<Value>> {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/run");
    let ran = Command::new(script).arg(folder.path()).env("FARMWATCH_BIN", binaries()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let steps = text.split("=== ").skip(1).filter_map(|step| step.split_once('\n'));
    steps.map(|(name, json)| (name.trim().to_owned(), values(json))).collect()
}

fn values(json: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(json).into_iter();
    values.map(|value| value.unwrap_or_else(|e| panic!("not JSON: {e} in {json}"))).collect()
}

/// The folder that the build put its programs into: this test lies in `deps` below it.
fn binaries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned()
}

fn facts(line: &Value) -> Facts {
    serde_json::from_value(line["facts"].clone()).unwrap_or_else(|e| panic!("no facts: {e} in {line}"))
}

fn family<'a>(facts: &'a Facts, name: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    facts.iter().filter(move |(key, _)| key.split('/').next() == Some(name))
}

fn has_trait(of: &Value, prefix: &str) -> bool {
    of["traits"]
        .as_array()
        .is_some_and(|all| all.iter().any(|t| t.as_str().unwrap_or("").starts_with(prefix)))
}

fn list<'a>(line: &'a Value, name: &str) -> Vec<&'a Value> {
    line[name].as_array().map(|all| all.iter().collect()).unwrap_or_default()
}

/// The state of each family's sensor, for people who run this with `--no-capture`.
fn table(scan: &Value) -> String {
    let facts = facts(scan);
    let lines = family(&facts, "sensor").map(|(key, status)| {
        let name = key.trim_start_matches("sensor/");
        let count = family(&facts, name).count();
        let reason = status["reason"].as_str().unwrap_or_default();
        format!("{name:12} {:14} {count:2} facts  {reason}", status["state"].as_str().unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}
