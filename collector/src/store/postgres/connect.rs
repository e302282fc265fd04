//! Connections: where the server is, how it is spoken to, and a bounded pool of lines to it.

use std::path::PathBuf;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StoreError;
use super::fault::Fault;
use super::line::Line;
use super::tls::{self, Trust};

/// Longest wait for another transaction's lock; a ring of waits is found within a second.
const LOCK_WITHIN: Duration = Duration::from_secs(5);
/// Longest that a transaction may stand idle: a collector that hangs must not hold locks.
const IDLE_WITHIN: Duration = Duration::from_mins(1);
/// Beyond the server's own limit, longest wait for an answer on the way.
const ON_THE_WAY: Duration = Duration::from_secs(5);
/// How long the network may swallow what is sent before the connection counts as gone.
const SWALLOWS: Duration = Duration::from_secs(20);
/// Between signs of life on an idle connection.
const ALIVE: Duration = Duration::from_secs(30);

/// Where the database is, and how to speak to it.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user@host:port/database?sslmode=verify-full`.
    pub url: String,
    /// The password, unless it stands in the address or none is asked for.
    pub password: Option<SecretString>,
    /// PEM file of the authorities that may sign the server's certificate; the system's if there is none.
    pub ca: Option<PathBuf>,
    /// Most connections at a time.
    pub connections: usize,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest that a statement may run.
    pub statement_timeout: Duration,
}

/// The server, ready to be called.
pub struct Server {
    /// The driver's view of the address.
    pub config: Config,
    tls: MakeRustlsConnect,
    settings: Settings,
}

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

impl Server {
    /// From settings. Nothing is connected yet; what is wrong with an address is told without its password.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let wrong =
            |why: String| StoreError::Unavailable(format!("its address ([store] url) is wrong: {why}"));
        let (address, trust) = tls::split(&settings.url).map_err(wrong)?;
        let mut config: Config = address.parse().map_err(|error| {
            wrong(format!("{}; write postgres://user@host:5432/database", super::fault::words(&error)))
        })?;
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host; write postgres://user@host:5432/database".into()));
        }
        if let Some(password) = &settings.password {
            config.password(password.expose_secret());
        }
        let here = config.get_hosts().iter().all(is_here);
        let trust = trust.unwrap_or(if here { Trust::NoTls } else { Trust::NameAndChain });
        config
            .application_name("farmwatch-collector")
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(ALIVE)
            .tcp_user_timeout(SWALLOWS)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .ssl_mode(if trust == Trust::NoTls { SslMode::Disable } else { SslMode::Require });
        let tls = tls::client(trust, settings.ca.as_deref()).map_err(StoreError::Unavailable)?;
        Ok(Self { config, tls: MakeRustlsConnect::new(tls), settings: settings.clone() })
    }

    /// One connection of its own.
    pub async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), Fault> {
        let called = self.config.connect(self.tls.clone());
        match tokio::time::timeout(self.settings.connect_timeout, called).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(Fault::unavailable("PostgreSQL does not answer")),
        }
    }

    /// Most connections at a time.
    pub fn connections(&self) -> usize {
        self.settings.connections
    }

    /// How people know it: `host:port/database`.
    pub fn name(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("{host}:{port}/{}", self.config.get_dbname().unwrap_or_default())
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// A bounded pool of lines.
#[derive(Clone)]
pub struct Lines {
    pool: Pool,
    patience: Duration,
}

impl Lines {
    /// To a server. Nothing is connected before it is needed.
    pub fn new(server: &Server) -> Result<Self, StoreError> {
        let settings = &server.settings;
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(server.config.clone(), server.tls.clone(), recycle);
        let session = session(settings);
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let session = session.clone();
            Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            // Few connections that are warm, at both ends, rather than each in turn.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(settings.connect_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.connect_timeout))
            .runtime(Runtime::Tokio1)
            .post_create(prepare)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { pool, patience: settings.statement_timeout + ON_THE_WAY })
    }

    /// A line, connected.
    pub async fn line(&self) -> Result<Line, Fault> {
        Ok(Line::new(self.pool.get().await?, self.patience))
    }

    /// The same as the pool says it, for who explains it.
    pub async fn first(&self) -> Result<Line, deadpool_postgres::PoolError> {
        Ok(Line::new(self.pool.get().await?, self.patience))
    }
}

/// What every session begins with. A server whose default is to answer before a commit is on disk is told otherwise:
/// agents delete what was acknowledged.
fn session(settings: &Settings) -> String {
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET jit = off;
         SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning';
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        settings.statement_timeout.as_millis(),
        LOCK_WITHIN.as_millis(),
        IDLE_WITHIN.as_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, StoreError> {
        Server::new(&Settings {
            url: url.into(),
            password: None,
            ca: None,
            connections: 4,
            connect_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn a_database_elsewhere_is_spoken_to_over_tls_unless_told_otherwise() {
        let mode = |url: &str| server(url).unwrap().config.get_ssl_mode();
        assert_eq!(mode("postgres://farmwatch@localhost/farmwatch"), SslMode::Disable);
        assert_eq!(mode("postgres://farmwatch@127.0.0.1/farmwatch"), SslMode::Disable);
        assert_eq!(mode("postgres://farmwatch@%2Frun%2Fpostgresql/farmwatch"), SslMode::Disable);
        assert_eq!(mode("postgres://farmwatch@db.example/farmwatch?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgres://farmwatch@db.example/farmwatch?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://farmwatch@127.0.0.1/farmwatch?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_its_password() {
        for url in [
            "postgres://farmwatch:hunter2@db.example/farmwatch?sslmode=prefer",
            "postgres://farmwatch:hunter2@db.example:port/farmwatch?sslmode=disable",
            "postgres://farmwatch:hunter2@/farmwatch?sslmode=disable",
        ] {
            let error = server(url).err().unwrap().to_string();
            assert!(error.contains("[store] url") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_database_is_named_by_host_port_and_database() {
        let named = server("postgres://farmwatch:hunter2@127.0.0.1:5433/fw").unwrap().name();
        assert_eq!(named, "127.0.0.1:5433/fw");
    }
}
