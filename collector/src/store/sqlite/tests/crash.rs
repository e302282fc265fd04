//! kill -9 of a process that ingests.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use farmwatch_shared::facts::Power;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::State;

use super::super::super::suite::{arrival, change, enrol, laptop};
use super::super::super::{Receipt, SharedStore};
use super::super::open;

const FILE: &str = "FARMWATCH_TEST_STORE";
const THIS: &str = "store::sqlite::tests::crash::what_was_acknowledged_before_kill_9_is_there_once";
const LAPTOPS: u128 = 4;
const KILLS: usize = 20;

/// The n-th state of a laptop: every report changes it.
fn state(seq: u64) -> State {
    let mut state = State::default();
    if seq > 0 {
        state.put("self", &Power { keep_awake: vec![format!("program-{seq}")], ..Power::default() });
    }
    state
}

fn report(n: u128, seq: u64) -> Report {
    change(&laptop(n), seq, &state(seq - 1), &state(seq))
}

async fn last_seq(store: &SharedStore, n: u128) -> u64 {
    store.device(&laptop(n)).await.unwrap().unwrap().seq
}

/// What the test below does in a process of its own: sends without end, says what was acknowledged.
async fn victim(file: &str) {
    let store = open(Path::new(file)).unwrap();
    let mut senders = Vec::new();
    for n in 1..=LAPTOPS {
        let store = store.clone();
        senders.push(tokio::spawn(async move {
            let mut seq = last_seq(&store, n).await;
            loop {
                seq += 1;
                let receipts = store.ingest(vec![arrival(report(n, seq))]).await.unwrap();
                assert_eq!(receipts, [Receipt::Taken { want_state: false }]);
                println!("acknowledged {n} {seq}");
                if seq == u64::MAX {
                    return;
                }
            }
        }));
    }
    // None of them ends but by a panic.
    futures_util::future::join_all(senders).await.into_iter().for_each(Result::unwrap);
}

#[tokio::test]
async fn what_was_acknowledged_before_kill_9_is_there_once() {
    if let Ok(file) = std::env::var(FILE) {
        return victim(&file).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("farmwatch.db");
    let store = open(&path).unwrap();
    for n in 1..=LAPTOPS {
        enrol(&store, n).await;
    }
    drop(store);
    let mut acknowledged = [0; LAPTOPS as usize + 1];
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS, "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Kill it in the middle of its work, each time somewhere else, then read what it had said.
        let heard: Vec<_> =
            lines.by_ref().filter(|l| l.contains("acknowledged")).take(kill * 7 + 1).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!heard.is_empty(), "the process acknowledged nothing");
        for line in heard.into_iter().chain(lines) {
            // The last line may be cut off.
            let words: Vec<_> = line.split_whitespace().skip_while(|w| *w != "acknowledged").collect();
            if let [_, n, seq] = words[..]
                && let (Ok(n), Ok(seq)) = (n.parse::<usize>(), seq.parse::<u64>())
            {
                acknowledged[n] = seq.max(acknowledged[n]);
            }
        }
        let store = open(&path).unwrap();
        for n in 1..=LAPTOPS {
            let stored = last_seq(&store, n).await;
            let said = acknowledged[usize::try_from(n).unwrap()];
            assert!(stored >= said, "laptop {n}: acknowledged {said}, stored {stored}");
            assert_eq!(store.state(&laptop(n)).await.unwrap(), state(stored));
            let sent: Vec<_> = store.sent(&laptop(n), 100_000).await.unwrap().iter().map(|s| s.seq).collect();
            assert_eq!(sent, (1..=stored).rev().collect::<Vec<_>>(), "laptop {n}");
        }
    }
}
