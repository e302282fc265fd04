//! What an earlier version has written is there after an update.

use std::path::Path;

use refinery::Target;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::schema::{self, embedded};

/// A table's name and every row of it, in order.
type Table = (String, Vec<Vec<(String, Value)>>);

#[test]
fn rows_of_every_earlier_version_survive_the_update() {
    let mut versions: Vec<_> =
        embedded::migrations::runner().get_migrations().iter().map(refinery::Migration::version).collect();
    versions.sort_unstable();
    for version in &versions[..versions.len() - 1] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("farmwatch.db");
        let before = written_by(&path, *version);
        assert!(before.len() > 15, "version {version} has only {} tables", before.len());

        drop(schema::open_to_write(&path).unwrap());

        let conn = Connection::open(&path).unwrap();
        let now = conn.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0));
        assert_eq!(now, Ok(versions[versions.len() - 1]));
        for (table, rows) in before {
            let after = rows_of(&conn, &table);
            assert_eq!(after.len(), rows.len(), "{table} of version {version}");
            for (old, new) in rows.iter().zip(&after) {
                // A later version may add columns.
                let kept =
                    |name: &str| new.iter().find(|(n, _)| n == now_called(&table, name)).map(|(_, v)| v);
                let old = || old.iter().filter(|(name, _)| !is_worked_out(&table, name));
                let kept: Vec<_> = old().map(|(name, _)| kept(name)).collect();
                let all: Vec<_> = old().map(|(_, value)| Some(value)).collect();
                assert_eq!(kept, all, "{table} of version {version}");
            }
        }
    }
}

/// What a column is called today.
fn now_called<'a>(table: &str, column: &'a str) -> &'a str {
    match (table, column) {
        ("work", "queued_at") => "due_at",
        (_, same) => same,
    }
}

/// A column that is no more: it held what the rest of the database says.
fn is_worked_out(table: &str, column: &str) -> bool {
    (table, column) == ("site", "size")
}

#[test]
fn tables_of_a_newer_version_are_left_alone_and_the_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("farmwatch.db");
    drop(schema::open_to_write(&path).unwrap());
    let conn = Connection::open(&path).unwrap();
    let newer = "INSERT INTO refinery_schema_history SELECT 999, 'newer', applied_on, checksum
                 FROM refinery_schema_history WHERE version = 1";
    conn.execute(newer, []).unwrap();
    let error = schema::open_to_write(&path).unwrap_err().to_string();
    assert!(error.contains("if a newer Farmwatch wrote it, run that one"), "{error}");
}

/// Writes a database of an earlier version with some rows in each table; its tables.
fn written_by(path: &Path, version: i32) -> Vec<Table> {
    let mut conn = Connection::open(path).unwrap();
    embedded::migrations::runner().set_target(Target::Version(version)).run(&mut conn).unwrap();
    let tables = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
                  AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'refinery_%' ORDER BY name";
    let tables: Vec<String> =
        conn.prepare(tables).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in &tables {
        (1..=3).for_each(|number| insert(&conn, table, number));
    }
    tables.into_iter().map(|table| (table.clone(), rows_of(&conn, &table))).collect()
}

/// A row whose values differ by column and by number.
fn insert(conn: &Connection, table: &str, number: i64) {
    let columns = format!("SELECT type FROM pragma_table_info('{table}')");
    let types: Vec<String> = conn
        .prepare(&columns)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let value = |(column, of): (usize, &String)| {
        let it = number * 100 + i64::try_from(column).unwrap();
        match of.as_str() {
            "INTEGER" => Value::Integer(it),
            "REAL" => Value::Real(it as f64 / 7.0),
            "BLOB" => Value::Blob(it.to_be_bytes().to_vec()),
            _ => Value::Text(format!("{table} {it}")),
        }
    };
    let values: Vec<Value> = types.iter().enumerate().map(value).collect();
    let marks = vec!["?"; values.len()].join(", ");
    conn.execute(&format!("INSERT INTO \"{table}\" VALUES ({marks})"), params_from_iter(values)).unwrap();
}

fn rows_of(conn: &Connection, table: &str) -> Vec<Vec<(String, Value)>> {
    let mut statement = conn.prepare(&format!("SELECT * FROM \"{table}\" ORDER BY 1, 2")).unwrap();
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let row = |row: &rusqlite::Row<'_>| {
        names
            .iter()
            .enumerate()
            .map(|(at, name)| Ok((name.clone(), row.get(at)?)))
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}
