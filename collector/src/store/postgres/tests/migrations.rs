//! What an earlier version has written is there after an update.

use std::collections::BTreeMap;

use refinery::Target;
use serde_json::{Map, Value};
use tokio_postgres::{Client, NoTls};

use super::super::schema::embedded;
use super::{Server, at};

/// Rows by table, each by column.
type Tables = BTreeMap<String, Vec<Map<String, Value>>>;

#[tokio::test]
async fn rows_of_every_earlier_version_survive_the_update() {
    let server = Server::start().unwrap();
    let mut versions: Vec<_> =
        embedded::migrations::runner().get_migrations().iter().map(refinery::Migration::version).collect();
    versions.sort_unstable();
    for version in &versions[..versions.len() - 1] {
        let name = format!("from_{version}");
        server.create(&name).unwrap();
        let mut client = connect(&server, &name).await;
        let earlier = embedded::migrations::runner().set_target(Target::Version(*version));
        earlier.run_async(&mut client).await.unwrap();
        fill(&client).await;
        let before = rows(&client).await;
        assert!(before.len() > 15, "version {version} has only {} tables", before.len());

        drop(at(&server, &name).await);

        let now = server.sql(&name, "SELECT max(version) FROM refinery_schema_history").unwrap();
        assert_eq!(now.trim(), versions[versions.len() - 1].to_string());
        let after = rows(&client).await;
        for (table, rows) in before {
            assert_eq!(rows.len(), 3, "{table}");
            let held = after[&table].iter().map(|row| as_it_was(&table, row, &rows[0])).collect::<Vec<_>>();
            for mut row in rows {
                row.retain(|column, _| !is_worked_out(&table, column));
                assert!(held.contains(&row), "{table} of version {version}: {row:?} is not in {held:?}");
            }
        }
    }
}

/// A row of today with the columns that an earlier version had, under their names of then.
fn as_it_was(table: &str, row: &Map<String, Value>, then: &Map<String, Value>) -> Map<String, Value> {
    let now_called = |name: &str| match (table, name) {
        ("work", "queued_at") => "due_at".to_owned(),
        (_, same) => same.to_owned(),
    };
    let kept = then.keys().filter(|name| !is_worked_out(table, name));
    kept.map(|name| (name.clone(), row[&now_called(name)].clone())).collect()
}

/// A column that is no more: it held what the rest of the database says.
fn is_worked_out(table: &str, column: &str) -> bool {
    (table, column) == ("site", "size")
}

async fn connect(server: &Server, database: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url(database), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Tables with their columns' names and types.
async fn columns(client: &Client) -> BTreeMap<String, Vec<(String, String)>> {
    let query = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE 'refinery%' ORDER BY table_name, ordinal_position";
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in client.query(query, &[]).await.unwrap() {
        tables.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    tables
}

/// Three rows in each table, whose values differ by column and by number.
async fn fill(client: &Client) {
    // In any order of tables, and without what the audit's triggers forbid.
    client.batch_execute("SET session_replication_role = replica").await.unwrap();
    for (table, columns) in columns(client).await {
        for number in 1..=3 {
            let value = |(column, (name, of)): (usize, &(String, String))| {
                let it = number * 100 + column;
                match (name.as_str(), of.as_str()) {
                    (_, "bigint") => it.to_string(),
                    (_, "double precision") => format!("{}", it as f64 / 7.0),
                    (_, "boolean") => (number % 2 == 0).to_string(),
                    (_, "bytea") => format!("'\\x{it:08x}'"),
                    ("value", _) => format!(r#"'{{"llr": {it}.5, "honest_llr": 0.25, "n": {it}}}'"#),
                    _ => format!("'{table} {it} ü'"),
                }
            };
            let values: Vec<String> = columns.iter().enumerate().map(value).collect();
            let insert = format!("INSERT INTO \"{table}\" VALUES ({})", values.join(", "));
            client.batch_execute(&insert).await.unwrap();
        }
    }
}

async fn rows(client: &Client) -> Tables {
    let mut tables = Tables::new();
    for table in columns(client).await.into_keys() {
        let query = format!("SELECT to_jsonb(t)::text FROM \"{table}\" t");
        let all = client.query(&query, &[]).await.unwrap();
        let parsed = all.iter().map(|row| serde_json::from_str(row.get(0)).unwrap());
        tables.insert(table, parsed.collect());
    }
    tables
}
