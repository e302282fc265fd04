//! The store on PostgreSQL: for fleets, and for several collectors on one database.
//!
//! Reports that wait go into one transaction of a few set-based statements ([`lanes`], [`ingest`], [`fold`], [`write`]).
//! Everything else is a statement or a short transaction on a line of a bounded pool ([`connect`]). Nothing is
//! remembered between calls save what devices are like, and that is believed only while nobody else has written to them
//! ([`memory`]); so any number of collectors may work on one database: what must not happen twice is held by rows' locks,
//! by constraints, or by [`locks`]; a transaction that stood in another's way is run again ([`again`]).
//! Work is taken with `SKIP LOCKED`, and collectors hear of it by `LISTEN` ([`ear`]).

mod access;
mod alerts;
mod anchors;
mod audit;
mod change;
mod connect;
mod context;
mod devices;
mod dossier;
mod ear;
mod explain;
mod fault;
mod filter;
mod fold;
mod heads;
mod ingest;
mod lanes;
mod line;
mod locks;
mod memory;
mod occupants;
mod orders;
mod reports;
pub(super) mod rows;
mod schema;
mod sites;
#[cfg(test)]
mod tests;
mod tls;
mod trim;
mod work;
mod write;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::{Result, SharedStore, StoreError};
pub use connect::Settings;
use connect::{Lines, Server};
use fault::Fault;
use lanes::Lanes;
use line::{Line, Values, get};

/// Times that a transaction is run while others are in its way.
const TRIES: u32 = 6;

/// Whether an address can be used, without calling anybody.
pub fn check(settings: &Settings) -> Result<()> {
    Server::new(settings).map(|_| ())
}

/// How people know a database: `host:port/database`, without its password.
pub fn name(settings: &Settings) -> String {
    Server::new(settings).map_or_else(|_| "PostgreSQL".into(), |server| server.name())
}

/// Opens a database. Its tables are made, or brought to this version's.
pub async fn open(settings: &Settings) -> Result<SharedStore> {
    Ok(Arc::new(Postgres::open(settings).await?))
}

/// The store on PostgreSQL.
struct Postgres {
    server: Arc<Server>,
    lines: Lines,
    /// Take reports; started with the first.
    lanes: OnceLock<Lanes>,
    /// Rung when there is work.
    bell: Arc<Notify>,
    /// Hears of others' work; started by the first who waits for it.
    ear: OnceLock<AbortOnDropHandle<()>>,
}

impl Postgres {
    async fn open(settings: &Settings) -> Result<Self> {
        let server = Server::new(settings)?;
        let lines = Lines::new(&server)?;
        let first = lines.first().await.map_err(|error| explain::explain(&server, error))?;
        schema::bring_up(first).await?;
        Ok(Self {
            server: Arc::new(server),
            lines,
            lanes: OnceLock::new(),
            bell: Arc::default(),
            ear: OnceLock::new(),
        })
    }

    async fn line(&self) -> Result<Line, Fault> {
        self.lines.line().await
    }

    /// A query's one number.
    async fn number(&self, sql: &str, values: Values<'_>) -> Result<i64> {
        let line = self.line().await?;
        let row = line.row(sql, values).await?;
        let missing = || StoreError::Corrupt("an answer without a row".into());
        Ok(get(row.as_ref().ok_or_else(missing)?, 0)?)
    }

    fn lanes(&self) -> &Lanes {
        self.lanes.get_or_init(|| Lanes::start(&self.lines, &self.bell))
    }

    fn listen(&self) {
        self.ear.get_or_init(|| {
            let listening = ear::listen(Arc::clone(&self.server), Arc::clone(&self.bell));
            AbortOnDropHandle::new(tokio::spawn(listening))
        });
    }
}

/// Runs a transaction, and runs it again where others were in its way.
async fn again<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt().await {
            Err(fault) if fault.again && tries < TRIES => breathe(tries).await,
            done => return Ok(done?),
        }
    }
}

/// A moment, longer each time and never twice the same, so that two that were in each other's way part.
async fn breathe(tries: u32) {
    let spread = crate::app::draw_from_system() % 10;
    let milliseconds = u64::from(tries) * 5 + u64::try_from(spread).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
