//! Do the books balance? What an agent says it sent, against what the collector has.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use farmwatch_shared::facts::Window;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::Digest;
use rusqlite::{Connection, OpenFlags};

use crate::postgres::Server;
use crate::world::Collector;

/// A report's name: its agent's run and its number.
pub type Name = (String, u64);

/// What the collector has of one device.
#[derive(Debug)]
pub struct Rows {
    /// Number of the last report.
    pub seq: u64,
    /// Numbers that never came.
    pub gaps: u64,
    /// Digest of the facts, as it is kept.
    pub digest: Digest,
    /// Digest of the facts, summed anew over their rows.
    pub sum: Digest,
    /// Numbers of the reports as sent, heartbeats left out.
    pub sent: Vec<u64>,
    /// Transitions: milliseconds since 1970, and the kind.
    pub transitions: BTreeSet<(i64, String)>,
    /// Starts of windows, likewise.
    pub windows: BTreeSet<i64>,
}

/// Reads a device's rows from the collector's database.
pub fn rows(collector: &Collector, device: &str) -> anyhow::Result<Rows> {
    let path = collector.folder().join("farmwatch.db");
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let number: i64 = db.query_row("SELECT number FROM device WHERE id = ?1", [device], |row| row.get(0))?;
    let (seq, gaps, digest) =
        db.query_row("SELECT seq, gaps, digest FROM head WHERE device = ?1", [number], |row| {
            Ok((count(row, 0)?, count(row, 1)?, Digest::from_bytes(row.get(2)?)))
        })?;
    let of_facts = numbers(&db, "SELECT digest FROM fact WHERE device = ?1", number, |row| {
        Ok(Digest::from_bytes(row.get(0)?))
    })?;
    Ok(Rows {
        seq,
        gaps,
        digest,
        sum: of_facts.into_iter().fold(Digest::default(), Digest::plus),
        sent: numbers(&db, "SELECT seq FROM sent WHERE device = ?1 ORDER BY seq", number, |row| {
            count(row, 0)
        })?,
        transitions: numbers(&db, "SELECT at, kind FROM transition WHERE device = ?1", number, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .into_iter()
        .collect(),
        windows: numbers(&db, r#"SELECT start FROM "window" WHERE device = ?1"#, number, |row| row.get(0))?
            .into_iter()
            .collect(),
    })
}

/// A device's windows, as the collector keeps them.
pub fn windows(collector: &Collector, device: &str) -> anyhow::Result<Vec<Window>> {
    let path = collector.folder().join("farmwatch.db");
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = r#"SELECT value FROM "window" WHERE device = (SELECT number FROM device WHERE id = ?1)"#;
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([device], |row| row.get::<_, String>(0))?;
    rows.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

fn numbers<T>(
    db: &Connection,
    sql: &str,
    device: i64,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([device], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Devices that wait to be judged, or whose judge has died.
pub fn waiting(collector: &Collector) -> anyhow::Result<u64> {
    let path = collector.folder().join("farmwatch.db");
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(db.query_row("SELECT count(*) FROM work WHERE due_at <= 1000 * (unixepoch() + 1)", [], |row| {
        count(row, 0)
    })?)
}

/// The same on a PostgreSQL database.
pub fn waiting_on(server: &Server, database: &str) -> anyhow::Result<u64> {
    Ok(server
        .sql(database, "SELECT count(*) FROM work WHERE due_at <= 1000 * extract(epoch FROM now()) + 1000")?
        .parse()?)
}

/// Reads a device's rows from a PostgreSQL database.
pub fn rows_on(server: &Server, database: &str, device: &str) -> anyhow::Result<Rows> {
    let ask = |what: &str, table: &str, rest: &str| {
        let found = server.sql(
            database,
            &format!(
                "SELECT {what} FROM device d JOIN {table} t ON t.device = d.number WHERE d.id = '{device}' {rest}"
            ),
        )?;
        anyhow::Ok(found.lines().map(str::to_owned).collect::<Vec<String>>())
    };
    let head = ask("seq || ' ' || gaps || ' ' || encode(digest, 'hex')", "head", "")?;
    let head = head.first().context("the device has no row")?;
    let [seq, gaps, digest] = head.split(' ').collect::<Vec<_>>()[..] else { bail!("an odd row: {head}") };
    let digest_of = |hex: &str| Digest::try_from(hex.to_owned()).map_err(anyhow::Error::msg);
    let mut sum = Digest::default();
    for digest in ask("encode(digest, 'hex')", "fact", "")? {
        sum = sum.plus(digest_of(&digest)?);
    }
    let transitions = ask("at || ' ' || kind", "transition", "")?;
    let transitions = transitions.iter().map(|row| {
        let (at, kind) = row.split_once(' ').context("an odd row")?;
        Ok((at.parse()?, kind.to_owned()))
    });
    let numbers = |rows: Vec<String>| rows.iter().map(|row| Ok(row.parse()?)).collect::<anyhow::Result<_>>();
    Ok(Rows {
        seq: seq.parse()?,
        gaps: gaps.parse()?,
        digest: digest_of(digest)?,
        sum,
        sent: numbers(ask("seq", "sent", "ORDER BY seq")?)?,
        transitions: transitions.collect::<anyhow::Result<_>>()?,
        windows: ask("start", r#""window""#, "")?
            .iter()
            .map(|row| Ok(row.parse()?))
            .collect::<anyhow::Result<_>>()?,
    })
}

/// Compares every report that was acknowledged with the collector's rows: none lost, none doubled, none altered
/// in what it changes. Gives how many there were.
pub fn balance(collector: &Collector, device: &str, reports: &[Report]) -> anyhow::Result<usize> {
    compare(&rows(collector, device)?, reports)
}

/// The same, with rows that were read.
pub fn compare(rows: &Rows, reports: &[Report]) -> anyhow::Result<usize> {
    let by_number: BTreeMap<u64, &Report> = reports.iter().map(|report| (report.seq, report)).collect();
    ensure!(by_number.len() == reports.len(), "two reports under one number");
    let numbers: Vec<u64> = by_number.keys().copied().collect();
    let expected: Vec<u64> = (1..=rows.seq).collect();
    ensure!(numbers == expected, "sent {numbers:?}, the collector's last is {}", rows.seq);
    ensure!(rows.gaps == 0, "{} numbers never came", rows.gaps);
    let (_, last) = by_number.last_key_value().context("nothing was sent")?;
    ensure!(rows.digest == last.digest, "the collector's state is not the laptop's");
    ensure!(rows.sum == rows.digest, "the facts' rows do not make up the digest");
    let changes: Vec<u64> = reports.iter().filter(|r| !r.is_heartbeat()).map(|r| r.seq).collect();
    ensure!(rows.sent == changes, "kept as sent: {:?}, sent: {changes:?}", rows.sent);
    let transitions: BTreeSet<(i64, String)> = reports
        .iter()
        .flat_map(|report| &report.transitions)
        .map(|t| {
            Ok((t.at.as_millisecond(), serde_json::to_value(t.kind)?.as_str().unwrap_or_default().into()))
        })
        .collect::<anyhow::Result<_>>()?;
    ensure!(rows.transitions == transitions, "transitions: {:?}, sent: {transitions:?}", rows.transitions);
    let windows: BTreeSet<i64> =
        reports.iter().flat_map(|report| &report.windows).map(|w| w.start.as_millisecond()).collect();
    ensure!(rows.windows == windows, "windows: {:?}, sent: {windows:?}", rows.windows);
    Ok(reports.len())
}

/// Names of the reports that lie whole in an agent's spool.
pub fn spooled(state: &Path) -> anyhow::Result<Vec<Name>> {
    Ok(spooled_reports(state)?.into_iter().map(|report| (report.boot, report.seq)).collect())
}

/// Reports that lie whole in an agent's spool, read from its files, by number. Each record is the payload's length
/// (4 bytes), a check (4), the report's number (8), all little-endian, and the report as JSON.
pub fn spooled_reports(state: &Path) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    let Ok(entries) = std::fs::read_dir(state.join("spool")) else { return Ok(reports) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let file = std::fs::File::open(&path)?;
        let (mut offset, mut header) = (0, [0; 16]);
        while file.read_exact_at(&mut header, offset).is_ok() {
            let [a, b, c, d, ..] = header;
            let mut payload = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
            if file.read_exact_at(&mut payload, offset + 16).is_err() {
                break;
            }
            let Ok(report) = serde_json::from_slice::<Report>(&payload) else { break };
            reports.push(report);
            offset += 16 + payload.len() as u64;
        }
    }
    reports.sort_by_key(|report| report.seq);
    Ok(reports)
}
