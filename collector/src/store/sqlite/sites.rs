use std::collections::BTreeSet;

use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::{
    Anchor, AnchorSeen, Occupant, Page, Result, SITE_WAIT, Site, SiteEvent, SiteGlance, Sites, Stood,
    StoreError,
};
use super::Sqlite;
use super::convert::{count, from_json, id, json, ms, time, uncount};
use super::{anchors, change, occupants};

/// Writes a site; see [`super::super::Change::PutSite`]. Devices that have left it name none, until another
/// site names them.
pub fn put(conn: &Connection, site: &Site, said: u64, is_new: bool) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO site (id, farm, value, judged_at, due_at, said, sanctioned) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET farm = ?2, value = ?3, judged_at = ?4, due_at = ?5, said = ?6, sanctioned = ?7
             WHERE NOT ?8",
    )?;
    let written = statement.execute(params![
        site.id.as_str(),
        site.judged.farm,
        json(&site.without_devices())?,
        ms(site.updated_at),
        ms(site.updated_at + SITE_WAIT),
        said.cast_signed(),
        site.sanctioned,
        is_new
    ])?;
    if written == 0 {
        return Err(StoreError::Conflict(format!("there is a site {} already", site.id)));
    }
    let now: BTreeSet<&DeviceId> = site.devices.iter().collect();
    let before = members(conn, site.id.as_str())?;
    for id in before.iter().filter(|id| !now.contains(id)) {
        leave(conn, id)?;
    }
    let mut join = conn.prepare_cached("UPDATE device SET site = ?2 WHERE id = ?1")?;
    // in order, and so are those of before
    for id in now.into_iter().filter(|id| before.binary_search(id).is_err()) {
        join.execute([id.as_str(), site.id.as_str()])?;
    }
    Ok(())
}

/// A device comes to a site; see [`super::super::Change::Come`].
pub fn come(conn: &Connection, device: &DeviceId, site: &SiteId) -> Result<()> {
    // UNIQUE id, primary key
    let mut join = conn.prepare_cached(
        "UPDATE device SET site = ?2 WHERE id = ?1 AND EXISTS (SELECT 1 FROM site WHERE id = ?2)",
    )?;
    match join.execute([device.as_str(), site.as_str()])? {
        0 => Err(StoreError::Conflict(format!("there is no site {site} any more"))),
        _ => Ok(()),
    }
}

/// A device leaves its site; see [`super::super::Change::Leave`].
pub fn leave(conn: &Connection, device: &DeviceId) -> Result<()> {
    // UNIQUE id
    conn.prepare_cached("UPDATE device SET former_site = site, site = NULL WHERE id = ?1")?
        .execute([device.as_str()])?;
    Ok(())
}

/// Refuses where a device is no longer as it was seen; see [`super::super::Change::Stand`].
pub fn stand(conn: &Connection, seen: &[Stood]) -> Result<()> {
    // UNIQUE id, then primary key
    let mut query = conn.prepare_cached(
        "SELECT 1 FROM device d LEFT JOIN judged j ON j.device = d.number
         WHERE d.id = ?1 AND d.site IS ?2 AND coalesce(j.llr, 0) = ?3 AND coalesce(j.honest_llr, 0) = ?4",
    )?;
    for Stood { device, site, llr, honest_llr } in seen {
        if !query.exists(params![device.as_str(), site.as_ref().map(SiteId::as_str), llr, honest_llr])? {
            return Err(StoreError::Conflict(format!("{device} was judged or moved meanwhile")));
        }
    }
    Ok(())
}

/// Removes a site; see [`super::super::Change::RemoveSite`].
pub fn remove(conn: &Connection, id: &SiteId) -> Result<()> {
    conn.prepare_cached("DELETE FROM site WHERE id = ?1")?.execute([id.as_str()])?;
    conn.prepare_cached("UPDATE device SET former_site = site, site = NULL WHERE site = ?1")?
        .execute([id.as_str()])?;
    Ok(())
}

/// Adds a step to a place's history.
pub fn add_event(conn: &Connection, event: &SiteEvent) -> Result<()> {
    conn.prepare_cached("INSERT INTO site_event (site, at, value) VALUES (?1, ?2, ?3)")?.execute(params![
        event.site.as_str(),
        ms(event.at),
        json(&event.step)?
    ])?;
    Ok(())
}

/// Deletes steps of before a time; how many. Index site_event_at.
pub fn trim_events(conn: &Connection, before: Timestamp) -> Result<u64> {
    let gone = conn.prepare_cached("DELETE FROM site_event WHERE at < ?1")?.execute([ms(before)])?;
    Ok(gone as u64)
}

/// Has a site judged again at a time; see [`super::super::Change::SiteDue`].
pub fn due(conn: &Connection, id: &SiteId, at: Timestamp) -> Result<()> {
    // primary key
    conn.prepare_cached("UPDATE site SET due_at = min(due_at, ?2) WHERE id = ?1")?
        .execute(params![id.as_str(), ms(at)])?;
    Ok(())
}

/// The devices that name a site, in order; index device_site.
fn members(conn: &Connection, site: &str) -> Result<Vec<DeviceId>> {
    let mut statement = conn.prepare_cached("SELECT id FROM device WHERE site = ?1 ORDER BY id")?;
    let mut rows = statement.query([site])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(id(row.get(0)?)?);
    }
    Ok(ids)
}

/// A site with those who are there.
fn with_devices(conn: &Connection, value: &str) -> Result<Site> {
    let mut site: Site = from_json(value)?;
    site.devices = members(conn, site.id.as_str())?;
    Ok(site)
}

#[async_trait]
impl Sites for Sqlite {
    async fn anchors_of(&self, device: &DeviceId) -> Result<Vec<AnchorSeen>> {
        let device = device.clone();
        self.read(move |conn| match change::find(conn, &device)? {
            Some(number) => anchors::of(conn, number),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn devices_at(&self, anchors: &[Anchor], limit: u32) -> Result<Vec<Vec<DeviceId>>> {
        let all = anchors.to_vec();
        self.read(move |conn| all.iter().map(|anchor| anchors::devices_at(conn, anchor, limit)).collect())
            .await
    }

    async fn occupants(&self, devices: &[DeviceId]) -> Result<Vec<Occupant>> {
        let devices = json(&devices)?;
        self.read(move |conn| occupants::of(conn, &devices)).await
    }

    async fn counts_at(&self, anchors: &[Anchor]) -> Result<Vec<u64>> {
        let all = anchors.to_vec();
        self.read(move |conn| all.iter().map(|anchor| anchors::count_at(conn, anchor)).collect()).await
    }

    async fn counts_in(&self, site: &SiteId, anchors: &[Anchor]) -> Result<Vec<u64>> {
        let (site, all) = (site.clone(), anchors.to_vec());
        self.read(move |conn| all.iter().map(|anchor| anchors::count_in(conn, &site, anchor)).collect()).await
    }

    async fn site_glance(&self, id: &SiteId) -> Result<Option<SiteGlance>> {
        let id = id.clone();
        self.read(move |conn| {
            // primary key, index device_site
            let mut statement = conn.prepare_cached(
                "SELECT judged_at, due_at, said, farm, sanctioned, (SELECT count(*) FROM device WHERE site = ?1)
                 FROM site WHERE id = ?1",
            )?;
            let mut rows = statement.query([id.as_str()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (judged_at, due_at) = (time(row.get(0)?)?, time(row.get(1)?)?);
            let (said, size) = (row.get::<_, i64>(2)?.cast_unsigned(), uncount(row.get(5)?));
            let (farm, sanctioned) = (row.get(3)?, row.get(4)?);
            Ok(Some(SiteGlance { judged_at, due_at, size, said, farm, sanctioned }))
        })
        .await
    }

    async fn site(&self, id: &SiteId) -> Result<Option<Site>> {
        let id = id.clone();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached("SELECT value FROM site WHERE id = ?1")?;
            let mut rows = statement.query([id.as_str()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            with_devices(conn, &row.get::<_, String>(0)?).map(Some)
        })
        .await
    }

    async fn former_site(&self, devices: &[DeviceId]) -> Result<Option<SiteId>> {
        let (devices, all) = (json(&devices)?, count(devices.len() as u64));
        self.read(move |conn| {
            // devices by UNIQUE id, sites by primary key
            let mut statement = conn.prepare_cached(
                "SELECT d.former_site FROM json_each(?1) x CROSS JOIN device d ON d.id = x.value
                 WHERE d.former_site IS NOT NULL AND NOT EXISTS (SELECT 1 FROM site WHERE id = d.former_site)
                 GROUP BY d.former_site HAVING count(*) > 1 AND 2 * count(*) >= ?2 ORDER BY count(*) DESC, d.former_site LIMIT 1",
            )?;
            let text: Option<String> = statement.query_row(params![devices, all], |row| row.get(0)).optional()?;
            text.map(id).transpose()
        })
        .await
    }

    async fn site_count(&self) -> Result<u64> {
        self.read(|conn| {
            let n = conn.prepare_cached("SELECT count(*) FROM site")?.query_row([], |row| row.get(0))?;
            Ok(uncount(n))
        })
        .await
    }

    async fn site_events(&self, id: &SiteId, limit: u32) -> Result<Vec<SiteEvent>> {
        let id = id.clone();
        self.read(move |conn| {
            // index site_event_site
            let mut statement = conn.prepare_cached(
                "SELECT at, value FROM site_event WHERE site = ?1 ORDER BY number LIMIT ?2",
            )?;
            let mut rows = statement.query(params![id.as_str(), limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let (at, step) = (time(row.get(0)?)?, from_json(&row.get::<_, String>(1)?)?);
                events.push(SiteEvent { site: id.clone(), at, step });
            }
            Ok(events)
        })
        .await
    }

    async fn sites(&self, page: &Page) -> Result<Vec<Site>> {
        let page = page.clone();
        self.read(move |conn| {
            // index site_farm
            let mut statement = conn.prepare_cached(
                "SELECT value FROM site
                 WHERE ?1 IS NULL OR (-farm, id) > (SELECT -farm, id FROM site WHERE id = ?1)
                 ORDER BY farm DESC, id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![page.after, page.limit])?;
            let mut sites = Vec::new();
            while let Some(row) = rows.next()? {
                sites.push(with_devices(conn, &row.get::<_, String>(0)?)?);
            }
            Ok(sites)
        })
        .await
    }
}
