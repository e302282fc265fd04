//! Anchors of devices, and how many devices are at each.

use std::collections::BTreeMap;

use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::convert::{count, from_word, id, ms, plain, time, uncount, word};
use super::super::sites::is_written;
use super::super::{Anchor, AnchorKind, AnchorSeen, StoreError};
use super::devices;
use super::fault::Fault;
use super::line::{Line, get};

/// Writes all anchors of a device; see [`super::super::Change::Anchors`].
pub async fn put(line: &Line, number: i64, seen: &[AnchorSeen]) -> Result<(), Fault> {
    let mut before: BTreeMap<(String, String), AnchorSeen> = BTreeMap::new();
    for then in of(line, number).await? {
        before.insert(name(&then.anchor)?, then);
    }
    // In order of kind and value: two transactions that count at the same anchors take turns.
    let mut rows: BTreeMap<(String, String), (i64, i64, bool)> = BTreeMap::new();
    let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for now in seen {
        let name = name(&now.anchor)?;
        let then = before.remove(&name);
        let was_current = then.as_ref().is_some_and(|then| then.current);
        let first_seen = then.as_ref().map_or(now.first_seen, |then| then.first_seen.min(now.first_seen));
        if then.as_ref().is_some_and(|then| is_written(then, first_seen, now)) {
            continue;
        }
        rows.insert(name.clone(), (ms(first_seen), ms(now.last_seen), now.current));
        if was_current != now.current {
            counts.insert(name, if now.current { 1 } else { -1 });
        }
    }
    let mut unkept: Vec<String> = Vec::new();
    for (name, gone) in before {
        if !gone.anchor.kind.is_kept() {
            unkept.push(name.1.clone());
        } else if gone.current {
            rows.insert(name.clone(), (ms(gone.first_seen), ms(gone.last_seen), false));
        }
        if gone.current {
            counts.insert(name, -1);
        }
    }
    if !unkept.is_empty() {
        // primary key
        let delete = "DELETE FROM anchor WHERE device = $1 AND kind = $2 AND value = ANY($3)";
        line.change(delete, &[&number, &word(AnchorKind::Trait)?, &unkept]).await?;
    }
    let (kinds, values): (Vec<&str>, Vec<&str>) =
        rows.keys().map(|(kind, value)| (kind.as_str(), value.as_str())).unzip();
    // primary key
    line.change(
        "INSERT INTO anchor (device, kind, value, first_seen, last_seen, current)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bool[])
         ON CONFLICT (device, kind, value) DO UPDATE SET first_seen = excluded.first_seen,
             last_seen = excluded.last_seen, current = excluded.current",
        &[
            &number,
            &kinds,
            &values,
            &rows.values().map(|row| row.0).collect::<Vec<_>>(),
            &rows.values().map(|row| row.1).collect::<Vec<_>>(),
            &rows.values().map(|row| row.2).collect::<Vec<_>>(),
        ],
    )
    .await?;
    count_changes(line, &counts).await
}

/// What a device shows now was seen again.
pub async fn see_again(line: &Line, number: i64, at: Timestamp) -> Result<(), Fault> {
    // primary key
    let again = "UPDATE anchor SET last_seen = $2 WHERE device = $1 AND current";
    line.change(again, &[&number, &ms(at)]).await.map(drop)
}

/// A kind's word and a value: what a row is named by.
fn name(anchor: &Anchor) -> Result<(String, String), Fault> {
    Ok((word(anchor.kind)?, plain(&anchor.value)))
}

async fn count_changes(line: &Line, counts: &BTreeMap<(String, String), i64>) -> Result<(), Fault> {
    if counts.is_empty() {
        return Ok(());
    }
    let (kinds, values): (Vec<&str>, Vec<&str>) =
        counts.keys().map(|(kind, value)| (kind.as_str(), value.as_str())).unzip();
    // primary key
    line.change(
        "INSERT INTO anchor_count AS c (kind, value, devices)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
         ON CONFLICT (kind, value) DO UPDATE SET devices = c.devices + excluded.devices",
        &[&kinds, &values, &counts.values().collect::<Vec<_>>()],
    )
    .await?;
    Ok(())
}

/// All anchors that a device has shown, by its id.
pub async fn shown_by(line: &Line, device: &DeviceId) -> Result<Vec<AnchorSeen>, Fault> {
    match devices::find(line, device).await? {
        Some(number) => of(line, number).await,
        None => Ok(Vec::new()),
    }
}

/// All anchors that a device has shown.
pub async fn of(line: &Line, number: i64) -> Result<Vec<AnchorSeen>, Fault> {
    // primary key
    let query = "SELECT kind, value, first_seen, last_seen, current FROM anchor WHERE device = $1 ORDER BY kind, value";
    line.rows(query, &[&number]).await?.iter().map(seen).collect()
}

/// A row of kind, value, first and last sighting, current.
pub fn seen(row: &Row) -> Result<AnchorSeen, Fault> {
    Ok(AnchorSeen {
        anchor: Anchor { kind: from_word(get(row, 0)?)?, value: get(row, 1)? },
        first_seen: time(get(row, 2)?)?,
        last_seen: time(get(row, 3)?)?,
        current: get(row, 4)?,
    })
}

/// Devices that show each of some anchors now.
pub async fn devices_at(line: &Line, anchors: &[Anchor], limit: u32) -> Result<Vec<Vec<DeviceId>>, Fault> {
    let (kinds, values) = names(anchors)?;
    // index anchor_devices, then each by primary key
    let query =
        "SELECT s.place, d.id FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s (kind, value, place)
         CROSS JOIN LATERAL (SELECT a.device FROM anchor a
             WHERE a.kind = s.kind AND a.value = s.value AND a.current ORDER BY a.device LIMIT $3) f
         JOIN device d ON d.number = f.device ORDER BY s.place, f.device";
    let mut found = vec![Vec::new(); anchors.len()];
    for row in &line.rows(query, &[&kinds, &values, &i64::from(limit)]).await? {
        found[place(row)?].push(id(get(row, 1)?)?);
    }
    Ok(found)
}

/// How many devices show each of some anchors now.
pub async fn counts_at(line: &Line, anchors: &[Anchor]) -> Result<Vec<u64>, Fault> {
    let (kinds, values) = names(anchors)?;
    // primary key
    let query = "SELECT s.place, c.devices FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s (kind, value, place)
         JOIN anchor_count c ON c.kind = s.kind AND c.value = s.value";
    let mut counts = vec![0; anchors.len()];
    for row in &line.rows(query, &[&kinds, &values]).await? {
        counts[place(row)?] = uncount(get(row, 1)?);
    }
    Ok(counts)
}

/// How many of the devices of a site show each of some anchors now.
pub async fn counts_in(line: &Line, site: &SiteId, anchors: &[Anchor]) -> Result<Vec<u64>, Fault> {
    let (kinds, values) = names(anchors)?;
    // index device_site, then each by primary key
    let query = "SELECT s.place, count(*) FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS s (kind, value, place)
         JOIN device d ON d.site = $1
         JOIN anchor a ON a.device = d.number AND a.kind = s.kind AND a.value = s.value AND a.current GROUP BY s.place";
    let mut counts = vec![0; anchors.len()];
    for row in &line.rows(query, &[&site.as_str(), &kinds, &values]).await? {
        counts[place(row)?] = uncount(get(row, 1)?);
    }
    Ok(counts)
}

fn names(anchors: &[Anchor]) -> Result<(Vec<String>, Vec<String>), Fault> {
    Ok(anchors.iter().map(name).collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// Which of those asked for a row is about: its first column, which counts from 1.
fn place(row: &Row) -> Result<usize, Fault> {
    Ok(usize::try_from(get::<i64>(row, 0)? - 1).unwrap_or(0))
}

/// Refuses where more devices show an anchor; see [`super::super::Change::NoMoreThan`]. The rows of those that the
/// transaction counted at are its own by now: who else came there has ended, or waits.
pub async fn no_more_than(line: &Line, seen: &[(Anchor, u64)]) -> Result<(), Fault> {
    let names = seen.iter().map(|(anchor, _)| name(anchor)).collect::<Result<Vec<_>, _>>()?;
    let (kinds, values): (Vec<String>, Vec<String>) = names.into_iter().unzip();
    let most: Vec<i64> = seen.iter().map(|(_, most)| count(*most)).collect();
    // primary key
    let query = "SELECT c.kind FROM unnest($1::text[], $2::text[], $3::bigint[]) AS s (kind, value, most)
         JOIN anchor_count c ON c.kind = s.kind AND c.value = s.value WHERE c.devices > s.most LIMIT 1";
    let Some(row) = line.row(query, &[&kinds, &values, &most]).await? else { return Ok(()) };
    let kind: &str = get(&row, 0)?;
    Err(StoreError::Conflict(format!("another device came to the same {kind} meanwhile")).into())
}
