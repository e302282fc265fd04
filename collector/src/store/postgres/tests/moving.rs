//! From a file to a database and back.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::super::super::moving::tables::TABLES;
use super::super::super::moving::tests::{filled, held, silent};
use super::super::super::moving::{End, back_up, move_all, restore};
use super::super::super::{Page, sqlite};
use super::{Server, at, server, settings};

fn database(server: &Server, name: &str) -> End {
    End::Postgres(Box::new(settings(&server.url(name))))
}

#[tokio::test]
async fn a_store_that_moves_to_a_database_and_back_is_the_same_and_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let server = server().await;
    for table in &TABLES {
        let query = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{}'",
            table.postgres
        );
        let there = server.sql("farmwatch", &query).unwrap();
        let there: BTreeSet<String> = there.lines().map(|name| format!("\"{name}\"")).collect();
        let listed = table.on_postgres();
        assert_eq!(there, listed.split(", ").map(str::to_owned).collect(), "{}", table.postgres);
    }
    let query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'
        AND table_name NOT LIKE 'refinery%'";
    assert_eq!(server.sql("farmwatch", query).unwrap(), TABLES.len().to_string());

    let file = folder.path().join("farmwatch.db");
    let from = filled(&file).await;
    let to = database(&server, "farmwatch");
    let moved = move_all(&from, &to, &silent()).await.unwrap();
    assert_eq!(moved.rows.len(), TABLES.len());
    let again = move_all(&from, &to, &silent()).await.unwrap_err().to_string();
    assert!(again.contains("not empty") && again.contains("audit 3"), "{again}");
    let next =
        "SELECT nextval(pg_get_serial_sequence('device', 'number')) > (SELECT max(number) FROM device)";
    assert_eq!(server.sql("farmwatch", next).unwrap(), "t");

    // A collector is at work: it is read for a backup, and not moved.
    let running = at(&server, "farmwatch").await;
    assert_eq!(running.audit_check().await.unwrap(), None);
    assert_eq!(running.audit_entries(None, &Page::first(9)).await.unwrap().len(), 3);
    let backup = folder.path().join("backup.db");
    back_up(&to, &backup, &silent()).await.unwrap();
    assert_eq!(held(&backup), held(&file));
    let back = End::Sqlite(folder.path().join("back.db"));
    let error = move_all(&to, &back, &silent()).await.unwrap_err().to_string();
    assert!(error.contains("stop them first"), "{error}");
    drop(running);
    move_all(&to, &back, &silent()).await.unwrap();
    assert_eq!(held(&folder.path().join("back.db")), held(&file));

    server.create("restored").unwrap();
    let other = database(&server, "restored");
    restore(&backup, &other, folder.path(), &silent()).await.unwrap();
    let third = folder.path().join("third.db");
    back_up(&other, &third, &silent()).await.unwrap();
    assert_eq!(held(&third), held(&file));
}

#[tokio::test]
async fn what_does_not_arrive_whole_leaves_the_database_empty() {
    let folder = tempfile::tempdir().unwrap();
    let server = server().await;
    let file = folder.path().join("farmwatch.db");
    let from = filled(&file).await;
    drop(sqlite::open(&file).unwrap());
    // An entry that an earlier version chained over a character that PostgreSQL cannot keep.
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("DROP TRIGGER audit_no_update; UPDATE audit SET why = char(0) WHERE number = 3")
        .unwrap();
    let why = "\0".to_owned();
    let before: String =
        conn.query_row("SELECT hash FROM audit WHERE number = 2", [], |row| row.get(0)).unwrap();
    let minute = super::super::super::suite::minute(2);
    let entry = super::super::super::NewAudit {
        at: minute,
        actor: "a".into(),
        action: "b".into(),
        object: "c".into(),
        why,
    };
    conn.execute("UPDATE audit SET hash = ?1 WHERE number = 3", [entry.chained(&before).unwrap()]).unwrap();
    drop(conn);
    let to = database(&server, "farmwatch");
    let error = move_all(&from, &to, &silent()).await.unwrap_err().to_string();
    assert!(error.contains("nothing was moved") && error.contains("audit"), "{error}");
    assert_eq!(server.sql("farmwatch", "SELECT count(*) FROM device").unwrap(), "0");
}
