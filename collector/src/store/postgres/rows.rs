//! All rows of a database, read and written as they are: for backup, restore and move.

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use tokio_util::task::AbortOnDropHandle;

use super::super::convert::plain;
use super::super::moving::tables::{TABLES, Table, quoted};
use super::super::moving::tally::{Cell, Cells};
use super::super::{Result, StoreError};
use super::connect::{Server, Settings};
use super::fault::Fault;

/// Rows in one piece.
const PIECE: u32 = 1000;
/// How long collectors that were stopped have to be gone.
const LET_GO: std::time::Duration = std::time::Duration::from_secs(3);
/// What this connection is called on the server.
const NAME: &str = "farmwatch-move";

/// A database within one transaction, in which its rows are read, or written.
pub struct Database {
    client: Client,
    _connection: AbortOnDropHandle<()>,
}

/// What the transaction is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To read beside collectors that go on.
    Backup,
    /// To read while nobody writes.
    Source,
    /// To write while nobody else does.
    Target,
}

impl Database {
    /// Brings the tables to this version's and begins.
    pub async fn open(settings: &Settings, purpose: Purpose) -> Result<Self> {
        drop(super::Postgres::open(settings).await?);
        let mut server = Server::new(settings)?;
        server.config.application_name(NAME);
        let (client, connection) = server.connect().await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to PostgreSQL ended");
            }
        }));
        let database = Self { client, _connection: connection };
        database.begin(purpose).await?;
        Ok(database)
    }

    async fn begin(&self, purpose: Purpose) -> Result<()> {
        self.say(
            "SET statement_timeout = 0; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = 0;
             SET jit = off; SET synchronous_commit = on",
        )
        .await?;
        if purpose == Purpose::Backup {
            return self.say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        }
        self.nobody_else().await?;
        let all: Vec<String> = TABLES.iter().map(|table| quoted(table.postgres)).collect();
        // The lock comes first: what is read later is as it stands then. Both locks let others read and nobody write.
        let (isolation, mode) = match purpose {
            Purpose::Target => ("READ COMMITTED", "SHARE ROW EXCLUSIVE"),
            _ => ("REPEATABLE READ", "SHARE"),
        };
        self.say(&format!("BEGIN ISOLATION LEVEL {isolation}; LOCK TABLE {} IN {mode} MODE", all.join(", ")))
            .await
    }

    /// Refuses where collectors are connected.
    async fn nobody_else(&self) -> Result<()> {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'farmwatch-collector'";
        let start = std::time::Instant::now();
        loop {
            let row = self.client.query_one(query, &[]).await.map_err(Fault::from)?;
            let connected: i64 = row.get(0);
            if connected == 0 {
                return Ok(());
            }
            if start.elapsed() > LET_GO {
                return Err(StoreError::Unavailable(format!(
                    "collectors are connected to the database ({connected} connections); stop them first"
                )));
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Reads all rows, as they stand at one time.
    pub async fn read(&self, mut each: impl AsyncFnMut(usize, Vec<Cells>) -> Result<()>) -> Result<()> {
        for (number, table) in TABLES.iter().enumerate() {
            let order = table.order.map(|column| format!("ORDER BY {column}")).unwrap_or_default();
            let (columns, name) = (table.on_postgres(), quoted(table.postgres));
            self.say(&format!("DECLARE rows NO SCROLL CURSOR FOR SELECT {columns} FROM {name} {order}"))
                .await?;
            let fetch = format!("FETCH {PIECE} FROM rows");
            let fetch = self.client.prepare(&fetch).await.map_err(Fault::from)?;
            loop {
                let rows = self.client.query(&fetch, &[]).await.map_err(Fault::from)?;
                if rows.is_empty() {
                    break;
                }
                let rows = rows.iter().map(cells).collect::<Result<Vec<_>, Fault>>()?;
                each(number, rows).await?;
            }
            self.say("CLOSE rows").await?;
        }
        Ok(())
    }

    /// Writes rows of a table.
    pub async fn write(&self, table: usize, rows: &[Cells]) -> Result<()> {
        let Some(table) = TABLES.get(table) else { return Ok(()) };
        Ok(self.copy_in(table, rows).await?)
    }

    async fn copy_in(&self, table: &Table, rows: &[Cells]) -> Result<(), Fault> {
        let (columns, name) = (table.on_postgres(), quoted(table.postgres));
        let statement = self.client.prepare(&format!("SELECT {columns} FROM {name}")).await?;
        let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
        let copy = format!("COPY {name} ({columns}) FROM STDIN BINARY");
        let sink = self.client.copy_in(copy.as_str()).await?;
        let writer = BinaryCopyInWriter::new(sink, &types);
        let mut writer = std::pin::pin!(writer);
        for row in rows {
            let values = row.iter().zip(&types).map(|(cell, of)| value(cell, of));
            let values = values.collect::<Result<Vec<_>, Fault>>()?;
            writer.as_mut().write_raw(values).await?;
        }
        writer.finish().await?;
        Ok(())
    }

    /// The tables that hold rows, with how many.
    pub async fn filled(&self) -> Result<Vec<(&'static str, u64)>> {
        let mut filled = Vec::new();
        for table in &TABLES {
            let query = format!("SELECT count(*) FROM {}", quoted(table.postgres));
            let row = self.client.query_one(&query, &[]).await.map_err(Fault::from)?;
            let rows: i64 = row.get(0);
            if rows > 0 {
                filled.push((table.postgres, u64::try_from(rows).unwrap_or(0)));
            }
        }
        Ok(filled)
    }

    /// Ends what was written: from here on the database gives numbers above those that came, and all of it stands.
    pub async fn finish(self) -> Result<()> {
        for table in &TABLES {
            let Some(column) = table.numbered else { continue };
            let name = table.postgres;
            self.say(&format!(
                "SELECT setval(pg_get_serial_sequence('{name}', '{column}'), max({column})) FROM {name}
                 HAVING max({column}) IS NOT NULL"
            ))
            .await?;
        }
        self.say("COMMIT").await?;
        // Queries are planned by what is there; it would else be minutes until the server looks by itself.
        let all: Vec<String> = TABLES.iter().map(|table| quoted(table.postgres)).collect();
        self.say(&format!("ANALYZE {}", all.join(", "))).await
    }

    async fn say(&self, sql: &str) -> Result<()> {
        Ok(self.client.batch_execute(sql).await.map_err(Fault::from)?)
    }
}

fn cells(row: &Row) -> Result<Cells, Fault> {
    (0..row.len()).map(|column| cell(row, column)).collect()
}

fn cell(row: &Row, column: usize) -> Result<Cell, Fault> {
    let of = row.columns().get(column).map(tokio_postgres::Column::type_);
    let found = match of {
        Some(&Type::INT8) => row.try_get::<_, Option<i64>>(column)?.map(Cell::Int),
        Some(&Type::BOOL) => row.try_get::<_, Option<bool>>(column)?.map(|it| Cell::Int(i64::from(it))),
        Some(&Type::FLOAT8) => row.try_get::<_, Option<f64>>(column)?.map(Cell::Real),
        Some(&Type::TEXT) => row.try_get::<_, Option<String>>(column)?.map(Cell::Text),
        Some(&Type::BYTEA) => row.try_get::<_, Option<Vec<u8>>>(column)?.map(Cell::Blob),
        other => return Err(StoreError::Corrupt(format!("a column of type {other:?}")).into()),
    };
    Ok(found.unwrap_or(Cell::Null))
}

fn value(cell: &Cell, of: &Type) -> Result<Box<dyn ToSql + Sync + Send>, Fault> {
    Ok(match (cell, of) {
        (Cell::Null, &Type::INT8) => Box::new(None::<i64>),
        (Cell::Null, &Type::TEXT) => Box::new(None::<String>),
        (Cell::Int(number), &Type::BOOL) => Box::new(*number != 0),
        (Cell::Int(number), &Type::INT8) => Box::new(*number),
        (Cell::Real(number), &Type::FLOAT8) => Box::new(*number),
        (Cell::Text(text), &Type::TEXT) => Box::new(plain(text)),
        (Cell::Blob(bytes), &Type::BYTEA) => Box::new(bytes.clone()),
        _ => return Err(StoreError::Corrupt(format!("{cell:?} does not go into a column of {of}")).into()),
    })
}
