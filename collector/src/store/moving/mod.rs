//! A whole store from one place to another: moved, backed up, restored. All of it arrives, or nothing does.
//!
//! Rows go as they are, table by table ([`tables`]). Before they stand at the target they are read from there again and
//! compared with what was read at the source ([`tally`]); the audit's chain is walked at both ends. A backup is a SQLite
//! store in one file, whichever store it was made of.

mod file;
pub mod tables;
pub mod tally;
#[cfg(test)]
pub mod tests;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::postgres::Settings;
use super::postgres::rows::{Database, Purpose};
use super::sqlite::rows::{self as sqlite_rows, File};
use super::{Result, StoreError};
use file::Unfinished;
use tables::TABLES;
use tally::{Cells, Tallies};

/// Pieces that may wait between source and target.
const WAITING: usize = 8;

/// One end of a move.
pub enum End {
    /// A file.
    Sqlite(std::path::PathBuf),
    /// A database on a server.
    Postgres(Box<Settings>),
}

/// Hears how far it is: what is being done, with which table, and how many rows of it are done.
pub type Tell = Arc<dyn Fn(&'static str, &'static str, u64) + Send + Sync>;

/// What has been moved.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Rows of each table that has some.
    pub rows: Vec<(&'static str, u64)>,
    /// The first entry of the audit that does not fit the one before, at the source as at the target.
    pub broken_audit: Option<i64>,
}

impl From<&Tallies> for Moved {
    fn from(tallies: &Tallies) -> Self {
        Self { rows: tallies.rows(), broken_audit: tallies.broken_audit() }
    }
}

/// Moves a store while no collector works on either end. The source stays as it is.
pub async fn move_all(from: &End, to: &End, tell: &Tell) -> Result<Moved> {
    copy(open_source(from, Purpose::Source).await?, to, tell).await
}

/// Backs a store up into a file, while collectors may go on.
pub async fn back_up(from: &End, file: &Path, tell: &Tell) -> Result<Moved> {
    if file.exists() {
        return Err(StoreError::Conflict(format!(
            "{} is there already; nothing is overwritten",
            file.display()
        )));
    }
    let End::Sqlite(store) = from else {
        let source = open_source(from, Purpose::Backup).await?;
        return copy(source, &End::Sqlite(file.to_owned()), tell).await;
    };
    let unfinished = Unfinished::beside(file)?;
    let (store, part, told) = (there(store)?.to_owned(), unfinished.path().to_owned(), Arc::clone(tell));
    let copied = blocking(move || {
        sqlite_rows::copy_pages(&store, &part, &|done| told("copied", "pages", done))?;
        sqlite_rows::bring_up(&part)?;
        tally(&File::read_only(&part)?, &told)
    });
    let tallies = copied.await?;
    unfinished.becomes(file)?;
    Ok(Moved::from(&tallies))
}

/// Fills an empty store from a backup. `scratch` is a folder for a working copy: tables of an earlier version are brought
/// to this one's there, and the backup stays as it is.
pub async fn restore(file: &Path, to: &End, scratch: &Path, tell: &Tell) -> Result<Moved> {
    let version = sqlite_rows::version(there(file)?)?;
    if version > sqlite_rows::newest() {
        return Err(StoreError::Corrupt(format!(
            "{} was made by a newer Farmwatch; restore it with that one",
            file.display()
        )));
    }
    let working = Unfinished::beside(match to {
        End::Sqlite(path) => path,
        End::Postgres(_) => scratch,
    })?;
    let (from, part, told) = (file.to_owned(), working.path().to_owned(), Arc::clone(tell));
    let copied = blocking(move || {
        sqlite_rows::copy_pages(&from, &part, &|done| told("copied", "pages", done))?;
        sqlite_rows::bring_up(&part)?;
        tally(&File::read_only(&part)?, &told)
    });
    let tallies = copied.await?;
    match to {
        End::Sqlite(path) => {
            empty_or_not_there(path)?;
            working.becomes(path)?;
            Ok(Moved::from(&tallies))
        }
        End::Postgres(_) => {
            let source = open_source(&End::Sqlite(working.path().to_owned()), Purpose::Source).await?;
            copy(source, to, tell).await
        }
    }
}

/// Where rows come from.
enum Source {
    Sqlite(File),
    Postgres(Database),
}

async fn open_source(from: &End, purpose: Purpose) -> Result<Source> {
    match from {
        End::Sqlite(path) => Ok(Source::Sqlite(File::alone(there(path)?)?)),
        End::Postgres(settings) => Ok(Source::Postgres(Database::open(settings, purpose).await?)),
    }
}

async fn copy(source: Source, to: &End, tell: &Tell) -> Result<Moved> {
    match to {
        End::Sqlite(path) => into_file(source, path, tell).await,
        End::Postgres(settings) => into_database(source, settings, tell).await,
    }
}

async fn into_file(source: Source, path: &Path, tell: &Tell) -> Result<Moved> {
    empty_or_not_there(path)?;
    let unfinished = Unfinished::beside(path)?;
    let (pieces, mut coming) = mpsc::channel::<Piece>(WAITING);
    let (part, told) = (unfinished.path().to_owned(), Arc::clone(tell));
    let writing = blocking(move || {
        let file = File::new(&part)?;
        let mut done = Done::new("copied", told);
        while let Some((table, rows)) = coming.blocking_recv() {
            file.write(table, &rows)?;
            done.more(table, rows.len());
        }
        Ok(file)
    });
    let (sent, written) = tokio::join!(send(source, pieces), writing);
    // Where the writing failed, the sending only says that nobody takes it.
    let (file, sent) = (written?, sent?);
    let told = Arc::clone(tell);
    let found = blocking(move || {
        let found = tally(&file, &told)?;
        file.finish()?;
        Ok(found)
    });
    alike(&sent, &found.await?)?;
    unfinished.becomes(path)?;
    Ok(Moved::from(&sent))
}

async fn into_database(source: Source, settings: &Settings, tell: &Tell) -> Result<Moved> {
    let database = Database::open(settings, Purpose::Target).await?;
    refuse_filled(&database.filled().await?)?;
    let (pieces, mut coming) = mpsc::channel::<Piece>(WAITING);
    let (to, told) = (&database, Arc::clone(tell));
    // The near end of the channel goes with this when it fails, so that the source does not wait for ever.
    let writing = async move {
        let mut done = Done::new("copied", told);
        while let Some((table, rows)) = coming.recv().await {
            to.write(table, &rows).await?;
            done.more(table, rows.len());
        }
        Ok(())
    };
    let (sent, written): (_, Result<()>) = tokio::join!(send(source, pieces), writing);
    written?;
    let sent = sent?;
    let (mut found, mut done) = (Tallies::default(), Done::new("checked", Arc::clone(tell)));
    let check = async |table, rows: Vec<Cells>| {
        done.more(table, rows.len());
        found.add(table, &rows)
    };
    database.read(check).await?;
    alike(&sent, &found)?;
    database.finish().await?;
    Ok(Moved::from(&sent))
}

/// Rows of a table, by its place in [`TABLES`].
type Piece = (usize, Vec<Cells>);

/// Reads all rows of a source and hands them on; what they were.
async fn send(source: Source, pieces: mpsc::Sender<Piece>) -> Result<Tallies> {
    let gone = || StoreError::Unavailable("the target takes no more".into());
    let mut tallies = Tallies::default();
    match source {
        Source::Sqlite(file) => {
            let reading = move || {
                file.read(|table, rows| {
                    tallies.add(table, &rows)?;
                    pieces.blocking_send((table, rows)).map_err(|_| gone())
                })?;
                Ok(tallies)
            };
            blocking(reading).await
        }
        Source::Postgres(database) => {
            let each = async |table, rows: Vec<Cells>| {
                tallies.add(table, &rows)?;
                pieces.send((table, rows)).await.map_err(|_| gone())
            };
            database.read(each).await?;
            Ok(tallies)
        }
    }
}

fn tally(file: &File, tell: &Tell) -> Result<Tallies> {
    let (mut found, mut done) = (Tallies::default(), Done::new("checked", Arc::clone(tell)));
    file.read(|table, rows| {
        done.more(table, rows.len());
        found.add(table, &rows)
    })?;
    Ok(found)
}

fn alike(sent: &Tallies, found: &Tallies) -> Result<()> {
    let differences = sent.differences(found);
    if differences.is_empty() {
        return Ok(());
    }
    let all = differences.join("; ");
    Err(StoreError::Corrupt(format!("the copy is not what was read, so nothing was moved: {all}")))
}

fn refuse_filled(filled: &[(&'static str, u64)]) -> Result<()> {
    if filled.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = filled.iter().map(|(table, rows)| format!("{table} {rows}")).collect();
    Err(StoreError::Conflict(format!(
        "the target is not empty (rows: {}); name a new file or an empty database, nothing is overwritten",
        all.join(", ")
    )))
}

/// Refuses a file that holds rows, or that is open elsewhere; one without is taken away.
fn empty_or_not_there(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let file = File::alone(path)?;
    refuse_filled(&file.filled()?)?;
    // The file that takes its place must not find these beside it.
    drop(file);
    for beside in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(beside);
        if let Err(error) = std::fs::remove_file(&name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let name = Path::new(&name).display();
            return Err(StoreError::Unavailable(format!("cannot remove {name}: {error}")));
        }
    }
    Ok(())
}

fn there(path: &Path) -> Result<&Path> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(path),
        Err(error) => Err(StoreError::Unavailable(format!("cannot read {}: {error}", path.display()))),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("it was cut short: {error}"))))
}

/// Counts rows of the table that is being done.
struct Done {
    what: &'static str,
    tell: Tell,
    now: (usize, u64),
}

impl Done {
    fn new(what: &'static str, tell: Tell) -> Self {
        Self { what, tell, now: (0, 0) }
    }

    fn more(&mut self, table: usize, rows: usize) {
        let before = if self.now.0 == table { self.now.1 } else { 0 };
        self.now = (table, before + rows as u64);
        (self.tell)(self.what, TABLES.get(table).map_or("", |table| table.postgres), self.now.1);
    }
}
