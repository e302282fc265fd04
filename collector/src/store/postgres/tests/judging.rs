//! Twenty collectors judge one fleet, some of them are killed at it, and the database is restarted: sites and alerts are those
//! of one collector whom nobody disturbed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use farmwatch_shared::facts::{LinkKind, Network, UsbDevice};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::state::State;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::super::suite::{arrival, change, enrol, laptop};
use super::super::super::{AlertFilter, AlertKind, AlertState, Arrival, Page, SharedStore};
use super::{Server, Settings, open, server, settings};
use crate::app::{App, draw_from_system};
use crate::correlate;
use crate::policy::Policy;

const COLLECTORS: usize = 20;
const HOMES: u128 = 8;
const LAPTOPS: u128 = 4;

fn state(n: u128, gateway: &str) -> State {
    let mut state = State::default();
    let gateway = Some(HashKey::new([3; 32]).hash("gateway", gateway));
    let wifi = Network { kind: LinkKind::Wifi, default_route: true, gateway, ..Network::default() };
    state.put("wlan0", &wifi);
    if n.is_multiple_of(2) {
        let traits = vec!["known_kvm:PiKVM".to_owned()];
        let (vendor_id, product_id) = ("1d6b".into(), "0104".into());
        state.put("1-2", &UsbDevice { vendor_id, product_id, traits, ..UsbDevice::default() });
    }
    state
}

/// What each laptop reports: at home, and then with two homes' laptops in one place.
fn reports(step: u64) -> Vec<Arrival> {
    let of = |n: u128| {
        let home = (n - 1) / LAPTOPS;
        let at_home = state(n, &format!("home {home}"));
        let report = match step {
            1 => change(&laptop(n), 1, &State::default(), &at_home),
            _ => change(&laptop(n), 2, &at_home, &state(n, &format!("farm {}", home / 2))),
        };
        Arrival { source: format!("198.51.100.{home}").parse().ok(), ..arrival(report) }
    };
    (1..=HOMES * LAPTOPS).map(of).collect()
}

fn app(store: SharedStore) -> App {
    App { draw: Box::new(draw_from_system), ..App::fixed(store, Policy::default()) }
}

/// Collectors at work, each with connections of its own.
async fn collector(server: &Server, database: &str) -> JoinHandle<()> {
    let few = Settings { connections: 4, ..settings(&server.url(database)) };
    // A server that starts lets nobody in for a moment.
    let store = loop {
        if let Ok(store) = open(&few).await {
            break store;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::spawn(correlate::run(Arc::new(app(store)), CancellationToken::new()))
}

/// Waits until all is judged. A minute passes each second: what a killed collector had taken is free again.
async fn judged(server: &Server, store: &SharedStore) {
    for _ in 0..120 {
        if matches!(store.work_due(Timestamp::MAX).await, Ok(0)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.sql("farmwatch", "UPDATE work SET leased_until = leased_until - 30000").unwrap();
    }
    panic!("{:?} devices wait", store.work_due(Timestamp::MAX).await);
}

/// Sites, and alerts that stand by themselves, as far as they do not depend on ids.
async fn outcome(store: &SharedStore) -> (BTreeSet<String>, Vec<String>) {
    let sites = store.sites(&Page::first(100)).await.unwrap();
    let sites: Vec<String> = sites.into_iter().map(|site| format!("{:?}", site.devices)).collect();
    let distinct: BTreeSet<String> = sites.iter().cloned().collect();
    assert_eq!(distinct.len(), sites.len(), "no site twice");
    let filter = AlertFilter { absorbed: true, ..AlertFilter::default() };
    let alerts = store.alerts(&filter, &Page::first(1000)).await.unwrap();
    let mut keys: Vec<String> = Vec::new();
    for alert in alerts {
        if alert.kind != AlertKind::Site {
            keys.push(alert.key);
        } else if alert.state != AlertState::Resolved && alert.absorbed_by.is_none() {
            let mut devices = alert.devices;
            devices.sort();
            if distinct.contains(&format!("{devices:?}")) {
                keys.push(format!("site {devices:?}"));
            }
        }
    }
    keys.sort();
    (distinct, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_collectors_come_to_what_one_alone_comes_to_though_half_are_killed_and_the_database_restarts()
{
    let mut server = server().await;
    server.create("alone").unwrap();
    let alone = open(&settings(&server.url("alone"))).await.unwrap();
    let one = app(alone.clone());
    let many = open(&settings(&server.url("farmwatch"))).await.unwrap();
    for n in 1..=HOMES * LAPTOPS {
        enrol(&alone, n).await;
        enrol(&many, n).await;
    }
    let mut collectors = Vec::new();
    for _ in 0..COLLECTORS {
        collectors.push(collector(&server, "farmwatch").await);
    }
    let mut random = fastrand_of(7);
    for step in 1..=2 {
        for report in reports(step) {
            alone.ingest(vec![report]).await.unwrap();
            loop {
                let ids = alone.take_work(1, Timestamp::now()).await.unwrap();
                if ids.is_empty() {
                    break;
                }
                correlate::judge_devices(&one, &ids, Timestamp::now()).await;
            }
        }
        // All at once: each collector takes some of each home.
        many.ingest(reports(step)).await.unwrap();
        if step == 2 {
            for (n, killed) in collectors.iter_mut().take(COLLECTORS / 2).enumerate() {
                tokio::time::sleep(Duration::from_millis(random() % 40)).await;
                killed.abort();
                if n == COLLECTORS / 4 {
                    server.kill();
                    server.start_again().unwrap();
                }
                *killed = collector(&server, "farmwatch").await;
            }
        }
        judged(&server, &many).await;
        let (theirs, ours) = (outcome(&alone).await, outcome(&many).await);
        assert_eq!(ours, theirs, "step {step}");
        let homes = if step == 1 { HOMES } else { HOMES / 2 };
        assert_eq!(theirs.0.len() as u128, homes, "step {step}: {theirs:?}");
        assert!(
            theirs.1.iter().filter(|key| key.starts_with("site")).count() > 0,
            "no site alerts: {theirs:?}"
        );
    }
    for collector in &collectors {
        collector.abort();
    }
    assert_eq!(many.audit_check().await.unwrap(), None);
}

/// Numbers by chance, the same each time.
fn fastrand_of(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 33
    }
}
