//! The certificate of the agents' listener: signed by our own authority, and signed anew before it ends or when
//! the listener's names change.

use std::sync::{Arc, RwLock};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret as _;
use x509_parser::prelude::{GeneralName, X509Certificate};

use super::authority::Authority;
use super::folder::{Folder, read_secret};

/// Days for which it is good. Long, so that a laptop whose clock runs a year ahead still connects.
const GOOD_DAYS: i64 = 3 * 365;
/// It is signed anew when fewer days are left.
const RENEW_BELOW_DAYS: i64 = 2 * 365;

/// The listener's certificate, replaceable while the listener runs.
#[derive(Debug)]
pub struct ServerCertificate {
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServerCertificate {
    /// Reads the certificate, after it was signed anew if that was due.
    pub fn load(
        folder: &Folder,
        authority: &Authority,
        names: &[String],
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        refresh(folder, authority, names, now)?;
        Ok(Self { current: RwLock::new(Arc::new(read(folder)?)) })
    }

    /// Signs the certificate anew if that is due, and uses it for connections from now on.
    pub fn keep_fresh(
        &self,
        folder: &Folder,
        authority: &Authority,
        names: &[String],
        now: Timestamp,
    ) -> anyhow::Result<()> {
        if refresh(folder, authority, names, now)?.is_some() {
            let fresh = Arc::new(read(folder)?);
            *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        }
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// Signs the listener's certificate anew if that is due; the reason if it was.
pub fn refresh(
    folder: &Folder,
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    let names = effective_names(names);
    let Some(reason) = reason_to_sign(folder, authority, &names, now) else { return Ok(None) };
    let (issued, key) = authority.sign_server(&names, GOOD_DAYS, now)?;
    folder.write(&folder.server_key(), key.expose_secret().as_bytes())?;
    folder.write(&folder.server_certificate(), issued.pem.as_bytes())?;
    tracing::info!(reason, names = names.join(", "), "signed a certificate for the agents' listener");
    Ok(Some(reason))
}

/// The names that stand in the certificate: those configured, or this machine's if there are none.
pub fn effective_names(names: &[String]) -> Vec<String> {
    if !names.is_empty() {
        return names.to_vec();
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = Some(host).filter(|host| crate::config::is_host(host) && host != "localhost");
    host.into_iter().chain(["localhost", "127.0.0.1", "::1"].map(str::to_owned)).collect()
}

fn reason_to_sign(
    folder: &Folder,
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> Option<String> {
    let Ok(certified) = read(folder) else { return Some("there is none that can be used".into()) };
    let Some(leaf) = certified.cert.first() else { return Some("there is none".into()) };
    let Ok((_, leaf)) = x509_parser::parse_x509_certificate(leaf) else {
        return Some("it is unreadable".into());
    };
    let Ok((_, ca)) = x509_parser::parse_x509_certificate(authority.der()) else { return None };
    if leaf.verify_signature(Some(ca.public_key())).is_err() {
        return Some("it is another authority's".into());
    }
    let from = Timestamp::from_second(leaf.validity().not_before.timestamp()).unwrap_or(Timestamp::MAX);
    if from > now {
        return Some(format!("it begins at {from}: the clock was ahead when it was signed"));
    }
    let end = Timestamp::from_second(leaf.validity().not_after.timestamp()).unwrap_or(Timestamp::MIN);
    if end < now + SignedDuration::from_hours(24 * RENEW_BELOW_DAYS) {
        return Some(format!("it ends at {end}"));
    }
    let mut has = names_of(&leaf);
    let mut wanted = names.to_vec();
    has.sort();
    wanted.sort();
    (has != wanted).then(|| "the listener's names changed".into())
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(std::net::IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}

fn read(folder: &Folder) -> anyhow::Result<CertifiedKey> {
    let certificate = std::fs::read(folder.server_certificate()).context("cannot read agents.pem")?;
    let key = read_secret(&folder.server_key())?;
    let certificate = CertificateDer::from_pem_slice(&certificate).context("agents.pem is no certificate")?;
    let key =
        PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).context("agents.key is no key")?;
    // Enrolling agents know only the authority's hash: the chain must bring the authority itself.
    let authority = std::fs::read(folder.ca_certificate()).context("cannot read ca.pem")?;
    let authority = CertificateDer::from_pem_slice(&authority).context("ca.pem is no certificate")?;
    let certified =
        CertifiedKey::from_der(vec![certificate, authority], key, &rustls::crypto::ring::default_provider())
            .context("agents.pem is not the certificate of agents.key")?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_signed_anew_when_names_change_or_its_end_is_near_and_kept_otherwise() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let now: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        Authority::create(&folder, now).unwrap();
        let authority = Authority::load(&folder).unwrap();
        let names = ["c.example".to_owned(), "192.0.2.1".to_owned(), "2001:db8::1".to_owned()];
        let refresh = |names: &[String], now| refresh(&folder, &authority, names, now).unwrap();

        assert!(refresh(&names, now).is_some());
        assert_eq!(refresh(&names, now), None);
        assert_eq!(read(&folder).unwrap().cert.len(), 2, "an enrolling agent pins the authority");
        let reversed: Vec<String> = names.iter().rev().cloned().collect();
        assert_eq!(refresh(&reversed, now), None);
        assert!(refresh(&names[..2], now).unwrap().contains("names changed"));
        let late = now + SignedDuration::from_hours(24 * (GOOD_DAYS - RENEW_BELOW_DAYS + 1));
        assert!(refresh(&names[..2], late).unwrap().contains("ends at"));
        let back = now + SignedDuration::from_hours(24);
        assert!(refresh(&names[..2], back).unwrap().contains("begins at"), "the clock was put right");
        std::fs::write(folder.server_key(), "damaged").unwrap();
        assert!(refresh(&names[..2], late).unwrap().contains("none that can be used"));
    }
}
