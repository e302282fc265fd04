use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::look_back;
use crate::alerts::{policy, report};
use crate::app::App;
use crate::store::{Alert, DeviceFilter, Page, Standing};

/// Devices looked at in one step.
const STEP: u32 = 500;

/// Looks for agents that are silent: those that were not heard for so long that nobody knows where they are leave their
/// sites, and for each that is silent for longer than policy allows a policy alert is raised. Gives those that are new or
/// changed.
pub async fn check_silence(app: &App, now: Timestamp) -> anyhow::Result<Vec<Alert>> {
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
            break;
        }
    }
    let hours = app.policy.silent_after_hours;
    if hours == 0 {
        return Ok(Vec::new());
    }
    let silent_since = now - SignedDuration::from_hours(i64::from(hours));
    let filter = DeviceFilter { silent_since: Some(silent_since), ..DeviceFilter::default() };
    let (mut page, mut told) = (Page::first(STEP), Vec::new());
    loop {
        let devices = app.store.devices(&filter, &page).await?;
        for device in devices.iter().filter(|device| device.standing != Standing::Revoked) {
            told.extend(report::raise(app, policy::silence(device, hours), now).await?);
        }
        if !page.turn(&devices, |device| device.id.to_string()) {
            return Ok(told);
        }
    }
}
