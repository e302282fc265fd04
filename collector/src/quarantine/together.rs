//! Isolation of all laptops of an alert by a person: one decision, and for each laptop its own audited order.
//!
//! It is easily done and hits many, so the guardrails of automatic isolation hold for it: exempt laptops are spared,
//! and so are those above the cap, which a person can still isolate one by one.

use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::consider::is_exempt;
use super::people::{ISOLATE, QuarantineError, isolate_within};
use super::status;
use crate::alerts::FARMWATCH;
use crate::app::App;
use crate::store::{Alert, Change, Device, Result, Standing, StoreError};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A laptop of the alert, and why it would be spared, if so.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The laptop.
    pub device: Device,
    /// Why it is left as it is; `None` if it is to be isolated.
    pub spared: Option<String>,
}

/// What became of a laptop.
#[derive(Clone, Debug)]
pub struct Isolated {
    /// The laptop.
    pub device: Device,
    /// Why it was left as it is; `None` if its isolation is ordered.
    pub spared: Option<String>,
}

/// What isolating all laptops of an alert would do now.
pub async fn plan(app: &App, alert: &Alert, actor: &str, now: Timestamp) -> Result<Vec<Planned>> {
    let mut lately = 0;
    for who in [actor, FARMWATCH] {
        lately += app.store.audit_count(ISOLATE, who, now - HOUR).await?;
    }
    let mut left = u64::from(app.policy.quarantine.cap_per_hour).saturating_sub(lately);
    let mut planned = Vec::new();
    for id in &alert.devices {
        let Some(device) = app.store.device(id).await? else { continue };
        let mut spared = spared(app, &device, now).await?;
        if spared.is_none() {
            match left.checked_sub(1) {
                Some(fewer) => left = fewer,
                None => spared = Some(above_cap(app)),
            }
        }
        planned.push(Planned { device, spared });
    }
    Ok(planned)
}

/// Isolates all laptops of an alert that are not spared. Where the store fails, those that were ordered stay so.
pub async fn isolate_all(
    app: &App,
    alert: &Alert,
    reason: &str,
    actor: &str,
    now: Timestamp,
) -> std::result::Result<Vec<Isolated>, QuarantineError> {
    if reason.trim().is_empty() {
        return Err(QuarantineError::NoReason);
    }
    let reason = format!("{} ({})", reason.trim(), alert.id);
    let mut all = Vec::new();
    for Planned { device, mut spared } in plan(app, alert, actor, now).await? {
        if spared.is_none() {
            spared = match within_cap(app, &device.id, &reason, actor, now).await {
                Ok(()) => None,
                Err(QuarantineError::Store(StoreError::Conflict(_))) => Some(above_cap(app)),
                Err(QuarantineError::Store(error)) => return Err(error.into()),
                Err(error) => Some(error.to_string()),
            };
        }
        all.push(Isolated { device, spared });
    }
    Ok(all)
}

async fn within_cap(
    app: &App,
    device: &DeviceId,
    reason: &str,
    actor: &str,
    now: Timestamp,
) -> std::result::Result<(), QuarantineError> {
    let below = Change::Below {
        most: u64::from(app.policy.quarantine.cap_per_hour),
        action: ISOLATE,
        actors: vec![actor.to_owned(), FARMWATCH.to_owned()],
        since: now - HOUR,
    };
    isolate_within(app, device, reason, actor, below, now).await.map(drop)
}

async fn spared(app: &App, device: &Device, now: Timestamp) -> Result<Option<String>> {
    if device.standing == Standing::Revoked {
        return Ok(Some("it is revoked and cannot fetch orders".into()));
    }
    let asset = app.store.asset_of(device).await?;
    if is_exempt(&app.policy.quarantine.exempt, device, asset.as_ref()) {
        return Ok(Some("the policy exempts it".into()));
    }
    let believed = status(app, &device.id, now).await?;
    Ok(believed.stage.is_isolation().then(|| format!("it is {} already", believed.stage.label())))
}

fn above_cap(app: &App) -> String {
    format!("the cap of {} in an hour is reached", app.policy.quarantine.cap_per_hour)
}
