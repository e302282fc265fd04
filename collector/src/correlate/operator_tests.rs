use farmwatch_shared::facts::{Host, LinkKind, Network, RemoteTool, ToolClass};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::state::State;
use serde_json::{Value, json};

use super::*;
use crate::policy::Policy;
use crate::replay::Replay;
use crate::store::{Alert, AlertFilter, AlertKind, Asset, Page, SharedStore, sqlite};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const MONDAY: i64 = 1_790_553_600;

#[test]
fn a_pair_has_one_name_whoever_looks() {
    let (a, b) = (DeviceId::new(1, 1), DeviceId::new(1, 2));
    assert_eq!(pair(&a, &b), pair(&b, &a));
}

#[test]
fn each_is_compared_once_in_a_slot() {
    let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
    assert!(!is_due(at(0), at(300)), "the same six hours");
    assert!(!is_due(at(350), at(365)), "the sighting is not written again yet");
    assert!(is_due(at(350), at(410)));
}

#[test]
fn more_candidates_cost_more_and_few_cost_as_many_as_a_large_fleet_has() {
    assert!((ln_pairs(2) - ln_pairs(200)).abs() < 1e-9);
    assert!(ln_pairs(2000) > ln_pairs(200) + 4.0);
}

/// A laptop at home, alone, on which software makes all input in some hours of a day.
struct Laptop {
    number: u128,
    hours: fn(u128, i64) -> bool,
}

impl Laptop {
    fn line(&self, day: i64) -> Vec<u8> {
        let mut state = State::default();
        let serial = Some(format!("PF{}", self.number));
        state.put("self", &Host { serial, ..Host::default() });
        let gateway = Some(HashKey::new([3; 32]).hash("gateway", &format!("router {}", self.number)));
        state.put(
            "wlan0",
            &Network { kind: LinkKind::Wifi, default_route: true, gateway, ..Network::default() },
        );
        let since = Some(Timestamp::from_second(MONDAY).unwrap());
        let class = ToolClass::RemoteDesktop;
        state.put(
            "anydesk",
            &RemoteTool { class, serving: true, running_since: since, ..RemoteTool::default() },
        );
        let from = MONDAY + day * DAY;
        let at = Timestamp::from_second(from + 20 * HOUR).unwrap();
        let worked = (9..18).filter(|hour| (self.hours)(self.number, *hour));
        let windows: Vec<Value> = worked
            // A hand goes over within five minutes: the first window of the next hour is used too.
            .flat_map(|hour| (0..13).map(move |n| from + hour * HOUR + n * 300))
            .map(|start| {
                let start = Timestamp::from_second(start).unwrap();
                json!({ "start": start, "observed_seconds": 60, "injected_seconds": 200 })
            })
            .collect();
        let seq = day + 1;
        let report = json!({
            "v": 1, "device": DeviceId::new(1, self.number), "boot": "0a0b0c0d", "seq": seq, "at": at,
            "digest": state.digest(), "whole": true, "set": state, "windows": windows,
        });
        let source_ip = format!("198.51.100.{}", self.number);
        json!({ "received_at": at, "source_ip": source_ip, "report": report }).to_string().into_bytes()
    }
}

/// Two laptops of two people, two weeks, and what stands then.
async fn lived(hours: fn(u128, i64) -> bool, user: fn(u128) -> &'static str) -> (SharedStore, Vec<Alert>) {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = std::sync::Arc::clone(&app.store);
    let assets = (1..=2)
        .map(|n| Asset { serial: format!("PF{n}"), user: user(n).into(), ..Asset::default() })
        .collect();
    let mut replay = Replay::new(app, true, assets, Vec::new()).await.unwrap();
    for day in 0..14 {
        for number in 1..=2 {
            replay.line(&Laptop { number, hours }.line(day)).await.unwrap();
        }
    }
    replay.finish().await.unwrap();
    assert_eq!(replay.take_refused(), Vec::<String>::new());
    let filter = AlertFilter { kind: Some(AlertKind::Site), ..AlertFilter::default() };
    let alerts = store.alerts(&filter, &Page::first(9)).await.unwrap();
    (store, alerts)
}

fn two_people(number: u128) -> &'static str {
    if number == 1 { "Ana Berg" } else { "Bo Quist" }
}

#[tokio::test]
async fn laptops_far_apart_that_one_operator_works_on_in_turn_are_one_alert() {
    let (_, alerts) = lived(|number, hour| hour % 2 == i64::try_from(number).unwrap() % 2, two_people).await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].devices.len(), 2);
    assert_eq!(alerts[0].title, "2 laptops with one operator may be remotely operated");
    let pair = alerts[0].waterfall.iter().find(|bar| bar.rule == "place.one_pair").unwrap();
    assert!(pair.llr > 0.0 && pair.why.contains("on the same"), "{}", pair.why);
}

#[tokio::test]
async fn two_who_work_the_same_hours_or_one_shift_after_the_other_and_one_person_at_both_are_not() {
    let same: fn(u128, i64) -> bool = |_, hour| hour != 12;
    let shifts: fn(u128, i64) -> bool = |number, hour| (hour < 13) == (number == 1);
    let in_turn: fn(u128, i64) -> bool = |number, hour| hour % 2 == i64::try_from(number).unwrap() % 2;
    for (hours, user) in [(same, two_people as fn(u128) -> &'static str), (shifts, two_people)] {
        let (store, alerts) = lived(hours, user).await;
        assert_eq!(alerts, Vec::new());
        assert_eq!(store.sites(&Page::first(9)).await.unwrap(), Vec::new());
    }
    let (_, alerts) = lived(in_turn, |_| "Ana Berg").await;
    assert!(alerts.iter().all(|alert| alert.waterfall.iter().all(|bar| bar.rule != "place.one_pair")));
}
