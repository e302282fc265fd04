//! Durable heartbeats and reports a second over mutual TLS on loopback, the generator on the same machine, and what
//! SQLite alone takes of the same.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use farmwatch_shared::facts::{Source, SourceKind, Window};
use farmwatch_shared::report::Report;
use farmwatch_shared::wire;
use farmwatch_tests::load::{Laptop, enrol_many, request};
use farmwatch_tests::world::{Collector, binary, run};
use jiff::Timestamp;
use serde_json::json;

use crate::machine::cpu_seconds;
use crate::row::{Bound, Row};

/// Laptops that send one report after the other, each when the last is acknowledged.
const LAPTOPS: u32 = 384;
/// Requests that each has ready beforehand, so that the generator takes little of the machine.
const READY: usize = 600;

/// Heartbeats, then reports of one window and one changed fact.
pub fn measure(span: Duration) -> anyhow::Result<Vec<Row>> {
    let direct = direct(span)?;
    // One thread is enough to keep the collector busy, and leaves it the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for (heartbeats, name, goal) in [(true, "heartbeats", 20_000.0), (false, "reports", 6_000.0)] {
        let (store, statements) = direct.get(name).copied().context("bench_store printed no such row")?;
        let through = runtime.block_on(load(heartbeats, span))?;
        rows.push(Row::at_least(&format!("durable {name} over mutual TLS"), through.each_second, goal, "/s"));
        let beside = ("direct batched SQL", statements);
        let what = format!("{name} over mutual TLS beside SQLite alone");
        rows.push(Row::beside(&what, (through.each_second, "/s"), beside, Bound::None));
        let what = format!("{name}: the collector's CPU for each");
        rows.push(Row::beside(
            &what,
            (through.micros_each, "µs"),
            ("all CPU, generator too", through.micros_all),
            Bound::None,
        ));
        rows.push(Row::beside(
            &format!("{name}: the store alone"),
            (store, "/s"),
            beside,
            Bound::AtLeast(0.5),
        ));
    }
    Ok(rows)
}

/// What came through.
struct Through {
    each_second: f64,
    /// CPU of the collector for each, in microseconds.
    micros_each: f64,
    /// CPU of collector and generator for each.
    micros_all: f64,
}

async fn load(heartbeats: bool, span: Duration) -> anyhow::Result<Through> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let mut collector = Collector::init(folder.path(), &[])?;
    collector.start()?;
    let mut laptops = enrol_many(&collector, 1, LAPTOPS).await?;
    for laptop in &mut laptops {
        // Connection, address and boot are new with the first.
        let first = laptop.report();
        laptop.send(&[first]).await?.ack()?;
    }
    let ready: anyhow::Result<Vec<_>> = laptops
        .into_iter()
        .map(|mut laptop| {
            let bodies: anyhow::Result<Vec<_>> =
                (0..READY).map(|_| whole_request(&mut laptop, heartbeats)).collect();
            Ok((laptop, bodies?))
        })
        .collect();
    let done = Arc::new(AtomicU64::new(0));
    let collector_pid = collector.program().context("the collector was not started")?.id();
    let cpu = || anyhow::Ok((cpu_seconds(collector_pid)?, cpu_seconds(std::process::id())?));
    let before = cpu()?;
    let (start, end) = (Instant::now(), Instant::now() + span);
    let senders: Vec<_> = ready?
        .into_iter()
        .map(|(laptop, bodies)| tokio::spawn(send(laptop, bodies, heartbeats, end, Arc::clone(&done))))
        .collect();
    for sender in senders {
        sender.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = cpu()?;
    let sent = done.load(Ordering::Relaxed);
    let taken = collector.metric("farmwatch_ingest_reports_total")?;
    ensure!(taken >= sent as f64, "{sent} acknowledged, but the collector counts {taken}");
    let (theirs, own) = (after.0 - before.0, after.1 - before.1);
    Ok(Through {
        each_second: sent as f64 / seconds,
        micros_each: theirs * 1e6 / sent as f64,
        micros_all: (theirs + own) * 1e6 / sent as f64,
    })
}

async fn send(
    mut laptop: Laptop,
    requests: Vec<Vec<u8>>,
    heartbeats: bool,
    end: Instant,
    done: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut ready = requests.into_iter();
    while Instant::now() < end {
        let bytes = match ready.next() {
            Some(bytes) => bytes,
            None => whole_request(&mut laptop, heartbeats)?,
        };
        let answer = laptop.line.exchange(&bytes).await?;
        ensure!(answer.status == 202, "the collector answers {}: {}", answer.status, answer.text());
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn whole_request(laptop: &mut Laptop, heartbeat: bool) -> anyhow::Result<Vec<u8>> {
    let report = if heartbeat { laptop.report() } else { changed(laptop)? };
    Ok(request("POST", "/v1/reports", &wire::pack(&[report])?))
}

/// One fact that changes with each report, as large as most, and one window.
fn changed(laptop: &mut Laptop) -> anyhow::Result<Report> {
    let seq = laptop.seq;
    let fact = json!({"kind": "wifi", "default_route": true, "gateway": "0123456789abcdef0123456789abcdef",
        "gateway_oui": "b827eb", "dhcp_server": "fedcba9876543210fedcba9876543210", "n": seq});
    let mut report = laptop.change(&[("network/wlan0", fact)])?;
    let start = Timestamp::now().as_second().div_euclid(300) * 300 - 300 * i64::try_from(seq)?;
    report.windows = vec![Window {
        start: Timestamp::from_second(start)?,
        observed_seconds: 300,
        sources: BTreeMap::from([(
            SourceKind::BuiltIn,
            Source { keys: 420, pointer: 1230, active_seconds: 177 },
        )]),
        injected_seconds: 0,
        absolute_permille: 0,
        periodic_permille: 12,
        pointer_centinats: Some(-314),
    }];
    Ok(report)
}

/// What the store takes without HTTP and TLS, and what direct batched statements on the same schema reach: by name.
fn direct(span: Duration) -> anyhow::Result<BTreeMap<String, (f64, f64)>> {
    let output = run(Command::new(binary("examples/bench_store")?).arg(span.as_secs().to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
    };
    Ok(text.lines().filter_map(row).collect())
}
