//! Checks client certificates against the collector's own authority.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use crate::access::Presented;
use crate::access::authority::Authority;

/// Verifies as webpki does, save for time, in two cases. A certificate which ended not long ago still makes a
/// connection: the gate lets such a device renew its certificate and nothing else, since laptops lie in drawers. And
/// one that begins in the future is good: our clock was ahead when we signed it, and has been put right since.
#[derive(Debug)]
pub struct Verifier {
    strict: Arc<dyn ClientCertVerifier>,
    grace: SignedDuration,
}

impl Verifier {
    /// Trusts the authority's certificates; connections without one are let in, for enrolment.
    pub fn new(authority: &Authority, grace_days: u32) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()?;
        Ok(Self { strict, grace: SignedDuration::from_hours(24 * i64::from(grace_days)) })
    }

    /// The moment as of which a certificate that has ended is to be verified, if it may still renew.
    fn moment_within_grace(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Option<UnixTime> {
        let end = Presented::from_certificate(certificate)?.not_after;
        let now = Timestamp::from_second(i64::try_from(now.as_secs()).ok()?).ok()?;
        let just_before = u64::try_from(end.as_second()).ok()?.checked_sub(1)?;
        (now.duration_since(end) <= self.grace)
            .then(|| UnixTime::since_unix_epoch(Duration::from_secs(just_before)))
    }
}

/// The moment at which a certificate begins to be good.
fn beginning(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let from = u64::try_from(read.validity().not_before.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(from)))
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.strict.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.strict.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.strict.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.strict.verify_client_cert(end_entity, intermediates, now);
        let Err(Error::InvalidCertificate(why)) = &verified else { return verified };
        let moment = match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                self.moment_within_grace(end_entity, now)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                beginning(end_entity)
            }
            _ => None,
        };
        match moment {
            Some(moment) => self.strict.verify_client_cert(end_entity, intermediates, moment),
            None => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}
