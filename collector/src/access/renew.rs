//! `POST /v1/renew`: a fresh certificate for a device that has one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use farmwatch_shared::wire::{Certificate, RenewRequest};
use jiff::Timestamp;

use super::desk::{Desk, read, signing_request};
use super::{Peer, Refusal};

/// Signs a new certificate. The one that the device showed stays good until the new one is used, so that neither a
/// lost answer nor a crash between the two locks it out.
pub async fn renew(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Certificate>, Refusal> {
    let now = Timestamp::now();
    if !desk.renewals.take(peer.device.clone(), now) {
        return Err(Refusal::too_often(
            "this device has renewed its certificate ten times within an hour",
            3600,
        ));
    }
    let wire: RenewRequest = read(&body)?;
    let request = signing_request(&wire.csr)?;
    let issued = desk.sign(&peer.device, &request, now)?;
    let good = [peer.certificate, issued.serial.clone()];
    desk.app.store.set_certificates(&peer.device, &good).await?;
    metrics::counter!("farmwatch_certificate_renewals_total").increment(1);
    tracing::info!(device = %peer.device, "certificate renewed");
    Ok(Json(desk.certificate(issued)))
}
