//! Who this agent is: the device's id, its key and certificate, the tenant's keys. One file, 0600.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use farmwatch_shared::id::{DeviceId, HashKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::{self, Readers};
use crate::machine::Machine;

/// The identity, as it stands in `identity.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The device's id.
    pub device: DeviceId,
    /// The collector's address.
    pub url: String,
    /// PEM of the collector's authority.
    pub ca: String,
    /// PEM of the device's certificate.
    pub certificate: String,
    /// PEM of its private key (PKCS #8).
    pub key: String,
    /// The tenant's key for hashes, 64 hex digits.
    pub hash_key: String,
    /// The key that signs orders, 64 hex digits.
    pub order_key: String,
    /// The hardware that it was enrolled on.
    pub machine: Machine,
    /// A certificate that renewal brought and that has not worked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<KeyPair>,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyPair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("device", &self.device)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Where it stands.
    pub fn path(state: &Path) -> PathBuf {
        state.join("identity.json")
    }

    /// Reads it; `None` if the agent is not enrolled.
    pub fn read(state: &Path) -> anyhow::Result<Option<Self>> {
        files::read_json(&Self::path(state))
    }

    /// Writes it.
    pub fn write(&self, state: &Path) -> anyhow::Result<()> {
        files::write_json(&Self::path(state), self, Readers::Agent)
    }

    /// The key for hashes.
    pub fn hash_key(&self) -> anyhow::Result<HashKey> {
        let bytes =
            key_bytes(&self.hash_key).context("the key for hashes is damaged; enrol this agent anew")?;
        Ok(HashKey::new(bytes))
    }

    /// The key that signs orders.
    pub fn order_key(&self) -> anyhow::Result<ed25519_dalek::VerifyingKey> {
        let bytes =
            key_bytes(&self.order_key).context("the key for orders is damaged; enrol this agent anew")?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).context("the key for orders is no ed25519 key")
    }

    /// The certificate and key to use: the renewed ones where there are some.
    pub fn key_pair(&self) -> KeyPair {
        self.next
            .clone()
            .unwrap_or_else(|| KeyPair { certificate: self.certificate.clone(), key: self.key.clone() })
    }

    /// The renewed certificate worked: the old one goes.
    pub fn adopt_next(&mut self) -> bool {
        let Some(next) = self.next.take() else { return false };
        (self.certificate, self.key) = (next.certificate, next.key);
        true
    }

    /// When the certificate should be renewed: two thirds of its life in.
    pub fn renew_at(&self) -> anyhow::Result<Timestamp> {
        let (from, to) = validity(&self.certificate)?;
        Ok(Timestamp::from_second(from + (to - from) / 3 * 2)?)
    }

    /// When it expires.
    pub fn expires_at(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::from_second(validity(&self.certificate)?.1)?)
    }
}

/// From and to, in seconds since 1970.
fn validity(pem: &str) -> anyhow::Result<(i64, i64)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).context("the certificate is damaged")?;
    let certificate = pem.parse_x509().context("the certificate is damaged")?;
    let validity = certificate.validity();
    Ok((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

fn key_bytes(hex_digits: &str) -> Option<[u8; 32]> {
    hex::decode(hex_digits).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let identity = Identity {
            device: DeviceId::new(1, 1),
            url: "https://localhost".into(),
            ca: String::new(),
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
            hash_key: "00".repeat(32),
            order_key: "00".repeat(32),
            machine: Machine::default(),
            next: None,
        };
        assert_eq!(identity.renew_at().unwrap().to_string(), "2026-01-21T00:00:00Z");
        assert!(!format!("{identity:?}").contains("BEGIN"));
    }
}
