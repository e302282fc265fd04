use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::Judged;
use farmwatch_shared::state::Digest;
use tokio_postgres::Row;

use super::super::convert::{
    DAY, count, from_json, from_word, id, json, like, ms, plain, time, uncount, word,
};
use super::super::{Device, DeviceCount, DeviceFilter, Devices, Page, Result, Standing, StoreError};
use super::fault::Fault;
use super::filter::Filter;
use super::line::{Line, get};
use super::{Postgres, again};

const COLUMNS: &str = "d.id, d.standing, d.serial, d.hostname, d.os, h.machine, d.certificates, d.enrolled_at, h.last_seen,
    h.boot, h.seq, h.digest, h.address, h.country, h.network, h.clock_skew, h.dropped_windows, j.value, d.site";
const TABLES: &str = "device d JOIN head h ON h.device = d.number LEFT JOIN judged j ON j.device = d.number";

fn device(row: &Row) -> Result<Device, Fault> {
    let address: Option<&str> = get(row, 12)?;
    let judged: Option<&str> = get(row, 17)?;
    Ok(Device {
        id: id(get(row, 0)?)?,
        standing: from_word(get(row, 1)?)?,
        serial: get(row, 2)?,
        hostname: get(row, 3)?,
        os: get(row, 4)?,
        machine: get(row, 5)?,
        certificates: from_json(get(row, 6)?)?,
        enrolled_at: time(get(row, 7)?)?,
        last_seen: get::<Option<i64>>(row, 8)?.map(time).transpose()?,
        boot: get(row, 9)?,
        seq: uncount(get(row, 10)?),
        digest: digest(row, 11)?,
        public_address: address.and_then(|address| address.parse().ok()),
        country: get(row, 13)?,
        network: get(row, 14)?,
        clock_skew: get(row, 15)?,
        dropped_windows: uncount(get(row, 16)?),
        judged: judged.map(from_json).transpose()?,
        site: get::<Option<String>>(row, 18)?.map(id).transpose()?,
    })
}

/// A digest in a column.
pub fn digest(row: &Row, column: usize) -> Result<Digest, Fault> {
    let bytes: &[u8] = get(row, column)?;
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt("a digest is not 16 bytes long".into()))?;
    Ok(Digest::from_bytes(bytes))
}

/// A device's number; without such a device, what was asked cannot be.
pub async fn number(line: &Line, device: &DeviceId) -> Result<i64, Fault> {
    let found = find(line, device).await?;
    found.ok_or_else(|| StoreError::Conflict(format!("there is no device {device}")).into())
}

/// A device's number, if it is there.
pub async fn find(line: &Line, device: &DeviceId) -> Result<Option<i64>, Fault> {
    let row = line.row("SELECT number FROM device WHERE id = $1", &[&device.as_str()]).await?;
    row.as_ref().map(|row| get(row, 0)).transpose()
}

/// A listing's conditions.
fn conditions(filter: &DeviceFilter, page: &Page) -> Result<Filter> {
    // ordered by UNIQUE id, or by index device_standing or device_site, both of which end in it
    let mut found = Filter::default();
    found.and("d.id > ?", page.after.clone().unwrap_or_default());
    if let Some(standing) = filter.standing {
        found.and("d.standing = ?", word(standing)?);
    }
    if let Some(site) = &filter.site {
        found.and("d.site = ?", site.to_string());
    }
    if let Some(before) = filter.silent_since {
        // index head_seen_day: the silent are few
        found.and("h.seen_day <= ?", ms(before).div_euclid(DAY));
        found.and("coalesce(h.last_seen, d.enrolled_at) < ?", ms(before));
    }
    if let Some(part) = &filter.text {
        // what is frequent by walking the devices in order of id until the page is full, what is seldom by index
        // device_text and, through asset_user, device_serial: the server knows which
        found.and(
            r"(d.id ILIKE ? ESCAPE '\' OR d.serial ILIKE ? ESCAPE '\' OR d.hostname ILIKE ? ESCAPE '\'
                OR d.serial = ANY (ARRAY (SELECT serial FROM asset WHERE user_name ILIKE ? ESCAPE '\')))",
            like(&plain(part)),
        );
    }
    Ok(found)
}

/// One device.
pub async fn one(line: &Line, id: &DeviceId) -> Result<Option<Device>, Fault> {
    let query = format!("SELECT {COLUMNS} FROM {TABLES} WHERE d.id = $1");
    line.row(&query, &[&id.as_str()]).await?.as_ref().map(device).transpose()
}

#[async_trait]
impl Devices for Postgres {
    async fn add_device(&self, device: Device) -> Result<()> {
        let mut line = self.line().await?;
        line.begin().await?;
        let added = add(&line, &device).await;
        Ok(line.end(added).await?)
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Device>> {
        Ok(one(&self.line().await?, id).await?)
    }

    async fn devices_by_serial(&self, serial: &str) -> Result<Vec<Device>> {
        let line = self.line().await?;
        let query = format!("SELECT {COLUMNS} FROM {TABLES} WHERE d.serial = $1 ORDER BY d.id");
        let rows = line.rows(&query, &[&plain(serial)]).await?;
        Ok(rows.iter().map(device).collect::<Result<_, _>>()?)
    }

    async fn devices(&self, filter: &DeviceFilter, page: &Page) -> Result<Vec<Device>> {
        let mut found = conditions(filter, page)?;
        let limit = found.value(i64::from(page.limit));
        let query =
            format!("SELECT {COLUMNS} FROM {TABLES} WHERE TRUE{} ORDER BY d.id LIMIT {limit}", found.text());
        let line = self.line().await?;
        let rows = line.rows(&query, &found.values()).await?;
        Ok(rows.iter().map(device).collect::<Result<_, _>>()?)
    }

    async fn device_count(&self) -> Result<DeviceCount> {
        let line = self.line().await?;
        // index device_standing
        let mut count = DeviceCount::default();
        for row in &line.rows("SELECT standing, count(*) FROM device GROUP BY standing", &[]).await? {
            count.add(from_word(get(row, 0)?)?, uncount(get(row, 1)?));
        }
        Ok(count)
    }

    async fn set_standing(&self, id: &DeviceId, standing: Standing) -> Result<()> {
        let standing = word(standing)?;
        let changed = again(async || {
            let mut line = self.line().await?;
            line.begin().await?;
            let changed = stand(&line, id, &standing).await;
            line.end(changed).await
        });
        found(changed.await?, id)
    }

    async fn set_certificates(&self, id: &DeviceId, certificates: &[String]) -> Result<()> {
        let line = self.line().await?;
        let statement = "UPDATE device SET certificates = $2 WHERE id = $1";
        found(line.change(statement, &[&id.as_str(), &json(&certificates)?]).await?, id)
    }
}

/// Changes a standing; how many devices that is. The head is written too, and first: by that, those who take its reports
/// know, whatever they remember of it.
async fn stand(line: &Line, id: &DeviceId, standing: &str) -> Result<u64, Fault> {
    // UNIQUE id, primary key
    let touch = "UPDATE head h SET seq = h.seq FROM device d WHERE d.id = $1 AND h.device = d.number";
    line.change(touch, &[&id.as_str()]).await?;
    line.change("UPDATE device SET standing = $2 WHERE id = $1", &[&id.as_str(), &standing]).await
}

async fn add(line: &Line, d: &Device) -> Result<(), Fault> {
    let row = line
        .row(
            "INSERT INTO device (id, standing, serial, hostname, os, certificates, enrolled_at, site)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING number",
            &[
                &d.id.as_str(),
                &word(d.standing)?,
                &d.serial.as_deref().map(plain),
                &plain(&d.hostname),
                &plain(&d.os),
                &json(&d.certificates)?,
                &ms(d.enrolled_at),
                &d.site.as_ref().map(SiteId::as_str),
            ],
        )
        .await?;
    let number: i64 = row.as_ref().map_or(Ok(0), |row| get(row, 0))?;
    line.change(
        "INSERT INTO head (device, seq, last_seen, clock_skew, boot, boot_from, machine, digest, seen_day,
             address, country, network, dropped_windows)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            &number,
            &count(d.seq),
            &d.last_seen.map(ms),
            &d.clock_skew,
            &plain(&d.boot),
            &i64::from(d.seq > 0),
            &plain(&d.machine),
            &d.digest.to_bytes().as_slice(),
            &ms(d.last_seen.unwrap_or(d.enrolled_at)).div_euclid(DAY),
            &d.public_address.map(|address| address.to_string()),
            &d.country.as_deref().map(plain),
            &d.network.as_deref().map(plain),
            &count(d.dropped_windows),
        ],
    )
    .await?;
    if let Some(judged) = &d.judged {
        put_judged(line, number, judged).await?;
    }
    Ok(())
}

fn found(changed: u64, id: &DeviceId) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict(format!("there is no device {id}"))) }
}

/// Writes a device's judgement; what its place is judged by stands beside it.
pub async fn put_judged(line: &Line, number: i64, judged: &Judged) -> Result<(), Fault> {
    let statement = "INSERT INTO judged (device, value, llr, honest_llr) VALUES ($1, $2, $3, $4)
         ON CONFLICT (device) DO UPDATE SET value = excluded.value, llr = excluded.llr, honest_llr = excluded.honest_llr";
    line.change(statement, &[&number, &json(judged)?, &judged.llr, &judged.honest_llr]).await?;
    Ok(())
}
