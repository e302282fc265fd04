//! Alerts that other parts of the collector ask for.

use farmwatch_shared::id::{AlertId, DeviceId};
use jiff::Timestamp;

use super::life::{Piece, bring};
use super::{Draft, learning, policy};
use crate::app::App;
use crate::store::{Alert, Change, StoreError};

/// Times that a write is tried when somebody else was faster.
const TRIES: usize = 4;

/// Raises the alert that two machines use one device's name, at once. `what` says which, in a sentence with the
/// facts that do not fit. What stands in the audit as a `conflict` raises it too, when the device is judged.
pub async fn conflict(app: &App, device: &DeviceId, what: &str, now: Timestamp) -> anyhow::Result<()> {
    let Some(device) = app.store.device(device).await? else { return Ok(()) };
    let piece = Piece { id: format!("conflict: {what}"), why: what.to_owned() };
    raise(app, policy::conflict(&device, what, &[piece]), now).await?;
    Ok(())
}

/// Raises or updates the alert of a draft, on its own; counts it in learning mode; leaves it where an exception
/// covers its device. Gives the alert if that is worth telling.
pub(crate) async fn raise(app: &App, draft: Draft, now: Timestamp) -> anyhow::Result<Option<Alert>> {
    if app.policy.learning {
        learning::count(app, &draft).await?;
        return Ok(None);
    }
    let exceptions = app.store.exceptions(now).await?;
    if draft.devices.iter().any(|device| exceptions.iter().any(|exception| exception.covers(device))) {
        return Ok(None);
    }
    for _ in 0..TRIES {
        let existing = app.store.alert_by_key(&draft.key).await?;
        let Some(written) = bring(existing.as_ref(), draft.clone(), new_id(app, now), now) else {
            return Ok(None);
        };
        let told = written.material.then(|| written.alert.clone());
        let changes: Vec<Change> = written.changes();
        match app.store.apply(changes).await {
            Err(StoreError::Conflict(_)) => {}
            done => return Ok(done.map(|()| told)?),
        }
    }
    anyhow::bail!(
        "the alert {} changes faster than it can be written; it is raised at the next occasion",
        draft.key
    )
}

/// An id for a new alert.
pub(crate) fn new_id(app: &App, now: Timestamp) -> AlertId {
    AlertId::new(u64::try_from(now.as_millisecond()).unwrap_or(0), (app.draw)())
}
