//! The gate: every request but an enrolment comes from a device that the collector knows, with a certificate that
//! is good.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::connection::{Connection, Presented};
use super::limiter::Limiter;
use super::{Peer, Refusal};
use crate::app::App;
use crate::store::{Device, NewAudit, Standing};

/// Where a certificate that has ended is still of use.
const RENEW: &str = "/v1/renew";
/// Where a certificate that another has replaced is still of use.
const REKEY: &str = "/v1/rekey";

/// What the gate remembers.
pub struct Gate {
    app: Arc<App>,
    told: Limiter<(DeviceId, &'static str)>,
}

/// What the gate decides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    /// Come in.
    Pass,
    /// Come in with this request alone: the certificate is of no other use any more.
    PassOnce,
    /// Come in; the certificate is used for the first time, so those before it are void from now on.
    PassAndRetireOthers,
    /// Stay out.
    Refuse(Reason),
}

/// Why a device stays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// No such device.
    Unknown,
    /// IT revoked it.
    Revoked,
    /// Its certificate has ended.
    Expired,
    /// Its certificate has been replaced by one that was used: somebody holds a copy of the state folder.
    Superseded,
}

impl Gate {
    /// A gate before an app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, told: Limiter::new(1, SignedDuration::from_hours(1)) }
    }

    async fn admit(&self, connection: &Connection, path: &str, now: Timestamp) -> Result<Peer, Refusal> {
        let Some(presented) = &connection.presented else {
            metrics::counter!("farmwatch_gate_refusals_total", "reason" => "certificate_missing")
                .increment(1);
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "certificate_missing",
                "this needs a device's certificate; enrol with a token first",
            ));
        };
        let expired = presented.not_after <= now;
        if expired || !connection.passed_lately() {
            let device = self.app.store.device(&presented.device).await?;
            match decide(device.as_ref(), presented, path, now) {
                Decision::Pass => connection.passes(),
                Decision::PassOnce => {}
                Decision::PassAndRetireOthers => {
                    let only = std::slice::from_ref(&presented.serial);
                    self.app.store.set_certificates(&presented.device, only).await?;
                    tracing::info!(device = %presented.device, "uses its new certificate; the one before is void");
                    connection.passes();
                }
                Decision::Refuse(reason) => {
                    return Err(self.refuse(reason, presented, connection, now).await);
                }
            }
        }
        let observed = connection.observed();
        Ok(Peer {
            device: presented.device.clone(),
            certificate: presented.serial.clone(),
            address: connection.address,
            rtt_ms: observed.rtt_ms,
            mss: observed.mss,
        })
    }

    async fn refuse(
        &self,
        reason: Reason,
        presented: &Presented,
        connection: &Connection,
        now: Timestamp,
    ) -> Refusal {
        let (status, word, message) = reason.told();
        metrics::counter!("farmwatch_gate_refusals_total", "reason" => reason.name()).increment(1);
        let device = &presented.device;
        if self.told.take((device.clone(), reason.name()), now) {
            tracing::warn!(%device, address = %connection.address, reason = reason.name(), "device refused");
            let action = if reason == Reason::Superseded { "conflict" } else { "refuse" };
            let why = format!("refused at {}: {message} (told once an hour)", connection.address.ip());
            let entry = NewAudit {
                at: now,
                actor: "farmwatch".into(),
                action: action.into(),
                object: device.to_string(),
                why,
            };
            if let Err(error) = self.app.store.audit(entry).await {
                return error.into();
            }
            // What the audit says of a device becomes an alert when the device is judged.
            if reason == Reason::Superseded
                && let Err(error) = self.app.store.queue(std::slice::from_ref(device), now).await
            {
                return error.into();
            }
        }
        Refusal::new(status, word, message)
    }
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_device",
            Self::Revoked => "revoked",
            Self::Expired => "certificate_expired",
            Self::Superseded => "certificate_superseded",
        }
    }

    /// Status, word and sentence. A superseded certificate is told as a conflict, at which the agent re-keys.
    fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unknown => (
                StatusCode::FORBIDDEN,
                self.name(),
                "this collector does not know the device; enrol the laptop anew with a token",
            ),
            Self::Revoked => (
                StatusCode::FORBIDDEN,
                self.name(),
                "the device is revoked; if that was a mistake, enrol the laptop anew with a token",
            ),
            Self::Expired => (
                StatusCode::UNAUTHORIZED,
                self.name(),
                "the certificate has ended; renew it with POST /v1/renew",
            ),
            Self::Superseded => (
                StatusCode::CONFLICT,
                "conflict",
                "the certificate was replaced and its successor is in use, so this state folder is a copy; re-key",
            ),
        }
    }
}

/// Lets devices pass and hands their [`Peer`] on.
pub async fn gate(
    State(gate): State<Arc<Gate>>,
    Extension(connection): Extension<Arc<Connection>>,
    mut request: Request,
    next: Next,
) -> Response {
    match gate.admit(&connection, request.uri().path(), Timestamp::now()).await {
        Ok(peer) => {
            request.extensions_mut().insert(peer);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn decide(device: Option<&Device>, presented: &Presented, path: &str, now: Timestamp) -> Decision {
    let Some(device) = device else { return Decision::Refuse(Reason::Unknown) };
    if device.standing == Standing::Revoked {
        return Decision::Refuse(Reason::Revoked);
    }
    let Some(place) = device.certificates.iter().position(|serial| *serial == presented.serial) else {
        return if path == REKEY { Decision::PassOnce } else { Decision::Refuse(Reason::Superseded) };
    };
    if presented.not_after <= now {
        return if path == RENEW { Decision::PassOnce } else { Decision::Refuse(Reason::Expired) };
    }
    let is_newest = place + 1 == device.certificates.len();
    if is_newest && place > 0 { Decision::PassAndRetireOthers } else { Decision::Pass }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(standing: Standing, certificates: &[&str]) -> Device {
        Device {
            standing,
            machine: "00000000".into(),
            certificates: certificates.iter().map(|&c| c.to_owned()).collect(),
            ..Device::new(DeviceId::new(1, 1), Timestamp::UNIX_EPOCH)
        }
    }

    fn decided(device: Option<&Device>, serial: &str, path: &str, now: i64) -> Decision {
        let not_after = Timestamp::from_second(1000).unwrap();
        let presented = Presented { device: DeviceId::new(1, 1), serial: serial.into(), not_after };
        decide(device, &presented, path, Timestamp::from_second(now).unwrap())
    }

    #[test]
    fn a_known_device_with_a_good_certificate_passes() {
        let ours = device(Standing::Enrolled, &["a"]);
        assert_eq!(decided(Some(&ours), "a", "/v1/reports", 10), Decision::Pass);
        let pending = device(Standing::Pending, &["a"]);
        assert_eq!(decided(Some(&pending), "a", "/v1/reports", 10), Decision::Pass);
    }

    #[test]
    fn an_unknown_or_revoked_device_stays_out_everywhere() {
        let revoked = device(Standing::Revoked, &["a"]);
        for path in ["/v1/reports", RENEW, REKEY] {
            assert_eq!(decided(None, "a", path, 10), Decision::Refuse(Reason::Unknown));
            assert_eq!(decided(Some(&revoked), "a", path, 10), Decision::Refuse(Reason::Revoked));
        }
    }

    #[test]
    fn a_laptop_from_the_drawer_may_renew_and_nothing_else() {
        let ours = device(Standing::Enrolled, &["a"]);
        assert_eq!(decided(Some(&ours), "a", "/v1/reports", 1000), Decision::Refuse(Reason::Expired));
        assert_eq!(decided(Some(&ours), "a", RENEW, 1000), Decision::PassOnce);
    }

    #[test]
    fn the_old_certificate_is_good_until_the_new_one_is_used() {
        let renewed = device(Standing::Enrolled, &["old", "new"]);
        assert_eq!(decided(Some(&renewed), "old", "/v1/reports", 10), Decision::Pass);
        assert_eq!(decided(Some(&renewed), "new", "/v1/reports", 10), Decision::PassAndRetireOthers);
        let used = device(Standing::Enrolled, &["new"]);
        assert_eq!(decided(Some(&used), "old", "/v1/reports", 10), Decision::Refuse(Reason::Superseded));
        assert_eq!(decided(Some(&used), "old", REKEY, 10), Decision::PassOnce);
    }
}
