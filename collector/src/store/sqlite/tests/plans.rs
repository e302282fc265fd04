//! No query of ours walks a large table.
//!
//! The suite runs with every statement traced, and each is explained: so a new query is checked by being
//! tested.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::super::super::suite;
use super::super::writer::Hand;
use super::super::{Sqlite, schema};

/// Tables with few rows by nature, or read whole on purpose.
const SMALL: [&str; 5] = ["token", "place", "exception", "web_session", "kept"];

/// Parts of statements that may walk, and why.
const MAY_WALK: [&str; 6] = [
    "hash FROM audit ORDER BY number", // the check of the whole chain
    "SELECT count(*) FROM work",       // a gauge, read each minute
    "SELECT count(*) FROM asset",      // a number on a page
    "EXISTS (SELECT 1 FROM asset)",    // ends at the first row
    "SELECT serial FROM asset",        // people search by one or two letters of a user's name
    "SELECT count(*) FROM alert",      // counts by free text; others go by index alert_state
];

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(statement, _) = event
        && let Some(text) = statement.expanded_sql()
    {
        STATEMENTS.lock().unwrap().insert(text);
    }
}

/// The steps of a statement's plan.
fn plan(conn: &Connection, statement: &str) -> Vec<String> {
    let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    explain.query_map([], |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
}

fn walks(step: &str) -> bool {
    let Some(rest) = step.strip_prefix("SCAN ") else { return false };
    // Following an index is how a page in order is read; it ends with the page. A virtual table is a list handed in.
    let short = ["USING", "CONSTANT ROW", "VIRTUAL TABLE"].iter().any(|word| rest.contains(word));
    !short && !SMALL.contains(&rest)
}

#[tokio::test]
async fn every_query_of_the_suite_goes_by_an_index() {
    for (_, run) in suite::cases() {
        let conn = schema::open_in_memory().unwrap();
        conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note));
        run(std::sync::Arc::new(Sqlite::Memory(Mutex::new(Hand::new(conn))))).await;
    }
    let conn = schema::open_in_memory().unwrap();
    let statements = STATEMENTS.lock().unwrap();
    let words = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    // What the search index asks of its own tables is SQLite's.
    let ours = statements.iter().filter(|s| !s.contains("'device_text_"));
    let ours: Vec<_> = ours.filter(|s| words.iter().any(|word| s.starts_with(word))).collect();
    assert!(ours.len() > 100, "only {} statements were traced", ours.len());
    let mut walking = Vec::new();
    for statement in ours {
        let plan = plan(&conn, statement);
        let may = MAY_WALK.iter().any(|part| statement.contains(part));
        if plan.iter().any(|step| walks(step)) && !may {
            walking.push((statement, plan));
        }
    }
    assert!(walking.is_empty(), "these walk a table: {walking:#?}");
}
