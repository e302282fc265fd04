//! Whether the server will do, and bringing its tables to this version's.

use super::super::StoreError;
use super::fault::{Fault, words};
use super::line::{Line, get};
use super::locks;

/// The oldest PostgreSQL that its makers still mend, and the one that the tests run on.
const OLDEST: i32 = 150_000;

pub(super) mod embedded {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// Brings the tables to this version's. Collectors that start at once wait for the first.
pub async fn bring_up(mut line: Line) -> Result<(), Fault> {
    check_server(&line).await?;
    let newest = embedded::migrations::runner().get_migrations().iter().map(|m| i64::from(m.version())).max();
    let newest = newest.unwrap_or(0);
    if version(&line, newest).await? == newest {
        return Ok(());
    }
    // From here on this connection is closed when it is done with: it holds a lock, and knows no limit of time.
    line.opened();
    line.say("SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        .await?;
    line.rows("SELECT pg_advisory_lock($1)", &[&locks::SCHEMA]).await?;
    if version(&line, newest).await? == newest {
        return Ok(());
    }
    let client: &mut tokio_postgres::Client = line.client_mut()?;
    match embedded::migrations::runner().set_grouped(true).run_async(client).await {
        Ok(_) => Ok(()),
        Err(error) => Err(StoreError::Corrupt(format!(
            "its tables cannot be brought to this version's: {}; the user of [store] url must own the database or \
             be let create tables there, and nobody else may have made tables of these names",
            reason(&error)
        ))
        .into()),
    }
}

fn reason(error: &refinery::Error) -> String {
    let mut below = std::error::Error::source(error);
    while let Some(cause) = below {
        if let Some(cause) = cause.downcast_ref::<tokio_postgres::Error>() {
            return words(cause);
        }
        below = cause.source();
    }
    error.to_string()
}

async fn check_server(line: &Line) -> Result<(), Fault> {
    let row = line
        .row(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                 current_setting('server_encoding'), current_setting('fsync')",
            &[],
        )
        .await?;
    let Some(row) = &row else { return Ok(()) };
    let (number, version): (i32, &str) = (get(row, 0)?, get(row, 1)?);
    if number < OLDEST {
        return Err(Fault::unavailable(format!(
            "the server is PostgreSQL {version}; it has to be {} or newer",
            OLDEST / 10_000
        )));
    }
    let encoding: &str = get(row, 2)?;
    if encoding != "UTF8" {
        return Err(Fault::unavailable(format!(
            "the database's encoding is {encoding}; create it with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    if get::<&str>(row, 3)? != "on" {
        tracing::warn!("PostgreSQL runs with fsync off: a power cut loses what agents were told is safe");
    }
    Ok(())
}

/// The version that the tables have; 0 for none. One that is newer than ours is refused.
async fn version(line: &Line, newest: i64) -> Result<i64, Fault> {
    let there = line.row("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[]).await?;
    if !there.as_ref().map_or(Ok(false), |row| get(row, 0))? {
        return Ok(0);
    }
    let row = line.row("SELECT coalesce(max(version), 0)::bigint FROM refinery_schema_history", &[]).await?;
    let version: i64 = row.as_ref().map_or(Ok(0), |row| get(row, 0))?;
    if version > newest {
        return Err(StoreError::Corrupt(format!(
            "a newer Farmwatch has brought its tables to version {version}, and this one knows versions up to \
             {newest}; install the newer one here too"
        ))
        .into());
    }
    Ok(version)
}
