//! Laptops that share one unsanctioned place become one site alert, and nobody else's do: a simulated fleet of 300,
//! replayed by the real collector.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use farmwatch_tests::fleet::TWINS;
use farmwatch_tests::world::{binary, run};
use serde_json::Value;

/// What a fleet's replay gave.
struct Replayed {
    alerts: Vec<Value>,
    /// Number of the farm by laptop.
    labels: BTreeMap<String, u64>,
}

fn simulate(folder: &Path, seed: u32, days: u32, parameters: &Path) {
    let lines = File::create(folder.join("fleet.ndjson")).unwrap();
    let mut fleet = Command::new(binary("fleet").unwrap());
    fleet
        .args(["--seed", &seed.to_string(), "--days", &days.to_string(), "--beside"])
        .arg(folder)
        .arg("--parameters")
        .arg(parameters)
        .stdout(lines);
    assert!(fleet.status().unwrap().success());
}

fn replay(folder: &Path) -> String {
    let mut command = Command::new(binary("farmwatch-collector").unwrap());
    command.args(["replay", "--json"]).arg(folder.join("fleet.ndjson")).stdin(Stdio::null());
    command.arg("--assets").arg(folder.join("assets.csv")).arg("--places").arg(folder.join("places.toml"));
    command.arg("--policy").arg(folder.join("policy.toml"));
    let output = run(&mut command).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.is_empty(), "{complaints}");
    String::from_utf8(output.stdout).unwrap()
}

fn replayed(seed: u32) -> Replayed {
    let folder = tempfile::tempdir().unwrap();
    simulate(folder.path(), seed, 4, Path::new("small"));
    let alerts = replay(folder.path()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let labels = std::fs::read_to_string(folder.path().join("labels.ndjson")).unwrap();
    let labels = labels.lines().filter_map(|line| {
        let label: Value = serde_json::from_str(line).unwrap();
        Some((label["device"].as_str()?.to_owned(), label["farm"].as_u64()?))
    });
    Replayed { alerts, labels: labels.collect() }
}

/// Laptops of each alert of a kind, as they stood at the end.
fn last_of(alerts: &[Value], kind: &str) -> BTreeMap<String, BTreeSet<String>> {
    let of_kind = alerts.iter().filter(|alert| alert["kind"] == kind);
    let laptops = |alert: &Value| {
        let devices = alert["devices"].as_array().unwrap();
        devices.iter().map(|device| device.as_str().unwrap().to_owned()).collect()
    };
    of_kind.map(|alert| (alert["id"].as_str().unwrap().to_owned(), laptops(alert))).collect()
}

/// Both farms and nothing but the farms.
fn assert_both_farms_and_nobody_else(seed: u32) {
    let Replayed { alerts, labels } = replayed(seed);
    let mut farms: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for (laptop, farm) in &labels {
        farms.entry(*farm).or_default().insert(laptop.clone());
    }
    let sites = last_of(&alerts, "site");
    let found: BTreeSet<_> = sites.values().cloned().collect();
    let expected: BTreeSet<_> = farms.values().cloned().collect();
    assert_eq!(found, expected, "seed {seed}: sites that were found, and farms");
    assert_eq!(sites.len(), farms.len(), "seed {seed}: one alert for each farm");
    for kind in ["device", "policy"] {
        for (alert, laptops) in last_of(&alerts, kind) {
            assert!(
                laptops.iter().all(|laptop| labels.contains_key(laptop)),
                "seed {seed}: {kind} alert {alert} about an ordinary laptop: {:#?}",
                alerts.iter().find(|a| a["id"] == alert.as_str())
            );
        }
    }
    for alert in alerts.iter().filter(|alert| alert["kind"] == "site") {
        let bars = alert["waterfall"].as_array().unwrap();
        let sum: f64 = bars.iter().map(|bar| bar["llr"].as_f64().unwrap()).sum();
        let posterior = alert["posterior"].as_f64().unwrap();
        let odds = (posterior / (1.0 - posterior)).ln();
        assert!(
            (sum - odds).abs() < 0.02 || posterior > 0.999_999,
            "bars add up to {sum}, not to {odds}: {alert}"
        );
    }
}

#[test]
fn two_farms_among_three_hundred_laptops_are_two_alerts() {
    assert_both_farms_and_nobody_else(1);
}

#[test]
fn so_they_are_in_another_fleet() {
    assert_both_farms_and_nobody_else(2026);
}

#[test]
fn a_replay_gives_the_same_alerts_each_time() {
    let folder = tempfile::tempdir().unwrap();
    simulate(folder.path(), 7, 2, Path::new("small"));
    let first = replay(folder.path());
    assert!(first.lines().count() > 2, "{first}");
    assert_eq!(first, replay(folder.path()));
}

/// Days that the fleet of twins lives: long enough for what agents say after a day or two, short enough for an
/// unoptimised collector.
const TWINS_DAYS: u32 = 5;

/// The site alerts of an honest fleet in which every innocent twin is common.
fn site_alerts_about_twins(seed: u32) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let mut parameters: toml::Table = toml::from_str(TWINS).unwrap();
    parameters["fleet"].as_table_mut().unwrap().insert("laptops".into(), 300.into());
    let path = folder.path().join("parameters.toml");
    std::fs::write(&path, toml::to_string(&parameters).unwrap()).unwrap();
    simulate(folder.path(), seed, TWINS_DAYS, &path);
    // That nobody is named says nothing where nobody is.
    let labels = std::fs::read_to_string(folder.path().join("labels.ndjson")).unwrap();
    for there in
        ["three", "agency", "dorm", "ship", "data_centre", "always_remote", "software_kvm", "offsite"]
    {
        let count = labels.lines().filter(|line| line.contains(&format!("\"{there}\""))).count();
        assert!(count >= 1, "{count} with {there}");
    }
    let told = replay(folder.path());
    let alerts = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    alerts.filter(|alert| alert["kind"] == "site").collect()
}

#[test]
fn innocent_twins_by_the_dozen_are_no_site() {
    for seed in [3, 6] {
        let alerts = site_alerts_about_twins(seed);
        assert!(alerts.is_empty(), "seed {seed}: {alerts:#?}");
    }
}

/// Homes whose routers show one hardware address, laptops on IT's bench that its list still has with somebody, beside new
/// ones, and a meeting on the first day that agents report.
#[test]
fn cloned_routers_used_laptops_on_the_bench_and_a_first_day_in_a_crowd_are_no_site() {
    for seed in [1, 2, 5] {
        let alerts = site_alerts_about_twins(seed);
        assert!(alerts.is_empty(), "seed {seed}: {alerts:#?}");
    }
}

/// A company of one large office behind a VPN, of which IT has named neither address nor gateways.
const OFFICE: &str = r#"
fleet = { laptops = 2000, always_on_vpn = 1.0 }
farms = { drawn = 0 }

[[region]]
name = "New York"
zone = "America/New_York"
offset = -5
country = "US"
share = 1.0
rtt = 22
"#;

#[test]
fn a_large_office_that_it_never_named_is_no_site_on_its_first_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parameters.toml");
    std::fs::write(&path, OFFICE).unwrap();
    simulate(folder.path(), 1, 1, &path);
    let told = replay(folder.path());
    let alerts = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (sites, others): (Vec<_>, Vec<_>) = alerts.partition(|alert| alert["kind"] == "site");
    assert!(!others.is_empty(), "some have tools that IT forbids");
    assert!(sites.is_empty(), "{}: {:#?}", sites.len(), sites.first());
}
