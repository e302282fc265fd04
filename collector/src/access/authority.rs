//! The collector's own certificate authority: its key signs the agents' listener and every device.

use std::net::IpAddr;

use anyhow::Context as _;
use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::folder::{Folder, read_secret};
use crate::app::draw_from_system;

/// Years for which the authority is good. Replacing it means enrolling every laptop anew.
const AUTHORITY_DAYS: i64 = 3653;
/// Clocks of laptops are off: certificates are good from this long before they are made.
const BACKDATED: SignedDuration = SignedDuration::from_hours(48);

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// A certificate just made.
pub struct Issued {
    /// PEM.
    pub pem: String,
    /// DER.
    pub der: CertificateDer<'static>,
    /// Serial number, hex.
    pub serial: String,
}

/// A signing request whose signature fits its key; nothing else of it is believed.
pub struct Request(CertificateSigningRequestParams);

/// Why a signing request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// It cannot be read, or its signature is not of its key.
    #[error("the certificate signing request is not PEM of a PKCS #10 request signed by its own key: {0}")]
    Unreadable(String),
    /// A kind of key that is not taken.
    #[error(
        "the certificate signing request has a kind of key that is not taken; use ECDSA P-256 or Ed25519"
    )]
    KeyKind,
}

impl Request {
    /// Reads a signing request and checks that whoever sent it has the key.
    pub fn from_pem(pem: &str) -> Result<Self, BadRequest> {
        let request = CertificateSigningRequestParams::from_pem(pem)
            .map_err(|error| BadRequest::Unreadable(error.to_string()))?;
        let kind = rcgen::PublicKeyData::algorithm(&request.public_key);
        let length = request.public_key.der_bytes().len();
        // rcgen takes the kind of key from the signature's; the length makes sure that they agree.
        let taken = (kind == &rcgen::PKCS_ECDSA_P256_SHA256 && length == 65)
            || (kind == &rcgen::PKCS_ECDSA_P384_SHA384 && length == 97)
            || (kind == &rcgen::PKCS_ED25519 && length == 32);
        if taken { Ok(Self(request)) } else { Err(BadRequest::KeyKind) }
    }

    /// SHA-256 of its public key.
    pub fn key_hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.public_key.der_bytes()).into()
    }
}

impl Authority {
    /// Makes the authority's key and certificate in the state folder.
    pub fn create(folder: &Folder, now: Timestamp) -> anyhow::Result<()> {
        let key =
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).context("cannot draw the CA's key")?;
        let mut params = parameters("Farmwatch collector CA", now, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).context("cannot sign the CA's certificate")?;
        let pem: SecretString = key.serialize_pem().into();
        // The certificate last: while it is missing, `init` has not been here.
        folder.write(&folder.ca_key(), pem.expose_secret().as_bytes())?;
        folder.write(&folder.ca_certificate(), certificate.pem().as_bytes())
    }

    /// Reads the authority from the state folder.
    pub fn load(folder: &Folder) -> anyhow::Result<Self> {
        let key = read_secret(&folder.ca_key())?;
        let pem = read_secret(&folder.ca_certificate())?.expose_secret().to_owned();
        Self::from_pem(&pem, &key).with_context(|| {
            format!("the authority in {} cannot be used; restore it from the backup", folder.path().display())
        })
    }

    fn from_pem(pem: &str, key: &SecretString) -> anyhow::Result<Self> {
        use rustls_pki_types::pem::PemObject as _;
        let key = KeyPair::from_pem(key.expose_secret()).context("ca.key is no private key in PEM")?;
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).context("ca.pem is no certificate in PEM")?;
        let (_, read) = x509_parser::parse_x509_certificate(&der).context("ca.pem is no certificate")?;
        anyhow::ensure!(
            read.public_key().subject_public_key.data.as_ref() == key.public_key_raw(),
            "ca.pem is not the certificate of ca.key"
        );
        let issuer = Issuer::from_ca_cert_der(&der, key).context("ca.pem is no CA's certificate")?;
        Ok(Self { issuer, pem: pem.to_owned(), der })
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// SHA-256 of its certificate, hex; its first half stands in enrolment tokens, so that an agent knows the
    /// collector before it sends anything.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    /// Signs a device's certificate: the key is the request's, all else is ours.
    pub fn sign_device(
        &self,
        device: &DeviceId,
        request: &Request,
        days: u32,
        now: Timestamp,
    ) -> anyhow::Result<Issued> {
        let mut params = parameters(device.as_str(), now, days.into())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let serial = params.serial_number.as_ref().map(ToString::to_string).unwrap_or_default();
        let certificate = params
            .signed_by(&request.0.public_key, &self.issuer)
            .context("cannot sign a device's certificate")?;
        Ok(Issued { pem: certificate.pem(), der: certificate.der().clone(), serial: plain_hex(&serial) })
    }

    /// Signs a certificate for the agents' listener, good for some days; the key is drawn anew.
    pub fn sign_server(
        &self,
        names: &[String],
        days: i64,
        now: Timestamp,
    ) -> anyhow::Result<(Issued, SecretString)> {
        let mut params = parameters("Farmwatch collector", now, days)?;
        params.subject_alt_names = names.iter().map(|name| san(name)).collect::<anyhow::Result<_>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let serial = params.serial_number.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .context("cannot draw the listener's key")?;
        let certificate =
            params.signed_by(&key, &self.issuer).context("cannot sign the listener's certificate")?;
        let issued =
            Issued { pem: certificate.pem(), der: certificate.der().clone(), serial: plain_hex(&serial) };
        Ok((issued, key.serialize_pem().into()))
    }
}

/// What certificates of ours have in common.
fn parameters(common_name: &str, now: Timestamp, days: i64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&serial_bytes(draw_from_system())));
    params.not_before = offset(now - BACKDATED)?;
    params.not_after = offset(now + SignedDuration::from_hours(24 * days))?;
    Ok(params)
}

/// A certificate's serial number is a positive integer without leading zeros.
fn serial_bytes(drawn: u128) -> [u8; 16] {
    ((drawn | 1 << 126) & !(1 << 127)).to_be_bytes()
}

/// A serial number as we write it: lower-case hex without separators.
fn plain_hex(serial: &str) -> String {
    serial.replace(':', "").to_ascii_lowercase()
}

fn offset(at: Timestamp) -> anyhow::Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.as_second()).context("a certificate's time is out of range")
}

fn san(name: &str) -> anyhow::Result<SanType> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let name = name.try_into().with_context(|| format!("`{name}` cannot stand in a certificate"))?;
    Ok(SanType::DnsName(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T06:00:00Z".parse().unwrap()
    }

    fn authority() -> Authority {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        Authority::create(&folder, now()).unwrap();
        Authority::load(&folder).unwrap()
    }

    fn csr(name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn of_a_signing_request_only_the_key_is_believed() {
        let authority = authority();
        let device = DeviceId::new(1, 1);
        let request = Request::from_pem(&csr("collector.example")).unwrap();
        let issued = authority.sign_device(&device, &request, 30, now()).unwrap();
        let (_, read) = x509_parser::parse_x509_certificate(&issued.der).unwrap();
        assert_eq!(read.subject().to_string(), format!("CN={device}"));
        assert!(!read.is_ca());
        assert!(read.subject_alternative_name().unwrap().is_none());
        assert_eq!(read.validity().not_after.timestamp(), now().as_second() + 30 * 86_400);
        assert_eq!(plain_hex(&read.raw_serial_as_string()), issued.serial);
        assert_eq!(issued.serial.len(), 32);
        let (_, ca) = x509_parser::parse_x509_certificate(authority.der()).unwrap();
        read.verify_signature(Some(ca.public_key())).unwrap();
    }

    #[test]
    fn a_signing_request_of_another_key_is_refused() {
        let pem = csr("a");
        let (_, parsed) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let mut der = parsed.contents;
        let last = der.len() - 1;
        der[last] ^= 1;
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
        let forged =
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
        assert!(matches!(Request::from_pem(&forged), Err(BadRequest::Unreadable(_))));
        assert!(matches!(Request::from_pem(""), Err(BadRequest::Unreadable(_))));
    }

    #[test]
    fn an_authority_whose_key_was_swapped_says_so() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for root in [&one, &other] {
            Authority::create(&Folder::at(root.path()), now()).unwrap();
        }
        std::fs::copy(other.path().join("ca.key"), one.path().join("ca.key")).unwrap();
        let error = format!("{:#}", Authority::load(&Folder::at(one.path())).err().unwrap());
        assert!(error.contains("not the certificate of ca.key"), "{error}");
    }

    #[test]
    fn serial_numbers_are_positive_and_of_one_length() {
        for drawn in [0, 1, u128::MAX] {
            let first = serial_bytes(drawn)[0];
            assert!((0x40..0x80).contains(&first), "{first:x}");
        }
    }
}
