//! Bytes of an unchanged laptop's heartbeat as they arrive.

use std::time::{Duration, Instant};

use farmwatch_tests::world::{Agent, Collector, wait_for};

use crate::row::Row;

/// Heartbeats that are looked at; the largest counts.
const HEARTBEATS: u32 = 3;

/// Counts the body's bytes at the collector. The sensors are off, so that nothing changes, and heartbeats come every
/// ten seconds.
pub fn measure() -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let off = r#"sensors_off = ["host", "remote_tool", "session", "display", "usb_device", "hid_device", "activity",
  "network", "power", "locale"]"#;
    let quiet = [
        ("sensors_off = []", off),
        ("heartbeat_seconds = 300", "heartbeat_seconds = 10"),
        ("version = 1", "version = 2"),
    ];
    let mut collector = Collector::init(&folder.path().join("collector"), &quiet)?;
    collector.start()?;
    let mut agent = Agent::new(&folder.path().join("agent"), "")?;
    agent.enrol(&collector)?;
    agent.start()?;
    wait_for("the first report", Duration::from_secs(30), || {
        Ok((counted(&collector)?.0 >= 1.0).then_some(()))
    })?;
    // The policy is fetched, the facts of sensors that it turns off go, and that is acknowledged.
    std::thread::sleep(Duration::from_secs(15));
    let mut largest = 0.0;
    for _ in 0..HEARTBEATS {
        largest = f64::max(largest, next(&collector)?);
    }
    Ok(vec![Row::at_most("heartbeat of an unchanged laptop, body", largest, 300.0, "bytes")])
}

/// Bytes of the next body.
fn next(collector: &Collector) -> anyhow::Result<f64> {
    let (batches, bytes) = counted(collector)?;
    let start = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let (now, all) = counted(collector)?;
        if now > batches {
            return Ok((all - bytes) / (now - batches));
        }
        anyhow::ensure!(start.elapsed() < Duration::from_mins(1), "no heartbeat within a minute");
    }
}

fn counted(collector: &Collector) -> anyhow::Result<(f64, f64)> {
    Ok((
        collector.metric("farmwatch_ingest_batches_total")?,
        collector.metric("farmwatch_ingest_bytes_total")?,
    ))
}
