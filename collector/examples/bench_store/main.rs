//! How many heartbeats and reports a second the store takes durably, beside direct batched statements on the
//! same schema in the same run.
//!
//! `cargo run --profile collector -p farmwatch-collector --example bench_store [SECONDS] [DEVICES] [SERVER]`
//!
//! `SERVER` is a PostgreSQL server whose user may create databases, `postgres://user@host:port/postgres`; without it
//! the store is SQLite.
#![allow(clippy::print_stdout, reason = "it prints a table")]

mod made;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use farmwatch_collector::store::{Device, Receipt, SharedStore};
use jiff::Timestamp;

use made::{arrival, device, order};

/// Calls that wait at a time: as many agents' requests. While one half of them is written the other gathers, so that the
/// store's transactions are as large as the direct ones.
const CALLERS: usize = 2 * BATCH;
/// Rows in a transaction of the direct statements.
const BATCH: usize = 1024;
/// Devices that are enrolled at once.
const AT_ONCE: usize = 512;

/// What both sides do.
#[derive(Clone, Copy)]
struct Load {
    /// Devices, each of which reports as often as the others.
    devices: u64,
    /// For how long.
    span: Duration,
    /// Nothing but signs of life; or a window and a fact that changed.
    heartbeats: bool,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let seconds: u64 = words.next().map_or(Ok(5), |word| word.parse()).context("SECONDS is no number")?;
    let devices: u64 =
        words.next().map_or(Ok(100_000), |word| word.parse()).context("DEVICES is no number")?;
    let server = words.next();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::tempdir_in(".")?;
    println!("{devices} devices, {seconds} s each, {CALLERS} callers, {BATCH} rows a direct transaction\n");
    println!("{:<12} {:>12} {:>12} {:>8}", "", "store/s", "direct/s", "ratio");
    for heartbeats in [true, false] {
        let load = Load { devices, span: Duration::from_secs(seconds), heartbeats };
        let (store, direct) = match &server {
            Some(server) => runtime.block_on(postgres::both(server, load))?,
            None => sqlite::both(&runtime, folder.path(), load)?,
        };
        let name = if heartbeats { "heartbeats" } else { "reports" };
        println!("{name:<12} {store:>12.0} {direct:>12.0} {:>8.2}", store / direct);
    }
    Ok(())
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
    for chunk in adding.collect::<Vec<_>>().chunks_mut(AT_ONCE) {
        futures_util::future::try_join_all(chunk).await?;
    }
    Ok(())
}

/// What a store takes a second of as many callers, each of whom sends a report when the last is acknowledged.
async fn through(store: SharedStore, load: Load) -> Result<f64> {
    let Load { devices, span, heartbeats } = load;
    enrol(&store, devices).await?;
    // A first round, uncounted: address and boot are new in it.
    for chunk in (0..devices).collect::<Vec<_>>().chunks(4096) {
        store.ingest(chunk.iter().map(|n| arrival(*n, 1, heartbeats)).collect()).await?;
    }
    let (order, done) = (Arc::new(order(devices)), Arc::new(AtomicU64::new(0)));
    let (start, end) = (Instant::now(), Instant::now() + span);
    let callers = (0..CALLERS).map(|caller| {
        let (store, order, done) = (store.clone(), Arc::clone(&order), Arc::clone(&done));
        tokio::spawn(async move {
            // Each has devices of its own, and goes round them.
            let own: Vec<u64> = order.iter().copied().skip(caller).step_by(CALLERS).collect();
            let (mut place, mut seq) = (0, 2);
            while Instant::now() < end
                && let Some(n) = own.get(place)
            {
                let receipts = store.ingest(vec![arrival(*n, seq, heartbeats)]).await?;
                ensure!(receipts == [Receipt::Taken { want_state: false }], "{receipts:?}");
                done.fetch_add(1, Ordering::Relaxed);
                place += 1;
                if place == own.len() {
                    (place, seq) = (0, seq + 1);
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
