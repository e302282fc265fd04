use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{OrderResult, Outcome};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::super::{OrderState, Orders, Result, StoreError, StoredOrder};
use super::Sqlite;
use super::convert::{count, from_json, from_word, id, json, ms, time, uncount, word};

const ORDER: &str = "SELECT device, sealed, envelope, actor, state, why, updated_at FROM device_order";

fn order(row: &Row<'_>) -> Result<StoredOrder> {
    Ok(StoredOrder {
        device: id(row.get(0)?)?,
        sealed: from_json(&row.get::<_, String>(1)?)?,
        envelope: from_json(&row.get::<_, String>(2)?)?,
        actor: row.get(3)?,
        state: from_word(&row.get::<_, String>(4)?)?,
        why: row.get(5)?,
        updated_at: time(row.get(6)?)?,
    })
}

fn query(conn: &Connection, rest: &str, values: impl Params) -> Result<Vec<StoredOrder>> {
    let mut statement = conn.prepare_cached(&format!("{ORDER} {rest}"))?;
    let mut rows = statement.query(values)?;
    let mut orders = Vec::new();
    while let Some(row) = rows.next()? {
        orders.push(order(row)?);
    }
    Ok(orders)
}

/// Orders that a device should get; index device_order_device.
fn due(conn: &Connection, device: &DeviceId, after: u64, now: Timestamp) -> Result<Vec<StoredOrder>> {
    let rest = "WHERE device = ?1 AND counter > ?2 AND state <> 'void' AND expires_at > ?3 ORDER BY counter";
    query(conn, rest, params![device.as_str(), count(after), ms(now)])
}

/// Writes an order; see [`super::super::Change::PutOrder`].
pub fn put(conn: &Connection, order: &StoredOrder) -> Result<()> {
    let device = order.device.as_str();
    // index device_order_device
    conn.prepare_cached(
        "UPDATE device_order SET state = 'void', updated_at = ?2 WHERE device = ?1 AND state = 'waiting'",
    )?
    .execute(params![device, ms(order.updated_at)])?;
    conn.prepare_cached(
        "INSERT INTO device_order (id, device, counter, state, expires_at, sealed, envelope, actor, why, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        order.sealed.content.id.as_str(),
        device,
        count(order.sealed.counter),
        word(order.state)?,
        ms(order.sealed.expires_at),
        json(&order.sealed)?,
        json(&order.envelope)?,
        order.actor,
        order.why,
        ms(order.updated_at)
    ])?;
    Ok(())
}

#[async_trait]
impl Orders for Sqlite {
    async fn next_order_counter(&self, device: &DeviceId, now: Timestamp) -> Result<u64> {
        let device = device.clone();
        self.write(move |hand| {
            let mut draw = hand.conn.prepare_cached(
                "UPDATE device SET order_counter = max(order_counter + 1, ?2) WHERE id = ?1 RETURNING order_counter",
            )?;
            let drawn: Option<i64> =
                draw.query_row(params![device.as_str(), ms(now)], |row| row.get(0)).optional()?;
            let drawn = drawn.ok_or_else(|| StoreError::Conflict(format!("there is no device {device}")))?;
            Ok(uncount(drawn))
        })
        .await
    }

    async fn fetch_orders(&self, device: &DeviceId, after: u64, now: Timestamp) -> Result<Vec<StoredOrder>> {
        let to = device.clone();
        // Agents ask often and there is seldom something: a read first.
        let some = self
            .read(move |conn| {
                let mut any = conn.prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM device_order
                     WHERE device = ?1 AND counter > ?2 AND (state = 'waiting' OR (state <> 'void' AND expires_at > ?3)))",
                )?;
                Ok(any.query_row(params![to.as_str(), count(after), ms(now)], |row| row.get::<_, bool>(0))?)
            })
            .await?;
        if !some {
            return Ok(Vec::new());
        }
        let device = device.clone();
        self.write(move |hand| {
            let conn = &hand.conn;
            conn.prepare_cached(
                "UPDATE device_order SET state = iif(expires_at > ?2, 'fetched', 'void'), updated_at = ?2
                 WHERE device = ?1 AND state = 'waiting' AND (counter > ?3 OR expires_at <= ?2)",
            )?
            .execute(params![device.as_str(), ms(now), count(after)])?;
            due(conn, &device, after, now)
        })
        .await
    }

    async fn orders(&self, device: &DeviceId, limit: u32) -> Result<Vec<StoredOrder>> {
        let device = device.clone();
        self.read(move |conn| {
            let rest = "WHERE device = ?1 ORDER BY counter DESC LIMIT ?2";
            query(conn, rest, params![device.as_str(), limit])
        })
        .await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<StoredOrder>> {
        let id = id.clone();
        self.read(move |conn| Ok(query(conn, "WHERE id = ?1", [id.as_str()])?.pop())).await
    }

    async fn order_result(&self, device: &DeviceId, result: &OrderResult, now: Timestamp) -> Result<bool> {
        let Some(order) = result.order.clone() else { return Ok(false) };
        let state = match result.outcome {
            Outcome::Done => OrderState::Done,
            Outcome::Failed => OrderState::Failed,
            Outcome::Refused => OrderState::Refused,
        };
        let (device, why, state) = (device.clone(), result.why.clone(), word(state)?);
        self.write(move |hand| {
            let changed = hand.conn.execute(
                "UPDATE device_order SET state = ?3, why = ?4, updated_at = ?5 WHERE id = ?1 AND device = ?2",
                params![order.as_str(), device.as_str(), state, why, ms(now)],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    async fn orders_since(&self, mark: i64) -> Result<(Vec<DeviceId>, i64)> {
        self.read(move |conn| {
            // primary key, from the mark on
            let mut statement = conn.prepare_cached(
                "SELECT device, number, state FROM device_order WHERE number > ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([mark])?;
            let (mut devices, mut last) = (Vec::new(), mark);
            while let Some(row) = rows.next()? {
                last = row.get(1)?;
                let device: DeviceId = id(row.get(0)?)?;
                if row.get::<_, String>(2)? == "waiting" && !devices.contains(&device) {
                    devices.push(device);
                }
            }
            Ok((devices, last))
        })
        .await
    }
}
