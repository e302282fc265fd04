use std::time::Duration;

use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;

use super::super::convert::{count, id, ms, uncount};
use super::super::{Change, Result, StoreError, Taken, Work};
use super::Postgres;
use super::fault::Fault;
use super::line::{Line, get};

/// Milliseconds for which a device taken is nobody else's.
const LEASE: i64 = 60_000;
/// Devices that one collector judges at a time: each takes about a dozen round trips.
const AT_ONCE: usize = 8;
/// How often the queue is looked at although nobody rang: for what came back because its lease ran out, and for calls
/// that were not heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A device is judged: it leaves the queue, or is free to be taken again if it has changed meanwhile.
pub async fn done(line: &Line, number: i64, Taken { device, generation }: &Taken) -> Result<(), Fault> {
    let generation = count(*generation);
    // both by primary key
    let leave = "DELETE FROM work WHERE device = $1 AND taken = $2 AND generation = $2";
    if line.change(leave, &[&number, &generation]).await? == 1 {
        return Ok(());
    }
    let again = "UPDATE work SET leased_until = 0 WHERE device = $1 AND taken = $2";
    match line.change(again, &[&number, &generation]).await? {
        0 => Err(StoreError::Late(device.clone()).into()),
        _ => Ok(()),
    }
}

/// Takes the next devices to judge; index work_due. Rows that another collector is taking just now are stepped
/// over, not waited for; those that somebody has are few, so stepping over them is cheap.
const TAKE: &str = "WITH next AS MATERIALIZED (
        SELECT device FROM work WHERE due_at <= $1 AND leased_until <= $1
        ORDER BY due_at, device LIMIT $2 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE work w SET taken = w.generation, leased_until = $3 FROM next WHERE w.device = next.device
        RETURNING w.device, w.due_at, w.generation
    )
    SELECT d.id, t.generation FROM taken t JOIN device d ON d.number = t.device ORDER BY t.due_at, t.device";

#[async_trait]
impl Work for Postgres {
    async fn take_work(&self, limit: u32, now: Timestamp) -> Result<Vec<Taken>> {
        let line = self.line().await?;
        let rows = line.rows(TAKE, &[&ms(now), &i64::from(limit), &(ms(now) + LEASE)]).await?;
        let taken = |row| Ok(Taken { device: id(get(row, 0)?)?, generation: uncount(get(row, 1)?) });
        rows.iter().map(taken).collect()
    }

    async fn wait_for_work(&self) {
        self.listen();
        drop(tokio::time::timeout(LOOK_EVERY, self.bell.notified()).await);
    }

    fn at_once(&self) -> usize {
        AT_ONCE.min(self.server.connections() / 2)
    }

    async fn queue(&self, devices: &[DeviceId], now: Timestamp) -> Result<()> {
        let ids: Vec<&str> = devices.iter().map(DeviceId::as_str).collect();
        let line = self.line().await?;
        // devices by UNIQUE id
        let queue = "INSERT INTO work AS w (device, due_at, generation)
             SELECT number, $2, 1 FROM device WHERE id = ANY($1) ORDER BY number
             ON CONFLICT (device) DO UPDATE
             SET generation = w.generation + 1, due_at = least(w.due_at, excluded.due_at)";
        line.change(queue, &[&ids, &ms(now)]).await?;
        line.say(super::ear::RING).await?;
        self.bell.notify_one();
        Ok(())
    }

    async fn work_due(&self, by: Timestamp) -> Result<u64> {
        Ok(uncount(self.number("SELECT count(*) FROM work WHERE due_at <= $1", &[&ms(by)]).await?))
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.apply_changes(changes).await
    }
}
