//! TLS 1.3 towards the collector, whose authority is the only one that is trusted.
//!
//! Before enrolment the authority is known by its fingerprint, which the token carries; the token goes out
//! only after the chain has been checked against it. What was presented instead is kept for the error: behind
//! a TLS-inspecting proxy it names the proxy.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version,
};
use sha2::{Digest as _, Sha256};

use crate::identity::KeyPair;

/// Whom to trust.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The authority, as PEM.
    Authority(String),
    /// The authority whose certificate (DER) has a SHA-256 that begins with these 32 hex digits.
    Fingerprint(String),
}

/// What a server presented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presented {
    /// Who signed its certificate: `CN=…, O=…`.
    pub issuer: String,
    /// Whom the certificate is for.
    pub subject: String,
    /// Why it was refused.
    pub why: String,
}

/// Where the verifier leaves what it refused.
pub type Refused = Arc<Mutex<Option<Presented>>>;

/// A configuration for mutual TLS 1.3, or for one-sided TLS before enrolment.
pub fn config(trust: &Trust, client: Option<&KeyPair>, refused: Refused) -> anyhow::Result<ClientConfig> {
    build(trust, client, refused, &[&version::TLS13])
}

/// A configuration that also speaks TLS 1.2, to see who presents what: for error messages alone. It trusts
/// nothing, so no connection comes of it.
pub fn probe(refused: Refused) -> anyhow::Result<ClientConfig> {
    let nobody = Trust::Fingerprint("-".into());
    build(&nobody, None, refused, &[&version::TLS13, &version::TLS12])
}

/// First 32 hex digits of SHA-256 over a certificate's DER.
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(&Sha256::digest(der)[..16])
}

/// The same of a PEM.
pub fn fingerprint_of_pem(pem: &str) -> anyhow::Result<String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).context("no certificate in the PEM")?;
    Ok(fingerprint(&der))
}

fn build(
    trust: &Trust,
    client: Option<&KeyPair>,
    refused: Refused,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { trust: Known::new(trust, &provider)?, provider: provider.clone(), refused };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
                .context("the private key in the state folder is damaged; enrol this agent anew")?;
            let chain =
                chain.context("the certificate in the state folder is damaged; enrol this agent anew")?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.resumption = Resumption::in_memory_sessions(4);
    Ok(config)
}

#[derive(Debug)]
enum Known {
    Authority(Arc<WebPkiServerVerifier>),
    Fingerprint(String),
}

impl Known {
    fn new(trust: &Trust, provider: &Arc<CryptoProvider>) -> anyhow::Result<Self> {
        Ok(match trust {
            Trust::Fingerprint(digits) => Self::Fingerprint(digits.to_ascii_lowercase()),
            Trust::Authority(pem) => {
                let der = CertificateDer::from_pem_slice(pem.as_bytes())
                    .context("the authority's certificate in the state folder is damaged")?;
                Self::Authority(authority(der, provider).context("the authority's certificate is unusable")?)
            }
        })
    }
}

fn authority(
    der: CertificateDer<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(der.into_owned())?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| Error::General(e.to_string()))
}

#[derive(Debug)]
struct Verifier {
    trust: Known,
    provider: Arc<CryptoProvider>,
    refused: Refused,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match &self.trust {
            Known::Authority(verifier) => verifier.verify_server_cert(leaf, chain, name, ocsp, now),
            Known::Fingerprint(digits) => {
                match chain.iter().chain([leaf]).find(|der| fingerprint(der) == *digits) {
                    None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
                    Some(found) => authority(found.clone(), &self.provider)
                        .and_then(|verifier| verifier.verify_server_cert(leaf, chain, name, ocsp, now)),
                }
            }
        };
        let presented = verified.as_ref().err().map(|why| presented(leaf, why));
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = presented;
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn presented(leaf: &CertificateDer<'_>, why: &Error) -> Presented {
    let why = why.to_string();
    match x509_parser::parse_x509_certificate(leaf) {
        Ok((_, certificate)) => Presented {
            issuer: printable(&certificate.issuer().to_string()),
            subject: printable(&certificate.subject().to_string()),
            why,
        },
        Err(_) => Presented { issuer: "an unreadable certificate".into(), subject: String::new(), why },
    }
}

/// Names come from whoever answered: control characters would reach the terminal.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}
