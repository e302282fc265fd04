use std::time::Duration;

use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::convert::millis;
use super::super::work::WINDOWS_WAIT_IN_DOUBT;
use super::super::{Change, Result, StoreError, Taken, WINDOWS_WAIT, Work};
use super::Sqlite;
use super::change;
use super::convert::{count, id, ms, uncount};

/// Milliseconds for which a device taken is nobody else's.
const LEASE: i64 = 60_000;
/// How often the queue is looked at for what another process put there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Puts a device on the queue, due at once; one that is due already keeps its place.
pub fn put(conn: &Connection, number: i64, now: Timestamp) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO work (device, due_at, generation) VALUES (?1, ?2, 1)
         ON CONFLICT DO UPDATE SET generation = generation + 1, due_at = min(due_at, ?2)",
    )?
    .execute(params![number, ms(now)])?;
    Ok(())
}

/// Puts a device on the queue for what only its windows and transitions changed; see [`WINDOWS_WAIT`].
pub fn put_later(conn: &Connection, number: i64, now: Timestamp) -> Result<()> {
    // judged by primary key
    conn.prepare_cached(
        "INSERT INTO work (device, due_at, generation) SELECT ?1, ?2 + CASE
             WHEN EXISTS (SELECT 1 FROM judged WHERE device = ?1 AND llr > honest_llr) THEN ?3 ELSE ?4 END, 1
         WHERE TRUE ON CONFLICT DO UPDATE SET generation = generation + 1, due_at = min(work.due_at, excluded.due_at)",
    )?
    .execute(params![number, ms(now), millis(WINDOWS_WAIT_IN_DOUBT), millis(WINDOWS_WAIT)])?;
    Ok(())
}

/// A device is judged: it leaves the queue, or is free to be taken again if it has changed meanwhile.
pub fn done(conn: &Connection, number: i64, Taken { device, generation }: &Taken) -> Result<()> {
    let own = params![number, count(*generation)];
    // both by primary key
    let left = conn
        .prepare_cached("DELETE FROM work WHERE device = ?1 AND taken = ?2 AND generation = ?2")?
        .execute(own)?;
    if left == 1 {
        return Ok(());
    }
    let freed = conn
        .prepare_cached("UPDATE work SET leased_until = 0 WHERE device = ?1 AND taken = ?2")?
        .execute(own)?;
    if freed == 1 { Ok(()) } else { Err(StoreError::Late(device.clone())) }
}

/// The next devices to judge; index work_due. Those that somebody has are few, so stepping over them is
/// cheap.
pub const NEXT: &str = "SELECT w.device, d.id, w.generation FROM work w JOIN device d ON d.number = w.device
    WHERE w.due_at <= ?1 AND w.leased_until <= ?1 ORDER BY w.due_at, w.device LIMIT ?2";

#[async_trait]
impl Work for Sqlite {
    async fn take_work(&self, limit: u32, now: Timestamp) -> Result<Vec<Taken>> {
        // Most of the time there is nothing, and a look costs less than a write.
        let any =
            self.read(move |conn| Ok(conn.prepare_cached(NEXT)?.exists(params![ms(now), limit])?)).await?;
        if !any {
            return Ok(Vec::new());
        }
        self.write(move |hand| {
            let mut next = hand.conn.prepare_cached(NEXT)?;
            let rows = next.query_map(params![ms(now), limit], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?))
            })?;
            let taken = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut lease = hand
                .conn
                .prepare_cached("UPDATE work SET taken = generation, leased_until = ?2 WHERE device = ?1")?;
            for (number, ..) in &taken {
                lease.execute(params![number, ms(now) + LEASE])?;
            }
            let taken = taken.into_iter();
            taken
                .map(|(_, text, generation)| Ok(Taken { device: id(text)?, generation: uncount(generation) }))
                .collect()
        })
        .await
    }

    async fn wait_for_work(&self) {
        match self {
            Self::File { bell, .. } => drop(tokio::time::timeout(LOOK_EVERY, bell.notified()).await),
            Self::Memory(_) => tokio::time::sleep(LOOK_EVERY / 10).await,
        }
    }

    async fn queue(&self, devices: &[DeviceId], now: Timestamp) -> Result<()> {
        let devices = devices.to_vec();
        self.write(move |hand| {
            hand.queued = true;
            for device in &devices {
                if let Some(number) = change::find(&hand.conn, device)? {
                    put(&hand.conn, number, now)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn work_due(&self, by: Timestamp) -> Result<u64> {
        self.read(move |conn| {
            // index work_due
            let count = "SELECT count(*) FROM work WHERE due_at <= ?1";
            Ok(uncount(conn.query_row(count, [ms(by)], |row| row.get(0))?))
        })
        .await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.write(move |hand| changes.iter().try_for_each(|c| change::apply(hand, c))).await
    }
}
