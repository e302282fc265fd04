//! The store on SQLite: one file, nothing to install, good for a machine's worth of fleet.
//!
//! One thread writes. What waits for it goes into one transaction, so that a hundred reports cost one sync
//! ([`writer`]). Reads run beside it on a few connections of their own ([`readers`]): in WAL mode neither
//! waits for the other. Another process (the command line) may write too; see [`heads::Heads`].

mod access;
mod alerts;
mod anchors;
mod arrivals;
mod audit;
mod change;
mod context;
mod convert;
mod devices;
mod dossier;
mod facts;
mod heads;
mod occupants;
mod orders;
mod readers;
mod reports;
pub(super) mod rows;
mod schema;
mod sites;
#[cfg(test)]
mod tests;
mod work;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::Notify;

use super::{Result, SharedStore, StoreError};
use readers::Readers;
pub use readers::read_on_this_thread;
#[cfg(test)]
pub use schema::migrate_to;
use writer::{Hand, Writer};

/// Opens a store file, and makes it where there is none. Its tables are brought to this version's.
pub fn open(path: &Path) -> Result<SharedStore> {
    let hand = Hand::new(schema::open_to_write(path)?);
    let bell = Arc::clone(&hand.bell);
    let readers = Readers::new(path)?;
    Ok(Arc::new(Sqlite::File { writer: Writer::start(hand)?, readers, bell }))
}

/// A store that lives as long as it is held, in memory: for replay and tests. Calls run where they are made,
/// without threads, so that replay is fast and the same each time.
pub fn in_memory() -> Result<SharedStore> {
    let hand = Hand::new(schema::open_in_memory()?);
    Ok(Arc::new(Sqlite::Memory(Mutex::new(hand))))
}

/// The store on SQLite.
enum Sqlite {
    /// In a file.
    File {
        writer: Writer,
        readers: Readers,
        /// Rung when there is work.
        bell: Arc<Notify>,
    },
    /// In memory: one connection for all.
    Memory(Mutex<Hand>),
}

impl Sqlite {
    /// Runs a query.
    async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match self {
            Self::File { readers, .. } => readers.run(query).await,
            Self::Memory(hand) => query(&lock(hand)?.conn),
        }
    }

    /// Runs a write that may be refused without harm to others. `work` may be called twice: where a group of
    /// writes fails, each is tried again alone.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Hand) -> Result<T> + Send + 'static,
    {
        match self {
            Self::File { writer, .. } => writer.run(work, writer::Kind::Guarded).await,
            Self::Memory(hand) => writer::run_here(&mut *lock(hand)?, work),
        }
    }

    /// Runs a write that refuses nothing once it has begun to write, and is turned away at once when the queue
    /// is full: ingest.
    async fn write_or_shed<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Hand) -> Result<T> + Send + 'static,
    {
        match self {
            Self::File { writer, .. } => writer.run(work, writer::Kind::Ingest).await,
            Self::Memory(hand) => writer::run_here(&mut *lock(hand)?, work),
        }
    }
}

fn lock(hand: &Mutex<Hand>) -> Result<std::sync::MutexGuard<'_, Hand>> {
    hand.lock().map_err(|_| StoreError::Unavailable("a call to it panicked".into()))
}
