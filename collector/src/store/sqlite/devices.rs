use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::Judged;
use farmwatch_shared::state::Digest;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::super::convert::{DAY, plain};
use super::super::{Device, DeviceCount, DeviceFilter, Devices, Page, Result, Standing, StoreError};
use super::Sqlite;
use super::convert::{count, from_json, from_word, id, json, like, ms, time, uncount, word};

const COLUMNS: &str = "d.id, d.standing, d.serial, d.hostname, d.os, h.machine, d.certificates, d.enrolled_at, h.last_seen,
    h.boot, h.seq, h.digest, h.address, h.country, h.network, h.clock_skew, h.dropped_windows, j.value, d.site";

fn device(row: &Row<'_>) -> Result<Device> {
    let address: Option<String> = row.get(12)?;
    let judged: Option<String> = row.get(17)?;
    Ok(Device {
        id: id(row.get(0)?)?,
        standing: from_word(&row.get::<_, String>(1)?)?,
        serial: row.get(2)?,
        hostname: row.get(3)?,
        os: row.get(4)?,
        machine: row.get(5)?,
        certificates: from_json(&row.get::<_, String>(6)?)?,
        enrolled_at: time(row.get(7)?)?,
        last_seen: row.get::<_, Option<i64>>(8)?.map(time).transpose()?,
        boot: row.get(9)?,
        seq: uncount(row.get(10)?),
        digest: Digest::from_bytes(row.get(11)?),
        public_address: address.and_then(|address| address.parse().ok()),
        country: row.get(13)?,
        network: row.get(14)?,
        clock_skew: row.get(15)?,
        dropped_windows: uncount(row.get(16)?),
        judged: judged.map(|text| from_json(&text)).transpose()?,
        site: row.get::<_, Option<String>>(18)?.map(id).transpose()?,
    })
}

fn query(conn: &Connection, query: &str, values: Vec<Value>) -> Result<Vec<Device>> {
    let mut statement = conn.prepare_cached(query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        devices.push(device(row)?);
    }
    Ok(devices)
}

/// Devices whose column `by` of `d` is a value: `by` has an index.
fn by(conn: &Connection, by: &str, value: &str) -> Result<Vec<Device>> {
    let text = format!(
        "SELECT {COLUMNS} FROM device d JOIN head h ON h.device = d.number LEFT JOIN judged j ON j.device = d.number
         WHERE d.{by} = ?1 ORDER BY d.id"
    );
    query(conn, &text, vec![value.to_owned().into()])
}

/// One device.
pub fn one(conn: &Connection, id: &DeviceId) -> Result<Option<Device>> {
    Ok(by(conn, "id", id.as_str())?.pop())
}

/// Fewest letters that the index of what devices are searched by knows.
const TRIGRAM: usize = 3;

/// A listing's statement and values.
pub fn listing(filter: &DeviceFilter, page: &Page) -> Result<(String, Vec<Value>)> {
    let mut conditions = String::new();
    let mut values: Vec<Value> = vec![page.after.clone().unwrap_or_default().into()];
    // ordered by UNIQUE id, or by index device_standing or device_site, both of which end in it
    let mut tables = "device d JOIN head h ON h.device = d.number";
    let mut order = ("d.id", "?");
    if let Some(standing) = filter.standing {
        conditions += " AND d.standing = ?";
        values.push(word(standing)?.into());
    }
    if let Some(site) = &filter.site {
        conditions += " AND d.site = ?";
        values.push(site.to_string().into());
    }
    if let Some(before) = filter.silent_since {
        // index head_seen_day: the silent are few, so they are found first and sorted
        tables = "head h INDEXED BY head_seen_day CROSS JOIN device d ON d.number = h.device";
        conditions += " AND h.seen_day <= ? AND coalesce(h.last_seen, d.enrolled_at) < ?";
        values.extend([ms(before).div_euclid(DAY).into(), ms(before).into()]);
    }
    match &filter.text {
        Some(part) if part.chars().count() < TRIGRAM => {
            // walks the devices in order of id until the page is full
            conditions += r" AND (d.id LIKE ? ESCAPE '\' OR d.serial LIKE ? ESCAPE '\' OR d.hostname LIKE ? ESCAPE '\'
                OR d.serial IN (SELECT serial FROM asset WHERE user LIKE ? ESCAPE '\'))";
            values.extend(std::iter::repeat_n(Value::from(like(part)), 4));
        }
        Some(part) => {
            // the index gives those that have it by number, and is left when the page is full
            tables = "device_text CROSS JOIN device d ON d.number = device_text.rowid CROSS JOIN head h ON h.device = d.number";
            order = ("device_text.rowid", "coalesce((SELECT number FROM device WHERE id = ?), 0)");
            conditions += " AND device_text MATCH ?";
            values.push(format!("\"{}\"", plain(part).replace('"', "\"\"")).into());
        }
        None => {}
    }
    values.push(i64::from(page.limit).into());
    let (by, after) = order;
    let text = format!(
        "SELECT {COLUMNS} FROM {tables} LEFT JOIN judged j ON j.device = d.number
         WHERE {by} > {after}{conditions} ORDER BY {by} LIMIT ?"
    );
    Ok((text, values))
}

#[async_trait]
impl Devices for Sqlite {
    async fn add_device(&self, device: Device) -> Result<()> {
        self.write(move |hand| {
            let d = &device;
            hand.heads.forget(&d.id);
            let conn = &hand.conn;
            conn.prepare_cached(
                "INSERT INTO device (id, standing, serial, hostname, os, certificates, enrolled_at, site)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                d.id.as_str(),
                word(d.standing)?,
                d.serial,
                d.hostname,
                d.os,
                json(&d.certificates)?,
                ms(d.enrolled_at),
                d.site.as_ref().map(SiteId::as_str)
            ])?;
            let number = conn.last_insert_rowid();
            conn.prepare_cached(
                "INSERT INTO head (device, seq, last_seen, clock_skew, boot, boot_from, machine, digest, seen_day,
                     address, country, network, dropped_windows)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                number,
                count(d.seq),
                d.last_seen.map(ms),
                d.clock_skew,
                d.boot,
                i64::from(d.seq > 0),
                d.machine,
                d.digest.to_bytes(),
                ms(d.last_seen.unwrap_or(d.enrolled_at)).div_euclid(DAY),
                d.public_address.map(|address| address.to_string()),
                d.country,
                d.network,
                count(d.dropped_windows)
            ])?;
            if let Some(judged) = &d.judged {
                put_judged(conn, number, judged)?;
            }
            Ok(())
        })
        .await
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Device>> {
        let id = id.clone();
        self.read(move |conn| one(conn, &id)).await
    }

    async fn devices_by_serial(&self, serial: &str) -> Result<Vec<Device>> {
        let serial = serial.to_owned();
        self.read(move |conn| by(conn, "serial", &serial)).await
    }

    async fn devices(&self, filter: &DeviceFilter, page: &Page) -> Result<Vec<Device>> {
        let (text, values) = listing(filter, page)?;
        self.read(move |conn| query(conn, &text, values)).await
    }

    async fn device_count(&self) -> Result<DeviceCount> {
        self.read(|conn| {
            // index device_standing
            let mut statement =
                conn.prepare_cached("SELECT standing, count(*) FROM device GROUP BY standing")?;
            let mut rows = statement.query([])?;
            let mut count = DeviceCount::default();
            while let Some(row) = rows.next()? {
                count.add(from_word(&row.get::<_, String>(0)?)?, uncount(row.get(1)?));
            }
            Ok(count)
        })
        .await
    }

    async fn set_standing(&self, id: &DeviceId, standing: Standing) -> Result<()> {
        let id = id.clone();
        self.write(move |hand| {
            hand.heads.forget(&id);
            let changed = hand
                .conn
                .execute("UPDATE device SET standing = ?2 WHERE id = ?1", [id.as_str(), &word(standing)?])?;
            found(changed, &id)
        })
        .await
    }

    async fn set_certificates(&self, id: &DeviceId, certificates: &[String]) -> Result<()> {
        let (id, certificates) = (id.clone(), certificates.to_vec());
        self.write(move |hand| {
            let changed = hand.conn.execute(
                "UPDATE device SET certificates = ?2 WHERE id = ?1",
                [id.as_str(), &json(&certificates)?],
            )?;
            found(changed, &id)
        })
        .await
    }
}

/// Writes a device's judgement; what its place is judged by stands beside it.
pub fn put_judged(conn: &Connection, number: i64, judged: &Judged) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO judged (device, value, llr, honest_llr) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET value = ?2, llr = ?3, honest_llr = ?4",
    )?
    .execute(params![number, json(judged)?, judged.llr, judged.honest_llr])?;
    Ok(())
}

fn found(changed: usize, id: &DeviceId) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict(format!("there is no device {id}"))) }
}
