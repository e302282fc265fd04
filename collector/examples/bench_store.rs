//! How many heartbeats and reports a second the store takes durably, beside direct batched statements on the
//! same schema in the same run.
//!
//! `cargo run --profile collector -p farmwatch-collector --example bench_store [SECONDS] [DEVICES]`
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use farmwatch_collector::store::{Arrival, Device, Observed, Receipt, SharedStore, sqlite};
use farmwatch_shared::facts::{Source, SourceKind, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::{Report, VERSION};
use farmwatch_shared::state::{Digest, FactKey, State};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use serde_json::json;

/// Calls that wait at a time: as many agents' requests.
const CALLERS: usize = 1024;
/// Rows in a transaction of the direct statements.
const BATCH: usize = 1024;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let seconds: u64 = words.next().map_or(Ok(5), |word| word.parse()).context("SECONDS is no number")?;
    let devices: u64 =
        words.next().map_or(Ok(10_000), |word| word.parse()).context("DEVICES is no number")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::tempdir_in(".")?;
    println!("{devices} devices, {seconds} s each, {CALLERS} callers, {BATCH} rows a direct transaction\n");
    println!("{:<12} {:>12} {:>12} {:>8}", "", "store/s", "direct/s", "ratio");
    for heartbeats in [true, false] {
        let path = folder.path().join(format!("store-{heartbeats}.db"));
        let through_store = runtime.block_on(store(&path, devices, seconds, heartbeats))?;
        let path = folder.path().join(format!("direct-{heartbeats}.db"));
        runtime.block_on(async { enrol(&sqlite::open(&path)?, devices).await })?;
        let direct = direct(&path, devices, seconds, heartbeats)?;
        let name = if heartbeats { "heartbeats" } else { "reports" };
        println!("{name:<12} {through_store:>12.0} {direct:>12.0} {:>8.2}", through_store / direct);
    }
    Ok(())
}

fn device(n: u64) -> DeviceId {
    DeviceId::new(1_790_000_000_000, u128::from(n))
}

async fn enrol(store: &SharedStore, devices: u64) -> Result<()> {
    let adding = (0..devices).map(|n| {
        store.add_device(Device {
            serial: Some(format!("SN{n}")),
            hostname: format!("laptop-{n}"),
            os: "linux".into(),
            machine: "9f8e7d6c".into(),
            certificates: vec!["0a".into()],
            ..Device::new(device(n), Timestamp::UNIX_EPOCH)
        })
    });
    for chunk in adding.collect::<Vec<_>>().chunks_mut(4096) {
        futures_util::future::try_join_all(chunk).await?;
    }
    Ok(())
}

/// A fact that changes with each report, as large as most.
fn fact(seq: u64) -> serde_json::Value {
    json!({"kind": "wifi", "default_route": true, "gateway": "0123456789abcdef0123456789abcdef",
        "gateway_oui": "b827eb", "dhcp_server": "fedcba9876543210fedcba9876543210", "n": seq})
}

fn window(seq: u64) -> Window {
    let start = 1_790_000_100 + 300 * i64::try_from(seq).unwrap_or(0);
    Window {
        start: Timestamp::from_second(start).unwrap_or_default(),
        observed_seconds: 300,
        sources: BTreeMap::from([(
            SourceKind::BuiltIn,
            Source { keys: 420, pointer: 1230, active_seconds: 177 },
        )]),
        injected_seconds: 0,
        absolute_permille: 0,
        periodic_permille: 12,
        pointer_centinats: Some(-314),
    }
}

fn arrival(n: u64, seq: u64, heartbeat: bool) -> Arrival {
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_790_000_000);
    let mut state = State::default();
    let mut report = Report {
        v: VERSION,
        device: device(n),
        boot: "0a1b2c3d".into(),
        seq,
        at: now,
        machine: "9f8e7d6c".into(),
        digest: Digest::default(),
        whole: false,
        set: BTreeMap::new(),
        gone: Vec::new(),
        windows: Vec::new(),
        transitions: Vec::new(),
        dropped_windows: 0,
        other: Default::default(),
    };
    if !heartbeat {
        if let Ok(key) = FactKey::try_from("network/wlan0".to_owned()) {
            state.set(key, fact(seq));
        }
        report.digest = state.digest();
        report.set = state.raw().clone();
        report.windows = vec![window(seq)];
    }
    Arrival {
        report,
        as_sent: BTreeMap::new(),
        received_at: now,
        source: Some([203, 0, 113, 7].into()),
        country: Some("US".into()),
        network: Some("AS64500 Example Net".into()),
        observed: Observed::default(),
    }
}

async fn store(path: &Path, devices: u64, seconds: u64, heartbeats: bool) -> Result<f64> {
    let store = sqlite::open(path)?;
    enrol(&store, devices).await?;
    // A first round, uncounted: address and boot are new in it.
    for chunk in (0..devices).collect::<Vec<_>>().chunks(4096) {
        store.ingest(chunk.iter().map(|n| arrival(*n, 1, heartbeats)).collect()).await?;
    }
    let done = Arc::new(AtomicU64::new(0));
    let (start, end) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
    let callers = (0..CALLERS as u64).map(|caller| {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            let (mut n, mut seq) = (caller, 2);
            while Instant::now() < end {
                let receipts = store.ingest(vec![arrival(n, seq, heartbeats)]).await?;
                ensure!(receipts == [Receipt::Taken { want_state: false }], "{receipts:?}");
                done.fetch_add(1, Ordering::Relaxed);
                n += CALLERS as u64;
                if n >= devices {
                    (n, seq) = (caller, seq + 1);
                }
            }
            anyhow::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

/// The statements that a report comes to, with everything known beforehand.
fn direct(path: &Path, devices: u64, seconds: u64, heartbeats: bool) -> Result<f64> {
    let mut conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;
         PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;",
    )?;
    let (start, end) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
    let (mut done, mut n, mut seq) = (0u64, 0u64, 1i64);
    let (digest, window) = ([7u8; 16], serde_json::to_string(&window(1))?);
    while Instant::now() < end {
        let tx = conn.transaction()?;
        {
            let mut beat = tx.prepare_cached(
                "UPDATE head SET seq = ?2, last_seen = ?3, clock_skew = ?4 WHERE device = ?1",
            )?;
            let mut head = tx.prepare_cached(
                "UPDATE head SET seq = ?2, last_seen = ?3, clock_skew = ?4, digest = ?5 WHERE device = ?1",
            )?;
            let mut put_fact = tx.prepare_cached(
                "INSERT INTO fact (device, key, digest, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET digest = ?3, value = ?4",
            )?;
            let mut put_window =
                tx.prepare_cached(r#"INSERT INTO "window" (device, start, value) VALUES (?1, ?2, ?3)"#)?;
            let mut put_sent = tx.prepare_cached(
                "INSERT INTO sent (device, seq, received_at, report) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut queue = tx.prepare_cached(
                "INSERT INTO work (device, due_at, generation) VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET generation = generation + 1",
            )?;
            for _ in 0..BATCH {
                let number = i64::try_from(n)? + 1;
                let now = 1_790_000_000_000i64;
                if heartbeats {
                    beat.execute(params![number, seq, now, 0])?;
                } else {
                    let fact = fact(seq.unsigned_abs()).to_string();
                    let report = format!(
                        r#"{{"v":1,"device":"{}","boot":"0a1b2c3d","seq":{seq},"at":"2026-09-21T14:13:20Z","machine":"9f8e7d6c","digest":"0123456789abcdef0123456789abcdef","set":{{"network/wlan0":{fact}}},"windows":[{window}]}}"#,
                        device(n)
                    );
                    put_fact.execute(params![number, "network/wlan0", digest, fact])?;
                    put_window.execute(params![number, now + 300_000 * seq, window])?;
                    put_sent.execute(params![number, seq, now, report.as_bytes()])?;
                    head.execute(params![number, seq, now, 0, digest])?;
                    queue.execute(params![number, now])?;
                }
                done += 1;
                n += 1;
                if n == devices {
                    (n, seq) = (0, seq + 1);
                }
            }
        }
        tx.commit()?;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
