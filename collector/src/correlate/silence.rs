use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::look_back;
use super::prevalence::is_suspect;
use crate::alerts::fleet::{self, MANY};
use crate::alerts::{fleet_silence, life, policy, report};
use crate::app::App;
use crate::store::{Alert, AlertState, Device, DeviceFilter, Page, Result, Standing, StoreError};

/// Devices looked at in one step.
const STEP: u32 = 500;
/// Most laptops that an alert about many names.
const NAMED: usize = 50;

/// Looks for agents that are silent: those that were not heard for so long that nobody knows where they are leave their
/// sites, and those that are silent for longer than policy allows raise policy alerts: one for all where there are many, and
/// one for each that is suspected. Gives those that are new or changed.
pub async fn check_silence(app: &App, now: Timestamp) -> anyhow::Result<Vec<Alert>> {
    leave_their_sites(app, now).await?;
    let hours = app.policy.silent_after_hours;
    if hours == 0 {
        return Ok(Vec::new());
    }
    let silent = silent(app, now - SignedDuration::from_hours(i64::from(hours)), now).await?;
    let mut told = Vec::new();
    let of_all = of_all(app, &silent, hours, now, &mut told).await?;
    for Silent { device, suspect } in &silent {
        let mut draft = policy::silence(device, hours);
        if let Some(of_all) = of_all.as_ref().filter(|_| !suspect) {
            // Of so many one more is no news.
            let own = app.store.alert_by_key(&draft.key).await?;
            let Some(own) = own.filter(|own| own.state != AlertState::Resolved && own.assignee.is_none())
            else {
                continue;
            };
            let open = of_all.state != AlertState::Resolved;
            draft.absorbed_by = own.absorbed_by.or_else(|| open.then(|| of_all.id.clone()));
        }
        told.extend(report::raise(app, draft, now).await?);
    }
    Ok(told)
}

/// An agent that is silent.
struct Silent {
    device: Device,
    /// Its laptop is under suspicion, by itself or with its place.
    suspect: bool,
}

/// Who stands somewhere though nobody has heard it for weeks is judged, and leaves.
async fn leave_their_sites(app: &App, now: Timestamp) -> Result<()> {
    let away = DeviceFilter { silent_since: Some(look_back(now)), ..DeviceFilter::default() };
    let mut page = Page::first(STEP);
    loop {
        let devices = app.store.devices(&away, &page).await?;
        let placed = devices.iter().filter(|device| device.site.is_some());
        let placed: Vec<DeviceId> = placed.map(|device| device.id.clone()).collect();
        if !placed.is_empty() {
            app.store.queue(&placed, now).await?;
        }
        if !page.turn(&devices, |device| device.id.to_string()) {
            return Ok(());
        }
    }
}

/// Agents that were not heard since, of laptops that no exception covers.
async fn silent(app: &App, since: Timestamp, now: Timestamp) -> Result<Vec<Silent>> {
    let exceptions = app.store.exceptions(now).await?;
    let covered = |device: &Device| exceptions.iter().any(|exception| exception.covers(&device.id));
    let filter = DeviceFilter { silent_since: Some(since), ..DeviceFilter::default() };
    let (mut page, mut all) = (Page::first(STEP), Vec::new());
    loop {
        let devices = app.store.devices(&filter, &page).await?;
        let more = page.turn(&devices, |device| device.id.to_string());
        for device in devices {
            if device.standing == Standing::Revoked || covered(&device) {
                continue;
            }
            let site = match &device.site {
                Some(site) => app.store.site_glance(site).await?,
                None => None,
            };
            let judged = device.judged.clone().unwrap_or_default();
            all.push(Silent { suspect: is_suspect(&judged, site.as_ref()), device });
        }
        if !more {
            return Ok(all);
        }
    }
}

/// The alert about all of them, where they are many: raised, or brought up to date. What many were is so until half of them
/// are heard.
async fn of_all(
    app: &App,
    silent: &[Silent],
    hours: u32,
    now: Timestamp,
    told: &mut Vec<Alert>,
) -> anyhow::Result<Option<Alert>> {
    let existing = app.store.alert_by_key(fleet_silence::KEY).await?;
    let count = silent.iter().filter(|one| !one.suspect).count() as u64;
    if count < MANY / 2 {
        let what = ("Most are heard again since ", "most of them are heard again");
        if let Some(heard) = existing.and_then(|alert| life::over(&alert, what, now)) {
            match app.store.apply(heard.changes()).await {
                // Somebody else was faster; the next look will do.
                Err(StoreError::Conflict(_)) => {}
                done => done?,
            }
        }
        return Ok(None);
    }
    // One that is over stands for nobody.
    if count < MANY {
        return Ok(existing.filter(|alert| !alert.evidence.is_empty()));
    }
    if existing
        .as_ref()
        .is_some_and(|alert| !life::is_news(alert, &fleet::pieces(fleet_silence::KEY, count, "")))
    {
        return Ok(existing);
    }
    let listed = silent.iter().filter(|one| !one.suspect).take(NAMED).map(|one| one.device.id.clone());
    let draft = fleet_silence::draft(count, hours, listed.collect());
    told.extend(report::raise(app, draft, now).await?);
    Ok(app.store.alert_by_key(fleet_silence::KEY).await?)
}

#[cfg(test)]
#[path = "silence_tests.rs"]
mod tests;
