//! What a judgement ends in: many writes, one transaction.

use farmwatch_shared::id::{DeviceId, SiteId};

use super::super::{Change, Result, StoreError};
use super::fault::Fault;
use super::line::Line;
use super::{Postgres, again, alerts, anchors, audit, devices, locks, orders, sites, work};

impl Postgres {
    /// Applies changes in one transaction; anew where another transaction was in the way.
    pub(super) async fn apply_changes(&self, changes: Vec<Change>) -> Result<()> {
        again(|| self.apply_once(&changes)).await
    }

    async fn apply_once(&self, changes: &[Change]) -> Result<(), Fault> {
        let mut line = self.line().await?;
        line.begin().await?;
        let applied = apply_all(&line, changes).await;
        line.end(applied).await
    }
}

async fn apply_all(line: &Line, changes: &[Change]) -> Result<(), Fault> {
    if changes.iter().all(|change| matches!(change, Change::Done(_))) {
        // A power cut may undo it: the device is judged once more, and nothing comes of it.
        line.say("SET LOCAL synchronous_commit = off").await?;
    }
    lock(line, changes).await?;
    for change in changes {
        apply(line, change).await?;
    }
    Ok(())
}

/// Takes what several transactions want at the same time, all of it at once and in one order, so that none waits for
/// another in a ring.
async fn lock(line: &Line, changes: &[Change]) -> Result<(), Fault> {
    let (mut ids, mut places): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut in_order = false;
    for change in changes {
        match change {
            Change::Anchors(device, _)
            | Change::SeenAgain(device, _)
            | Change::Judged(device, _)
            | Change::Come(device, _)
            | Change::Leave(device) => ids.push(device.as_str()),
            Change::Stand(seen) => ids.extend(seen.iter().map(|stood| stood.device.as_str())),
            Change::PutSite(site, _) | Change::NewSite(site, _) => {
                ids.extend(site.devices.iter().map(DeviceId::as_str));
                places.push(site.id.as_str());
            }
            Change::RemoveSite(id) => places.push(SiteId::as_str(id)),
            Change::Audit(_) | Change::Below { .. } | Change::PutOrder(_) => in_order = true,
            Change::SiteDue(..)
            | Change::SiteEvent(_)
            | Change::NoMoreThan(_)
            | Change::PutAlert(_)
            | Change::AlertEvent(_)
            | Change::Done(_) => {}
        }
    }
    if !ids.is_empty() || !places.is_empty() {
        // UNIQUE id, index device_site
        let query = "SELECT number FROM device WHERE id = ANY($1) OR site = ANY($2) ORDER BY number FOR NO KEY UPDATE";
        line.rows(query, &[&ids, &places]).await?;
    }
    if in_order {
        locks::hold(line, locks::IN_ORDER).await?;
    }
    Ok(())
}

async fn apply(line: &Line, change: &Change) -> Result<(), Fault> {
    match change {
        Change::Judged(device, judged) => {
            let number = devices::number(line, device).await?;
            devices::put_judged(line, number, judged).await
        }
        Change::Anchors(device, seen) => anchors::put(line, devices::number(line, device).await?, seen).await,
        Change::SeenAgain(device, at) => {
            anchors::see_again(line, devices::number(line, device).await?, *at).await
        }
        Change::Stand(seen) => sites::stand(line, seen).await,
        Change::NoMoreThan(seen) => anchors::no_more_than(line, seen).await,
        Change::PutSite(site, said) => sites::put(line, site, *said, false).await,
        Change::NewSite(site, said) => sites::put(line, site, *said, true).await,
        Change::RemoveSite(id) => sites::remove(line, id).await,
        Change::Come(device, site) => sites::come(line, device, site).await,
        Change::Leave(device) => sites::leave(line, device).await,
        Change::SiteEvent(event) => sites::add_event(line, event).await,
        Change::SiteDue(id, at) => sites::due(line, id, *at).await,
        Change::PutAlert(alert) => alerts::put(line, alert).await,
        Change::AlertEvent(event) => alerts::add_event(line, event).await,
        Change::PutOrder(order) => orders::put(line, order).await,
        Change::Audit(entry) => audit::add(line, entry).await,
        Change::Below { most, action, actors, since } => {
            let count = audit::count(line, action, actors, *since).await?;
            if count < *most {
                return Ok(());
            }
            let why = format!("{count} times {action} since {since}: the cap is {most}");
            Err(StoreError::Conflict(why).into())
        }
        Change::Done(taken) => work::done(line, devices::number(line, &taken.device).await?, taken).await,
    }
}
