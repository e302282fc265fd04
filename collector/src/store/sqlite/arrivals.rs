//! Taking reports: what the store does thousands of times a second.
//!
//! Everything that can be done beforehand is ([`Prepared`]); the writer's thread only talks to SQLite. A
//! heartbeat is one small UPDATE: what it is checked against stands in [`super::heads::Heads`].

use farmwatch_shared::facts::Host;
use farmwatch_shared::firmware::says_nothing;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::Digest;
use rusqlite::{Connection, params};

use super::super::convert::DAY;
use super::super::prepared::{Prepared, merge};
use super::super::{Receipt, Result};
use super::convert::{count, from_json, json, ms};
use super::facts;
use super::heads::Head;
use super::work;
use super::writer::Hand;

/// Takes reports in order. What follows a report that stops a device gets the same receipt: it comes from the same agent.
pub fn take_all(hand: &mut Hand, reports: &[Prepared]) -> Result<Vec<Receipt>> {
    let mut receipts = Vec::with_capacity(reports.len());
    let mut stopped: Vec<(&DeviceId, Receipt)> = Vec::new();
    for report in reports {
        let device = &report.arrival.report.device;
        let receipt = match stopped.iter().find(|(of, _)| *of == device) {
            Some((_, receipt)) => receipt.clone(),
            None => take(hand, report)?,
        };
        if receipt.stops() {
            stopped.push((device, receipt.clone()));
        }
        receipts.push(receipt);
    }
    Ok(receipts)
}

fn take(hand: &mut Hand, prepared: &Prepared) -> Result<Receipt> {
    let Hand { conn, heads, queued, .. } = hand;
    let report = &prepared.arrival.report;
    let Some(place) = heads.find(conn, &report.device)? else { return Ok(Receipt::Unknown) };
    let head = heads.at(place);
    if head.revoked {
        return Ok(Receipt::Unknown);
    }
    let number = head.number;
    if let Some(receipt) = head.last().misfit(report, || came_before(conn, number, report))? {
        return Ok(receipt);
    }
    let mut at_once = prepared.is_back(head.origin, head.seen_day);
    let before = head.digest;
    if !report.is_heartbeat() {
        match write_content(conn, head, prepared)? {
            Ok(changed) => at_once |= changed,
            Err(why) => return Ok(Receipt::TooMuch { why }),
        }
    }
    let beat = write_head(conn, head, prepared, before)?;
    if at_once {
        work::put(conn, head.number, prepared.arrival.received_at)?;
        *queued = true;
    } else if !report.windows.is_empty() || !report.transitions.is_empty() {
        work::put_later(conn, head.number, prepared.arrival.received_at)?;
    }
    let want_state = head.digest != report.digest;
    if let Some(beat) = beat {
        heads.beat(place, beat);
    }
    Ok(Receipt::Taken { want_state })
}

/// A report's number came from its boot; primary key.
fn came_before(conn: &Connection, number: i64, report: &Report) -> Result<bool> {
    let mut known = conn.prepare_cached(
        "SELECT 1 FROM boot WHERE device = ?1 AND boot = ?2 AND ?3 BETWEEN seq_from AND seq_to",
    )?;
    Ok(known.exists(params![number, report.boot, count(report.seq)])?)
}

/// Writes facts, windows, transitions and the report itself; whether a fact that is judged changed, or why there is no room for its facts.
fn write_content(conn: &Connection, head: &mut Head, prepared: &Prepared) -> Result<Result<bool, String>> {
    let Prepared { arrival, set, gone, .. } = prepared;
    let report = &arrival.report;
    let written = if report.whole {
        facts::replace(conn, head.number, set)?
    } else {
        match facts::apply(conn, head.number, head.digest, set, gone)? {
            Ok(written) => written,
            Err(why) => return Ok(Err(why)),
        }
    };
    head.digest = written.digest;
    if let Some(host) = &prepared.host
        && Prepared::names_device(&written.changed)
    {
        name_device(conn, head.number, host)?;
    }
    for (start, text) in &prepared.windows {
        put_window(conn, head.number, *start, text)?;
    }
    for (at, kind) in &prepared.transitions {
        conn.prepare_cached("INSERT OR IGNORE INTO transition (device, at, kind) VALUES (?1, ?2, ?3)")?
            .execute(params![head.number, at, kind])?;
    }
    if let Some(sent) = &prepared.sent {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO sent (device, seq, received_at, report) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![head.number, count(report.seq), ms(arrival.received_at), sent])?;
    }
    Ok(Ok(Prepared::is_judged(&written.changed)))
}

/// What listings show of a device, from its `host` fact.
///
/// The serial number decides who the laptop's person is and what is exempt, so it is the one that the laptop
/// enrolled with; one that it tells later counts only where it told none then and no other device has it.
fn name_device(conn: &Connection, number: i64, host: &Host) -> Result<()> {
    let os = if host.os_version.is_empty() { &host.os } else { &host.os_version };
    conn.prepare_cached(
        "UPDATE device SET hostname = ?2, os = ?3, serial = CASE
             WHEN serial IS NULL AND NOT EXISTS (SELECT 1 FROM device o WHERE o.serial = ?4) THEN ?4
             ELSE serial END WHERE number = ?1",
    )?
    .execute(params![
        number,
        host.hostname,
        os,
        host.serial.as_ref().filter(|serial| !says_nothing(serial))
    ])?;
    Ok(())
}

/// An agent that starts anew within five minutes sends the two halves of a window in two: they are put
/// together.
fn put_window(conn: &Connection, number: i64, start: i64, text: &str) -> Result<()> {
    let new = conn
        .prepare_cached(
            r#"INSERT INTO "window" (device, start, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"#,
        )?
        .execute(params![number, start, text])?;
    if new == 1 {
        return Ok(());
    }
    let first: String = conn
        .prepare_cached(r#"SELECT value FROM "window" WHERE device = ?1 AND start = ?2"#)?
        .query_row(params![number, start], |row| row.get(0))?;
    let both = merge(from_json(&first)?, from_json(text)?);
    conn.prepare_cached(r#"UPDATE "window" SET value = ?3 WHERE device = ?1 AND start = ?2"#)?
        .execute(params![number, start, json(&both)?])?;
    Ok(())
}

/// Writes where the device stands now; or says what of it can wait for the end of the transaction: arrival and skew of a
/// heartbeat.
fn write_head(
    conn: &Connection,
    head: &mut Head,
    prepared: &Prepared,
    before: Digest,
) -> Result<Option<(i64, i64)>> {
    let arrival = &prepared.arrival;
    let report = &arrival.report;
    let received = ms(arrival.received_at);
    let day = received.div_euclid(DAY);
    let skew = (ms(report.at) - received) / 1000;
    if let Some(rtt) = arrival.observed.rtt_ms
        && (head.rtt.0 != day || rtt < head.rtt.1)
    {
        conn.prepare_cached(
            "INSERT INTO rtt (device, day, ms) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET ms = min(ms, ?3)",
        )?
        .execute(params![head.number, day, rtt])?;
        head.rtt = (day, rtt);
    }
    let gap = if head.seq == 0 { 0 } else { report.seq - head.seq - 1 };
    let moved = prepared.moved(head.origin);
    let machine = if head.machine.is_empty() { report.machine.as_str() } else { &head.machine };
    let same = *head.boot == *report.boot
        && before == head.digest
        && head.seen_day == Some(day)
        && !moved
        && head.dropped_windows == report.dropped_windows
        && gap == 0
        && *machine == *head.machine;
    if same {
        head.seq = report.seq;
        return Ok(Some((received, skew)));
    }
    head.beat = None;
    if *head.boot != *report.boot {
        end_boot(conn, head, received)?;
        head.boot = report.boot.as_str().into();
        head.boot_from = report.seq;
    }
    if gap > 0 {
        metrics::counter!("farmwatch_ingest_missing_reports_total").increment(gap);
    }
    let machine: Box<str> = machine.into();
    conn.prepare_cached(
        "UPDATE head SET seq = ?2, last_seen = ?3, clock_skew = ?4, boot = ?5, boot_from = ?6, machine = ?7,
             digest = ?8, seen_day = ?9, dropped_windows = ?10, gaps = gaps + ?11 WHERE device = ?1",
    )?
    .execute(params![
        head.number,
        count(report.seq),
        received,
        skew,
        head.boot,
        count(head.boot_from),
        machine,
        head.digest.to_bytes(),
        day,
        count(report.dropped_windows),
        count(gap)
    ])?;
    if moved {
        conn.prepare_cached("UPDATE head SET address = ?2, country = ?3, network = ?4 WHERE device = ?1")?
            .execute(params![
                head.number,
                arrival.source.map(|address| address.to_string()),
                arrival.country,
                arrival.network
            ])?;
        head.origin = prepared.origin;
    }
    head.machine = machine;
    head.seq = report.seq;
    head.seen_day = Some(day);
    head.dropped_windows = report.dropped_windows;
    Ok(None)
}

/// Keeps which numbers came from the boot that ends here.
fn end_boot(conn: &Connection, head: &Head, now: i64) -> Result<()> {
    if head.boot.is_empty() || head.seq == 0 {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT OR REPLACE INTO boot (device, boot, seq_from, seq_to, ended_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![head.number, head.boot, count(head.boot_from), count(head.seq), now])?;
    Ok(())
}
