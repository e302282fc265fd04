//! Anchors of devices, and how many devices are at each.

use std::collections::BTreeMap;

use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::sites::is_written;
use super::super::{Anchor, AnchorSeen, Result, StoreError};
use super::convert::{from_word, ms, time, uncount, word};

/// Writes all anchors of a device; see [`super::super::Change::Anchors`].
pub fn put(conn: &Connection, number: i64, seen: &[AnchorSeen]) -> Result<()> {
    let before = of(conn, number)?;
    let mut before: BTreeMap<&Anchor, &AnchorSeen> = before.iter().map(|seen| (&seen.anchor, seen)).collect();
    // all by primary key
    let mut write = conn.prepare_cached(
        "INSERT INTO anchor (device, kind, value, first_seen, last_seen, current) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET first_seen = ?4, last_seen = ?5, current = ?6",
    )?;
    let mut past =
        conn.prepare_cached("UPDATE anchor SET current = 0 WHERE device = ?1 AND kind = ?2 AND value = ?3")?;
    let mut remove =
        conn.prepare_cached("DELETE FROM anchor WHERE device = ?1 AND kind = ?2 AND value = ?3")?;
    let mut count = conn.prepare_cached(
        "INSERT INTO anchor_count (kind, value, devices) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET devices = devices + ?3",
    )?;
    for now in seen {
        let then = before.remove(&now.anchor);
        let was_current = then.is_some_and(|then| then.current);
        let first_seen = then.map_or(now.first_seen, |then| then.first_seen.min(now.first_seen));
        if then.is_some_and(|then| is_written(then, first_seen, now)) {
            continue;
        }
        let (kind, value) = (word(now.anchor.kind)?, &now.anchor.value);
        write.execute(params![number, kind, value, ms(first_seen), ms(now.last_seen), now.current])?;
        if was_current != now.current {
            count.execute(params![kind, value, if now.current { 1 } else { -1 }])?;
        }
    }
    for gone in before.into_values() {
        let write = match (gone.anchor.kind.is_kept(), gone.current) {
            (true, false) => continue,
            (true, true) => &mut past,
            (false, _) => &mut remove,
        };
        let (kind, value) = (word(gone.anchor.kind)?, &gone.anchor.value);
        write.execute(params![number, kind, value])?;
        if gone.current {
            count.execute(params![kind, value, -1])?;
        }
    }
    Ok(())
}

/// What a device shows now was seen again.
pub fn see_again(conn: &Connection, number: i64, at: Timestamp) -> Result<()> {
    // primary key
    conn.prepare_cached("UPDATE anchor SET last_seen = ?2 WHERE device = ?1 AND current = 1")?
        .execute(params![number, ms(at)])?;
    Ok(())
}

/// All anchors that a device has shown.
pub fn of(conn: &Connection, number: i64) -> Result<Vec<AnchorSeen>> {
    // primary key
    let mut statement = conn.prepare_cached(
        "SELECT kind, value, first_seen, last_seen, current FROM anchor WHERE device = ?1 ORDER BY kind, value",
    )?;
    let mut rows = statement.query([number])?;
    let mut anchors = Vec::new();
    while let Some(row) = rows.next()? {
        anchors.push(seen(row)?);
    }
    Ok(anchors)
}

/// A row of kind, value, first and last sighting, current.
pub fn seen(row: &Row<'_>) -> Result<AnchorSeen> {
    Ok(AnchorSeen {
        anchor: Anchor {
            kind: from_word(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
            value: row.get(1)?,
        },
        first_seen: time(row.get(2)?)?,
        last_seen: time(row.get(3)?)?,
        current: row.get(4)?,
    })
}

/// Devices that show an anchor now.
pub fn devices_at(conn: &Connection, anchor: &Anchor, limit: u32) -> Result<Vec<DeviceId>> {
    // index anchor_devices, then each by primary key
    let mut statement = conn.prepare_cached(
        "SELECT d.id FROM anchor a JOIN device d ON d.number = a.device
         WHERE a.kind = ?1 AND a.value = ?2 AND a.current = 1 ORDER BY a.device LIMIT ?3",
    )?;
    let mut rows = statement.query(params![word(anchor.kind)?, anchor.value, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(super::convert::id(row.get(0)?)?);
    }
    Ok(found)
}

/// How many devices show an anchor now.
pub fn count_at(conn: &Connection, anchor: &Anchor) -> Result<u64> {
    // primary key
    let n: Option<i64> = conn
        .prepare_cached("SELECT devices FROM anchor_count WHERE kind = ?1 AND value = ?2")?
        .query_row(params![word(anchor.kind)?, anchor.value], |row| row.get(0))
        .optional()?;
    Ok(uncount(n.unwrap_or(0)))
}

/// How many of the devices of a site show an anchor now.
pub fn count_in(conn: &Connection, site: &SiteId, anchor: &Anchor) -> Result<u64> {
    // index device_site, then each by primary key
    let n = conn
        .prepare_cached(
            "SELECT count(*) FROM device d CROSS JOIN anchor a ON a.device = d.number
             WHERE d.site = ?1 AND a.kind = ?2 AND a.value = ?3 AND a.current = 1",
        )?
        .query_row(params![site.as_str(), word(anchor.kind)?, anchor.value], |row| row.get(0))?;
    Ok(uncount(n))
}

/// Refuses where more devices show an anchor; see [`super::super::Change::NoMoreThan`].
pub fn no_more_than(conn: &Connection, seen: &[(Anchor, u64)]) -> Result<()> {
    for (anchor, most) in seen {
        if count_at(conn, anchor)? > *most {
            let what = anchor.kind.label();
            return Err(StoreError::Conflict(format!("another device came to the same {what} meanwhile")));
        }
    }
    Ok(())
}
