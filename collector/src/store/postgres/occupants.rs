//! What of several devices their places are judged by, in two queries for all of them.

use farmwatch_shared::id::DeviceId;
use tokio_postgres::Row;

use super::super::convert::{from_word, id, time};
use super::super::{Asset, Occupant};
use super::anchors;
use super::fault::Fault;
use super::line::{Line, get};

/// Those of some devices that there are, in their order.
pub async fn of(line: &Line, devices: &[DeviceId]) -> Result<Vec<Occupant>, Fault> {
    let ids: Vec<&str> = devices.iter().map(DeviceId::as_str).collect();
    // devices by UNIQUE id, the others by primary key
    let query = "SELECT x.place, d.id, d.standing, d.enrolled_at, h.last_seen, h.address, d.site, j.llr, j.honest_llr,
             s.serial, s.user_name, s.department, s.shipped_to, s.expected_country
         FROM unnest($1::text[]) WITH ORDINALITY AS x (id, place)
         JOIN device d ON d.id = x.id JOIN head h ON h.device = d.number
         LEFT JOIN judged j ON j.device = d.number LEFT JOIN asset s ON s.serial = d.serial ORDER BY x.place";
    let (mut places, mut found) = (Vec::new(), Vec::new());
    for row in line.rows(query, &[&ids]).await? {
        places.push(get::<i64>(&row, 0)?);
        found.push(occupant(&row)?);
    }
    // devices by UNIQUE id, then primary key
    let query = "SELECT a.kind, a.value, a.first_seen, a.last_seen, a.current, x.place
         FROM unnest($1::text[]) WITH ORDINALITY AS x (id, place)
         JOIN device d ON d.id = x.id JOIN anchor a ON a.device = d.number
         WHERE (a.current AND a.kind <> 'trait') OR a.kind IN ('gateway', 'usb_serial', 'display_serial')
         ORDER BY x.place, a.kind, a.value";
    for row in line.rows(query, &[&ids]).await? {
        if let Ok(index) = places.binary_search(&get(&row, 5)?) {
            found[index].anchors.push(anchors::seen(&row)?);
        }
    }
    Ok(found)
}

fn occupant(row: &Row) -> Result<Occupant, Fault> {
    let enrolled_at = time(get(row, 3)?)?;
    let address: Option<&str> = get(row, 5)?;
    let asset = match get(row, 9)? {
        Some(serial) => Some(Asset {
            serial,
            user: get(row, 10)?,
            department: get(row, 11)?,
            shipped_to: get(row, 12)?,
            expected_country: get(row, 13)?,
        }),
        None => None,
    };
    Ok(Occupant {
        id: id(get(row, 1)?)?,
        standing: from_word(get(row, 2)?)?,
        enrolled_at,
        last_seen: get::<Option<i64>>(row, 4)?.map_or(Ok(enrolled_at), time)?,
        public_address: address.and_then(|address| address.parse().ok()),
        site: get::<Option<String>>(row, 6)?.map(id).transpose()?,
        asset,
        llr: get::<Option<f64>>(row, 7)?.unwrap_or(0.0),
        honest_llr: get::<Option<f64>>(row, 8)?.unwrap_or(0.0),
        anchors: Vec::new(),
    })
}
