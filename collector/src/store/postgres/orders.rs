use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{OrderResult, Outcome};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::convert::{count, from_json, from_word, id, json, ms, plain, time, uncount, word};
use super::super::{OrderState, Orders, Result, StoreError, StoredOrder};
use super::Postgres;
use super::fault::Fault;
use super::line::{Line, Values, get};

const ORDER: &str = "SELECT device, sealed, envelope, actor, state, why, updated_at FROM device_order";

fn order(row: &Row) -> Result<StoredOrder, Fault> {
    Ok(StoredOrder {
        device: id(get(row, 0)?)?,
        sealed: from_json(get(row, 1)?)?,
        envelope: from_json(get(row, 2)?)?,
        actor: get(row, 3)?,
        state: from_word(get(row, 4)?)?,
        why: get(row, 5)?,
        updated_at: time(get(row, 6)?)?,
    })
}

async fn query(line: &Line, rest: &str, values: Values<'_>) -> Result<Vec<StoredOrder>, Fault> {
    line.rows(&format!("{ORDER} {rest}"), values).await?.iter().map(order).collect()
}

/// Writes an order; see [`super::super::Change::PutOrder`]. The transaction holds [`super::locks::IN_ORDER`], so orders
/// appear in the order of their numbers and none is overlooked by who asks for those after a mark.
pub async fn put(line: &Line, order: &StoredOrder) -> Result<(), Fault> {
    let device = order.device.as_str();
    // index device_order_device
    line.change(
        "UPDATE device_order SET state = 'void', updated_at = $2 WHERE device = $1 AND state = 'waiting'",
        &[&device, &ms(order.updated_at)],
    )
    .await?;
    line.change(
        "INSERT INTO device_order (id, device, counter, state, expires_at, sealed, envelope, actor, why, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &order.sealed.content.id.as_str(),
            &device,
            &count(order.sealed.counter),
            &word(order.state)?,
            &ms(order.sealed.expires_at),
            &json(&order.sealed)?,
            &json(&order.envelope)?,
            &plain(&order.actor),
            &order.why.as_deref().map(plain),
            &ms(order.updated_at),
        ],
    )
    .await?;
    Ok(())
}

#[async_trait]
impl Orders for Postgres {
    async fn next_order_counter(&self, device: &DeviceId, now: Timestamp) -> Result<u64> {
        let line = self.line().await?;
        let draw = "UPDATE device SET order_counter = greatest(order_counter + 1, $2) WHERE id = $1
             RETURNING order_counter";
        match line.row(draw, &[&device.as_str(), &ms(now)]).await? {
            Some(row) => Ok(uncount(get(&row, 0)?)),
            None => Err(StoreError::Conflict(format!("there is no device {device}"))),
        }
    }

    async fn fetch_orders(&self, device: &DeviceId, after: u64, now: Timestamp) -> Result<Vec<StoredOrder>> {
        let (device, after, now) = (device.as_str(), count(after), ms(now));
        let mut line = self.line().await?;
        // Agents ask often and there is seldom something: a read first.
        let any = "SELECT EXISTS (SELECT 1 FROM device_order
             WHERE device = $1 AND counter > $2 AND (state = 'waiting' OR (state <> 'void' AND expires_at > $3)))";
        let some = line.row(any, &[&device, &after, &now]).await?;
        if !some.as_ref().map_or(Ok(false), |row| get(row, 0))? {
            return Ok(Vec::new());
        }
        line.begin().await?;
        let fetched = async {
            line.change(
                "UPDATE device_order SET state = CASE WHEN expires_at > $2 THEN 'fetched' ELSE 'void' END, updated_at = $2
                 WHERE device = $1 AND state = 'waiting' AND (counter > $3 OR expires_at <= $2)",
                &[&device, &now, &after],
            )
            .await?;
            // index device_order_device
            let due = "WHERE device = $1 AND counter > $2 AND state <> 'void' AND expires_at > $3 ORDER BY counter";
            query(&line, due, &[&device, &after, &now]).await
        }
        .await;
        Ok(line.end(fetched).await?)
    }

    async fn orders(&self, device: &DeviceId, limit: u32) -> Result<Vec<StoredOrder>> {
        let line = self.line().await?;
        let rest = "WHERE device = $1 ORDER BY counter DESC LIMIT $2";
        Ok(query(&line, rest, &[&device.as_str(), &i64::from(limit)]).await?)
    }

    async fn order(&self, id: &OrderId) -> Result<Option<StoredOrder>> {
        let line = self.line().await?;
        Ok(query(&line, "WHERE id = $1", &[&id.as_str()]).await?.pop())
    }

    async fn order_result(&self, device: &DeviceId, result: &OrderResult, now: Timestamp) -> Result<bool> {
        let Some(order) = &result.order else { return Ok(false) };
        let state = match result.outcome {
            Outcome::Done => OrderState::Done,
            Outcome::Failed => OrderState::Failed,
            Outcome::Refused => OrderState::Refused,
        };
        let line = self.line().await?;
        let changed = line
            .change(
                "UPDATE device_order SET state = $3, why = $4, updated_at = $5 WHERE id = $1 AND device = $2",
                &[
                    &order.as_str(),
                    &device.as_str(),
                    &word(state)?,
                    &result.why.as_deref().map(plain),
                    &ms(now),
                ],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn orders_since(&self, mark: i64) -> Result<(Vec<DeviceId>, i64)> {
        let line = self.line().await?;
        // primary key, from the mark on
        let query = "SELECT device, number, state FROM device_order WHERE number > $1 ORDER BY number";
        let (mut devices, mut last) = (Vec::new(), mark);
        for row in &line.rows(query, &[&mark]).await? {
            last = get(row, 1)?;
            let device: DeviceId = id(get(row, 0)?)?;
            if get::<&str>(row, 2)? == "waiting" && !devices.contains(&device) {
                devices.push(device);
            }
        }
        Ok((devices, last))
    }
}
