use jiff::{SignedDuration, Timestamp};

use crate::alerts::{policy, report};
use crate::app::App;
use crate::store::{Alert, DeviceFilter, Page, Standing};

/// Devices looked at in one step.
const STEP: u32 = 500;

/// Raises a policy alert for each agent that has been silent for longer than policy allows; gives those that are
/// new or changed.
pub async fn check_silence(app: &App, now: Timestamp) -> anyhow::Result<Vec<Alert>> {
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
        match devices.last() {
            Some(last) if devices.len() == STEP as usize => page.after = Some(last.id.to_string()),
            _ => return Ok(told),
        }
    }
}
