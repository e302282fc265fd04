use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::convert::{count, from_json, id, json, ms, plain, time, uncount};
use super::super::{
    Anchor, AnchorSeen, Occupant, Page, Result, SITE_WAIT, Site, SiteEvent, SiteGlance, Sites, Stood,
    StoreError,
};
use super::Postgres;
use super::fault::Fault;
use super::line::{Line, get};
use super::{anchors, occupants};

/// Sites with those who are there; primary key, index device_site.
const SITE: &str =
    "SELECT s.value, ARRAY(SELECT d.id FROM device d WHERE d.site = s.id ORDER BY d.id) FROM site s";

/// Writes a site; see [`super::super::Change::PutSite`]. Devices that have left it name none, until another
/// site names them.
pub async fn put(line: &Line, site: &Site, said: u64, is_new: bool) -> Result<(), Fault> {
    let id = site.id.as_str();
    let written = line
        .change(
        "INSERT INTO site (id, farm, value, judged_at, due_at, said, sanctioned) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET farm = excluded.farm, value = excluded.value, judged_at = excluded.judged_at,
             due_at = excluded.due_at, said = excluded.said, sanctioned = excluded.sanctioned WHERE NOT $8",
        &[
            &id,
            &site.judged.farm,
            &json(&site.without_devices())?,
            &ms(site.updated_at),
            &ms(site.updated_at + SITE_WAIT),
            &said.cast_signed(),
            &site.sanctioned,
            &is_new,
        ],
    )
    .await?;
    if written == 0 {
        return Err(StoreError::Conflict(format!("there is a site {id} already")).into());
    }
    let now: Vec<&str> = site.devices.iter().map(DeviceId::as_str).collect();
    // index device_site, UNIQUE id; these rows are this transaction's since it began, see `change`
    let leave = "UPDATE device SET former_site = site, site = NULL WHERE site = $1 AND NOT id = ANY($2)";
    line.change(leave, &[&id, &now]).await?;
    let join = "UPDATE device SET site = $1 WHERE id = ANY($2) AND site IS DISTINCT FROM $1";
    line.change(join, &[&id, &now]).await?;
    Ok(())
}

/// A device comes to a site; see [`super::super::Change::Come`].
pub async fn come(line: &Line, device: &DeviceId, site: &SiteId) -> Result<(), Fault> {
    // primary key; nobody removes it before this transaction ends
    let there = "SELECT id FROM site WHERE id = $1 FOR KEY SHARE";
    if line.row(there, &[&site.as_str()]).await?.is_none() {
        return Err(StoreError::Conflict(format!("there is no site {site} any more")).into());
    }
    // UNIQUE id
    let join = "UPDATE device SET site = $2 WHERE id = $1";
    line.change(join, &[&device.as_str(), &site.as_str()]).await?;
    Ok(())
}

/// A device leaves its site; see [`super::super::Change::Leave`].
pub async fn leave(line: &Line, device: &DeviceId) -> Result<(), Fault> {
    // UNIQUE id
    let leave = "UPDATE device SET former_site = site, site = NULL WHERE id = $1";
    line.change(leave, &[&device.as_str()]).await?;
    Ok(())
}

/// Refuses where a device is no longer as it was seen; see [`super::super::Change::Stand`].
pub async fn stand(line: &Line, seen: &[Stood]) -> Result<(), Fault> {
    let ids: Vec<&str> = seen.iter().map(|stood| stood.device.as_str()).collect();
    let sites: Vec<Option<&str>> = seen.iter().map(|stood| stood.site.as_ref().map(SiteId::as_str)).collect();
    let (llrs, honest): (Vec<f64>, Vec<f64>) = seen.iter().map(|stood| (stood.llr, stood.honest_llr)).unzip();
    // UNIQUE id, then primary key; the devices' rows are this transaction's since it began, and who judges one takes them
    let query =
        "SELECT s.id FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[]) AS s (id, site, llr, honest_llr)
         LEFT JOIN device d ON d.id = s.id LEFT JOIN judged j ON j.device = d.number
         WHERE d.id IS NULL OR d.site IS DISTINCT FROM s.site OR coalesce(j.llr, 0) <> s.llr
             OR coalesce(j.honest_llr, 0) <> s.honest_llr LIMIT 1";
    let Some(row) = line.row(query, &[&ids, &sites, &llrs, &honest]).await? else { return Ok(()) };
    let device: &str = get(&row, 0)?;
    Err(StoreError::Conflict(format!("{device} was judged or moved meanwhile")).into())
}

/// Adds a step to a place's history.
pub async fn add_event(line: &Line, event: &SiteEvent) -> Result<(), Fault> {
    let statement = "INSERT INTO site_event (site, at, value) VALUES ($1, $2, $3)";
    line.change(statement, &[&event.site.as_str(), &ms(event.at), &json(&event.step)?]).await?;
    Ok(())
}

/// Deletes steps of before a time; how many. Index site_event_at.
pub async fn trim_events(line: &Line, before: Timestamp) -> Result<u64, Fault> {
    line.change("DELETE FROM site_event WHERE at < $1", &[&ms(before)]).await
}

/// Has a site judged again at a time; see [`super::super::Change::SiteDue`].
pub async fn due(line: &Line, id: &SiteId, at: Timestamp) -> Result<(), Fault> {
    // primary key
    let statement = "UPDATE site SET due_at = least(due_at, $2) WHERE id = $1";
    line.change(statement, &[&id.as_str(), &ms(at)]).await?;
    Ok(())
}

/// Removes a site; see [`super::super::Change::RemoveSite`].
pub async fn remove(line: &Line, id: &SiteId) -> Result<(), Fault> {
    line.change("DELETE FROM site WHERE id = $1", &[&id.as_str()]).await?;
    let leave = "UPDATE device SET former_site = site, site = NULL WHERE site = $1";
    line.change(leave, &[&id.as_str()]).await?;
    Ok(())
}

#[async_trait]
impl Sites for Postgres {
    async fn anchors_of(&self, device: &DeviceId) -> Result<Vec<AnchorSeen>> {
        Ok(anchors::shown_by(&self.line().await?, device).await?)
    }

    async fn devices_at(&self, anchors: &[Anchor], limit: u32) -> Result<Vec<Vec<DeviceId>>> {
        Ok(anchors::devices_at(&self.line().await?, anchors, limit).await?)
    }

    async fn occupants(&self, devices: &[DeviceId]) -> Result<Vec<Occupant>> {
        Ok(occupants::of(&self.line().await?, devices).await?)
    }

    async fn counts_at(&self, anchors: &[Anchor]) -> Result<Vec<u64>> {
        Ok(anchors::counts_at(&self.line().await?, anchors).await?)
    }

    async fn counts_in(&self, site: &SiteId, anchors: &[Anchor]) -> Result<Vec<u64>> {
        Ok(anchors::counts_in(&self.line().await?, site, anchors).await?)
    }

    async fn site_glance(&self, id: &SiteId) -> Result<Option<SiteGlance>> {
        let line = self.line().await?;
        // primary key, index device_site
        let query =
            "SELECT judged_at, due_at, said, farm, sanctioned, (SELECT count(*) FROM device WHERE site = $1)
             FROM site WHERE id = $1";
        let row = line.row(query, &[&id.as_str()]).await?;
        let Some(row) = row else { return Ok(None) };
        let (judged_at, due_at) = (time(get(&row, 0)?)?, time(get(&row, 1)?)?);
        let (said, size) = (get::<i64>(&row, 2)?.cast_unsigned(), uncount(get(&row, 5)?));
        let (farm, sanctioned) = (get(&row, 3)?, get(&row, 4)?);
        Ok(Some(SiteGlance { judged_at, due_at, size, said, farm, sanctioned }))
    }

    async fn site(&self, id: &SiteId) -> Result<Option<Site>> {
        let line = self.line().await?;
        let query = format!("{SITE} WHERE s.id = $1");
        let row = line.row(&query, &[&id.as_str()]).await?;
        row.as_ref().map(with_devices).transpose()
    }

    async fn former_site(&self, devices: &[DeviceId]) -> Result<Option<SiteId>> {
        let ids: Vec<&str> = devices.iter().map(DeviceId::as_str).collect();
        // devices by UNIQUE id, sites by primary key
        let query = "SELECT d.former_site FROM device d
             WHERE d.id = ANY($1) AND d.former_site IS NOT NULL AND NOT EXISTS (SELECT 1 FROM site WHERE id = d.former_site)
             GROUP BY d.former_site HAVING count(*) > 1 AND 2 * count(*) >= $2 ORDER BY count(*) DESC, d.former_site LIMIT 1";
        let row = self.line().await?.row(query, &[&ids, &count(ids.len() as u64)]).await?;
        row.map(|row| id(get(&row, 0)?)).transpose()
    }

    async fn site_count(&self) -> Result<u64> {
        let line = self.line().await?;
        let row = line.row("SELECT count(*) FROM site", &[]).await?;
        Ok(row.map(|row| get(&row, 0)).transpose()?.map_or(0, uncount))
    }

    async fn site_events(&self, id: &SiteId, limit: u32) -> Result<Vec<SiteEvent>> {
        let line = self.line().await?;
        // index site_event_site
        let query = "SELECT at, value FROM site_event WHERE site = $1 ORDER BY number LIMIT $2";
        let rows = line.rows(query, &[&id.as_str(), &i64::from(limit)]).await?;
        let event = |row| {
            let (at, step) = (time(get(row, 0)?)?, from_json(get::<&str>(row, 1)?)?);
            Ok(SiteEvent { site: id.clone(), at, step })
        };
        rows.iter().map(event).collect()
    }

    async fn sites(&self, page: &Page) -> Result<Vec<Site>> {
        let line = self.line().await?;
        let limit = i64::from(page.limit);
        // index site_farm
        let rows = match &page.after {
            None => line.rows(&format!("{SITE} ORDER BY s.farm DESC, s.id LIMIT $1"), &[&limit]).await?,
            Some(after) => {
                let query = format!(
                    "{SITE} WHERE (-s.farm, s.id) > (SELECT -farm, id FROM site WHERE id = $1)
                     ORDER BY s.farm DESC, s.id LIMIT $2"
                );
                line.rows(&query, &[&plain(after), &limit]).await?
            }
        };
        rows.iter().map(with_devices).collect()
    }
}

/// A site with those who are there; see [`SITE`].
fn with_devices(row: &Row) -> Result<Site> {
    let mut site: Site = from_json(get::<&str>(row, 0)?)?;
    site.devices = get::<Vec<String>>(row, 1)?.into_iter().map(id).collect::<Result<_>>()?;
    Ok(site)
}
