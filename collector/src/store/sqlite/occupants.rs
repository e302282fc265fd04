//! What of several devices their places are judged by.

use rusqlite::{Connection, Row};

use super::super::{Asset, Occupant, Result};
use super::anchors;
use super::convert::{from_word, id, time};

/// Those of some devices that there are, in their order; `devices` is a JSON list of ids.
pub fn of(conn: &Connection, devices: &str) -> Result<Vec<Occupant>> {
    // devices by UNIQUE id, the others by primary key
    let mut statement = conn.prepare_cached(
        "SELECT d.number, d.id, d.standing, d.enrolled_at, h.last_seen, h.address, d.site, j.llr, j.honest_llr,
             s.serial, s.user, s.department, s.shipped_to, s.expected_country
         FROM json_each(?1) x CROSS JOIN device d ON d.id = x.value JOIN head h ON h.device = d.number
         LEFT JOIN judged j ON j.device = d.number LEFT JOIN asset s ON s.serial = d.serial ORDER BY x.key",
    )?;
    let mut rows = statement.query([devices])?;
    let (mut numbers, mut found) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        numbers.push(row.get::<_, i64>(0)?);
        found.push(occupant(row)?);
    }
    // primary key
    let mut statement = conn.prepare_cached(
        "SELECT kind, value, first_seen, last_seen, current FROM anchor
         WHERE device = ?1 AND (current = 1 AND kind <> 'trait' OR kind IN ('gateway', 'usb_serial', 'display_serial'))",
    )?;
    for (number, one) in numbers.into_iter().zip(&mut found) {
        let mut rows = statement.query([number])?;
        while let Some(row) = rows.next()? {
            one.anchors.push(anchors::seen(row)?);
        }
    }
    Ok(found)
}

fn occupant(row: &Row<'_>) -> Result<Occupant> {
    let enrolled_at = time(row.get(3)?)?;
    let address: Option<String> = row.get(5)?;
    let asset = match row.get(9)? {
        Some(serial) => Some(Asset {
            serial,
            user: row.get(10)?,
            department: row.get(11)?,
            shipped_to: row.get(12)?,
            expected_country: row.get(13)?,
        }),
        None => None,
    };
    Ok(Occupant {
        id: id(row.get(1)?)?,
        standing: from_word(&row.get::<_, String>(2)?)?,
        enrolled_at,
        last_seen: row.get::<_, Option<i64>>(4)?.map_or(Ok(enrolled_at), time)?,
        public_address: address.and_then(|address| address.parse().ok()),
        site: row.get::<_, Option<String>>(6)?.map(id).transpose()?,
        asset,
        llr: row.get::<_, Option<f64>>(7)?.unwrap_or(0.0),
        honest_llr: row.get::<_, Option<f64>>(8)?.unwrap_or(0.0),
        anchors: Vec::new(),
    })
}
