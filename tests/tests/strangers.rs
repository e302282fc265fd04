//! Who is not who they say, and what cannot be: refused with a reason in log, metric and audit, and a good laptop
//! keeps reporting meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]
#![allow(clippy::float_cmp, reason = "counters are whole numbers")]

use std::path::Path;
use std::time::Duration;

use farmwatch_shared::facts::{Transition, TransitionKind};
use farmwatch_shared::wire::{self, MAX_BODY, MAX_UNPACKED};
use farmwatch_tests::load::{self, Answer, Laptop, Line, enrol_many};
use farmwatch_tests::world::{Agent, Collector, wait_for};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const LONG: Duration = Duration::from_mins(1);

fn running(folder: &Path) -> Collector {
    let mut collector = Collector::init(&folder.join("collector"), &[]).unwrap();
    collector.start().unwrap();
    collector
}

/// A neighbour whom none of it may touch.
struct Neighbour {
    laptop: Laptop,
    taken: u64,
}

impl Neighbour {
    async fn new(collector: &Collector) -> Self {
        let laptop = enrol_many(collector, 900, 1).await.unwrap().remove(0);
        Self { laptop, taken: 0 }
    }

    async fn reports(&mut self) {
        self.taken += 1;
        let report = self.laptop.change(&[("locale/self", json!({ "ui_language": self.taken }))]).unwrap();
        let ack = self.laptop.send(&[report]).await.unwrap().ack().unwrap();
        assert_eq!((ack.seq, ack.want_state), (self.taken, false));
    }
}

fn refused(answer: &Answer, status: u16, word: &str) {
    let body = answer.json();
    assert_eq!((answer.status, &body["error"]), (status, &json!(word)), "{body}");
    assert!(body["message"].as_str().unwrap().len() > 15, "a sentence: {body}");
}

fn audited(collector: &Collector, object: &str, action: &str, part: &str) {
    let entries = collector.audit(object).unwrap();
    assert!(entries.iter().any(|(did, why)| did == action && why.contains(part)), "{part}: {entries:?}");
}

/// A connection is counted when it is closed, which may be a moment after its end was seen here.
fn counted(collector: &Collector, series: &str, least: f64) {
    wait_for(series, Duration::from_secs(10), || Ok((collector.metric(series)? >= least).then_some(())))
        .unwrap();
}

fn logged(collector: &Collector, part: &str) {
    assert!(collector.said().contains(part), "no {part:?} in the log: {}", collector.said());
}

#[tokio::test]
async fn a_token_that_is_wrong_used_expired_or_anothers_buys_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let other = running(&folder.path().join("other"));
    let mut neighbour = Neighbour::new(&collector).await;
    let used = collector.token().unwrap();
    Agent::new(&folder.path().join("first"), "").unwrap();
    let enrol = |name: &str, token: &str| {
        let agent = Agent::new(&folder.path().join(name), "").unwrap();
        let args = ["enrol", "--url", &collector.url(), "--token", token];
        let output = agent.command(&args).unwrap().output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
            agent.state().join("identity.json").exists(),
        )
    };
    assert_eq!(enrol("first", &used).0, Some(0));

    let expired = collector.ask(&["tokens", "add", "--uses", "5", "--expires", "1s"]).unwrap();
    let (start, pin) = used.split_at(36);
    let wrong =
        format!("{}{pin}", start.chars().rev().collect::<String>().replace("_owf", "").to_lowercase());
    let wrong = format!("fwo_{wrong}");
    std::thread::sleep(Duration::from_millis(1100));
    let tries = [
        ("wrong", wrong, "token_unknown", "no such token"),
        ("used", used, "token_spent", "as often as it may"),
        ("expired", expired["token"].as_str().unwrap().to_owned(), "token_expired", "ended at"),
    ];
    for (name, token, word, part) in tries {
        let (code, said, left) = enrol(name, &token);
        assert_eq!((code, left), (Some(1), false), "{name}: {said}");
        assert!(said.contains(part), "{name}: {said}");
        counted(&collector, &format!("farmwatch_enrol_attempts_total{{result=\"{word}\"}}"), 1.0);
        audited(&collector, word, "enrol_refused", part);
        logged(&collector, word);
        neighbour.reports().await;
    }
    let (code, said, left) = enrol("anothers", &other.token().unwrap());
    assert_eq!((code, left), (Some(1), false), "{said}");
    assert!(said.contains("enrol with a token of this collector"), "{said}");
    neighbour.reports().await;
    assert_eq!(collector.device(neighbour.laptop.device.as_str()).unwrap()["device"]["seq"], neighbour.taken);
}

#[tokio::test]
async fn a_copied_state_folder_becomes_another_device_and_never_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let machine = |name: &str, id: &str| {
        let root = folder.path().join(name).join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/machine-id"), id.repeat(4)).unwrap();
        root
    };
    let (here, there) = (machine("original", "0badcafe"), machine("copy", "feedbee5"));
    let mut original = Agent::new(&folder.path().join("original"), "").unwrap().below(&here);
    let device = original.enrol(&collector).unwrap();
    original.start().unwrap();
    let seen = |device: &str| collector.device(device).map(|shown| shown["device"]["seq"].as_u64());
    wait_for("the original's report", LONG, || seen(&device).map(|seq| seq.filter(|n| *n > 0))).unwrap();
    original.stop();
    let before = collector.device(&device).unwrap();

    let mut copy = Agent::new(&folder.path().join("copy"), "").unwrap().below(&there);
    let copied = std::process::Command::new("cp").arg("-a").arg(original.state()).arg(copy.state()).status();
    assert!(copied.unwrap().success());
    copy.start().unwrap();
    let renamed = wait_for("the copy's own name", LONG, || {
        let name = copy.status()?["status"]["device"].as_str().unwrap_or_default().to_owned();
        Ok((name != device && !name.is_empty()).then_some(name))
    })
    .unwrap();
    wait_for("the copy's report", LONG, || seen(&renamed).map(|seq| seq.filter(|n| *n > 0))).unwrap();
    assert_eq!(collector.device(&renamed).unwrap()["device"]["standing"], "pending");
    let after = collector.device(&device).unwrap();
    assert_eq!(after["facts"], before["facts"], "the original's facts stay");
    assert_eq!(after["device"]["seq"], before["device"]["seq"]);
    assert_eq!(after["device"]["standing"], "enrolled");

    let alert = wait_for("the conflict's alert", LONG, || {
        let alerts = collector.ask(&["alerts", "list"])?;
        let of = |alert: &serde_json::Value| alert["key"].as_str().unwrap().ends_with("/conflict");
        let conflicts: Vec<_> =
            alerts.as_array().unwrap().iter().filter(|alert| of(alert)).cloned().collect();
        Ok((!conflicts.is_empty()).then_some(conflicts))
    })
    .unwrap();
    assert_eq!(alert.len(), 1, "{alert:?}");
    assert_eq!(alert[0]["devices"], json!([device]));
    assert!(alert[0]["summary"].as_str().unwrap().contains(&renamed), "it names the copy: {alert:?}");
    counted(&collector, "farmwatch_device_conflicts_total", 1.0);
    audited(&collector, &device, "conflict", "copy");
    assert!(copy.said().contains("made on other hardware"), "{}", copy.said());

    original.start().unwrap();
    let last = before["device"]["seq"].as_u64().unwrap();
    wait_for("the original goes on", LONG, || seen(&device).map(|seq| seq.filter(|n| *n > last))).unwrap();
    assert_eq!(original.status().unwrap()["status"]["device"], device.as_str());
}

#[tokio::test]
async fn unknown_authorities_revoked_certificates_and_borrowed_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let mut neighbour = Neighbour::new(&collector).await;
    let mut laptops = enrol_many(&collector, 1, 2).await.unwrap();
    let (mut thief, mut gone) = (laptops.remove(0), laptops.remove(0));
    let ca = load::authority(collector.folder()).unwrap();
    let address = format!("127.0.0.1:{}", collector.agents_port).parse().unwrap();

    // A certificate for the neighbour's name, of an authority that somebody made up.
    let own = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, neighbour.laptop.device.as_str());
    let forged = params.self_signed(&own).unwrap().pem();
    let mut line = Line::new(address, load::tls(&ca, Some((&forged, &own.serialize_pem()))).unwrap());
    let report = wire::pack(&[neighbour.laptop.report()]).unwrap();
    neighbour.laptop.seq -= 1;
    line.call("POST", "/v1/reports", &report).await.unwrap_err();
    counted(&collector, "farmwatch_connections_refused_total{reason=\"certificate\"}", 1.0);
    logged(&collector, "client certificate refused");
    neighbour.reports().await;

    // No certificate at all.
    let mut line = Line::new(address, load::tls(&ca, None).unwrap());
    refused(&line.call("POST", "/v1/reports", &report).await.unwrap(), 401, "certificate_missing");
    counted(&collector, "farmwatch_gate_refusals_total{reason=\"certificate_missing\"}", 1.0);
    neighbour.reports().await;

    // The neighbour's name on a good certificate of one's own.
    let mut report = thief.report();
    report.device = neighbour.laptop.device.clone();
    report.seq = 1000;
    refused(&thief.send(&[report]).await.unwrap(), 403, "foreign_report");
    counted(&collector, "farmwatch_ingest_batches_total{result=\"foreign_report\"}", 1.0);
    audited(&collector, thief.device.as_str(), "foreign_report", neighbour.laptop.device.as_str());
    logged(&collector, "foreign_report");
    neighbour.reports().await;

    // Revoked on a connection that is open.
    let report = gone.report();
    gone.send(&[report]).await.unwrap().ack().unwrap();
    collector.ask(&["devices", "revoke", gone.device.as_str(), "--reason", "stolen"]).unwrap();
    let report = gone.report();
    let mut answer = gone.send(std::slice::from_ref(&report)).await.unwrap();
    for _ in 0..50 {
        if answer.status == 403 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = gone.send(std::slice::from_ref(&report)).await.unwrap();
    }
    assert_eq!(answer.status, 403, "{}", answer.text());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    refused(&gone.send(&[report]).await.unwrap(), 403, "revoked");
    refused(&gone.line.call("POST", "/v1/rekey", b"{}").await.unwrap(), 403, "revoked");
    counted(&collector, "farmwatch_gate_refusals_total{reason=\"revoked\"}", 1.0);
    audited(&collector, gone.device.as_str(), "refuse", "revoked");
    logged(&collector, "revoked");
    assert_eq!(collector.device(gone.device.as_str()).unwrap()["device"]["seq"], 1);
    neighbour.reports().await;
    assert_eq!(collector.device(neighbour.laptop.device.as_str()).unwrap()["device"]["seq"], neighbour.taken);
}

#[tokio::test]
async fn an_agent_does_not_talk_to_a_collector_of_another_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, other) = (running(folder.path()), running(&folder.path().join("other")));
    let mut agent = Agent::new(&folder.path().join("agent"), "").unwrap();
    let device = agent.enrol(&collector).unwrap();
    agent.set_environment("FARMWATCH_URL", &other.url());
    agent.start().unwrap();
    let trouble = wait_for("the agent's trouble", LONG, || {
        Ok(agent.status()?["status"]["trouble"].as_str().map(str::to_owned))
    })
    .unwrap();
    assert!(trouble.contains("this is another collector") && trouble.contains("Farmwatch"), "{trouble}");
    assert!(agent.said().contains("reports wait in the spool"), "{}", agent.said());
    assert_eq!(other.metric("farmwatch_ingest_reports_total").unwrap_or(0.0), 0.0);
    agent.stop();
    agent.set_environment("FARMWATCH_URL", &collector.url());
    agent.start().unwrap();
    wait_for("what waited", LONG, || {
        Ok(collector.device(&device)?["device"]["seq"].as_u64().filter(|seq| *seq > 0))
    })
    .unwrap();
}

#[tokio::test]
async fn reports_that_cannot_be_are_refused_and_harm_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let mut neighbour = Neighbour::new(&collector).await;
    let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bomb = zstd(&vec![b' '; 16 * MAX_UNPACKED]);
    assert!(bomb.len() < MAX_BODY, "a bomb is small: {}", bomb.len());
    let cases: [(&str, Vec<u8>, u16, &str, &str); 7] = [
        ("huge", vec![0; MAX_BODY + 1], 413, "too_large", "more than 262144 bytes"),
        ("a bomb", bomb, 413, "bomb", "times its own size"),
        ("no zstd", b"{}".to_vec(), 400, "bad_body", "does not unpack"),
        ("nothing", zstd(b""), 400, "bad_body", "without a report"),
        ("deep", zstd(deep.as_bytes()), 422, "bad_report", "nested deeper"),
        ("not UTF-8", zstd(b"{\"v\":\xff\xfe}"), 422, "bad_report", "not UTF-8"),
        ("no report", zstd(b"{\"v\":\"<script>alert(1)</script>\"}"), 422, "bad_report", "not a report"),
    ];
    for (number, (name, body, status, word, why)) in (0..).zip(cases) {
        let mut laptop = enrol_many(&collector, 100 + number, 1).await.unwrap().remove(0);
        let report = laptop.change(&[("locale/self", json!({ "ui_language": "de" }))]).unwrap();
        laptop.send(&[report]).await.unwrap().ack().unwrap();
        let before = collector.device(laptop.device.as_str()).unwrap();
        let answer = laptop.send_body(&body).await.unwrap();
        refused(&answer, status, word);
        assert!(answer.text().contains(why), "{name}: {}", answer.text());
        counted(&collector, &format!("farmwatch_ingest_batches_total{{result=\"{word}\"}}"), 1.0);
        audited(&collector, laptop.device.as_str(), "bad_report", why);
        logged(&collector, why);
        let after = collector.device(laptop.device.as_str()).unwrap();
        assert_eq!((&after["facts"], &after["device"]["seq"]), (&before["facts"], &before["device"]["seq"]));
        // The same laptop is not shut out either.
        let report = laptop.report();
        assert_eq!(laptop.send(&[report]).await.unwrap().ack().unwrap().seq, 2, "{name}");
        neighbour.reports().await;
    }
    assert_eq!(collector.device(neighbour.laptop.device.as_str()).unwrap()["device"]["seq"], neighbour.taken);
}

#[tokio::test]
async fn what_is_before_a_bad_report_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let mut laptop = enrol_many(&collector, 1, 1).await.unwrap().remove(0);
    let good = laptop.change(&[("locale/self", json!({ "ui_language": "de" }))]).unwrap();
    let lines = [serde_json::to_vec(&good).unwrap(), b"{".to_vec()].join(&b'\n');
    let answer = laptop.send_body(&zstd::bulk::compress(&lines, 3).unwrap()).await.unwrap();
    refused(&answer, 422, "bad_report");
    assert_eq!((&answer.json()["line"], &answer.json()["ack"]["seq"]), (&json!(2), &json!(1)));
    let shown = collector.device(laptop.device.as_str()).unwrap();
    assert_eq!(shown["facts"]["locale/self"]["ui_language"], "de");
}

#[tokio::test]
async fn a_report_that_comes_again_counts_once_and_one_from_the_future_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let mut laptop = enrol_many(&collector, 1, 1).await.unwrap().remove(0);
    let first = laptop.change(&[("locale/self", json!({ "ui_language": "de" }))]).unwrap();
    let second = laptop.change(&[("locale/self", json!({ "ui_language": "fr" }))]).unwrap();
    laptop.send(&[first.clone(), second.clone()]).await.unwrap().ack().unwrap();
    for _ in 0..3 {
        let ack = laptop.send(&[first.clone(), second.clone()]).await.unwrap().ack().unwrap();
        assert_eq!(ack.seq, 2);
    }
    let shown = collector.device(laptop.device.as_str()).unwrap();
    assert_eq!(shown["facts"]["locale/self"]["ui_language"], "fr", "the older one changed nothing");
    assert_eq!(collector.metric("farmwatch_ingest_reports_total{result=\"duplicate\"}").unwrap(), 6.0);
    assert_eq!(collector.metric("farmwatch_ingest_reports_total{result=\"taken\"}").unwrap(), 2.0);

    // The same words under another run of the agent: somebody else replays them.
    let mut stolen = first;
    stolen.boot = "0bad0bad".into();
    refused(&laptop.send(&[stolen]).await.unwrap(), 409, "conflict");
    audited(&collector, laptop.device.as_str(), "conflict", "0bad0bad");

    let now = Timestamp::now();
    let mut late = laptop.report();
    late.at = now + SignedDuration::from_hours(24 * 365);
    late.transitions =
        vec![Transition { at: "9000-01-01T00:00:00Z".parse().unwrap(), kind: TransitionKind::MainsLost }];
    let ack = laptop.send(&[late]).await.unwrap().ack().unwrap();
    assert_eq!(ack.seq, 3);
    let shown = collector.device(laptop.device.as_str()).unwrap();
    let skew = shown["device"]["clock_skew"].as_i64().unwrap();
    assert!((skew - 24 * 365 * 3600).abs() < 60, "the page shows how far its clock is off: {skew}");
    let last_seen: Timestamp = shown["device"]["last_seen"].as_str().unwrap().parse().unwrap();
    assert!(last_seen.duration_since(now).abs() < SignedDuration::from_mins(5), "{last_seen}");
}

/// Reports that are as large as they may be, again and again, on one of a flood's connections; how often it was turned
/// away, and after how many seconds it was told to come again.
async fn floods(mut line: Line, request: Vec<u8>, until: std::time::Instant) -> Vec<u64> {
    let mut turned_away = Vec::new();
    while std::time::Instant::now() < until {
        if let Ok(answer) = line.exchange(&request).await
            && answer.status == 503
        {
            turned_away.push(answer.retry_after.unwrap());
        }
    }
    turned_away
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_floods_is_told_to_come_again_and_starves_nobody() {
    const CONNECTIONS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let collector = running(folder.path());
    let mut neighbour = Neighbour::new(&collector).await;
    let mut laptop = enrol_many(&collector, 1, 1).await.unwrap().remove(0);
    let line = laptop.line.clone_unconnected();
    // Numbers by chance: a body as large as it may be.
    let mut random = fastrand::Rng::with_seed(1);
    let layouts: Vec<u32> = (0..200_000).map(|_| random.u32(..)).collect();
    let mut report = laptop.change(&[("locale/self", json!({ "numbers": layouts }))]).unwrap();
    let mut body = wire::pack(std::slice::from_ref(&report)).unwrap();
    while body.len() > MAX_BODY {
        let fewer = layouts[..layouts.len() * MAX_BODY / body.len() * 9 / 10].to_vec();
        report.set.values_mut().for_each(|value| *value = json!({ "numbers": fewer }));
        body = wire::pack(std::slice::from_ref(&report)).unwrap();
    }
    let until = std::time::Instant::now() + Duration::from_secs(3);
    let request = load::request("POST", "/v1/reports", &body);
    let flood: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(floods(line.clone_unconnected(), request.clone(), until)))
        .collect();
    let mut waits = Vec::new();
    while std::time::Instant::now() < until {
        let start = std::time::Instant::now();
        neighbour.reports().await;
        waits.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut turned_away = Vec::new();
    for connection in flood {
        turned_away.extend(connection.await.unwrap());
    }
    waits.sort();
    println!(
        "{} turned away; the neighbour waited {:?}, {:?} at most",
        turned_away.len(),
        waits[waits.len() / 2],
        waits.last()
    );
    assert!(waits.len() > 5 && waits[waits.len() / 2] < Duration::from_millis(500), "{waits:?}");
    assert!(turned_away.len() > CONNECTIONS, "{} turned away", turned_away.len());
    assert!(turned_away.iter().all(|seconds| (10..=30).contains(seconds)), "{turned_away:?}");
    assert!(turned_away.iter().any(|seconds| *seconds != turned_away[0]), "all at the same time again");
    counted(
        &collector,
        "farmwatch_ingest_turned_away_total{reason=\"device_busy\"}",
        turned_away.len() as f64,
    );
    assert_eq!(collector.metric("farmwatch_ingest_bodies_in_flight").unwrap(), 0.0);
    assert_eq!(collector.metric("farmwatch_ingest_in_flight_kibibytes").unwrap(), 0.0);
}
