//! What is SQLite's own beside the suite: plans, crashes, full disks, other processes.

mod crash;
mod faults;
mod migrations;
mod plans;

use super::super::suite;
use super::{in_memory, open};

#[tokio::test]
async fn in_memory_keeps_the_stores_promises() {
    for (case, run) in suite::cases() {
        println!("{case}");
        run(in_memory().unwrap()).await;
    }
}

#[tokio::test]
async fn a_file_keeps_the_stores_promises() {
    for (case, run) in suite::cases() {
        println!("{case}");
        let folder = tempfile::tempdir().unwrap();
        run(open(&folder.path().join("farmwatch.db")).unwrap()).await;
    }
}

#[test]
fn any_interleaving_of_reports_restarts_and_repeats_comes_to_the_agents_state() {
    suite::interleavings::hold(|| vec![in_memory().unwrap()]);
}
