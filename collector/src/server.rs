//! The running collector: its listeners and what runs beside them.

mod connections;
mod health;
mod http;
mod listener;
mod people;
mod proxy;
mod retention;
mod stream;
mod tasks;
mod tcp_info;
mod tls;
mod verifier;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use farmwatch_shared::wire::CatalogueFile;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::authority::Authority;
use crate::access::orders::Counter;
use crate::access::server_certificate::ServerCertificate;
use crate::access::signed::Signed;
use crate::access::{Desk, Folder};
use crate::app::App;
use crate::config::Config;

use health::Health;
pub use tasks::notify;

/// How long requests in flight have at shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// What the collector serves.
pub struct Parts {
    /// Configuration.
    pub config: Config,
    /// The state folder.
    pub folder: Folder,
    /// What its parts share.
    pub app: Arc<App>,
    /// A catalogue for the agents, if IT gave one.
    pub catalogue: Option<CatalogueFile>,
    /// Reports: the routes that ingest serves, each for a device.
    pub reports: Router,
    /// The console.
    pub console: Router,
    /// Metrics as text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

/// Where the collector listens.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Bound {
    /// Agents.
    pub agents: SocketAddr,
    /// People, as a URL.
    pub console: String,
    /// Metrics and health.
    pub metrics: SocketAddr,
}

/// A collector whose listeners are bound.
pub struct Server {
    parts: Parts,
    bound: Bound,
    agents: TcpListener,
    people: TcpListener,
    people_tls: Option<tokio_rustls::TlsAcceptor>,
    operators: TcpListener,
    certificate: Arc<ServerCertificate>,
}

impl Server {
    /// Binds the listeners and reads keys and certificates: what can fail at start fails here.
    pub async fn bind(parts: Parts) -> anyhow::Result<Self> {
        let config = &parts.config;
        let authority = Authority::load(&parts.folder)?;
        let names = &config.agents.names;
        let certificate = ServerCertificate::load(&parts.folder, &authority, names, Timestamp::now())?;
        let people_tls = people::acceptor(&config.console)?;
        let agents = listen(config.agents.listen, "agents").await?;
        let people = listen(config.console.listen, "console").await?;
        let operators = listen(config.metrics.listen, "metrics").await?;
        let scheme = if people_tls.is_some() { "https" } else { "http" };
        let bound = Bound {
            agents: agents.local_addr()?,
            console: format!("{scheme}://{}", people.local_addr()?),
            metrics: operators.local_addr()?,
        };
        let certificate = Arc::new(certificate);
        Ok(Self { parts, bound, agents, people, people_tls, operators, certificate })
    }

    /// Where it listens.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Serves until `shutdown`, then lets requests in flight finish.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Parts { config, folder, app, catalogue, reports, console, metrics } = self.parts;
        let tracker = TaskTracker::new();
        let counter = Arc::new(Counter::new(Arc::clone(&app), config.agents.max_waiting, shutdown.clone()));
        let desk = Arc::new(Desk::new(Arc::clone(&app), &folder, config.agents.certificate_days)?);
        let signed = Arc::new(Signed::new(Arc::clone(&app), catalogue));
        let body_timeout = Duration::from_secs(config.agents.body_timeout_seconds);
        let calls = crate::access::router(desk, Arc::clone(&counter), signed, reports, body_timeout);
        let authority = Authority::load(&folder)?;
        let tls =
            tls::for_agents(&authority, Arc::clone(&self.certificate), config.agents.renewal_grace_days)?;

        tracker.spawn(async move { counter.watch().await });
        tracker.spawn(tasks::judge(Arc::clone(&app), shutdown.clone()));
        tracker.spawn(tasks::keep_certificate_fresh(
            self.certificate,
            folder.clone(),
            config.agents.names.clone(),
            shutdown.clone(),
        ));
        tracker.spawn(retention::keep(Arc::clone(&app), shutdown.clone()));
        let health = Arc::new(Health::new(Arc::clone(&app), &folder, shutdown.clone()));
        tracker.spawn(tasks::gauges(Arc::clone(&app), shutdown.clone()));
        tracker.spawn(tasks::Watchdog::from_environment().run(Arc::clone(&health), shutdown.clone()));
        let operators_app = health::router(health, metrics);
        tracker.spawn(people::serve(self.operators, None, operators_app, shutdown.clone()));
        tracker.spawn(people::serve(self.people, self.people_tls, console, shutdown.clone()));
        let limits = listener::Limits::new(&config, Arc::clone(&app));
        tracker.spawn(listener::serve(self.agents, tls, http::measured(calls), limits, shutdown.clone()));

        shutdown.cancelled().await;
        tracker.close();
        if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
            tracing::warn!("some requests were cut off after {} seconds", DRAIN.as_secs());
        }
        Ok(())
    }
}

/// Binds a listener. Where a machine has no IPv6, "all addresses" are those of IPv4.
async fn listen(address: SocketAddr, section: &str) -> anyhow::Result<TcpListener> {
    let bound = match TcpListener::bind(address).await {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && no_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.with_context(|| {
        format!("cannot listen on {address}; is it in use? `listen` of [{section}] in collector.toml chooses another")
    })
}

fn no_ipv6(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests;
