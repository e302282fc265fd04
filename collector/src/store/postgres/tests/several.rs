//! Several collectors on one database.

use std::time::Duration;

use farmwatch_shared::facts::{Power, Transition, TransitionKind};
use farmwatch_shared::report::Report;
use farmwatch_shared::state::State;
use jiff::Timestamp;

use super::super::super::suite::{arrival, change, enrol, heartbeat, laptop, minute, take};
use super::super::super::{Change, NewAudit, Receipt, SharedStore, Standing, Token};
use super::{at, server};

const COLLECTORS: usize = 4;

async fn collectors(server: &super::Server) -> Vec<SharedStore> {
    let mut stores = Vec::new();
    for _ in 0..COLLECTORS {
        stores.push(at(server, "farmwatch").await);
    }
    stores
}

fn power(n: u64) -> State {
    let mut state = State::default();
    state.put("self", &Power { keep_awake: vec![n.to_string()], ..Power::default() });
    state
}

/// The n-th report of a laptop that says something new each time.
fn told(device: u128, n: u64) -> Report {
    let before = if n == 1 { State::default() } else { power(n - 1) };
    let at = minute(i64::try_from(n).unwrap());
    let transitions = vec![Transition { at, kind: TransitionKind::Locked }];
    Report { transitions, ..change(&laptop(device), n, &before, &power(n)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collectors_on_one_database_share_work_tokens_caps_and_reports() {
    let server = server().await;
    let stores = collectors(&server).await;
    reports_that_come_by_all_of_them_count_once(&stores).await;
    work_is_taken_by_one_of_them(&stores).await;
    a_tokens_uses_are_given_out_once(&stores).await;
    caps_and_the_audits_chain_hold(&stores).await;
    a_revoked_device_is_refused_by_all(&stores).await;
    one_hears_of_anothers_work(&stores).await;
}

/// An agent whose answers were lost and who was balanced elsewhere: each collector gets every report, at the same time.
async fn reports_that_come_by_all_of_them_count_once(stores: &[SharedStore]) {
    const LAPTOPS: u128 = 6;
    const REPORTS: u64 = 30;
    for n in 1..=LAPTOPS {
        enrol(&stores[0], n).await;
    }
    let calls = stores.iter().flat_map(|store| (1..=LAPTOPS).map(move |device| (store.clone(), device)));
    let calls = calls.map(|(store, device)| {
        tokio::spawn(async move {
            let mut taken = 0;
            for n in 1..=REPORTS {
                match store.ingest(vec![arrival(told(device, n))]).await.unwrap()[..] {
                    [Receipt::Taken { want_state: false }] => taken += 1,
                    [Receipt::Duplicate] => {}
                    ref other => panic!("{other:?}"),
                }
            }
            taken
        })
    });
    let mut taken = 0;
    for call in calls.collect::<Vec<_>>() {
        taken += call.await.unwrap();
    }
    assert_eq!(u128::from(REPORTS) * LAPTOPS, taken, "each was taken once");
    for n in 1..=LAPTOPS {
        let device = stores[1].device(&laptop(n)).await.unwrap().unwrap();
        assert_eq!((device.seq, device.digest), (REPORTS, power(REPORTS).digest()));
        assert_eq!(stores[2].state(&laptop(n)).await.unwrap(), power(REPORTS));
        assert_eq!(stores[2].transitions(&laptop(n), minute(0)).await.unwrap().len() as u64, REPORTS);
        assert_eq!(stores[2].sent(&laptop(n), 1000).await.unwrap().len() as u64, REPORTS);
    }
}

async fn work_is_taken_by_one_of_them(stores: &[SharedStore]) {
    for n in 11..=90 {
        let device = enrol(&stores[0], n).await;
        stores[0].queue(&[device], minute(0)).await.unwrap();
    }
    let takers = stores.iter().cloned().map(|store| {
        tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                let some = store.take_work(3, minute(500)).await.unwrap();
                if some.is_empty() {
                    return all;
                }
                all.extend(some);
            }
        })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.extend(taker.await.unwrap());
    }
    taken.sort();
    let devices: Vec<_> = taken.iter().map(|taken| taken.device.clone()).collect();
    assert_eq!(devices, (1..=6).chain(11..=90).map(laptop).collect::<Vec<_>>());
    let done = taken.into_iter().map(Change::Done).collect();
    stores[3].apply(done).await.unwrap();
    assert_eq!(stores[0].work_due(Timestamp::MAX).await.unwrap(), 0);
}

async fn a_tokens_uses_are_given_out_once(stores: &[SharedStore]) {
    let token = Token {
        hash: "aa".into(),
        hint: "fwt_a".into(),
        label: "Lisbon".into(),
        uses_left: 10,
        serial: None,
        expires_at: minute(60),
        created_at: minute(0),
    };
    stores[0].add_token(token).await.unwrap();
    let calls = (0..40).map(|n| stores[n % COLLECTORS].use_token("aa", minute(1)));
    let got = futures_util::future::join_all(calls).await;
    assert_eq!(got.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 10);
}

async fn caps_and_the_audits_chain_hold(stores: &[SharedStore]) {
    let entry = |n: i64| NewAudit {
        at: minute(n),
        actor: "farmwatch".into(),
        action: "isolate".into(),
        object: "dev_1".into(),
        why: "drill \0 with what no database keeps".into(),
    };
    let calls = (0..40).map(|n| {
        let below =
            Change::Below { most: 5, action: "isolate", actors: vec!["farmwatch".into()], since: minute(0) };
        stores[n % COLLECTORS].apply(vec![below, Change::Audit(entry(1))])
    });
    let ends = futures_util::future::join_all(calls).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 5);
    let plain =
        (0..40).map(|n| stores[n % COLLECTORS].audit(NewAudit { action: "login".into(), ..entry(2) }));
    for end in futures_util::future::join_all(plain).await {
        end.unwrap();
    }
    assert_eq!(stores[1].audit_check().await.unwrap(), None);
    assert_eq!(stores[1].audit_count("login", "farmwatch", minute(0)).await.unwrap(), 40);
}

async fn a_revoked_device_is_refused_by_all(stores: &[SharedStore]) {
    let device = enrol(&stores[0], 200).await;
    let beat = async |store: &SharedStore, seq| {
        let report = heartbeat(&device, seq, &State::default());
        store.ingest(vec![arrival(report)]).await.unwrap().remove(0)
    };
    assert_eq!(beat(&stores[1], 1).await, Receipt::Taken { want_state: false });
    stores[2].set_standing(&device, Standing::Revoked).await.unwrap();
    assert_eq!(beat(&stores[1], 2).await, Receipt::Unknown);
}

async fn one_hears_of_anothers_work(stores: &[SharedStore]) {
    let idle = async |store: &SharedStore| loop {
        let some = store.take_work(100, minute(2000)).await.unwrap();
        if some.is_empty() {
            return;
        }
        store.apply(some.into_iter().map(Change::Done).collect()).await.unwrap();
    };
    // The first wait calls the server and is rung when it listens.
    stores[0].wait_for_work().await;
    idle(&stores[0]).await;
    let mut heard = Duration::MAX;
    // A machine that is busy may miss a call; whoever waits looks by himself each second, so that is no loss.
    for _ in 0..5 {
        let waits = async {
            let start = std::time::Instant::now();
            stores[0].wait_for_work().await;
            start.elapsed()
        };
        let calls = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            stores[1].queue(&[laptop(1)], minute(1)).await.unwrap();
        };
        let (waited, ()) = tokio::join!(waits, calls);
        heard = heard.min(waited);
    }
    assert!(heard < Duration::from_millis(900), "never heard in time: {heard:?}");
    assert_eq!(take(&stores[0], 9, minute(2001)).await, [laptop(1)]);
}
