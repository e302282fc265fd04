use async_trait::async_trait;
use farmwatch_shared::facts::{Transition, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{FactKey, State};
use jiff::Timestamp;
use serde_json::Value;

use super::super::convert::{DAY, count, from_json, from_word, id, ms, time, uncount};
use super::super::prepared::{Happened, Prepared, unpack};
use super::super::{Arrival, Receipt, Recorded, Reports, Result, SentReport};
use super::fault::Fault;
use super::line::{Line, get};
use super::{Postgres, devices, sites, trim};

/// From so many new reports on, all that they amount to is sooner read than they are.
const MOST_FRESH: u32 = 64;

#[async_trait]
impl Reports for Postgres {
    async fn ingest(&self, arrivals: Vec<Arrival>) -> Result<Vec<Receipt>> {
        let prepared = arrivals.into_iter().map(Prepared::new).collect::<Result<Vec<_>>>()?;
        self.lanes().take(prepared).await
    }

    async fn state(&self, device: &DeviceId) -> Result<State> {
        Ok(state(&self.line().await?, device).await?)
    }

    async fn fact(&self, device: &DeviceId, key: &FactKey) -> Result<Option<Value>> {
        let line = self.line().await?;
        // UNIQUE id, primary key
        let query =
            "SELECT f.value FROM device d JOIN fact f ON f.device = d.number WHERE d.id = $1 AND f.key = $2";
        let row = line.row(query, &[&device.as_str(), &key.as_str()]).await?;
        row.as_ref().map(|row| from_json(get(row, 0)?)).transpose()
    }

    async fn windows(&self, device: &DeviceId, since: Timestamp) -> Result<Vec<Window>> {
        let line = self.line().await?;
        match devices::find(&line, device).await? {
            Some(number) => Ok(windows(&line, number, since).await?),
            None => Ok(Vec::new()),
        }
    }

    async fn transitions(&self, device: &DeviceId, since: Timestamp) -> Result<Vec<Transition>> {
        let line = self.line().await?;
        match devices::find(&line, device).await? {
            Some(number) => Ok(transitions(&line, number, since).await?),
            None => Ok(Vec::new()),
        }
    }

    async fn recorded(&self, device: &DeviceId, since: Timestamp, after: Option<u64>) -> Result<Recorded> {
        let line = self.line().await?;
        match devices::find(&line, device).await? {
            Some(number) => Ok(recorded(&line, number, since, after).await?),
            None => Ok(Recorded { whole: true, ..Recorded::default() }),
        }
    }

    async fn last_reports(&self, ids: &[DeviceId]) -> Result<Vec<(DeviceId, u64)>> {
        let line = self.line().await?;
        let ids: Vec<&str> = ids.iter().map(DeviceId::as_str).collect();
        // UNIQUE id, primary key
        let query = "SELECT d.id, h.seq FROM unnest($1::text[]) WITH ORDINALITY AS x (id, place)
             JOIN device d ON d.id = x.id JOIN head h ON h.device = d.number ORDER BY x.place";
        let rows = line.rows(query, &[&ids]).await?;
        rows.iter().map(|row| Ok((id(get(row, 0)?)?, uncount(get(row, 1)?)))).collect()
    }

    async fn sent(&self, device: &DeviceId, limit: u32) -> Result<Vec<SentReport>> {
        let line = self.line().await?;
        let Some(number) = devices::find(&line, device).await? else { return Ok(Vec::new()) };
        // primary key, from its end
        let query = "SELECT received_at, report FROM sent WHERE device = $1 ORDER BY seq DESC LIMIT $2";
        let mut sent = Vec::new();
        for row in &line.rows(query, &[&number, &i64::from(limit)]).await? {
            let report: Report = unpack(get(row, 1)?)?;
            let received_at = time(get(row, 0)?)?;
            sent.push(SentReport { seq: report.seq, at: report.at, received_at, report });
        }
        Ok(sent)
    }

    async fn trim(&self, before: Timestamp, places_before: Timestamp) -> Result<u64> {
        let (mut after, mut gone) = (0, 0);
        gone += sites::trim_events(&self.line().await?, places_before).await?;
        loop {
            let mut line = self.line().await?;
            line.begin().await?;
            let trimmed = trim::some(&line, after, before, places_before).await;
            let (next, rows) = line.end(trimmed).await?;
            gone += rows;
            match next {
                Some(next) => after = next,
                None => return Ok(gone),
            }
        }
    }
}

/// A device's facts.
pub async fn state(line: &Line, device: &DeviceId) -> Result<State, Fault> {
    // UNIQUE id, primary key
    let query = "SELECT f.key, f.value FROM device d JOIN fact f ON f.device = d.number WHERE d.id = $1";
    let mut facts = Vec::new();
    for row in &line.rows(query, &[&device.as_str()]).await? {
        facts.push((id(get(row, 0)?)?, get::<&str>(row, 1)?.into()));
    }
    Ok(State::of_texts(facts))
}

/// Shortest round trip of the days since a time, in milliseconds.
pub async fn min_rtt_ms(line: &Line, device: &DeviceId, since: Timestamp) -> Result<Option<u32>, Fault> {
    // UNIQUE id, primary key
    let query =
        "SELECT min(r.ms) FROM device d JOIN rtt r ON r.device = d.number WHERE d.id = $1 AND r.day >= $2";
    let row = line.row(query, &[&device.as_str(), &ms(since).div_euclid(DAY)]).await?;
    let least: Option<i64> = row.as_ref().map_or(Ok(None), |row| get(row, 0))?;
    Ok(least.and_then(|ms| u32::try_from(ms).ok()))
}

/// Windows since a time; primary key.
async fn windows(line: &Line, number: i64, since: Timestamp) -> Result<Vec<Window>, Fault> {
    let query = r#"SELECT value FROM "window" WHERE device = $1 AND start >= $2 ORDER BY start"#;
    let rows = line.rows(query, &[&number, &ms(since)]).await?;
    rows.iter().map(|row| Ok(from_json(get(row, 0)?)?)).collect()
}

/// Transitions since a time; primary key.
async fn transitions(line: &Line, number: i64, since: Timestamp) -> Result<Vec<Transition>, Fault> {
    let query = "SELECT at, kind FROM transition WHERE device = $1 AND at >= $2 ORDER BY at, kind";
    let rows = line.rows(query, &[&number, &ms(since)]).await?;
    rows.iter()
        .map(|row| Ok(Transition { at: time(get(row, 0)?)?, kind: from_word(get(row, 1)?)? }))
        .collect()
}

async fn recorded(line: &Line, number: i64, since: Timestamp, after: Option<u64>) -> Result<Recorded, Fault> {
    // Asked first: what is written from here on comes again with the next question and changes nothing then.
    let row = line.row("SELECT seq FROM head WHERE device = $1", &[&number]).await?;
    let upto = uncount(row.as_ref().map_or(Ok(0), |row| get(row, 0))?);
    let reports = match after {
        Some(after) if after == upto => Some(Vec::new()),
        Some(after) => reports_after(line, number, after, upto).await?,
        None => None,
    };
    let Some(reports) = reports else {
        let (windows, transitions) =
            (windows(line, number, since).await?, transitions(line, number, since).await?);
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
async fn reports_after(
    line: &Line,
    number: i64,
    after: u64,
    upto: u64,
) -> Result<Option<Vec<Happened>>, Fault> {
    // primary key
    let query = "SELECT report FROM sent WHERE device = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4";
    let rows = line.rows(query, &[&number, &count(after), &count(upto), &i64::from(MOST_FRESH)]).await?;
    if rows.len() >= MOST_FRESH as usize {
        return Ok(None);
    }
    let reports = rows.iter().map(|row| Ok(unpack(get(row, 0)?)?)).collect::<Result<_, Fault>>()?;
    Ok(Some(reports))
}
