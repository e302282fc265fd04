//! Isolation and release by people.

use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::connectors::{BuiltIn, Connector as _, Wanted};
use crate::app::App;
use crate::store::{
    AlertEvent, AlertFilter, AlertState, Change, NewAudit, Page, Standing, StoreError, StoredOrder,
};

/// The audit's word for an isolation.
pub(super) const ISOLATE: &str = "isolate";
/// Longest isolation that one order may ask for.
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Why an order was not given.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// No such device.
    #[error("there is no device {0}; `farmwatch-collector devices list` shows those there are")]
    Unknown(DeviceId),
    /// No reason.
    #[error("say why: the reason stands in the audit and on the laptop")]
    NoReason,
    /// Its certificates are void, so it cannot fetch orders.
    #[error("{0} is revoked: it cannot fetch orders any more; cut it off by other means")]
    Revoked(DeviceId),
    /// An end that is past, or too far.
    #[error("the isolation would end at {0}; it should end between now and 30 days from now")]
    BadEnd(Timestamp),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The order could not be drawn up.
    #[error("the order cannot be signed: {0}")]
    Order(String),
}

/// Orders a device's isolation: signed, audited, told on its open alerts. `until` is policy's expiry if it is
/// not given. The laptop is isolated when it says so; see [`super::status`].
pub async fn isolate(
    app: &App,
    device: &DeviceId,
    reason: &str,
    actor: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<StoredOrder, QuarantineError> {
    let expiry = SignedDuration::from_hours(i64::from(app.policy.quarantine.expiry_hours));
    let until = until.unwrap_or(now + expiry);
    if until <= now || until > now + LONGEST {
        return Err(QuarantineError::BadEnd(until));
    }
    let what = format!("isolation until {} ordered", until.strftime("%Y-%m-%d %H:%M UTC"));
    give(app, device, &Wanted::Isolated { until }, reason, actor, (ISOLATE, &what), None, now).await
}

/// Orders a device's isolation for as long as policy says, unless `below` refuses it within the transaction.
pub(super) async fn isolate_within(
    app: &App,
    device: &DeviceId,
    reason: &str,
    actor: &str,
    below: Change,
    now: Timestamp,
) -> Result<StoredOrder, QuarantineError> {
    let until = now + SignedDuration::from_hours(i64::from(app.policy.quarantine.expiry_hours));
    let what = format!("isolation until {} ordered", until.strftime("%Y-%m-%d %H:%M UTC"));
    give(app, device, &Wanted::Isolated { until }, reason, actor, (ISOLATE, &what), Some(below), now).await
}

/// Orders a device's release: signed, audited, told on its open alerts.
pub async fn release(
    app: &App,
    device: &DeviceId,
    reason: &str,
    actor: &str,
    now: Timestamp,
) -> Result<StoredOrder, QuarantineError> {
    give(app, device, &Wanted::Released, reason, actor, ("release", "release ordered"), None, now).await
}

#[allow(clippy::too_many_arguments, reason = "an order is all of these")]
async fn give(
    app: &App,
    device: &DeviceId,
    wanted: &Wanted,
    reason: &str,
    actor: &str,
    (action, what): (&str, &str),
    below: Option<Change>,
    now: Timestamp,
) -> Result<StoredOrder, QuarantineError> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(QuarantineError::NoReason);
    }
    let known = app.store.device(device).await?.ok_or_else(|| QuarantineError::Unknown(device.clone()))?;
    if known.standing == Standing::Revoked {
        return Err(QuarantineError::Revoked(device.clone()));
    }
    let order = BuiltIn
        .order(app, device, wanted, reason, actor, now)
        .await
        .map_err(|error| QuarantineError::Order(format!("{error:#}")))?;
    let mut changes: Vec<Change> = below.into_iter().collect();
    changes.extend([
        Change::PutOrder(Box::new(order.clone())),
        Change::Audit(NewAudit {
            at: now,
            actor: actor.to_owned(),
            action: action.to_owned(),
            object: device.to_string(),
            why: format!(
                "{what} by the {} connector ({}): {reason}",
                BuiltIn.name(),
                order.sealed.content.id
            ),
        }),
    ]);
    let open = AlertFilter {
        device: Some(device.clone()),
        states: vec![AlertState::New, AlertState::InProgress],
        absorbed: true,
        ..AlertFilter::default()
    };
    for alert in app.store.alerts(&open, &Page::first(100)).await? {
        changes.push(Change::AlertEvent(AlertEvent {
            alert: alert.id,
            at: now,
            actor: actor.to_owned(),
            what: format!("{device}: {what}: {reason}"),
        }));
    }
    app.store.apply(changes).await?;
    tracing::info!(%device, %actor, action, "order given");
    Ok(order)
}
