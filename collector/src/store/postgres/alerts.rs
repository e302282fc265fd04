use async_trait::async_trait;
use farmwatch_shared::id::{AlertId, DeviceId};
use jiff::Timestamp;

use super::super::convert::{count, from_json, id, json, like, loudness, ms, plain, time, uncount, word};
use super::super::{Alert, AlertEvent, AlertFilter, Alerts, Page, Result, StoreError};
use super::Postgres;
use super::fault::Fault;
use super::filter::Filter;
use super::line::{Line, get};

/// Alerts deleted in one transaction: what else is to be written waits no longer than for these.
const TRIM_AT_ONCE: u32 = 200;

/// Writes an alert; see [`super::super::Change::PutAlert`].
pub async fn put(line: &Line, alert: &Alert) -> Result<(), Fault> {
    // Whoever else writes it waits here, and then sees what was written. Two that write it for the first time are told
    // apart by UNIQUE id and key.
    let stored =
        line.row("SELECT version FROM alert WHERE id = $1 FOR UPDATE", &[&alert.id.as_str()]).await?;
    let stored: Option<i64> = stored.as_ref().map(|row| get(row, 0)).transpose()?;
    let wanted = stored.map_or(1, |version| uncount(version) + 1);
    if alert.version != wanted {
        let why = format!(
            "{}: somebody else has changed it (version {} was written, {wanted} would fit); look at it again",
            alert.id, alert.version
        );
        return Err(StoreError::Conflict(why).into());
    }
    let statement = if stored.is_none() {
        "INSERT INTO alert (id, key, version, kind, state, loudness, absorbed, updated_at, title, summary, value,
             absorbed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    } else {
        "UPDATE alert SET key = $2, version = $3, kind = $4, state = $5, loudness = $6, absorbed = $7, updated_at = $8,
             title = $9, summary = $10, value = $11, absorbed_by = $12 WHERE id = $1"
    };
    line.change(
        statement,
        &[
            &alert.id.as_str(),
            &plain(&alert.key),
            &count(alert.version),
            &word(alert.kind)?,
            &word(alert.state)?,
            &loudness(alert.severity),
            &alert.absorbed_by.is_some(),
            &ms(alert.updated_at),
            &plain(&alert.title),
            &plain(&alert.summary),
            &json(alert)?,
            &alert.absorbed_by.as_ref().map(AlertId::as_str),
        ],
    )
    .await?;
    line.change("DELETE FROM alert_device WHERE alert = $1", &[&alert.id.as_str()]).await?;
    let devices: Vec<&str> = alert.devices.iter().map(DeviceId::as_str).collect();
    let add =
        "INSERT INTO alert_device (device, alert) SELECT device, $2 FROM unnest($1::text[]) AS d (device)
         ON CONFLICT DO NOTHING";
    line.change(add, &[&devices, &alert.id.as_str()]).await?;
    Ok(())
}

/// Writes a step in an alert's life.
pub async fn add_event(line: &Line, event: &AlertEvent) -> Result<(), Fault> {
    let statement = "INSERT INTO alert_event (alert, at, actor, what) VALUES ($1, $2, $3, $4)";
    line.change(
        statement,
        &[&event.alert.as_str(), &ms(event.at), &plain(&event.actor), &plain(&event.what)],
    )
    .await?;
    Ok(())
}

/// Deletes the oldest resolved alerts; how many.
async fn trim(line: &Line, before: Timestamp) -> Result<u64, Fault> {
    // index alert_resolved; those that somebody writes just now stay for the next time
    let query =
        "SELECT id FROM alert WHERE state = 'resolved' AND updated_at < $1 ORDER BY updated_at LIMIT $2
         FOR UPDATE SKIP LOCKED";
    let rows = line.rows(query, &[&ms(before), &i64::from(TRIM_AT_ONCE)]).await?;
    let ids: Vec<&str> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    // index alert_event_alert, index alert_device_alert, UNIQUE id
    line.change("DELETE FROM alert_event WHERE alert = ANY($1)", &[&ids]).await?;
    line.change("DELETE FROM alert_device WHERE alert = ANY($1)", &[&ids]).await?;
    line.change("DELETE FROM alert WHERE id = ANY($1)", &[&ids]).await
}

fn conditions(filter: &AlertFilter) -> Result<Filter> {
    let mut found = Filter::default();
    if !filter.states.is_empty() {
        let words = filter.states.iter().map(|state| word(*state)).collect::<Result<Vec<_>>>()?;
        found.and("state = ANY(?)", words);
    }
    if let Some(kind) = filter.kind {
        found.and("kind = ?", word(kind)?);
    }
    if let Some(device) = &filter.device {
        // alert_device by primary key
        found.and("id IN (SELECT alert FROM alert_device WHERE device = ?)", device.to_string());
    }
    if let Some(part) = &filter.text {
        found.and(r"(title ILIKE ? ESCAPE '\' OR summary ILIKE ? ESCAPE '\')", like(&plain(part)));
    }
    if let Some(by) = &filter.absorbed_by {
        // index alert_taken_in
        found.and("absorbed_by = ?", by.to_string());
    } else if !filter.absorbed {
        found.and_that("NOT absorbed");
    }
    if let Some(since) = filter.since {
        found.and("updated_at > ?", ms(since));
    }
    Ok(found)
}

/// Alerts: loudest first, then newest change first.
pub async fn list(line: &Line, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>, Fault> {
    let mut found = conditions(filter)?;
    if let Some(after) = &page.after {
        // a row is after another in (loudness descending, updated_at descending, id)
        found.and(
            "(-loudness, -updated_at, id) > (SELECT -loudness, -updated_at, id FROM alert WHERE id = ?)",
            plain(after),
        );
    }
    let limit = found.value(i64::from(page.limit));
    let query = format!(
        "SELECT value FROM alert WHERE TRUE{} ORDER BY loudness DESC, updated_at DESC, id LIMIT {limit}",
        found.text()
    );
    let rows = line.rows(&query, &found.values()).await?;
    rows.iter().map(|row| Ok(from_json(get::<&str>(row, 0)?)?)).collect()
}

impl Postgres {
    async fn one_alert(&self, query: &str, value: &str) -> Result<Option<Alert>> {
        let line = self.line().await?;
        let row = line.row(query, &[&plain(value)]).await?;
        row.as_ref().map(|row| from_json(get::<&str>(row, 0)?)).transpose()
    }

    async fn trim_some_alerts(&self, before: Timestamp) -> Result<u64> {
        let mut line = self.line().await?;
        line.begin().await?;
        let gone = trim(&line, before).await;
        Ok(line.end(gone).await?)
    }
}

#[async_trait]
impl Alerts for Postgres {
    async fn alert(&self, id: &AlertId) -> Result<Option<Alert>> {
        self.one_alert("SELECT value FROM alert WHERE id = $1", id.as_str()).await
    }

    async fn alert_by_key(&self, key: &str) -> Result<Option<Alert>> {
        self.one_alert("SELECT value FROM alert WHERE key = $1", key).await
    }

    async fn alerts(&self, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>> {
        Ok(list(&self.line().await?, filter, page).await?)
    }

    async fn alert_count(&self, filter: &AlertFilter) -> Result<u64> {
        let found = conditions(filter)?;
        let query = format!("SELECT count(*) FROM alert WHERE TRUE{}", found.text());
        Ok(uncount(self.number(&query, &found.values()).await?))
    }

    async fn alert_events(&self, alert: &AlertId) -> Result<Vec<AlertEvent>> {
        let line = self.line().await?;
        // index alert_event_alert
        let query = "SELECT alert, at, actor, what FROM alert_event WHERE alert = $1 ORDER BY number";
        let mut events = Vec::new();
        for row in &line.rows(query, &[&alert.as_str()]).await? {
            events.push(AlertEvent {
                alert: id(get(row, 0)?)?,
                at: time(get(row, 1)?)?,
                actor: get(row, 2)?,
                what: get(row, 3)?,
            });
        }
        Ok(events)
    }

    async fn trim_alerts(&self, before: Timestamp) -> Result<u64> {
        let mut gone = 0;
        loop {
            let rows = self.trim_some_alerts(before).await?;
            gone += rows;
            if rows < u64::from(TRIM_AT_ONCE) {
                return Ok(gone);
            }
        }
    }
}
