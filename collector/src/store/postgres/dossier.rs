//! What a device is judged by, asked for at once: one way to the server and back for most of it.

use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use futures_util::try_join;
use jiff::Timestamp;

use super::super::dossier::{AUDIT, OPEN};
use super::super::{AlertFilter, Dossier, Dossiers, Page, Result};
use super::{Postgres, alerts, anchors, audit, context, devices, reports};

#[async_trait]
impl Dossiers for Postgres {
    async fn dossier(&self, device: &DeviceId, since: Timestamp) -> Result<Option<Dossier>> {
        let line = self.line().await?;
        let (open, page) = (AlertFilter::open_of(device), Page::first(OPEN));
        let (known, state, anchors, min_rtt_ms, audit, open) = try_join!(
            devices::one(&line, device),
            reports::state(&line, device),
            anchors::shown_by(&line, device),
            reports::min_rtt_ms(&line, device, since),
            audit::about(&line, device.as_str(), i64::MAX, AUDIT),
            alerts::list(&line, &open, &page),
        )?;
        let Some(device) = known else { return Ok(None) };
        let asset = match &device.serial {
            Some(serial) => context::asset(&line, serial).await?,
            None => None,
        };
        Ok(Some(Dossier { device, state, anchors, asset, min_rtt_ms, audit, open }))
    }
}
