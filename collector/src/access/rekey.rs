//! `POST /v1/rekey`: a state folder that was copied to other hardware becomes a device of its own.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::wire::{EnrolRequest, Enrolment};
use jiff::Timestamp;

use super::desk::{Applicant, Desk, read};
use super::{Peer, Refusal};
use crate::store::Standing;

/// Makes a new, pending device; the original keeps its name and its rows, and IT hears of both.
pub async fn rekey(
    State(desk): State<Arc<Desk>>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Enrolment>, Refusal> {
    let now = Timestamp::now();
    let original = peer.device;
    if !desk.rekeys.take(original.clone(), now) {
        let message = "five copies of this device have asked for a name within a day; IT should look at it";
        return Err(Refusal::too_often(message, 3600));
    }
    let wire: EnrolRequest = read(&body)?;
    let applicant = Applicant::from_request(&wire)?;
    let (id, issued) = desk.admit(&applicant, Standing::Pending, now).await?;
    metrics::counter!("farmwatch_enrol_attempts_total", "result" => "rekeyed").increment(1);
    let serial = applicant.serial.as_deref().unwrap_or("none");
    let what = format!(
        "a copy of {original}'s state folder runs on other hardware (serial {serial}), which is {id} from now on"
    );
    // One alert, the original's; the copy's page says where it comes from.
    desk.audit("rekey", id.as_str(), what.clone(), now).await?;
    desk.conflict(&original, &what, now).await?;
    Ok(Json(desk.enrolment(id, issued)))
}

impl Desk {
    /// Two machines claim what only one can be: to the log and the audit; when the device is judged, which is at
    /// once, the audit's entry becomes an alert.
    pub(super) async fn conflict(
        &self,
        device: &DeviceId,
        what: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        metrics::counter!("farmwatch_device_conflicts_total").increment(1);
        tracing::warn!(%device, what, "conflict");
        self.audit("conflict", device.as_str(), what.to_owned(), now).await?;
        Ok(self.app.store.queue(std::slice::from_ref(device), now).await?)
    }
}
