//! All rows of a store's file, read and written as they are: for backup, restore and move.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::super::moving::tables::{TABLES, Table, quoted};
use super::super::moving::tally::{Cell, Cells};
use super::super::{Result, StoreError};
use super::convert::{sql, uncount};
use super::schema;

/// Rows in one piece.
const PIECE: usize = 1000;
/// Pages of 4 KiB that are copied at once.
const PAGES: i32 = 4096;
/// Times that a page which another has locked is asked for, and the time between.
const TRIES: u32 = 200;
const AGAIN: Duration = Duration::from_millis(50);
/// How long others have to let go of a file that is to be had alone.
const LET_GO: Duration = Duration::from_secs(2);

/// A file whose rows are read, or written.
pub struct File {
    conn: Connection,
}

impl File {
    /// An existing file that nobody else may open until this is dropped; its tables are brought to this version's.
    pub fn alone(path: &Path) -> Result<Self> {
        drop(schema::open_to_write(path)?);
        let conn = Connection::open(path)?;
        let alone = || {
            conn.busy_timeout(LET_GO)?;
            // Before the first look at the file: else the lock is not asked for.
            conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
        };
        alone().map_err(|error| {
            StoreError::Unavailable(format!(
                "{} is open elsewhere ({error}); stop the collector first",
                path.display()
            ))
        })?;
        Ok(Self { conn })
    }

    /// A file to read only, as it is.
    pub fn read_only(path: &Path) -> Result<Self> {
        Ok(Self { conn: schema::open_to_read(path)? })
    }

    /// A new file, with tables and without rows, on which nothing waits for the disk before [`Self::finish`].
    pub fn new(path: &Path) -> Result<Self> {
        drop(schema::open_to_write(path)?);
        let conn = Connection::open(path)?;
        conn.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
             PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536; BEGIN",
        )?;
        Ok(Self { conn })
    }

    /// Reads all rows, as they stand at one time.
    pub fn read(&self, mut each: impl FnMut(usize, Vec<Cells>) -> Result<()>) -> Result<()> {
        let within = !self.conn.is_autocommit();
        if !within {
            self.conn.execute_batch("BEGIN")?;
        }
        for (number, table) in TABLES.iter().enumerate() {
            self.read_table(table, |rows| each(number, rows))?;
        }
        if within { Ok(()) } else { sql(self.conn.execute_batch("COMMIT")) }
    }

    fn read_table(&self, table: &Table, mut each: impl FnMut(Vec<Cells>) -> Result<()>) -> Result<()> {
        let order = table.order.map(|column| format!("ORDER BY {column}")).unwrap_or_default();
        let query = format!("SELECT {} FROM {} {order}", table.read_on_sqlite(), quoted(table.sqlite));
        let mut statement = self.conn.prepare(&query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut piece = Vec::with_capacity(PIECE);
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|column| cell(row.get_ref(column)?));
            piece.push(cells.collect::<Result<Cells>>()?);
            if piece.len() == PIECE {
                each(std::mem::replace(&mut piece, Vec::with_capacity(PIECE)))?;
            }
        }
        if piece.is_empty() { Ok(()) } else { each(piece) }
    }

    /// Writes rows of a table.
    pub fn write(&self, table: usize, rows: &[Cells]) -> Result<()> {
        let Some(table) = TABLES.get(table) else { return Ok(()) };
        let columns = table.columns().len();
        let marks = vec!["?"; columns].join(", ");
        let insert =
            format!("INSERT INTO {} ({}) VALUES ({marks})", quoted(table.sqlite), table.written_on_sqlite());
        let mut statement = self.conn.prepare_cached(&insert)?;
        for row in rows {
            statement.execute(params_from_iter(row.iter().take(columns).map(value)))?;
        }
        Ok(())
    }

    /// The tables that hold rows, with how many.
    pub fn filled(&self) -> Result<Vec<(&'static str, u64)>> {
        let counted = TABLES.iter().map(|table| {
            let query = format!("SELECT count(*) FROM {}", quoted(table.sqlite));
            Ok((table.postgres, uncount(self.conn.query_row(&query, [], |row| row.get(0))?)))
        });
        let counted = counted.collect::<Result<Vec<_>>>()?;
        Ok(counted.into_iter().filter(|(_, rows)| *rows > 0).collect())
    }

    /// Ends what was written, checks the file and has it on disk, as one file with nothing beside it.
    pub fn finish(self) -> Result<()> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("COMMIT")?;
        }
        settle(self.conn)
    }
}

/// Copies a file's pages into an empty one while others write to it: all of it as it stands at one time. `tell` hears how
/// many pages are done.
pub fn copy_pages(from: &Path, to: &Path, tell: &dyn Fn(u64)) -> Result<()> {
    let source = schema::open_to_read(from)?;
    // What is read within a transaction does not change under the copy, which would begin anew with each commit.
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut target = Connection::open(to)?;
    target.execute_batch("PRAGMA synchronous = OFF")?;
    let backup = Backup::new(&source, &mut target)?;
    let mut waited = 0;
    loop {
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ if waited < TRIES => {
                waited += 1;
                std::thread::sleep(AGAIN);
            }
            _ => return Err(StoreError::Unavailable(format!("{} is busy", from.display()))),
        }
        let progress = backup.progress();
        tell(u64::try_from(progress.pagecount.saturating_sub(progress.remaining)).unwrap_or(0));
    }
}

/// The newest version of a file's tables; what is wrong if it is none of ours.
pub fn version(path: &Path) -> Result<i64> {
    let conn = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version = conn.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0));
    version.map_err(|error| {
        StoreError::Corrupt(format!("{} is no backup of Farmwatch: {error}", path.display()))
    })
}

/// The version that this program gives to tables.
pub fn newest() -> i64 {
    let all = schema::embedded::migrations::runner();
    all.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
}

/// Brings a file's tables to this version's, checks it, and has it on disk as one file.
pub fn bring_up(path: &Path) -> Result<()> {
    settle(schema::open_to_write(path)?)
}

/// A database as one file, checked, and on disk.
fn settle(conn: Connection) -> Result<()> {
    // From WAL to a single file: what is copied elsewhere must not leave something behind.
    conn.execute_batch(
        "PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL",
    )?;
    let path = PathBuf::from(conn.path().unwrap_or_default());
    let said: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(StoreError::Corrupt(format!("{} does not pass SQLite's check: {said}", path.display())));
    }
    conn.close().map_err(|(_, error)| StoreError::from(error))?;
    let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::Unavailable(format!("cannot sync {}: {error}", path.display())))
}

fn cell(value: ValueRef<'_>) -> Result<Cell> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|e| StoreError::Corrupt(format!("a text: {e}")));
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => Cell::Text(text(bytes)?.to_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    })
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => Value::Integer(*number),
        Cell::Real(number) => Value::Real(*number),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Blob(bytes) => Value::Blob(bytes.clone()),
    }
}
