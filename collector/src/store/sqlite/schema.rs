//! Opening connections and bringing the tables to this version's.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, OpenFlags};
use tracing::Level;

use super::super::{Result, StoreError};
use super::convert::sql;

/// How long one process waits for another's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that a connection keeps prepared: all of ours.
const STATEMENTS: usize = 256;

/// Where queries are logged, at level debug: `level = "info,farmwatch_collector::store::queries=debug"` of [log].
const QUERIES: &str = "farmwatch_collector::store::queries";

pub(super) mod embedded {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// Opens a file to write, with every commit on disk before it is answered.
pub fn open_to_write(path: &Path) -> Result<Connection> {
    let mut conn = Connection::open(path)
        .map_err(|e| StoreError::Unavailable(format!("cannot open {}: {e}", path.display())))?;
    prepare(&conn)?;
    // 4,096 pages of 4 KiB: what is written often is copied from the WAL into the file once per 16 MiB.
    sql(conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536;",
    ))?;
    migrate(&mut conn)?;
    Ok(conn)
}

/// Opens a file to read.
pub fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::Unavailable(format!("cannot open {}: {e}", path.display())))?;
    prepare(&conn)?;
    sql(conn.execute_batch("PRAGMA query_only = TRUE; PRAGMA cache_size = -16384;"))?;
    if tracing::enabled!(target: QUERIES, Level::DEBUG) {
        conn.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(tell));
    }
    Ok(conn)
}

/// Logs a query and its time, without the values that were asked for. The time is as exact as SQLite's clock: to a
/// millisecond.
fn tell(event: TraceEvent<'_>) {
    if let TraceEvent::Profile(statement, took) = event {
        let sql = statement.sql();
        tracing::debug!(target: QUERIES, micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), sql = &*sql);
    }
}

/// Opens a database in memory.
pub fn open_in_memory() -> Result<Connection> {
    let mut conn = sql(Connection::open_in_memory())?;
    prepare(&conn)?;
    sql(conn.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"))?;
    migrate(&mut conn)?;
    Ok(conn)
}

fn prepare(conn: &Connection) -> Result<()> {
    sql(conn.busy_timeout(BUSY))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else a statement is planned anew whenever other values are bound to it: a fifth of a judgement's time.
    sql(conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true))?;
    sql(conn.execute_batch("PRAGMA temp_store = MEMORY;"))
}

/// Two processes that start at once both get here: the second waits for the first.
fn migrate(conn: &mut Connection) -> Result<()> {
    let done = embedded::migrations::runner()
        .set_grouped(true)
        .run(conn)
        .or_else(|_| embedded::migrations::runner().set_grouped(true).run(conn));
    done.map(|_| ()).map_err(|e| {
        StoreError::Corrupt(format!(
            "its tables cannot be brought to this version's: {e}; if a newer Farmwatch wrote it, run that one"
        ))
    })
}

/// Makes the tables of an earlier version.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub fn migrate_to(conn: &mut Connection, version: refinery::Target) {
    embedded::migrations::runner().set_target(version).run(conn).unwrap();
}
