//! What a judgement ends in: many writes, one transaction.

use rusqlite::{Connection, OptionalExtension as _};

use farmwatch_shared::id::DeviceId;

use super::super::{Change, Result, StoreError};
use super::writer::Hand;
use super::{alerts, anchors, audit, devices, orders, sites, work};

/// Applies one change.
pub fn apply(hand: &mut Hand, change: &Change) -> Result<()> {
    let conn = &hand.conn;
    match change {
        Change::Judged(device, judged) => devices::put_judged(conn, number(hand, device)?, judged),
        Change::Anchors(device, seen) => anchors::put(conn, number(hand, device)?, seen),
        Change::SeenAgain(device, at) => anchors::see_again(conn, number(hand, device)?, *at),
        Change::Stand(seen) => sites::stand(conn, seen),
        Change::NoMoreThan(seen) => anchors::no_more_than(conn, seen),
        Change::PutSite(site, said) => sites::put(conn, site, *said, false),
        Change::NewSite(site, said) => sites::put(conn, site, *said, true),
        Change::RemoveSite(id) => sites::remove(conn, id),
        Change::Come(device, site) => sites::come(conn, device, site),
        Change::Leave(device) => sites::leave(conn, device),
        Change::SiteEvent(event) => sites::add_event(conn, event),
        Change::SiteDue(id, at) => sites::due(conn, id, *at),
        Change::PutAlert(alert) => alerts::put(conn, alert),
        Change::AlertEvent(event) => alerts::add_event(conn, event),
        Change::PutOrder(order) => orders::put(conn, order),
        Change::Audit(entry) => audit::add(conn, entry),
        Change::Below { most, action, actors, since } => {
            let counts = actors.iter().map(|actor| audit::count(conn, action, actor, *since));
            let count: u64 = counts.sum::<Result<u64>>()?;
            if count < *most {
                return Ok(());
            }
            Err(StoreError::Conflict(format!("{count} times {action} since {since}: the cap is {most}")))
        }
        Change::Done(taken) => work::done(conn, number(hand, &taken.device)?, taken),
    }
}

/// A device's number; without such a device, what was asked cannot be.
pub fn number(hand: &Hand, device: &DeviceId) -> Result<i64> {
    let known = hand.heads.number(device);
    let number = if known.is_some() { known } else { find(&hand.conn, device)? };
    number.ok_or_else(|| StoreError::Conflict(format!("there is no device {device}")))
}

/// A device's number, if it is there.
pub fn find(conn: &Connection, device: &DeviceId) -> Result<Option<i64>> {
    let mut statement = conn.prepare_cached("SELECT number FROM device WHERE id = ?1")?;
    Ok(statement.query_row([device.as_str()], |row| row.get(0)).optional()?)
}
