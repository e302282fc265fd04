use async_trait::async_trait;
use farmwatch_shared::facts::{Transition, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{FactKey, State};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::super::convert::DAY;
use super::super::prepared::{Happened, Prepared, unpack};
use super::super::{Arrival, Receipt, Recorded, Reports, Result, SentReport};
use super::Sqlite;
use super::arrivals;
use super::convert::{self, count, from_json, from_word, json, ms, time, uncount};
use super::{change, facts, sites};

/// Devices trimmed in one transaction: what else is to be written waits no longer than for these.
const TRIM_AT_ONCE: u32 = 500;
/// From so many new reports on, all that they amount to is sooner read than they are.
const MOST_FRESH: u32 = 64;

#[async_trait]
impl Reports for Sqlite {
    async fn ingest(&self, arrivals: Vec<Arrival>) -> Result<Vec<Receipt>> {
        let prepared = arrivals.into_iter().map(Prepared::new).collect::<Result<Vec<_>>>()?;
        self.write_or_shed(move |hand| arrivals::take_all(hand, &prepared)).await
    }

    async fn state(&self, id: &DeviceId) -> Result<State> {
        let id = id.clone();
        self.read(move |conn| match change::find(conn, &id)? {
            Some(number) => facts::state(conn, number),
            None => Ok(State::default()),
        })
        .await
    }

    async fn fact(&self, id: &DeviceId, key: &FactKey) -> Result<Option<Value>> {
        let (id, key) = (id.clone(), key.clone());
        self.read(move |conn| match change::find(conn, &id)? {
            Some(number) => facts::one(conn, number, &key),
            None => Ok(None),
        })
        .await
    }

    async fn windows(&self, id: &DeviceId, since: Timestamp) -> Result<Vec<Window>> {
        let id = id.clone();
        self.read(move |conn| match change::find(conn, &id)? {
            Some(number) => windows(conn, number, since),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn transitions(&self, id: &DeviceId, since: Timestamp) -> Result<Vec<Transition>> {
        let id = id.clone();
        self.read(move |conn| match change::find(conn, &id)? {
            Some(number) => transitions(conn, number, since),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn recorded(&self, id: &DeviceId, since: Timestamp, after: Option<u64>) -> Result<Recorded> {
        let id = id.clone();
        self.read(move |conn| match change::find(conn, &id)? {
            Some(number) => recorded(conn, number, since, after),
            None => Ok(Recorded { whole: true, ..Recorded::default() }),
        })
        .await
    }

    async fn last_reports(&self, ids: &[DeviceId]) -> Result<Vec<(DeviceId, u64)>> {
        let ids = json(&ids)?;
        self.read(move |conn| {
            // UNIQUE id, primary key
            let mut statement = conn.prepare_cached(
                "SELECT d.id, h.seq FROM json_each(?1) x CROSS JOIN device d ON d.id = x.value
                 CROSS JOIN head h ON h.device = d.number ORDER BY x.key",
            )?;
            let mut rows = statement.query([ids])?;
            let mut last = Vec::new();
            while let Some(row) = rows.next()? {
                last.push((convert::id(row.get(0)?)?, uncount(row.get(1)?)));
            }
            Ok(last)
        })
        .await
    }

    async fn sent(&self, id: &DeviceId, limit: u32) -> Result<Vec<SentReport>> {
        let id = id.clone();
        self.read(move |conn| {
            let Some(number) = change::find(conn, &id)? else { return Ok(Vec::new()) };
            // primary key, from its end
            let mut statement = conn.prepare_cached(
                "SELECT received_at, report FROM sent WHERE device = ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            let mut rows = statement.query(params![number, limit])?;
            let mut sent = Vec::new();
            while let Some(row) = rows.next()? {
                let report: Report = unpack(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
                let received_at = time(row.get(0)?)?;
                sent.push(SentReport { seq: report.seq, at: report.at, received_at, report });
            }
            Ok(sent)
        })
        .await
    }

    async fn trim(&self, before: Timestamp, places_before: Timestamp) -> Result<u64> {
        let (mut after, mut gone) = (0, 0);
        gone += self.write(move |hand| sites::trim_events(&hand.conn, places_before)).await?;
        loop {
            let (next, rows) = self.write(move |hand| trim(&hand.conn, after, before, places_before)).await?;
            gone += rows;
            match next {
                Some(next) => after = next,
                None => return Ok(gone),
            }
        }
    }
}

/// Shortest round trip of the days since a time, in milliseconds; primary key.
pub fn min_rtt_ms(conn: &Connection, number: i64, since: Timestamp) -> Result<Option<u32>> {
    let mut statement = conn.prepare_cached("SELECT min(ms) FROM rtt WHERE device = ?1 AND day >= ?2")?;
    Ok(statement.query_row(params![number, ms(since).div_euclid(DAY)], |row| row.get(0))?)
}

/// Windows since a time; primary key.
fn windows(conn: &Connection, number: i64, since: Timestamp) -> Result<Vec<Window>> {
    let mut statement = conn
        .prepare_cached(r#"SELECT value FROM "window" WHERE device = ?1 AND start >= ?2 ORDER BY start"#)?;
    let mut rows = statement.query(params![number, ms(since)])?;
    let mut windows = Vec::new();
    while let Some(row) = rows.next()? {
        windows.push(from_json(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(windows)
}

/// Transitions since a time; primary key.
fn transitions(conn: &Connection, number: i64, since: Timestamp) -> Result<Vec<Transition>> {
    let mut statement = conn
        .prepare_cached("SELECT at, kind FROM transition WHERE device = ?1 AND at >= ?2 ORDER BY at, kind")?;
    let mut rows = statement.query(params![number, ms(since)])?;
    let mut transitions = Vec::new();
    while let Some(row) = rows.next()? {
        transitions.push(Transition { at: time(row.get(0)?)?, kind: from_word(&row.get::<_, String>(1)?)? });
    }
    Ok(transitions)
}

fn recorded(conn: &Connection, number: i64, since: Timestamp, after: Option<u64>) -> Result<Recorded> {
    // Asked first: of what is written from here on a window may stand in what is read, and comes again with the next question.
    let upto = conn
        .prepare_cached("SELECT seq FROM head WHERE device = ?1")?
        .query_row([number], |row| row.get(0).map(uncount))?;
    let reports = match after {
        Some(after) if after == upto => Some(Vec::new()),
        Some(after) => reports_after(conn, number, after, upto)?,
        None => None,
    };
    let Some(reports) = reports else {
        let (windows, transitions) = (windows(conn, number, since)?, transitions(conn, number, since)?);
        return Ok(Recorded { upto, whole: true, windows, transitions });
    };
    let mut recorded = Recorded { upto, ..Recorded::default() };
    for report in reports {
        recorded.windows.extend(report.windows);
        for Transition { at, kind } in report.transitions {
            recorded.transitions.push(Transition { at: time(ms(at))?, kind });
        }
    }
    Ok(recorded)
}

/// Reports with a number above one, up to another; `None` where there are so many that what they amount to is sooner read.
fn reports_after(conn: &Connection, number: i64, after: u64, upto: u64) -> Result<Option<Vec<Happened>>> {
    // primary key
    let mut statement = conn.prepare_cached(
        "SELECT report FROM sent WHERE device = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4",
    )?;
    let mut rows = statement.query(params![number, count(after), count(upto), MOST_FRESH])?;
    let mut reports = Vec::new();
    while let Some(row) = rows.next()? {
        reports.push(unpack(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?);
    }
    Ok((reports.len() < MOST_FRESH as usize).then_some(reports))
}

/// Trims the devices that follow `after`; the last of them, if there may be more, and how many rows went.
///
/// Each device's old rows stand together at the head of its part of each table (all primary keys begin with
/// device and time or number), so no index on time is needed: that would cost a write with every report.
fn trim(
    conn: &Connection,
    after: i64,
    before: Timestamp,
    places_before: Timestamp,
) -> Result<(Option<i64>, u64)> {
    let mut statement =
        conn.prepare_cached("SELECT number FROM device WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let numbers = statement.query_map(params![after, TRIM_AT_ONCE], |row| row.get(0))?;
    let numbers = numbers.collect::<rusqlite::Result<Vec<i64>>>()?;
    let before = ms(before);
    let mut gone = 0;
    for number in &numbers {
        gone += conn
            .prepare_cached(r#"DELETE FROM "window" WHERE device = ?1 AND start < ?2"#)?
            .execute(params![number, before])?;
        gone += conn
            .prepare_cached("DELETE FROM transition WHERE device = ?1 AND at < ?2")?
            .execute(params![number, before])?;
        // Numbers grow with arrival: the first that stays is the end of what goes.
        let first_kept: Option<i64> = conn
            .prepare_cached(
                "SELECT seq FROM sent WHERE device = ?1 AND received_at >= ?2 ORDER BY seq LIMIT 1",
            )?
            .query_row(params![number, before], |row| row.get(0))
            .optional()?;
        gone += conn
            .prepare_cached("DELETE FROM sent WHERE device = ?1 AND seq < ?2")?
            .execute(params![number, first_kept.unwrap_or(i64::MAX)])?;
        conn.prepare_cached("DELETE FROM rtt WHERE device = ?1 AND day < ?2")?
            .execute(params![number, before.div_euclid(DAY)])?;
        conn.prepare_cached("DELETE FROM boot WHERE device = ?1 AND ended_at < ?2")?
            .execute(params![number, before])?;
        gone += conn
            .prepare_cached("DELETE FROM anchor WHERE device = ?1 AND current = 0 AND last_seen < ?2")?
            .execute(params![number, ms(places_before)])?;
    }
    let last = if numbers.len() >= TRIM_AT_ONCE as usize { numbers.last().copied() } else { None };
    Ok((last, gone as u64))
}
