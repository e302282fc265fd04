//! The audit: append-only, chained.

use sha2::{Digest as _, Sha256};

use super::super::{Change, NewAudit, Page, SharedStore, StoreError};
use super::{Case, minute};

pub const CASES: &[Case] = &[
    ("entries are numbered without gaps and chained by hash", |s| Box::pin(chain(s))),
    ("a cap holds within the transaction", |s| Box::pin(cap(s))),
    ("entries about one thing are found, newest first, page by page", |s| Box::pin(pages(s))),
];

fn entry(n: i64, object: &str) -> NewAudit {
    NewAudit {
        at: minute(n),
        actor: "ann".into(),
        action: "isolate".into(),
        object: object.into(),
        why: format!("because of {n}: \"<b>ü</b>\""),
    }
}

async fn chain(store: SharedStore) {
    assert_eq!(store.audit_check().await.unwrap(), None);
    for n in 1..=3 {
        store.audit(entry(n, "dev_1")).await.unwrap();
    }
    let entries = store.audit_entries(None, &Page::first(10)).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(entries[0].entry, entry(3, "dev_1"));
    let json = serde_json::to_string(&entries[0].entry).unwrap();
    let wanted = hex::encode(Sha256::new().chain_update(&entries[1].hash).chain_update(json).finalize());
    assert_eq!(entries[0].hash, wanted);
    assert_eq!(store.audit_check().await.unwrap(), None);
}

async fn pages(store: SharedStore) {
    for n in 1..=9 {
        store.audit(entry(n, if n % 3 == 0 { "dev_3" } else { "dev_1" })).await.unwrap();
    }
    let numbers =
        |entries: Vec<super::super::AuditEntry>| entries.iter().map(|e| e.number).collect::<Vec<_>>();
    let about = store.audit_entries(Some("dev_3"), &Page::first(2)).await.unwrap();
    assert_eq!(numbers(about), [9, 6]);
    let rest = Page { after: Some("6".into()), limit: 2 };
    assert_eq!(numbers(store.audit_entries(Some("dev_3"), &rest).await.unwrap()), [3]);
    assert_eq!(numbers(store.audit_entries(None, &rest).await.unwrap()), [5, 4]);
    let junk = Page { after: Some("x".into()), limit: 2 };
    assert!(store.audit_entries(None, &junk).await.is_err());
}

/// Several collectors that each counted before any of them wrote.
async fn cap(store: SharedStore) {
    let isolate = |n| {
        let below =
            Change::Below { most: 3, action: "isolate", actors: vec!["ann".into()], since: minute(0) };
        store.apply(vec![below, Change::Audit(entry(n, "dev_1"))])
    };
    store.audit(NewAudit { actor: "bob".into(), ..entry(1, "dev_1") }).await.unwrap();
    store.audit(NewAudit { action: "release".into(), ..entry(1, "dev_1") }).await.unwrap();
    store.audit(entry(-1, "dev_1")).await.unwrap();
    assert_eq!(store.audit_count("isolate", "ann", minute(0)).await.unwrap(), 0);
    let all = futures_util::future::join_all((1..=9).map(isolate)).await;
    let refused = all.iter().filter(|end| matches!(end, Err(StoreError::Conflict(_)))).count();
    assert_eq!((all.len(), refused), (9, 6));
    assert_eq!(store.audit_count("isolate", "ann", minute(0)).await.unwrap(), 3);
    // Which of them were first is no promise.
    let since_two = all.iter().skip(1).filter(|end| end.is_ok()).count() as u64;
    assert_eq!(store.audit_count("isolate", "ann", minute(2)).await.unwrap(), since_two);
    let twice = Change::Below { most: 4, action: "isolate", actors: vec!["ann".into()], since: minute(0) };
    let both = vec![twice.clone(), Change::Audit(entry(9, "dev_1")), twice, Change::Audit(entry(9, "dev_2"))];
    assert!(store.apply(both).await.is_err(), "those of the transaction itself count");
    assert_eq!(store.audit_check().await.unwrap(), None);
}
