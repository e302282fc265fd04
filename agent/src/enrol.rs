//! Becoming a device of a collector: enrolment with a token, re-keying on other hardware, renewal.

use std::path::Path;

use anyhow::{Context as _, bail};
use farmwatch_shared::wire::{EnrolRequest, Enrolment};
use reqwest::Url;

use crate::files::{self, Readers};
use crate::identity::Identity;
use crate::machine::{self, Machine};
use crate::system;
use crate::uplink::tls::{self, Trust};
use crate::uplink::{Client, Failure};

/// The machine that applies, until it has an identity.
const APPLYING: &str = "enrolling.json";

/// A token: what buys a certificate, and whom to believe.
///
/// `fwt_` (several uses) or `fwo_` (once) and 32 letters or digits, a dot, and the first 32 hex digits of
/// SHA-256 over the DER of the collector's authority.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    fingerprint: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}…)", &self.text[..4])
    }
}

impl Token {
    /// Reads a token.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        let parts = text.split_once('.').filter(|(secret, fingerprint)| {
            let body = secret.strip_prefix("fwt_").or_else(|| secret.strip_prefix("fwo_"));
            body.is_some_and(|b| b.len() == 32 && b.bytes().all(|c| c.is_ascii_alphanumeric()))
                && fingerprint.len() == 32
                && fingerprint.bytes().all(|c| c.is_ascii_hexdigit())
        });
        let Some((_, fingerprint)) = parts else {
            bail!(
                "this is not a token: it should be fwt_ or fwo_ and 32 letters, a dot and 32 hex digits; \
                 `farmwatch-collector tokens` makes one. Was it cut when it was copied?"
            );
        };
        Ok(Self { text: text.to_owned(), fingerprint: fingerprint.to_owned() })
    }
}

/// Enrols this machine and writes its identity.
pub async fn enrol(
    url: &Url,
    token: &Token,
    proxy: Option<&Url>,
    state: &Path,
    root: &Path,
) -> anyhow::Result<Identity> {
    let trust = Trust::Fingerprint(token.fingerprint.clone());
    let client = Client::new(url, &trust, None, proxy)?;
    let machine = applying(state, root)?;
    let (csr, key) = signing_request()?;
    let request = request(token.text.clone(), csr, &machine, root);
    let enrolment = client.enrol(&request).await?;
    if tls::fingerprint_of_pem(&enrolment.certificate.ca)? != token.fingerprint.to_ascii_lowercase() {
        bail!("the collector at {url} hands out another authority than the token names; nothing was written");
    }
    let identity = identity(url, enrolment, key, machine);
    identity.order_key()?;
    identity.hash_key()?;
    identity.write(state)?;
    if let Err(error) = std::fs::remove_file(state.join(APPLYING)) {
        tracing::debug!(%error, "cannot remove {APPLYING}");
    }
    Ok(identity)
}

/// Who applies. Kept until there is an identity: a laptop that asks again because the answer was lost must be known
/// again, or a token for one laptop would be spent.
fn applying(state: &Path, root: &Path) -> anyhow::Result<Machine> {
    system::make_folder(state, Readers::Agent).with_context(|| format!("cannot make {}", state.display()))?;
    let path = state.join(APPLYING);
    let kept = files::read_json::<Machine>(&path).unwrap_or_default();
    if let Some(kept) = kept.filter(|kept| kept.differs_from(root).is_empty()) {
        return Ok(kept);
    }
    let machine = Machine::read(root);
    files::write_json(&path, &machine, Readers::Agent)?;
    Ok(machine)
}

/// Asks for a new identity because the old one lives elsewhere, and writes it.
pub async fn rekey(
    old: &Identity,
    client: &Client,
    state: &Path,
    root: &Path,
) -> Result<Identity, RekeyError> {
    let machine = Machine::read(root);
    let (csr, key) = signing_request()?;
    let enrolment = client.rekey(&request(String::new(), csr, &machine, root)).await?;
    let mut identity = identity(client.url(), enrolment, key, machine);
    if tls::fingerprint_of_pem(&identity.ca)? != tls::fingerprint_of_pem(&old.ca)? {
        identity.ca.clone_from(&old.ca);
    }
    identity.write(state)?;
    Ok(identity)
}

/// Why there is no new identity.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The collector did not give one.
    #[error(transparent)]
    Call(#[from] Failure),
    /// It could not be kept.
    #[error("{0:#}")]
    Local(#[from] anyhow::Error),
}

fn request(token: String, csr: String, machine: &Machine, root: &Path) -> EnrolRequest {
    EnrolRequest {
        token,
        csr,
        serial: machine::serial(root),
        machine: machine.short(),
        os: std::env::consts::OS.into(),
        hostname: machine::hostname(root),
    }
}

fn identity(url: &Url, enrolment: Enrolment, key: String, machine: Machine) -> Identity {
    Identity {
        device: enrolment.device,
        url: url.to_string().trim_end_matches('/').to_owned(),
        ca: enrolment.certificate.ca,
        certificate: enrolment.certificate.certificate,
        key,
        hash_key: enrolment.hash_key,
        order_key: enrolment.order_key,
        machine,
        next: None,
    }
}

/// A signing request and the new key behind it, both PEM.
pub fn signing_request() -> anyhow::Result<(String, String)> {
    let key = rcgen::KeyPair::generate().context("cannot make a key")?;
    let csr = rcgen::CertificateParams::default().serialize_request(&key).context("cannot make a request")?;
    Ok((csr.pem().context("cannot make a request")?, key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_laptop_that_asks_again_is_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/machine-id"), "a1").unwrap();
        let first = applying(dir.path(), &root).unwrap();
        assert_eq!(applying(dir.path(), &root).unwrap().short(), first.short());
        std::fs::write(root.join("etc/machine-id"), "b2").unwrap();
        assert_ne!(applying(dir.path(), &root).unwrap().short(), first.short(), "on other hardware");
    }

    #[test]
    fn tokens_are_checked_before_anything_is_sent() {
        let good = format!("fwt_{}.{}", "a1".repeat(16), "0f".repeat(16));
        assert_eq!(Token::parse(&format!(" {good}\n")).unwrap().fingerprint, "0f".repeat(16));
        for bad in ["", "fwt_abc", &good[..good.len() - 1], &good.replace("fwt_", "fwx_")] {
            assert!(Token::parse(bad).is_err(), "{bad}");
        }
        assert!(!format!("{:?}", Token::parse(&good).unwrap()).contains("a1a1"));
    }
}
