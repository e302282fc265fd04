//! What Farmwatch decides about the laptops of an alert, as writes: the decision itself is in
//! [`super::decision`], here is what it rests on and what follows.

use std::collections::BTreeSet;

use farmwatch_shared::facts::Isolation;
use farmwatch_shared::id::{AlertId, DeviceId};
use farmwatch_shared::order::OrderKind;
use farmwatch_shared::state::FactKey;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize as _;

use super::belief::belief;
use super::connectors::{BuiltIn, Connector as _, Wanted};
use super::decision::{Case, Decision, Refused, decide};
use crate::alerts::FARMWATCH;
use crate::app::App;
use crate::policy::{QuarantineMode, QuarantinePolicy};
use crate::store::{
    Alert, AlertEvent, AlertKind, AlertState, AnchorSeen, Asset, AuditEntry, Change, Device, NewAudit, Page,
    Result, Site, StoredOrder,
};

/// The audit's word for what was decided.
const DECISION: &str = "quarantine_decision";
/// The decision of a dry run to isolate: counted, as isolations are.
const WOULD_ISOLATE: &str = "quarantine_would_isolate";
/// The audit's word for an isolation.
const ISOLATE: &str = "isolate";
/// What a person has released stays with people for so long.
const RELEASE_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Entries of a laptop's audit that are read, for what was decided of it last.
const LATELY: u32 = 50;

/// What one transaction isolates, so that two alerts in it do not isolate one laptop twice or pass the cap.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    isolated: BTreeSet<DeviceId>,
}

/// The writes that follow from an alert as it will be written: decisions for the audit where they changed, and
/// orders where the decision is to isolate. `site` is the alert's, where it has one.
pub async fn consider(
    app: &App,
    alert: &Alert,
    site: Option<&Site>,
    batch: &mut Batch,
    now: Timestamp,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    if app.policy.quarantine.mode == QuarantineMode::Off {
        return Ok(changes);
    }
    for device in &alert.devices {
        let Some(device) = app.store.device(device).await? else { continue };
        let lately = app.store.audit_entries(Some(device.id.as_str()), &Page::first(LATELY)).await?;
        let would_be = would_be(&app.policy.quarantine, &lately, now);
        let (decision, _) = decided(app, alert, site, &device, (batch, would_be), now).await?;
        let why = decision.why(&app.policy.quarantine);
        let said_already = would_be && decision == Decision::Refused(Refused::AlreadyIsolated);
        if said_already || !is_news(&lately, &alert.id, &why) {
            continue;
        }
        let action = if decision == Decision::DryRun { WOULD_ISOLATE } else { DECISION };
        changes.push(audit(&device.id, action, format!("{why} ({})", alert.id), now));
        match decision {
            Decision::DryRun => drop(batch.isolated.insert(device.id.clone())),
            Decision::Auto => {
                changes.extend(isolation(app, alert, &device.id, now).await?);
                batch.isolated.insert(device.id.clone());
            }
            Decision::Ask => {
                let what = format!("proposes to isolate {}: a person decides", device.id);
                changes.push(step(&alert.id, what, now));
            }
            _ => {}
        }
    }
    Ok(changes)
}

/// The laptops of an alert that Farmwatch proposes to isolate, where policy is to ask.
pub async fn proposals(app: &App, alert: &Alert, now: Timestamp) -> anyhow::Result<Vec<DeviceId>> {
    if app.policy.quarantine.mode != QuarantineMode::Ask {
        return Ok(Vec::new());
    }
    let site = match &alert.site {
        Some(site) => app.store.site(site).await?,
        None => None,
    };
    let mut proposed = Vec::new();
    for device in &alert.devices {
        let Some(device) = app.store.device(device).await? else { continue };
        let (decision, _) =
            decided(app, alert, site.as_ref(), &device, (&Batch::default(), false), now).await?;
        if decision == Decision::Ask {
            proposed.push(device.id);
        }
    }
    Ok(proposed)
}

async fn decided(
    app: &App,
    alert: &Alert,
    site: Option<&Site>,
    device: &Device,
    (batch, would_be): (&Batch, bool),
    now: Timestamp,
) -> Result<(Decision, Vec<StoredOrder>)> {
    let policy = &app.policy.quarantine;
    let probability = match alert.kind {
        AlertKind::Policy => None,
        AlertKind::Device => alert.posterior,
        AlertKind::Site => site.and_then(|site| site.judged.devices.get(&device.id).copied()),
    };
    let asset = app.store.asset_of(device).await?;
    let orders = app.store.orders(&device.id, 20).await?;
    let says = app.store.fact(&device.id, &FactKey::of::<Isolation>("self")).await?;
    let says = says.and_then(|says| Isolation::deserialize(says).ok());
    let believed = belief(&orders, says.as_ref(), now);
    let in_last_hour = match policy.mode {
        QuarantineMode::Auto => app.store.audit_count(ISOLATE, FARMWATCH, now - HOUR).await?,
        QuarantineMode::DryRun => app.store.audit_count(WOULD_ISOLATE, FARMWATCH, now - HOUR).await?,
        _ => 0,
    };
    let case = Case {
        policy,
        learning: app.policy.learning,
        kind: alert.kind,
        open: alert.state != AlertState::Resolved,
        probability,
        sanctioned: site.is_some_and(|site| site.sanctioned.is_some()),
        apart: match (alert.kind, site) {
            (AlertKind::Site, Some(site)) => !stands_in(app, &device.id, site).await?,
            _ => false,
        },
        exempt: is_exempt(&policy.exempt, device, asset.as_ref()),
        isolated: believed.stage.is_isolation() || batch.isolated.contains(&device.id) || would_be,
        released_by_person: released_by_person(&orders, now),
        had_its_time: had_its_time(&orders, &alert.id),
        in_last_hour: in_last_hour + batch.isolated.len() as u64,
    };
    Ok((decide(&case), orders))
}

/// In a dry run: it would be isolated by now, for as long as isolations last.
fn would_be(policy: &QuarantinePolicy, audit: &[AuditEntry], now: Timestamp) -> bool {
    let since = now - SignedDuration::from_hours(i64::from(policy.expiry_hours));
    let would = |entry: &NewAudit| entry.action == WOULD_ISOLATE && entry.at > since;
    policy.mode == QuarantineMode::DryRun && audit.iter().any(|entry| would(&entry.entry))
}

/// It shows now what at least two of a site show and what says where they stand.
async fn stands_in(app: &App, device: &DeviceId, site: &Site) -> Result<bool> {
    let shown = app.store.anchors_of(device).await?;
    let here = |seen: &AnchorSeen| {
        seen.current && seen.anchor.kind.says_where() && site.anchors.contains(&seen.anchor)
    };
    Ok(shown.iter().any(here))
}

/// Device id, serial number or user stands on the list; letters' case does not matter.
pub(super) fn is_exempt(exempt: &[String], device: &Device, asset: Option<&Asset>) -> bool {
    let names = [Some(device.id.as_str()), device.serial.as_deref(), asset.map(|a| a.user.as_str())];
    let names = names.into_iter().flatten().map(str::trim).filter(|name| !name.is_empty());
    names.into_iter().any(|name| exempt.iter().any(|listed| listed.trim().eq_ignore_ascii_case(name)))
}

fn released_by_person(orders: &[StoredOrder], now: Timestamp) -> bool {
    orders.iter().any(|order| {
        matches!(order.sealed.content.kind, OrderKind::Release { .. })
            && order.actor != FARMWATCH
            && order.sealed.content.issued_at + RELEASE_HOLDS > now
    })
}

fn had_its_time(orders: &[StoredOrder], alert: &AlertId) -> bool {
    orders.iter().any(|order| match &order.sealed.content.kind {
        OrderKind::Isolate { reason, .. } => order.actor == FARMWATCH && reason.contains(alert.as_str()),
        _ => false,
    })
}

/// The last decision about this laptop and this alert in its audit reads otherwise, or there is none.
fn is_news(audit: &[AuditEntry], alert: &AlertId, why: &str) -> bool {
    let decides = |entry: &&NewAudit| [DECISION, WOULD_ISOLATE].contains(&&*entry.action);
    let mut decisions = audit.iter().map(|e| &e.entry).filter(decides);
    let last = decisions.find(|entry| entry.why.contains(alert.as_str()));
    last.is_none_or(|last| last.why != format!("{why} ({alert})"))
}

async fn isolation(
    app: &App,
    alert: &Alert,
    device: &DeviceId,
    now: Timestamp,
) -> anyhow::Result<Vec<Change>> {
    let hours = app.policy.quarantine.expiry_hours;
    let until = now + SignedDuration::from_hours(i64::from(hours));
    let reason = format!("{} ({})", alert.title, alert.id);
    let order = BuiltIn.order(app, device, &Wanted::Isolated { until }, &reason, FARMWATCH, now).await?;
    let what = format!("isolation for {hours} hours ordered by the {} connector", BuiltIn.name());
    // Counted once more when it is written: another collector may have isolated meanwhile. Then all is decided anew.
    let most = u64::from(app.policy.quarantine.cap_per_hour);
    Ok(vec![
        Change::Below { most, action: ISOLATE, actors: vec![FARMWATCH.to_owned()], since: now - HOUR },
        audit(device, ISOLATE, format!("{what} ({}): {reason}", order.sealed.content.id), now),
        step(&alert.id, format!("{device}: {what}"), now),
        Change::PutOrder(Box::new(order)),
    ])
}

fn audit(device: &DeviceId, action: &str, why: String, at: Timestamp) -> Change {
    Change::Audit(NewAudit {
        at,
        actor: FARMWATCH.to_owned(),
        action: action.to_owned(),
        object: device.to_string(),
        why,
    })
}

fn step(alert: &AlertId, what: String, at: Timestamp) -> Change {
    Change::AlertEvent(AlertEvent { alert: alert.clone(), at, actor: FARMWATCH.to_owned(), what })
}
