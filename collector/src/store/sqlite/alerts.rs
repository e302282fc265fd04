use async_trait::async_trait;
use farmwatch_shared::id::{AlertId, DeviceId};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::super::{Alert, AlertEvent, AlertFilter, Alerts, Page, Result, StoreError};
use super::Sqlite;
use super::convert::{count, from_json, id, json, like, loudness, ms, time, uncount, word};

/// Alerts deleted in one transaction: what else is to be written waits no longer than for these.
const TRIM_AT_ONCE: u32 = 200;

/// Writes an alert; see [`super::super::Change::PutAlert`].
pub fn put(conn: &Connection, alert: &Alert) -> Result<()> {
    let stored: Option<i64> = conn
        .prepare_cached("SELECT version FROM alert WHERE id = ?1")?
        .query_row([alert.id.as_str()], |row| row.get(0))
        .optional()?;
    let wanted = stored.map_or(1, |version| uncount(version) + 1);
    if alert.version != wanted {
        return Err(StoreError::Conflict(format!(
            "{}: somebody else has changed it (version {} was written, {wanted} would fit); look at it again",
            alert.id, alert.version
        )));
    }
    conn.prepare_cached(
        "INSERT INTO alert (id, key, version, kind, state, loudness, absorbed, updated_at, title, value, absorbed_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET key = ?2, version = ?3, kind = ?4, state = ?5, loudness = ?6, absorbed = ?7,
             updated_at = ?8, title = ?9, value = ?10, absorbed_by = ?11",
    )?
    .execute(params![
        alert.id.as_str(),
        alert.key,
        count(alert.version),
        word(alert.kind)?,
        word(alert.state)?,
        loudness(alert.severity),
        alert.absorbed_by.is_some(),
        ms(alert.updated_at),
        alert.title,
        json(alert)?,
        alert.absorbed_by.as_ref().map(AlertId::as_str)
    ])?;
    conn.prepare_cached("DELETE FROM alert_device WHERE alert = ?1")?.execute([alert.id.as_str()])?;
    let mut add =
        conn.prepare_cached("INSERT OR IGNORE INTO alert_device (device, alert) VALUES (?1, ?2)")?;
    for device in &alert.devices {
        add.execute([device.as_str(), alert.id.as_str()])?;
    }
    Ok(())
}

/// Writes a step in an alert's life.
pub fn add_event(conn: &Connection, event: &AlertEvent) -> Result<()> {
    conn.prepare_cached("INSERT INTO alert_event (alert, at, actor, what) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![event.alert.as_str(), ms(event.at), event.actor, event.what])?;
    Ok(())
}

/// Deletes the oldest resolved alerts; how many.
fn trim(conn: &Connection, before: Timestamp) -> Result<u64> {
    // index alert_resolved
    let mut statement = conn.prepare_cached(
        "SELECT id FROM alert WHERE state = 'resolved' AND updated_at < ?1 ORDER BY updated_at LIMIT ?2",
    )?;
    let ids = statement.query_map(params![ms(before), TRIM_AT_ONCE], |row| row.get(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<String>>>()?;
    for id in &ids {
        // index alert_event_alert, index alert_device_alert, UNIQUE id
        conn.prepare_cached("DELETE FROM alert_event WHERE alert = ?1")?.execute([id])?;
        conn.prepare_cached("DELETE FROM alert_device WHERE alert = ?1")?.execute([id])?;
        conn.prepare_cached("DELETE FROM alert WHERE id = ?1")?.execute([id])?;
    }
    Ok(ids.len() as u64)
}

/// What is asked of the alerts that a filter lets through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// How many they are: index alert_state.
    Count,
    /// The loudest: index alert_queue has them in order, so those by state are not gathered and sorted.
    Loudest,
}

/// The filter as tables, conditions and their values: what follows `FROM`.
fn conditions(filter: &AlertFilter, asked: Asked) -> Result<(String, Vec<Value>)> {
    // A device's alerts are few and found by primary key, whatever else is asked: without CROSS, all open ones are walked.
    let mut text = String::from(match filter.device {
        Some(_) => "alert_device d CROSS JOIN alert ON id = d.alert WHERE TRUE",
        None => "alert WHERE TRUE",
    });
    let mut values: Vec<Value> = Vec::new();
    if !filter.states.is_empty() {
        let marks = vec!["?"; filter.states.len()].join(", ");
        // `+`: no index is chosen by it
        let column = if asked == Asked::Loudest { "+state" } else { "state" };
        text.extend([" AND ", column, " IN (", &marks, ")"]);
        for state in &filter.states {
            values.push(word(state)?.into());
        }
    }
    if let Some(kind) = filter.kind {
        text += " AND kind = ?";
        values.push(word(kind)?.into());
    }
    if let Some(device) = &filter.device {
        text += " AND d.device = ?";
        values.push(device.to_string().into());
    }
    if let Some(part) = &filter.text {
        text += r" AND (title LIKE ? ESCAPE '\' OR json_extract(value, '$.summary') LIKE ? ESCAPE '\')";
        values.extend([like(part).into(), like(part).into()]);
    }
    if let Some(by) = &filter.absorbed_by {
        // index alert_taken_in
        text += " AND absorbed_by = ?";
        values.push(by.to_string().into());
    } else if !filter.absorbed {
        text += " AND absorbed = 0";
    }
    if let Some(since) = filter.since {
        text += " AND updated_at > ?";
        values.push(ms(since).into());
    }
    Ok((text, values))
}

/// Alerts: loudest first, then newest change first.
pub fn list(conn: &Connection, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>> {
    let (mut conditions, mut values) = conditions(filter, Asked::Loudest)?;
    if let Some(after) = &page.after {
        // a row is after another in (loudness descending, updated_at descending, id)
        conditions += " AND (-loudness, -updated_at, id) >
            (SELECT -loudness, -updated_at, id FROM alert WHERE id = ?)";
        values.push(after.clone().into());
    }
    values.push(i64::from(page.limit).into());
    let query = format!("SELECT value FROM {conditions} ORDER BY loudness DESC, updated_at DESC, id LIMIT ?");
    let mut statement = conn.prepare_cached(&query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        alerts.push(from_json(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(alerts)
}

/// Those about a device that nobody has closed, loudest first; [`AlertFilter::open_of`]. Most devices have no alerts at all.
pub fn open_of(conn: &Connection, device: &DeviceId, limit: u32) -> Result<Vec<Alert>> {
    // primary key
    let mut any = conn.prepare_cached("SELECT 1 FROM alert_device WHERE device = ?1")?;
    if any.exists([device.as_str()])? {
        list(conn, &AlertFilter::open_of(device), &Page::first(limit))
    } else {
        Ok(Vec::new())
    }
}

fn one(conn: &Connection, query: &str, value: &str) -> Result<Option<Alert>> {
    let text: Option<String> = conn.prepare_cached(query)?.query_row([value], |row| row.get(0)).optional()?;
    text.map(|text| from_json(&text)).transpose()
}

#[async_trait]
impl Alerts for Sqlite {
    async fn alert(&self, id: &AlertId) -> Result<Option<Alert>> {
        let id = id.to_string();
        self.read(move |conn| one(conn, "SELECT value FROM alert WHERE id = ?1", &id)).await
    }

    async fn alert_by_key(&self, key: &str) -> Result<Option<Alert>> {
        let key = key.to_owned();
        self.read(move |conn| one(conn, "SELECT value FROM alert WHERE key = ?1", &key)).await
    }

    async fn alerts(&self, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |conn| list(conn, &filter, &page)).await
    }

    async fn alert_count(&self, filter: &AlertFilter) -> Result<u64> {
        let (conditions, values) = conditions(filter, Asked::Count)?;
        self.read(move |conn| {
            let query = format!("SELECT count(*) FROM {conditions}");
            let n = conn.prepare_cached(&query)?.query_row(params_from_iter(values), |row| row.get(0))?;
            Ok(uncount(n))
        })
        .await
    }

    async fn trim_alerts(&self, before: Timestamp) -> Result<u64> {
        let mut gone = 0;
        loop {
            let rows = self.write(move |hand| trim(&hand.conn, before)).await?;
            gone += rows;
            if rows < u64::from(TRIM_AT_ONCE) {
                return Ok(gone);
            }
        }
    }

    async fn alert_events(&self, alert: &AlertId) -> Result<Vec<AlertEvent>> {
        let alert = alert.to_string();
        self.read(move |conn| {
            // index alert_event_alert
            let mut statement = conn.prepare_cached(
                "SELECT alert, at, actor, what FROM alert_event WHERE alert = ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([alert])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(AlertEvent {
                    alert: id(row.get(0)?)?,
                    at: time(row.get(1)?)?,
                    actor: row.get(2)?,
                    what: row.get(3)?,
                });
            }
            Ok(events)
        })
        .await
    }
}
