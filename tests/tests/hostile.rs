//! Devices that lie, and values that say nothing: whoever claims what others show joins nobody but itself, and a farm
//! beside it is still found.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]
#![allow(clippy::float_cmp, reason = "counters are whole numbers")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use farmwatch_shared::wire::MAX_FACTS;
use farmwatch_tests::books;
use farmwatch_tests::load::{self, Answer, Laptop, enrol_many};
use farmwatch_tests::street::{enrol_behind, hash, kvm, tool};
use farmwatch_tests::world::{Collector, wait_for};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_mins(2);

fn behind_a_balancer(folder: &Path) -> Collector {
    let mut collector = Collector::init(folder, &[]).unwrap();
    collector.stands_behind_a_balancer();
    collector.start().unwrap();
    collector
}

fn refused(answer: &Answer, status: u16, word: &str, part: &str) {
    let body = answer.json();
    assert_eq!((answer.status, &body["error"]), (status, &json!(word)), "{body}");
    assert!(body["message"].as_str().unwrap().contains(part), "{body}");
}

fn judged(collector: &Collector) {
    wait_for("all to be judged", LONG, || Ok((books::waiting(collector)? == 0).then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}\n{}", collector.said()));
}

/// Devices of each site.
fn sites(collector: &Collector) -> Vec<BTreeSet<String>> {
    let listed = collector.ask(&["sites", "list"]).unwrap();
    let ids = |site: &Value| {
        let devices = site["devices"].as_array().unwrap();
        devices.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    listed.as_array().unwrap().iter().map(ids).collect()
}

fn alerts(collector: &Collector, kind: &str) -> Vec<Value> {
    let listed = collector.ask(&["alerts", "list", "--absorbed", "--limit", "1000"]).unwrap();
    listed.as_array().unwrap().iter().filter(|alert| alert["kind"] == kind).cloned().collect()
}

fn ids(laptops: &[Laptop]) -> BTreeSet<String> {
    laptops.iter().map(|laptop| laptop.device.to_string()).collect()
}

async fn tells(laptop: &mut Laptop, facts: &[(&str, Value)]) {
    let report = laptop.change(facts).unwrap();
    laptop.send(&[report]).await.unwrap().ack().unwrap();
}

fn wifi(gateway: u32, neighbours: &[u32]) -> Value {
    let neighbours: Vec<Value> =
        neighbours.iter().map(|n| json!({ "id": hash(*n), "oui": "b827eb" })).collect();
    json!({ "kind": "wifi", "gateway": hash(gateway), "neighbours": neighbours })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_claims_every_anchor_of_the_fleet_joins_nobody_and_hides_no_farm() {
    const HOMES: u32 = 20;
    let folder = tempfile::tempdir().unwrap();
    let collector = behind_a_balancer(folder.path());
    // Couples that have nothing to do with each other, and a farm whose four share an address and a gateway.
    let mut couples = Vec::new();
    for home in 0..HOMES {
        let mut couple = enrol_behind(&collector, 100 + 2 * home, 2).await.unwrap();
        for laptop in &mut couple {
            tells(laptop, &[("network/wlan0", wifi(1000 + home, &[2000 + home]))]).await;
        }
        couples.push(couple);
    }
    let mut farm = enrol_behind(&collector, 1, 4).await.unwrap();
    for laptop in &mut farm {
        let facts =
            [("network/wlan0", wifi(1, &[2])), ("usb_device/1-2", kvm()), ("remote_tool/anydesk", tool())];
        tells(laptop, &facts).await;
    }
    judged(&collector);
    let honest: Vec<BTreeSet<String>> = couples.iter().map(|couple| ids(couple)).collect();
    let mut expected: BTreeSet<BTreeSet<String>> = honest.iter().cloned().collect();
    expected.insert(ids(&farm));
    assert_eq!(sites(&collector).into_iter().collect::<BTreeSet<_>>(), expected);

    // One of the farm's, which would hide among others; a stranger; and one that shows no gateway of its own.
    let mut liars = enrol_behind(&collector, 200, 2).await.unwrap();
    let everybody: Vec<u32> = (2000..2000 + HOMES).chain([2]).collect();
    let interfaces: Vec<(String, Value)> =
        (0..HOMES).map(|home| (format!("network/wlan{home}"), wifi(1000 + home, &everybody))).collect();
    let claims: Vec<(&str, Value)> =
        interfaces.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    tells(&mut liars[0], &claims).await;
    let mut without = wifi(0, &everybody);
    without.as_object_mut().unwrap().remove("gateway");
    tells(&mut liars[1], &[("network/wlan0", without)]).await;
    let kept =
        claims.iter().map(|(key, value)| (key.replace("wlan", "eth"), value.clone())).collect::<Vec<_>>();
    let kept: Vec<(&str, Value)> = kept.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    tells(&mut farm[3], &kept).await;
    judged(&collector);
    // And everybody is looked at again.
    for couple in &mut couples {
        tells(&mut couple[0], &[("network/eth0", json!({ "kind": "ethernet" }))]).await;
    }
    judged(&collector);

    let liars: BTreeSet<String> = ids(&liars).into_iter().chain([farm[3].device.to_string()]).collect();
    for site in sites(&collector) {
        let people: BTreeSet<String> = site.difference(&liars).cloned().collect();
        let known = honest.contains(&people) || people.is_subset(&ids(&farm));
        assert!(known, "these are not together: {people:?}, in {site:?}");
    }
    let found = alerts(&collector, "site");
    let open: Vec<&Value> = found.iter().filter(|alert| alert["state"] != "resolved").collect();
    assert_eq!(open.len(), 1, "{open:#?}");
    let found: BTreeSet<&str> =
        open[0]["devices"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for laptop in &farm[..3] {
        assert!(found.contains(laptop.device.as_str()), "the farm is not found whole: {found:?}");
    }
    assert!(found.len() <= 5, "and nobody else: {found:?}");
}

#[tokio::test]
async fn a_hundred_thousand_neighbours_are_refused_or_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let collector = behind_a_balancer(folder.path());
    let mut liar = enrol_many(&collector, 1, 1).await.unwrap().remove(0);
    let many = |count: u32| wifi(1, &(0..count).collect::<Vec<_>>());
    let report = liar.change(&[("network/wlan0", many(100_000))]).unwrap();
    let answer = liar.send(&[report]).await.unwrap();
    assert!([400, 413].contains(&answer.status), "{}", answer.text());
    assert!(answer.json()["message"].as_str().unwrap().contains("unpack"), "{}", answer.text());

    (liar.seq, liar.state) = (0, Default::default());
    tells(&mut liar, &[("network/wlan0", many(30_000))]).await;
    judged(&collector);
    let db = rusqlite::Connection::open(collector.folder().join("farmwatch.db")).unwrap();
    let anchors: i64 = db.query_row("SELECT count(*) FROM anchor", [], |row| row.get(0)).unwrap();
    assert!((1..=70).contains(&anchors), "{anchors} anchors are kept of one laptop");
}

#[tokio::test]
async fn what_is_kept_of_one_device_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let collector = behind_a_balancer(folder.path());
    let mut laptops = enrol_many(&collector, 1, 2).await.unwrap();
    let (mut neighbour, mut liar) = (laptops.remove(0), laptops.remove(0));
    let facts =
        |from: usize, to: usize| (from..to).map(|n| (format!("display/{n}"), json!({}))).collect::<Vec<_>>();
    let mut sent = 0;
    for from in (0..MAX_FACTS).step_by(1024) {
        let some = facts(from, from + 1024);
        let some: Vec<(&str, Value)> =
            some.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        tells(&mut liar, &some).await;
        sent += 1;
    }
    let full = liar.state.clone();
    for n in 0..3 {
        let report = liar.change(&[(&format!("usb_device/more{n}"), json!({}))]).unwrap();
        refused(&liar.send(&[report]).await.unwrap(), 422, "bad_report", "at most 4096");
    }
    // What repeats itself would be refused as a bomb.
    let mut rng = fastrand::Rng::with_seed(1);
    let mut large = || json!((0..150_000).map(|_| rng.alphanumeric()).collect::<String>());
    liar.state = full.clone();
    let fit = (4 << 20) / 150_000;
    for n in 0..fit {
        let report = liar.change(&[(&format!("display/{n}"), large())]).unwrap();
        liar.send(&[report]).await.unwrap().ack().unwrap();
    }
    let report = liar.change(&[(&format!("display/{fit}"), large())]).unwrap();
    refused(&liar.send(&[report]).await.unwrap(), 422, "bad_report", "bytes are kept");

    let shown = collector.device(liar.device.as_str()).unwrap();
    assert_eq!(shown["facts"].as_object().unwrap().len(), MAX_FACTS);
    assert_eq!(shown["device"]["seq"], sent + 3 + fit, "what was refused is not counted as taken");
    let refused = "farmwatch_ingest_reports_total{result=\"too_much\"}";
    assert_eq!(collector.metric(refused).unwrap(), 4.0);
    let audit = collector.audit(liar.device.as_str()).unwrap();
    assert!(audit.iter().any(|(did, why)| did == "bad_report" && why.contains("at most 4096")), "{audit:?}");
    tells(&mut neighbour, &[("locale/self", json!({ "ui_language": "de" }))]).await;
}

#[tokio::test]
async fn a_device_that_tells_anothers_serial_number_gets_neither_its_name_nor_its_facts() {
    let folder = tempfile::tempdir().unwrap();
    let collector = behind_a_balancer(folder.path());
    let mut laptops = enrol_many(&collector, 1, 2).await.unwrap();
    let (mut thief, mut owner) = (laptops.remove(0), laptops.remove(0));
    let host = |serial: &str| [("host/self", json!({ "os": "linux", "hostname": "x", "serial": serial }))];
    tells(&mut owner, &host("LOAD2")).await;
    tells(&mut thief, &host("LOAD2")).await;
    let mut foreign = thief.report();
    foreign.device = owner.device.clone();
    refused(&thief.send(&[foreign]).await.unwrap(), 403, "foreign_report", owner.device.as_str());
    judged(&collector);
    let of = |laptop: &Laptop| collector.device(laptop.device.as_str()).unwrap()["device"].clone();
    assert_eq!((&of(&thief)["serial"], &of(&owner)["serial"]), (&json!("LOAD1"), &json!("LOAD2")));
    assert_eq!((&of(&owner)["seq"], &of(&owner)["standing"]), (&json!(1), &json!("enrolled")));

    // Whoever enrols with it waits for IT's look, and IT is told.
    let late = Laptop::enrol_as(&collector, &collector.token().unwrap(), 3, "LOAD2").await.unwrap();
    assert_eq!(of(&late)["standing"], "pending");
    assert_eq!(of(&owner)["standing"], "enrolled");
    judged(&collector);
    let conflicts = alerts(&collector, "policy");
    assert!(conflicts.iter().any(|alert| alert["devices"] == json!([late.device])), "{conflicts:?}");
}

async fn public_address(collector: &Collector, laptop: &mut Laptop, headers: &str) -> Result<Value, String> {
    let report = laptop.report();
    let body = farmwatch_shared::wire::pack(&[report]).unwrap();
    let request = load::request("POST", "/v1/reports", &body);
    let at = request.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    let request = [&request[..at], headers.as_bytes(), &request[at..]].concat();
    let answer = laptop.line.exchange(&request).await.map_err(|error| format!("{error:#}"))?;
    answer.ack().unwrap();
    Ok(collector.device(laptop.device.as_str()).unwrap()["device"]["public_address"].clone())
}

#[tokio::test]
async fn only_a_configured_balancer_is_believed_about_addresses() {
    const FORGED: &str = "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7;proto=https\r\n\
                          X-Real-IP: 198.51.100.7\r\nTrue-Client-IP: 198.51.100.7\r\n";
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::init(folder.path(), &[]).unwrap();
    collector.start().unwrap();
    let mut laptop = enrol_many(&collector, 1, 1).await.unwrap().remove(0);
    let here = Ok(json!("127.0.0.1"));
    assert_eq!(public_address(&collector, &mut laptop, FORGED).await, here, "headers say nothing");
    laptop.line.come_from([198, 51, 100, 7].into());
    public_address(&collector, &mut laptop, "").await.unwrap_err();
    assert!(collector.metric("farmwatch_connections_refused_total{reason=\"handshake\"}").unwrap() >= 1.0);

    // Another balancer than the one that this comes from.
    collector.stop();
    collector.set_environment("FARMWATCH_AGENTS__PROXIES", "192.0.2.0/24, 2001:db8::/32");
    collector.start().unwrap();
    public_address(&collector, &mut laptop, "").await.unwrap_err();
    laptop.line.begin_with("");
    laptop.seq -= 2;
    assert_eq!(public_address(&collector, &mut laptop, FORGED).await, here);

    // The one that it is.
    collector.stop();
    collector.stands_behind_a_balancer();
    collector.start().unwrap();
    laptop.line.begin_with("");
    public_address(&collector, &mut laptop, FORGED).await.unwrap_err();
    assert!(collector.metric("farmwatch_connections_refused_total{reason=\"proxy_header\"}").unwrap() >= 1.0);
    assert!(collector.said().contains("PROXY protocol"), "{}", collector.said());
    laptop.seq -= 1;
    laptop.line.come_from([203, 0, 113, 9].into());
    assert_eq!(public_address(&collector, &mut laptop, FORGED).await, Ok(json!("203.0.113.9")));
    laptop.line.begin_with("PROXY TCP6 2001:db8::9 2001:db8::1 40000 8443\r\n");
    assert_eq!(public_address(&collector, &mut laptop, FORGED).await, Ok(json!("2001:db8::9")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_many_share_join_nobody_in_the_end() {
    const MANY: u32 = 210;
    let folder = tempfile::tempdir().unwrap();
    let collector = behind_a_balancer(folder.path());
    let token =
        collector.ask(&["tokens", "add", "--uses", "250"]).unwrap()["token"].as_str().unwrap().to_owned();
    let fillers = ["0123456789ABCDEF", "To Be Filled By O.E.M.", "Default string", "00000000"];
    let mut laptops = Vec::new();
    for n in 1..=MANY {
        let serial = fillers[n as usize % fillers.len()];
        laptops.push(Laptop::enrol_as(&collector, &token, n, serial).await.unwrap());
    }
    // A gateway whose maker gave all the same address, a dock's and a screen's serial number that all have, a neighbour
    // with an address of no maker's, and what a board says where it has no serial number.
    for (n, laptop) in (1u32..).zip(&mut laptops) {
        laptop.line.come_from(Ipv4Addr::from_bits(Ipv4Addr::new(198, 51, 100, 0).to_bits() + n));
        let wifi = json!({ "kind": "wifi", "gateway": hash(7), "neighbours": [{ "id": hash(8) }] });
        let dock = json!({ "vendor_id": "17ef", "product_id": "a396", "serial": hash(9) });
        let screen = json!({ "edid": { "manufacturer": "DEL", "product": 1, "serial": hash(10) } });
        let host = json!({ "os": "linux", "serial": fillers[n as usize % fillers.len()] });
        let facts = [
            ("network/wlan0", wifi),
            ("usb_device/1-4", dock),
            ("display/DP-1", screen),
            ("host/self", host),
        ];
        tells(laptop, &facts).await;
        if n % 40 == 0 {
            judged(&collector);
        }
    }
    judged(&collector);
    let sites = sites(&collector);
    assert_eq!(
        sites.len(),
        0,
        "{} sites, the largest of {:?}",
        sites.len(),
        sites.iter().map(BTreeSet::len).max()
    );
    let site_alerts = alerts(&collector, "site");
    assert_eq!(site_alerts, Vec::<Value>::new(), "not even for a while");
    let conflicts: Vec<Value> = alerts(&collector, "policy")
        .into_iter()
        .filter(|a| a["key"].as_str().unwrap().ends_with("conflict"))
        .collect();
    assert_eq!(conflicts, Vec::<Value>::new(), "a filler is nobody's serial number");
    let devices = collector.ask(&["devices", "list", "--limit", "1000"]).unwrap();
    let pending: Vec<&Value> =
        devices.as_array().unwrap().iter().filter(|device| device["standing"] != "enrolled").collect();
    assert_eq!(pending, Vec::<&Value>::new());
}
