//! The agents' listener: takes connections, within bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::Devices;
use super::http;
use super::proxy::Proxies;
use super::stream::WatchedStream;
use crate::access::{Connection, Presented};
use crate::app::App;
use crate::config::Config;
use crate::store::Observed;

/// Most connections at a time in a handshake or without a certificate: strangers never take the fleet's room.
const MOST_STRANGERS: usize = 1024;
/// Connections wait for their next request at least this long.
const SHORTEST_IDLE: Duration = Duration::from_mins(10);

/// Bounds of the listener.
#[derive(Clone)]
pub struct Limits {
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    devices: Devices,
    proxies: Proxies,
    head_timeout: Duration,
    stranger_lifetime: Duration,
    app: Arc<App>,
}

impl Limits {
    /// As configured.
    pub fn new(config: &Config, app: Arc<App>) -> Self {
        let head_timeout = Duration::from_secs(config.agents.head_timeout_seconds);
        Self {
            connections: Arc::new(Semaphore::new(config.agents.max_connections)),
            strangers: Arc::new(Semaphore::new(MOST_STRANGERS.min(config.agents.max_connections))),
            devices: Devices::default(),
            proxies: Proxies::new(&config.agents.proxies),
            head_timeout,
            stranger_lifetime: head_timeout + Duration::from_secs(config.agents.body_timeout_seconds),
            app,
        }
    }

    /// A device's connection outlives the time between two heartbeats.
    fn idle(&self) -> Duration {
        let heartbeat = Duration::from_secs(self.app.policy.agent.heartbeat_seconds.into());
        SHORTEST_IDLE.max(heartbeat.mul_f64(1.5))
    }
}

/// Takes connections until `shutdown`, then waits for those in flight.
pub async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let tracker = TaskTracker::new();
    loop {
        let taken = tokio::select! {
            taken = accept(&listener) => taken,
            () = shutdown.cancelled() => break,
        };
        let Some((stream, address)) = taken else { continue };
        let Ok(room) = Arc::clone(&limits.connections).try_acquire_owned() else {
            refused("full");
            continue;
        };
        let Ok(stranger) = Arc::clone(&limits.strangers).try_acquire_owned() else {
            refused("strangers");
            continue;
        };
        let handled = handle(
            stream,
            address,
            (room, stranger),
            tls.clone(),
            router.clone(),
            limits.clone(),
            shutdown.clone(),
        );
        tracker.spawn(handled);
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}

/// Takes one connection. Out of descriptors or memory, it waits a moment instead of spinning.
pub async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, SocketAddr::new(address.ip().to_canonical(), address.port()))),
        Err(error) => {
            tracing::warn!(%error, "cannot take a connection");
            refused("accept_failed");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn handle(
    mut stream: TcpStream,
    address: SocketAddr,
    (room, stranger): (OwnedSemaphorePermit, OwnedSemaphorePermit),
    tls: TlsAcceptor,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let opening = async {
        let origin = match limits.proxies.origin(&mut stream, address).await {
            Ok(origin) => origin,
            Err(error) => return tell_bad_proxy(address, &error),
        };
        let watched = WatchedStream::new(stream);
        let path = watched.path();
        match tls.accept(watched).await {
            Ok(secured) => Some((secured, origin, path)),
            Err(error) => tell_failed_handshake(origin.address, &error),
        }
    };
    let opened = tokio::select! {
        opened = tokio::time::timeout(limits.head_timeout, opening) => opened,
        () = shutdown.cancelled() => return,
    };
    let Ok(opened) = opened else { return refused("handshake_timeout") };
    let Some((secured, origin, path)) = opened else { return };
    let shown = secured.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let presented = shown.and_then(Presented::from_certificate);
    let seat = presented.as_ref().map(|presented| limits.devices.enter(&presented.device));
    // Of a balancer's connection, the path says nothing of the laptop's.
    let observe = move || if origin.proxied { Observed::default() } else { path.observed() };
    let connection = Arc::new(Connection::new(origin.address, presented, observe));
    let _open = Open::count();
    let extend = |extensions: &mut axum::http::Extensions| {
        extensions.insert(Arc::clone(&connection));
    };
    if let Some(seat) = seat {
        drop(stranger);
        tokio::select! {
            () = http::serve(secured, router, limits.idle(), extend, &shutdown) => {}
            () = seat.displaced.cancelled() => {}
        }
    } else {
        let served = http::serve(secured, router, limits.head_timeout, extend, &shutdown);
        if tokio::time::timeout(limits.stranger_lifetime, served).await.is_err() {
            refused("stranger_timeout");
        }
        drop(stranger);
    }
    drop(room);
}

/// A certificate that is not ours is somebody's mistake or try; all else is mostly port scans and browsers.
fn tell_failed_handshake<T>(address: SocketAddr, error: &std::io::Error) -> Option<T> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(why)) = inner {
        tracing::warn!(%address, ?why, "client certificate refused: not of this collector's authority, or ended");
        refused("certificate");
        return None;
    }
    tracing::info!(%address, %error, "TLS handshake failed");
    refused("handshake");
    None
}

/// A configured balancer that does not say whose its connections are, as far as can be told.
fn tell_bad_proxy<T>(address: SocketAddr, error: &std::io::Error) -> Option<T> {
    tracing::warn!(%address, %error, "no PROXY protocol header from an address in `proxies` of [agents]; have it send one, or take it off the list");
    refused("proxy_header");
    None
}

fn refused(reason: &'static str) {
    metrics::counter!("farmwatch_connections_refused_total", "reason" => reason).increment(1);
}

/// Counts a connection as long as it is held.
struct Open;

impl Open {
    fn count() -> Self {
        metrics::gauge!("farmwatch_connections").increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("farmwatch_connections").decrement(1);
    }
}
