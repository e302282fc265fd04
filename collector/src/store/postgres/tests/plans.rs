//! No query of ours walks a large table.
//!
//! Every statement that the suite runs is noted and explained with sequential scans forbidden: one that still appears
//! has no index to go by. So a new query is checked by being tested.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio_postgres::NoTls;

use super::server::Server;

/// Tables with few rows by nature.
const SMALL: [&str; 4] = ["token", "place", "exception", "web_session"];

/// Parts of statements that may walk, and why.
const MAY_WALK: [&str; 4] = [
    "SELECT count(*) FROM work",  // a gauge, read each minute
    "SELECT count(*) FROM asset", // a number on a page
    "SELECT count(*) FROM alert", // counts by free text; others go by index alert_state
    "refinery_schema_history",    // a row per version
];

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes a statement.
pub fn note(sql: &str) {
    STATEMENTS.lock().unwrap().insert(sql.to_owned());
}

/// Explains all that were noted.
pub async fn hold(server: &Server) {
    let (client, connection) = tokio_postgres::connect(&server.url("farmwatch"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.unwrap();
    let statements = STATEMENTS.lock().unwrap().clone();
    assert!(statements.len() > 80, "only {} statements were noted", statements.len());
    let mut walking = Vec::new();
    for statement in &statements {
        let values = client.prepare(statement).await.unwrap().params().len();
        let values = vec!["NULL"; values].join(", ");
        let values = if values.is_empty() { values } else { format!("({values})") };
        client.batch_execute(&format!("PREPARE one AS {statement}")).await.unwrap();
        let plan = client.simple_query(&format!("EXPLAIN EXECUTE one{values}")).await.unwrap();
        client.batch_execute("DEALLOCATE one").await.unwrap();
        let steps: Vec<String> = plan
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        let may = MAY_WALK.iter().any(|part| statement.contains(part));
        if !may && steps.iter().any(|step| walks(step)) {
            walking.push((statement, steps));
        }
    }
    assert!(walking.is_empty(), "these walk a table: {walking:#?}");
}

fn walks(step: &str) -> bool {
    let Some((_, rest)) = step.split_once("Seq Scan on ") else { return false };
    let table = rest.split(' ').next().unwrap_or_default().trim_matches('"');
    !SMALL.contains(&table)
}
