//! A store that moved is the store that it was, and one that did not arrive has not moved.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::suite::minute;
use super::super::{NewAudit, sqlite};
use super::tables::{AUDIT, TABLES, Table, quoted};
use super::*;

/// Hears nothing.
pub fn silent() -> Tell {
    Arc::new(|_, _, _| {})
}

/// A file with rows in every table, of which the audit's are chained.
pub async fn filled(path: &Path) -> End {
    let store = sqlite::open(path).unwrap();
    for n in 0..3 {
        let why = format!("entry {n}, \u{1f4bb}");
        let entry =
            NewAudit { at: minute(n), actor: "a".into(), action: "b".into(), object: "c".into(), why };
        store.audit(entry).await.unwrap();
    }
    drop(store);
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("BEGIN").unwrap();
    for (number, table) in TABLES.iter().enumerate() {
        if number != AUDIT {
            (1..=1203).for_each(|row| insert(&conn, table, row));
        }
    }
    conn.execute_batch("COMMIT").unwrap();
    End::Sqlite(path.to_owned())
}

/// A row whose values differ by column and by number, some of them odd.
fn insert(conn: &Connection, table: &Table, number: i64) {
    let types = format!("SELECT name, type FROM pragma_table_info('{}')", table.sqlite);
    let mut types = conn.prepare_cached(&types).unwrap();
    let types = types.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let types: Vec<(String, String)> = types.map(rusqlite::Result::unwrap).collect();
    let value = |(column, (name, of)): (usize, &(String, String))| {
        let it = number * 100 + i64::try_from(column).unwrap();
        match (name.as_str(), of.as_str()) {
            ("address" | "why", _) if number % 2 == 0 => Value::Null,
            ("site", _) if number % 2 == 0 && table.sqlite == "device" => Value::Null,
            ("current" | "absorbed", _) => Value::Integer(number % 2),
            ("device" | "number" | "id", "INTEGER") => Value::Integer(number * 100),
            (_, "INTEGER") => Value::Integer(if number == 7 { i64::MAX - it } else { it }),
            (_, "REAL") => Value::Real(1.0 / it as f64),
            (_, "BLOB") => Value::Blob(it.to_be_bytes().to_vec()),
            ("value", _) => Value::Text(format!(r#"{{"summary":"a \u0000 \"summary\" of {it}"}}"#)),
            _ if number == 9 => Value::Text(format!("{it} \t\n\r\\N \u{0} ü \u{1f4bb} '")),
            _ => Value::Text(format!("{} {it}", table.sqlite)),
        }
    };
    let values: Vec<Value> = types.iter().enumerate().map(value).collect();
    let marks = vec!["?"; values.len()].join(", ");
    let insert = format!("INSERT INTO {} VALUES ({marks})", quoted(table.sqlite));
    conn.prepare_cached(&insert).unwrap().execute(params_from_iter(values)).unwrap();
}

/// What a file holds.
pub fn held(path: &Path) -> Tallies {
    tally(&File::read_only(path).unwrap(), &silent()).unwrap()
}

/// What lies in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn path_of(end: &End) -> &PathBuf {
    let End::Sqlite(path) = end else { panic!("a file") };
    path
}

#[test]
fn every_table_and_column_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("farmwatch.db");
    drop(sqlite::open(&path).unwrap());
    let conn = Connection::open(&path).unwrap();
    let all = |query: &str| -> BTreeSet<String> {
        let mut statement = conn.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap).collect()
    };
    let tables = all("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
                      AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'refinery_%'");
    assert_eq!(tables, TABLES.iter().map(|table| table.sqlite.to_owned()).collect());
    for table in &TABLES {
        let columns = all(&format!("SELECT name FROM pragma_table_info('{}')", table.sqlite));
        let listed = table.columns().into_iter().map(|(_, name)| name.to_owned()).collect();
        assert_eq!(columns, listed, "{}", table.sqlite);
    }
}

#[tokio::test]
async fn a_backup_is_made_under_an_open_store_and_restores_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("farmwatch.db")).await;
    let running = sqlite::open(path_of(&from)).unwrap();
    let backup = folder.path().join("backup.db");
    let moved = back_up(&from, &backup, &silent()).await.unwrap();
    drop(running);
    assert_eq!((moved.rows.len(), moved.broken_audit), (TABLES.len(), None));
    assert_eq!(held(&backup), held(path_of(&from)));
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = back_up(&from, &backup, &silent()).await.unwrap_err().to_string();
    assert!(again.contains("nothing is overwritten"), "{again}");

    let to = End::Sqlite(folder.path().join("restored.db"));
    restore(&backup, &to, folder.path(), &silent()).await.unwrap();
    assert_eq!(held(path_of(&to)), held(&backup));
    assert_eq!(std::fs::metadata(path_of(&to)).unwrap().permissions().mode() & 0o777, 0o600);
    let again = restore(&backup, &to, folder.path(), &silent()).await.unwrap_err().to_string();
    assert!(again.contains("not empty") && again.contains("kept 1203"), "{again}");
    assert_eq!(names(folder.path()).iter().filter(|name| name.contains(".part")).count(), 0);
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_or_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.db");
    let mut conn = Connection::open(&old).unwrap();
    let first = refinery::Target::Version(1);
    sqlite::migrate_to(&mut conn, first);
    drop(conn);
    let to = End::Sqlite(folder.path().join("restored.db"));
    let moved = restore(&old, &to, folder.path(), &silent()).await.unwrap();
    assert_eq!(moved.rows, []);
    sqlite::open(path_of(&to)).unwrap();

    for (name, bytes) in [("empty", &b""[..]), ("text", b"not a database at all, however long it may be")] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let to = End::Sqlite(folder.path().join("none.db"));
        let error = restore(&file, &to, folder.path(), &silent()).await.unwrap_err().to_string();
        assert!(error.contains("is no backup of Farmwatch"), "{name}: {error}");
        assert!(!path_of(&to).exists());
    }
    let torn = folder.path().join("torn.db");
    let whole = filled(&folder.path().join("farmwatch.db")).await;
    back_up(&whole, &torn, &silent()).await.unwrap();
    let mut bytes = std::fs::read(&torn).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 20_000].fill(0x5a);
    std::fs::write(&torn, bytes).unwrap();
    let to = End::Sqlite(folder.path().join("none.db"));
    restore(&torn, &to, folder.path(), &silent()).await.unwrap_err();
    assert!(!path_of(&to).exists());
    assert_eq!(names(folder.path()).iter().filter(|name| name.contains(".part")).count(), 0);
}

#[tokio::test]
async fn a_store_that_is_in_use_is_not_moved() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("farmwatch.db")).await;
    let to = End::Sqlite(folder.path().join("other.db"));
    let running = sqlite::open(path_of(&from)).unwrap();
    let error = move_all(&from, &to, &silent()).await.unwrap_err().to_string();
    assert!(error.contains("stop the collector"), "{error}");
    assert!(!path_of(&to).exists());
    drop(running);
    // The thread that writes ends a moment after its store.
    let mut tries = 0;
    while let Err(error) = move_all(&from, &to, &silent()).await {
        tries += 1;
        assert!(tries < 10, "{error}");
    }
    assert_eq!(held(path_of(&to)), held(path_of(&from)));
}
