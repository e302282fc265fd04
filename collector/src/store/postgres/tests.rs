//! What is PostgreSQL's own beside the suite: plans, several collectors, restarts, addresses that do not work.

mod faults;
mod judging;
mod memory;
mod migrations;
mod moving;
pub mod plans;
mod several;
// The server that the end-to-end tests use, too: one file, because the arrow points from those tests to this crate.
#[path = "../../../../tests/src/postgres.rs"]
mod server;

use std::time::Duration;

use server::Server;

use super::super::{SharedStore, suite};
use super::{Settings, open};

/// How a test opens a database.
fn settings(url: &str) -> Settings {
    Settings {
        url: url.into(),
        password: None,
        ca: None,
        connections: 8,
        connect_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(30),
    }
}

/// A server with a database `farmwatch` whose tables are made.
async fn server() -> Server {
    let server = Server::start().unwrap();
    server.create("farmwatch").unwrap();
    drop(at(&server, "farmwatch").await);
    server
}

/// A store on a database; each call is another collector's.
async fn at(server: &Server, database: &str) -> SharedStore {
    open(&settings(&server.url(database))).await.unwrap()
}

#[tokio::test]
async fn a_database_keeps_the_stores_promises_and_no_query_walks_a_large_table() {
    let server = server().await;
    let mut broken = Vec::new();
    for (n, (case, run)) in suite::cases().into_iter().enumerate() {
        println!("{case}");
        let name = format!("case_{n}");
        server.create(&name).unwrap();
        if tokio::spawn(run(at(&server, &name).await)).await.is_err() {
            broken.push(case);
        }
    }
    assert!(broken.is_empty(), "broken: {broken:?}");
    plans::hold(&server).await;
}

#[test]
fn any_interleaving_of_reports_restarts_and_repeats_comes_to_the_agents_state() {
    // The connections live here; each interleaving runs on a runtime of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // An agent whose reports come by two collectors, as they happen to.
    let (server, stores) = runtime.block_on(async {
        let server = server().await;
        let stores = vec![at(&server, "farmwatch").await, at(&server, "farmwatch").await];
        (server, stores)
    });
    let (client, connection) =
        runtime.block_on(tokio_postgres::connect(&server.url("farmwatch"), tokio_postgres::NoTls)).unwrap();
    runtime.spawn(connection);
    suite::interleavings::hold(|| {
        let wipe = r#"TRUNCATE device, head, boot, fact, "window", transition, sent, rtt, work"#;
        runtime.block_on(client.batch_execute(wipe)).unwrap();
        stores.clone()
    });
}
