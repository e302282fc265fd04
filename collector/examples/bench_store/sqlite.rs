//! SQLite in a file.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use farmwatch_collector::store::sqlite;
use rusqlite::{Connection, params};

use crate::made::{FACT, NOW, fact, kept, order, window};
use crate::{BATCH, Load, enrol, through};

/// What the store and direct statements take a second.
pub fn both(runtime: &tokio::runtime::Runtime, folder: &Path, load: Load) -> Result<(f64, f64)> {
    let path = folder.join(format!("store-{}.db", load.heartbeats));
    let store = runtime.block_on(async { through(sqlite::open(&path)?, load).await })?;
    let path = folder.join(format!("direct-{}.db", load.heartbeats));
    runtime.block_on(async { enrol(&sqlite::open(&path)?, load.devices).await })?;
    Ok((store, direct(&path, load)?))
}

/// The statements that a report comes to, with everything known beforehand.
fn direct(path: &Path, load: Load) -> Result<f64> {
    let Load { devices, span, heartbeats } = load;
    let mut conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;
         PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;",
    )?;
    let (start, end) = (Instant::now(), Instant::now() + span);
    let order = order(devices);
    let mut reports = (1i64..).flat_map(|seq| order.iter().map(move |n| (*n, seq)));
    let mut done = 0u64;
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
            for (n, seq) in reports.by_ref().take(BATCH) {
                let number = i64::try_from(n)? + 1;
                if heartbeats {
                    beat.execute(params![number, seq, NOW, 0])?;
                } else {
                    let fact = fact(seq.unsigned_abs()).to_string();
                    let report = kept(n, seq, &fact, &window);
                    put_fact.execute(params![number, FACT, digest, fact])?;
                    put_window.execute(params![number, NOW + 300_000 * seq, window])?;
                    put_sent.execute(params![number, seq, NOW, report.as_bytes()])?;
                    head.execute(params![number, seq, NOW, 0, digest])?;
                    queue.execute(params![number, NOW])?;
                }
                done += 1;
            }
        }
        tx.commit()?;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
