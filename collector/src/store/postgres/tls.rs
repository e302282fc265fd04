//! TLS to the database: how much its certificate has to prove.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// What the server has to prove, by the words that PostgreSQL's own programs use for `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// `disable`: no TLS.
    NoTls,
    /// `require`: TLS, with anybody.
    Nothing,
    /// `verify-ca`: its certificate is signed by an authority that is trusted.
    Chain,
    /// `verify-full`: that, and it names the host.
    NameAndChain,
}

/// Takes `sslmode` out of an address, which the driver knows only in part.
pub fn split(url: &str) -> Result<(String, Option<Trust>), String> {
    let Some((address, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let mut trust = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => trust = Some(parse(mode)?),
            Some(("sslrootcert", _)) => {
                return Err("name the authorities' file as `ca` of [store] instead of sslrootcert".into());
            }
            _ => rest.push(pair),
        }
    }
    let mark = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{address}{mark}{}", rest.join("&")), trust))
}

fn parse(mode: &str) -> Result<Trust, String> {
    match mode {
        "disable" => Ok(Trust::NoTls),
        "require" => Ok(Trust::Nothing),
        "verify-ca" => Ok(Trust::Chain),
        "verify-full" => Ok(Trust::NameAndChain),
        "allow" | "prefer" => Err(format!(
            "sslmode={mode} falls back to no TLS when somebody on the way wants that; use verify-full, or disable"
        )),
        _ => Err(format!("there is no sslmode={mode}; use verify-full, verify-ca, require or disable")),
    }
}

/// TLS 1.3 that asks for this proof. The authorities are those of a PEM file, or the system's.
pub fn client(trust: Trust, ca: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        // Never used: without TLS there is nothing to prove.
        Trust::NoTls => builder.with_root_certificates(RootCertStore::empty()),
        Trust::NameAndChain => builder.with_root_certificates(authorities(ca)?),
        Trust::Chain => {
            let roots = Arc::new(authorities(ca)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?;
            let verifier = Arc::new(LessThanName { chain: Some(chain), provider });
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        Trust::Nothing => {
            let verifier = Arc::new(LessThanName { chain: None, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this system trusts no authority; name one's PEM file as `ca` of [store]".into());
        }
        return Ok(roots);
    };
    let unreadable = |why: String| format!("the authorities in {} ([store] ca) {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(format!("are no PEM: {error}")))?;
        roots.add(certificate).map_err(|error| unreadable(format!("do not fit: {error}")))?;
    }
    if roots.is_empty() {
        return Err(unreadable("are none".into()));
    }
    Ok(roots)
}

/// Asks less than the name: the chain alone, or nothing. That the server has the certificate's key is always proved.
#[derive(Debug)]
struct LessThanName {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for LessThanName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Names are compared last: the chain is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
