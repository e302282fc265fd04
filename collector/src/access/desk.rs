//! Where devices get their identities: enrolment, renewal, re-keying.

use std::net::IpAddr;
use std::sync::Arc;

use farmwatch_shared::firmware::says_nothing;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::wire::{Certificate, EnrolRequest, Enrolment};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::authority::{Authority, Issued, Request};
use super::limiter::Limiter;
use super::{Folder, Refusal};
use crate::app::App;
use crate::store::{Device, NewAudit, Standing};

/// What enrolment, renewal and re-keying share.
pub struct Desk {
    /// The running collector.
    pub app: Arc<App>,
    pub(super) failures: Limiter<IpAddr>,
    /// Failures that are audited, from all addresses together: nobody fills the audit from outside.
    pub(super) audited_failures: Limiter<()>,
    pub(super) renewals: Limiter<DeviceId>,
    pub(super) rekeys: Limiter<DeviceId>,
    authority: Authority,
    tenant_hash_key: String,
    certificate_days: u32,
}

/// What a laptop says of itself when it asks for an identity, checked.
pub(super) struct Applicant {
    pub request: Request,
    pub serial: Option<String>,
    pub machine: String,
    pub hostname: String,
    pub os: String,
}

impl Desk {
    /// A desk with the authority and the tenant's key of a state folder.
    pub fn new(app: Arc<App>, folder: &Folder, certificate_days: u32) -> anyhow::Result<Self> {
        Ok(Self {
            app,
            failures: Limiter::new(10, SignedDuration::from_mins(1)),
            audited_failures: Limiter::new(120, SignedDuration::from_mins(1)),
            renewals: Limiter::new(10, SignedDuration::from_hours(1)),
            rekeys: Limiter::new(5, SignedDuration::from_hours(24)),
            authority: Authority::load(folder)?,
            tenant_hash_key: hex::encode(folder.read_key(&folder.tenant_hash_key())?),
            certificate_days,
        })
    }

    /// Signs a certificate for a device.
    pub(super) fn sign(
        &self,
        device: &DeviceId,
        request: &Request,
        now: Timestamp,
    ) -> Result<Issued, Refusal> {
        self.authority
            .sign_device(device, request, self.certificate_days, now)
            .map_err(|error| Refusal::unavailable("sign a device's certificate", &error))
    }

    /// A certificate as it goes over the wire.
    pub(super) fn certificate(&self, issued: Issued) -> Certificate {
        Certificate { certificate: issued.pem, ca: self.authority.pem().to_owned() }
    }

    /// What a device gets that has just become one.
    pub(super) fn enrolment(&self, device: DeviceId, issued: Issued) -> Enrolment {
        Enrolment {
            device,
            certificate: self.certificate(issued),
            hash_key: self.tenant_hash_key.clone(),
            order_key: hex::encode(self.app.order_key.verifying_key().as_bytes()),
        }
    }

    /// Makes a new device of an applicant, and signs its certificate.
    pub(super) async fn admit(
        &self,
        applicant: &Applicant,
        standing: Standing,
        now: Timestamp,
    ) -> Result<(DeviceId, Issued), Refusal> {
        let unix_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let id = DeviceId::new(unix_ms, (self.app.draw)());
        let issued = self.sign(&id, &applicant.request, now)?;
        let device = Device {
            standing,
            serial: applicant.serial.clone(),
            hostname: applicant.hostname.clone(),
            os: applicant.os.clone(),
            machine: applicant.machine.clone(),
            certificates: vec![issued.serial.clone()],
            ..Device::new(id.clone(), now)
        };
        self.app.store.add_device(device).await?;
        Ok((id, issued))
    }

    /// Writes to the audit as the collector itself.
    pub(super) async fn audit(
        &self,
        action: &str,
        object: &str,
        why: String,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (actor, action, object) = ("farmwatch".to_owned(), action.to_owned(), object.to_owned());
        Ok(self.app.store.audit(NewAudit { at: now, actor, action, object, why }).await?)
    }
}

/// Reads a body of JSON.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::bad_request(format!("the body is not the JSON that this call takes: {error}"))
    })
}

/// Reads a signing request.
pub(super) fn signing_request(pem: &str) -> Result<Request, Refusal> {
    Request::from_pem(pem).map_err(|error| Refusal::bad_request(error.to_string()))
}

impl Applicant {
    /// Checks what a laptop says of itself.
    pub(super) fn from_request(wire: &EnrolRequest) -> Result<Self, Refusal> {
        let fits = wire.machine.len() == 8 && wire.machine.bytes().all(|b| b.is_ascii_hexdigit());
        if !fits {
            return Err(Refusal::bad_request("`machine` should be eight hex digits"));
        }
        Ok(Self {
            request: signing_request(&wire.csr)?,
            serial: serial(&wire.serial)?,
            machine: wire.machine.to_ascii_lowercase(),
            hostname: bounded(&wire.hostname, 253),
            os: bounded(&wire.os, 128),
        })
    }
}

/// A serial number, if it is one.
fn serial(text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    if text.chars().count() > 64 || text.chars().any(char::is_control) {
        return Err(Refusal::bad_request("`serial` should have at most 64 printable characters"));
    }
    Ok((!says_nothing(text)).then(|| text.to_owned()))
}

fn bounded(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makers_leave_where_a_serial_should_be_is_none() {
        assert_eq!(serial("Default string").unwrap(), None);
        assert_eq!(serial(" PF3ABCDE ").unwrap().as_deref(), Some("PF3ABCDE"));
        assert!(serial("a\0b").is_err());
        assert!(serial(&"x".repeat(65)).is_err());
    }

    #[test]
    fn names_are_bounded_and_lose_control_characters() {
        assert_eq!(bounded("a\u{1b}[31mb\n", 253), "a[31mb");
        assert_eq!(bounded(&"x".repeat(1000), 253).len(), 253);
    }
}
