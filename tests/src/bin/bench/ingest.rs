//! Durable heartbeats and reports a second over mutual TLS on loopback, the generator on the same machine, and what
//! SQLite alone takes of the same.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use farmwatch_tests::load::enrol_many;
use farmwatch_tests::world::{Collector, binary, run};

use crate::machine::cpu_seconds;
use crate::row::{Bound, Row};
use crate::senders::{LAPTOPS, ready, send_all};

/// Requests that each laptop has ready beforehand.
const READY: usize = 600;

/// Heartbeats, then reports of one window and one changed fact.
pub fn measure(span: Duration) -> anyhow::Result<Vec<Row>> {
    let alone = alone(span, None)?;
    // One thread is enough to keep the collector busy, and leaves it the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for (heartbeats, name, goal) in [(true, "heartbeats", 20_000.0), (false, "reports", 6_000.0)] {
        let (store, statements) = alone.get(name).copied().context("bench_store printed no such row")?;
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
    let laptops = enrol_many(&collector, 1, LAPTOPS).await?;
    let ready = ready(laptops, heartbeats, READY).await?;
    let collector_pid = collector.program().context("the collector was not started")?.id();
    let cpu = || anyhow::Ok((cpu_seconds(collector_pid)?, cpu_seconds(std::process::id())?));
    let before = cpu()?;
    let (_, sent, seconds) = send_all(ready, heartbeats, span).await?;
    let after = cpu()?;
    let taken = collector.metric("farmwatch_ingest_reports_total")?;
    ensure!(taken >= sent as f64, "{sent} acknowledged, but the collector counts {taken}");
    let (theirs, own) = (after.0 - before.0, after.1 - before.1);
    Ok(Through {
        each_second: sent as f64 / seconds,
        micros_each: theirs * 1e6 / sent as f64,
        micros_all: (theirs + own) * 1e6 / sent as f64,
    })
}

/// What a store takes without HTTP and TLS, and what direct batched statements on the same schema reach: by name. The
/// store is SQLite, or on a PostgreSQL server.
pub fn alone(span: Duration, server: Option<&str>) -> anyhow::Result<BTreeMap<String, (f64, f64)>> {
    let mut command = Command::new(binary("examples/bench_store")?);
    command.arg(span.as_secs().to_string());
    if let Some(server) = server {
        command.args(["100000", server]);
    }
    let output = run(&mut command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), (words.next()?.parse().ok()?, words.next()?.parse().ok()?)))
    };
    Ok(text.lines().filter_map(row).collect())
}
