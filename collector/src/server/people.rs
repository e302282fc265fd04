//! Listeners for people and operators: the console, metrics and health.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::ConnectInfo;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stream::WatchedStream;
use super::{http, listener};
use crate::config::Console;

/// Most connections at a time.
const MOST: usize = 1024;
/// Seconds for a handshake, for a request's head, and between requests.
const IDLE: Duration = Duration::from_secs(75);

/// TLS of the console, if it has a certificate.
pub fn acceptor(console: &Console) -> anyhow::Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&console.certificate, &console.key) else { return Ok(None) };
    let chain =
        CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("cannot read the console's certificate {}", certificate.display()))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the console's key {}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("no cipher suite of TLS 1.3")?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} is not the key of {}", key.display(), certificate.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Serves until `shutdown`, then waits for requests in flight. Requests carry a `ConnectInfo<SocketAddr>`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST));
    let tracker = TaskTracker::new();
    loop {
        let taken = tokio::select! {
            taken = listener::accept(&listener) => taken,
            () = shutdown.cancelled() => break,
        };
        let Some((stream, address)) = taken else { continue };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (tls, router, shutdown) = (tls.clone(), router.clone(), shutdown.clone());
        tracker.spawn(async move {
            let stream = WatchedStream::new(stream);
            let extend = move |extensions: &mut axum::http::Extensions| {
                extensions.insert(ConnectInfo(address));
            };
            match tls {
                None => http::serve(stream, router, IDLE, extend, &shutdown).await,
                Some(tls) => {
                    if let Ok(Ok(secured)) = tokio::time::timeout(IDLE, tls.accept(stream)).await {
                        http::serve(secured, router, IDLE, extend, &shutdown).await;
                    }
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}
