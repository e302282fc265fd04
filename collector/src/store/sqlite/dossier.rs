//! What a device is judged by, in one go on one connection.

use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;
use rusqlite::Connection;

use super::super::dossier::{AUDIT, OPEN};
use super::super::{Dossier, Dossiers, Result};
use super::{Sqlite, alerts, anchors, audit, change, context, devices, facts, reports};

#[async_trait]
impl Dossiers for Sqlite {
    async fn dossier(&self, device: &DeviceId, since: Timestamp) -> Result<Option<Dossier>> {
        let id = device.clone();
        self.read(move |conn| dossier(conn, &id, since)).await
    }
}

fn dossier(conn: &Connection, id: &DeviceId, since: Timestamp) -> Result<Option<Dossier>> {
    let Some(number) = change::find(conn, id)? else { return Ok(None) };
    let Some(device) = devices::one(conn, id)? else { return Ok(None) };
    let asset = match &device.serial {
        Some(serial) => context::asset(conn, serial)?,
        None => None,
    };
    Ok(Some(Dossier {
        state: facts::state(conn, number)?,
        anchors: anchors::of(conn, number)?,
        min_rtt_ms: reports::min_rtt_ms(conn, number, since)?,
        audit: audit::about(conn, Some(id.as_str()), i64::MAX, AUDIT)?,
        open: alerts::open_of(conn, id, OPEN)?,
        asset,
        device,
    }))
}
