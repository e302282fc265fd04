//! TLS of the agents' listener: version 1.3 only.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio_rustls::TlsAcceptor;

use super::verifier::Verifier;
use crate::access::authority::Authority;
use crate::access::server_certificate::ServerCertificate;

/// The agents' side: our certificate, theirs verified where they show one, sessions resumed by ticket so that a
/// fleet that comes back after an outage costs little.
pub fn for_agents(
    authority: &Authority,
    certificate: Arc<ServerCertificate>,
    grace_days: u32,
) -> anyhow::Result<TlsAcceptor> {
    let verifier = Arc::new(Verifier::new(authority, grace_days)?);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("no cipher suite of TLS 1.3")?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new().context("cannot draw the key of session tickets")?;
    config.send_tls13_tickets = 1;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
