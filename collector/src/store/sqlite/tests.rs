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
