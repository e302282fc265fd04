//! Laptops that send one report after the other, each when the last is acknowledged, over a mutual TLS connection each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use farmwatch_shared::facts::{Source, SourceKind, Window};
use farmwatch_shared::report::Report;
use farmwatch_shared::wire;
use farmwatch_tests::load::{Laptop, request};
use jiff::Timestamp;
use serde_json::json;

/// Laptops at a time.
pub const LAPTOPS: u32 = 384;

/// A laptop with requests that it has ready beforehand, so that the generator takes little of the machine.
pub type Ready = (Laptop, Vec<Vec<u8>>);

/// Has a first report of each laptop taken, so that connection, address, boot and state are known, and makes as many
/// requests of each as are asked for.
pub async fn ready(laptops: Vec<Laptop>, heartbeats: bool, requests: usize) -> anyhow::Result<Vec<Ready>> {
    let mut ready = Vec::new();
    for mut laptop in laptops {
        let mut first = laptop.report();
        first.whole = true;
        first.set = laptop.state.to_map();
        laptop.send(&[first]).await?.ack()?;
        let bodies: anyhow::Result<Vec<_>> =
            (0..requests).map(|_| whole_request(&mut laptop, heartbeats)).collect();
        ready.push((laptop, bodies?));
    }
    Ok(ready)
}

/// Sends for a while; the laptops, how many reports were acknowledged, and in how many seconds.
pub async fn send_all(
    ready: Vec<Ready>,
    heartbeats: bool,
    span: Duration,
) -> anyhow::Result<(Vec<Laptop>, u64, f64)> {
    let done = Arc::new(AtomicU64::new(0));
    let (start, end) = (Instant::now(), Instant::now() + span);
    let senders: Vec<_> = ready
        .into_iter()
        .map(|(laptop, bodies)| tokio::spawn(send(laptop, bodies, heartbeats, end, Arc::clone(&done))))
        .collect();
    let mut laptops = Vec::new();
    for sender in senders {
        laptops.push(sender.await??);
    }
    Ok((laptops, done.load(Ordering::Relaxed), start.elapsed().as_secs_f64()))
}

async fn send(
    mut laptop: Laptop,
    requests: Vec<Vec<u8>>,
    heartbeats: bool,
    end: Instant,
    done: Arc<AtomicU64>,
) -> anyhow::Result<Laptop> {
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
    Ok(laptop)
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
