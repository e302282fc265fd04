//! A few connections that read.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::super::{Result, StoreError};
use super::schema;

/// Queries at once. More would not be faster on few cores.
const CONNECTIONS: usize = 4;
/// Longest wait for a free connection.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    static READS_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread holds up nobody while it waits for the disk: what it reads, it reads itself, which saves the
/// way to another thread and back.
pub fn read_on_this_thread() {
    READS_HERE.set(true);
}

/// Connections that read, opened as they are needed.
pub struct Readers {
    path: PathBuf,
    free: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Opens the first connection.
    pub fn new(path: &Path) -> Result<Self> {
        let first = schema::open_to_read(path)?;
        Ok(Self {
            path: path.to_owned(),
            free: Arc::new(Mutex::new(vec![first])),
            turns: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// Runs a query on a thread that may block, so that a slow disk holds up nobody else.
    pub async fn run<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(StoreError::Unavailable("all of its readers are busy".into()));
        };
        let (free, path) = (self.free.clone(), self.path.clone());
        let run = move || {
            let _turn = turn;
            let taken = free.lock().ok().and_then(|mut free| free.pop());
            let conn = match taken {
                Some(conn) => conn,
                None => schema::open_to_read(&path)?,
            };
            let answer = query(&conn);
            if let Ok(mut free) = free.lock() {
                free.push(conn);
            }
            answer
        };
        if READS_HERE.get() {
            return run();
        }
        let run = tokio::task::spawn_blocking(run);
        run.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("a query was cut short: {e}"))))
    }
}
