use farmwatch_shared::facts::{LinkKind, Neighbour, Network, UsbDevice};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::order::OrderKind;
use farmwatch_shared::state::State;
use serde_json::json;

use super::*;
use crate::alerts::{Action, change};
use crate::correlate::Habits;
use crate::policy::{Policy, QuarantineMode};
use crate::store::{
    AlertFilter, AlertState, Disposition, Exception, ExceptionScope, Page, SharedStore, Site, SiteStep,
    queue_all, sqlite,
};

const HOUR: i64 = 3600;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + hour * HOUR).unwrap()
}

fn id(number: u128) -> DeviceId {
    DeviceId::new(1_790_000_000_000, number)
}

/// A laptop that reports its whole state.
struct Laptop {
    number: u128,
    address: String,
    gateway: String,
    kvm: bool,
    /// Docks on its network that are not ours.
    docks: usize,
}

impl Laptop {
    fn line(&self, seq: u64, hour: i64) -> Vec<u8> {
        let mut state = State::default();
        let serial = Some(format!("PF{}", self.number));
        state.put("self", &Host { hostname: format!("LAP-{}", self.number), serial, ..Host::default() });
        let gateway = Some(HashKey::new([3; 32]).hash("gateway", &self.gateway));
        let dock = |n| HashKey::new([3; 32]).hash("mac", &format!("dock {n}"));
        let neighbours = (0..self.docks).map(|n| Neighbour { id: dock(n), oui: "00e04c".into() }).collect();
        let wifi =
            Network { kind: LinkKind::Wifi, default_route: true, gateway, neighbours, ..Network::default() };
        state.put("wlan0", &wifi);
        if self.kvm {
            let traits = vec!["known_kvm:PiKVM".to_owned()];
            let (vendor_id, product_id) = ("1d6b".into(), "0104".into());
            state.put("1-2", &UsbDevice { vendor_id, product_id, traits, ..UsbDevice::default() });
        }
        let report = json!({
            "v": 1, "device": id(self.number), "boot": "0a0b0c0d", "seq": seq, "at": at(hour),
            "digest": state.digest(), "whole": true, "set": state,
        });
        json!({ "received_at": at(hour), "source_ip": self.address, "report": report })
            .to_string()
            .into_bytes()
    }
}

fn home(count: u128, kvm: bool) -> Vec<Laptop> {
    let laptop =
        |number| Laptop { number, address: "203.0.113.7".into(), gateway: "home".into(), kvm, docks: 0 };
    (1..=count).map(laptop).collect()
}

async fn run(laptops: &[Laptop], policy: Policy, places: Vec<Place>) -> (Vec<Told>, SharedStore) {
    let app = App::fixed(sqlite::in_memory().unwrap(), policy);
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), places).await.unwrap();
    let mut told = Vec::new();
    for (seq, hour) in [(1, 0), (2, 100), (3, 200)] {
        for laptop in laptops {
            told.extend(replay.line(&laptop.line(seq, hour)).await.unwrap());
        }
    }
    told.extend(replay.finish().await.unwrap());
    assert_eq!(replay.take_refused(), Vec::<String>::new());
    (told, store)
}

async fn open(store: &SharedStore, kind: AlertKind) -> Vec<Alert> {
    let states = vec![AlertState::New, AlertState::InProgress];
    let filter = AlertFilter { kind: Some(kind), states, absorbed: true, ..AlertFilter::default() };
    store.alerts(&filter, &Page::first(100)).await.unwrap()
}

#[tokio::test]
async fn a_farm_of_five_in_one_home_is_one_site_alert_that_takes_in_its_laptops() {
    let (told, store) = run(&home(5, true), Policy::default(), Vec::new()).await;
    let sites = open(&store, AlertKind::Site).await;
    assert_eq!(sites.len(), 1);
    assert_eq!(sites[0].devices.len(), 5);
    assert!(sites[0].posterior.unwrap() > 0.9);
    let laptop = sites[0].waterfall.iter().find(|bar| bar.device.is_some()).unwrap();
    assert!(laptop.why.contains("PiKVM") && !laptop.facts.is_empty(), "{laptop:?}");
    assert!(sites[0].summary.contains("LAP-1, more than"), "{}", sites[0].summary);
    let mut taken_in = open(&store, AlertKind::Device).await;
    taken_in.extend(open(&store, AlertKind::Policy).await);
    assert!(taken_in.len() >= 5);
    for alert in taken_in {
        assert_eq!(alert.absorbed_by.as_ref(), Some(&sites[0].id), "{}", alert.key);
    }
    let place = store.sites(&Page::first(9)).await.unwrap();
    assert_eq!(place.len(), 1);
    let history = store.site_events(&place[0].id, 100).await.unwrap();
    let mut there: Vec<DeviceId> = Vec::new();
    for event in history {
        match event.step {
            SiteStep::Noticed(devices) => there.extend(devices),
            SiteStep::Came(device) => there.push(device),
            other => panic!("{other:?}"),
        }
    }
    there.sort();
    assert_eq!(there, place[0].devices, "its history leads to who is there");
    assert!(told.iter().any(|alert| alert.kind == AlertKind::Site));
}

#[tokio::test]
async fn a_site_that_was_no_farm_gives_its_policy_alerts_back_and_one_that_was_closes_them() {
    for (disposition, left) in [(Disposition::FalsePositive, 5), (Disposition::Confirmed, 0)] {
        let (_, store) = run(&home(5, true), Policy::default(), Vec::new()).await;
        let site = open(&store, AlertKind::Site).await.remove(0);
        let app = App::fixed(Arc::clone(&store), Policy::default());
        let closed = Action::Resolve { disposition, note: String::new() };
        change(&app, &site.id, site.version, closed, "ana", at(300)).await.unwrap();
        let policy = open(&store, AlertKind::Policy).await;
        assert_eq!(policy.len(), left, "{disposition:?}");
        assert!(policy.iter().all(|alert| alert.absorbed_by.is_none()));
    }
}

#[tokio::test]
async fn a_couple_at_home_is_a_site_and_no_alert() {
    let (told, store) = run(&home(2, false), Policy::default(), Vec::new()).await;
    assert_eq!(told, Vec::new());
    assert_eq!(store.sites(&Page::first(9)).await.unwrap()[0].devices.len(), 2);
}

#[tokio::test]
async fn a_sanctioned_office_is_shown_as_such_and_raises_no_site_alert() {
    let office = Place { name: "Lisbon".into(), networks: vec!["203.0.113.0/24".into()], ..Place::default() };
    let (_, store) = run(&home(5, true), Policy::default(), vec![office]).await;
    assert_eq!(open(&store, AlertKind::Site).await, Vec::new());
    let sites = store.sites(&Page::first(9)).await.unwrap();
    assert_eq!(sites[0].sanctioned.as_deref(), Some("Lisbon"));
}

/// The one site there is, after all are judged anew.
async fn judged_anew(replay: &mut Replay, store: &SharedStore) -> Site {
    queue_all(store, at(0)).await.unwrap();
    replay.finish().await.unwrap();
    let mut sites = store.sites(&Page::first(9)).await.unwrap();
    assert_eq!(sites.len(), 1);
    sites.remove(0)
}

#[tokio::test]
async fn what_it_says_of_a_place_holds_at_once_though_nobody_moves() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    for laptop in home(5, true) {
        replay.line(&laptop.line(1, 0)).await.unwrap();
    }
    let farm = judged_anew(&mut replay, &store).await;
    assert!(farm.judged.farm > 0.9 && farm.sanctioned.is_none());
    let alerts = || async { open(&store, AlertKind::Site).await.len() };
    assert_eq!(alerts().await, 1);
    let lisbon = Place { name: "Lisbon".into(), networks: vec!["203.0.113.0/24".into()], ..Place::default() };
    store.put_place(lisbon).await.unwrap();
    let office = judged_anew(&mut replay, &store).await;
    assert_eq!((office.id, office.sanctioned.as_deref()), (farm.id.clone(), Some("Lisbon")));
    assert_eq!(alerts().await, 0, "what IT sanctions is nothing to work on");
    let by_policy = open(&store, AlertKind::Policy).await;
    assert!(by_policy.len() == 5 && by_policy.iter().all(|alert| alert.absorbed_by.is_none()));
    assert!(store.remove_place("Lisbon").await.unwrap());
    let again = judged_anew(&mut replay, &store).await;
    assert!(again.judged.farm > 0.9 && again.sanctioned.is_none());
    assert_eq!(alerts().await, 1, "it is open again");

    let exception = Exception {
        id: 0,
        scope: ExceptionScope::Place("203.0.113.7".into()),
        reason: "a fair".into(),
        created_by: "ana".into(),
        created_at: at(3),
        expires_at: at(50),
    };
    store.add_exception(exception).await.unwrap();
    assert!(judged_anew(&mut replay, &store).await.sanctioned.is_some());
    replay.line(&home(5, true)[0].line(2, 51)).await.unwrap();
    let over = judged_anew(&mut replay, &store).await;
    assert!(over.sanctioned.is_none(), "it shields nobody once it has ended");
}

#[tokio::test]
async fn a_laptop_that_was_not_heard_for_two_weeks_stands_nowhere_until_it_is_heard() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    let [gone, stays, newcomer]: [Laptop; 3] = home(3, false).try_into().ok().unwrap();
    let there = async |store: &SharedStore| -> Vec<usize> {
        store.sites(&Page::first(9)).await.unwrap().iter().map(|site| site.devices.len()).collect()
    };
    replay.line(&gone.line(1, 0)).await.unwrap();
    for day in 0..20_i64 {
        replay.line(&stays.line(1 + day.unsigned_abs(), 1 + 24 * day)).await.unwrap();
        replay.finish().await.unwrap();
        assert_eq!(there(&store).await, if day < 14 { vec![2] } else { Vec::new() }, "day {day}");
    }
    replay.line(&newcomer.line(1, 24 * 20)).await.unwrap();
    replay.finish().await.unwrap();
    assert_eq!(there(&store).await, [2], "who comes stands with those who are there");
    replay.line(&gone.line(2, 24 * 20 + 1)).await.unwrap();
    replay.finish().await.unwrap();
    assert_eq!(there(&store).await, [3]);
}

#[tokio::test]
async fn a_farm_that_parts_and_meets_again_elsewhere_is_the_same_site_and_the_same_alert() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    let mut seen = Vec::new();
    for (seq, room) in [(1, 1), (2, 0), (3, 3)] {
        for mut laptop in home(5, true) {
            let room = if room == 0 { 10 + laptop.number } else { room };
            (laptop.gateway, laptop.address) = (format!("router {room}"), format!("198.51.100.{room}"));
            replay.line(&laptop.line(seq, 30 * i64::try_from(seq).unwrap())).await.unwrap();
        }
        replay.finish().await.unwrap();
        let sites = store.sites(&Page::first(9)).await.unwrap();
        let alerts = store
            .alerts(&AlertFilter { kind: Some(AlertKind::Site), ..AlertFilter::default() }, &Page::first(9))
            .await
            .unwrap();
        seen.push((
            sites.into_iter().map(|site| (site.id, site.devices.len())).collect::<Vec<_>>(),
            alerts.into_iter().map(|alert| alert.id).collect::<Vec<_>>(),
        ));
    }
    assert_eq!(seen[0].0.len(), 1, "{seen:?}");
    assert_eq!(seen[1].0, [], "{seen:?}");
    assert_eq!(seen[2], seen[0]);
    let steps = store.site_events(&seen[0].0[0].0, 50).await.unwrap();
    let ended = steps.iter().position(|event| event.step == SiteStep::Ended).unwrap();
    assert!(ended + 1 < steps.len(), "what came after it ended is told in the same history: {steps:?}");
}

#[tokio::test]
async fn carrier_nat_makes_no_site_and_one_gateway_behind_many_addresses_does() {
    let mut nat = home(6, true);
    nat.iter_mut().for_each(|laptop| laptop.gateway = format!("router {}", laptop.number));
    let (_, store) = run(&nat, Policy::default(), Vec::new()).await;
    assert_eq!(store.sites(&Page::first(9)).await.unwrap(), Vec::new());

    let mut hidden = home(5, true);
    hidden.iter_mut().for_each(|laptop| laptop.address = format!("198.51.100.{}", laptop.number));
    let (_, store) = run(&hidden, Policy::default(), Vec::new()).await;
    let sites = open(&store, AlertKind::Site).await;
    assert_eq!(sites.len(), 1);
    assert!(sites[0].waterfall.iter().any(|bar| bar.rule == "place.concealment"));
}

#[tokio::test]
async fn a_shelf_of_other_companies_laptops_is_seen_behind_the_companys_exit_and_not_in_its_office() {
    let place = |exit| Place {
        name: "Lisbon".into(),
        networks: vec!["203.0.113.0/24".into()],
        gateways: Vec::new(),
        exit,
    };
    for (places, found) in [(vec![], true), (vec![place(true)], true), (vec![place(false)], false)] {
        let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
        let store = Arc::clone(&app.store);
        let mut replay = Replay::new(app, true, Vec::new(), places).await.unwrap();
        for (seq, docks) in [(1, 20), (2, 19)] {
            let laptop = Laptop { docks, ..home(1, true).remove(0) };
            replay.line(&laptop.line(seq, 30 * i64::try_from(seq).unwrap())).await.unwrap();
            replay.finish().await.unwrap();
        }
        let judged = store.device(&id(1)).await.unwrap().unwrap().judged.unwrap();
        assert_eq!(judged.findings.iter().any(|finding| finding.rule == "place.among_others"), found);
    }
}

#[tokio::test]
async fn the_same_lines_give_the_same_alerts() {
    let (one, _) = run(&home(5, true), Policy::default(), Vec::new()).await;
    let (two, _) = run(&home(5, true), Policy::default(), Vec::new()).await;
    assert_eq!(one, two);
}

#[tokio::test]
async fn learning_mode_counts_and_raises_nothing() {
    let policy = Policy { learning: true, ..Policy::default() };
    let (told, store) = run(&home(5, true), policy, Vec::new()).await;
    assert_eq!(told, Vec::new());
    let counted = store.value("learning/count/policy/usb.known_kvm").await.unwrap();
    assert_eq!(counted.as_deref(), Some("5"));
}

#[tokio::test]
async fn auto_isolates_up_to_its_cap_and_audits_what_it_did_not_do() {
    let mut policy = Policy::default();
    policy.quarantine.mode = QuarantineMode::Auto;
    policy.quarantine.threshold = 0.9;
    policy.quarantine.cap_per_hour = 2;
    policy.quarantine.exempt = vec!["pf1".into()];
    let app = App::fixed(sqlite::in_memory().unwrap(), policy);
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    for laptop in home(5, true) {
        replay.line(&laptop.line(1, 0)).await.unwrap();
    }
    replay.finish().await.unwrap();
    let mut isolated = Vec::new();
    for number in 1..=5 {
        let orders = store.orders(&id(number), 9).await.unwrap();
        if orders.iter().any(|order| matches!(order.sealed.content.kind, OrderKind::Isolate { .. })) {
            isolated.push(number);
        }
    }
    assert_eq!(isolated.len(), 2, "{isolated:?}");
    assert!(!isolated.contains(&1));
    let audit = store.audit_entries(None, &Page::first(200)).await.unwrap();
    let says = |text: &str| audit.iter().any(|entry| entry.entry.why.contains(text));
    assert!(says("the cap of 2 in an hour is reached") && says("the laptop is exempt"));
    assert!(says("policy alerts never isolate by themselves"));
}

#[tokio::test]
async fn a_dry_run_says_of_each_once_that_it_would_isolate_it_and_no_more_than_the_cap() {
    for (cap, would) in [(5, 5), (2, 2)] {
        let mut policy = Policy::default();
        policy.quarantine.threshold = 0.9;
        (policy.quarantine.cap_per_hour, policy.quarantine.expiry_hours) = (cap, 72);
        let app = App::fixed(sqlite::in_memory().unwrap(), policy);
        let store = Arc::clone(&app.store);
        let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
        // Judged again and again within an hour.
        for seq in 1..=4 {
            for laptop in home(5, true) {
                let at = Laptop { docks: usize::try_from(seq).unwrap(), ..laptop };
                replay.line(&at.line(seq, 0)).await.unwrap();
            }
            replay.finish().await.unwrap();
        }
        let audit = store.audit_entries(None, &Page::first(200)).await.unwrap();
        let count = |text: &str| audit.iter().filter(|entry| entry.entry.why.contains(text)).count();
        assert_eq!(count("would isolate"), would, "{audit:?}");
        assert_eq!(count("the cap of") > 0, would < 5, "{audit:?}");
        assert_eq!(count("isolated already"), 0);
    }
}

#[tokio::test]
async fn what_it_allows_is_resolved_and_open_again_once_it_allows_it_no_more() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    let laptop = home(1, true).remove(0);
    let kvm = || async { open(&store, AlertKind::Policy).await };
    replay.line(&laptop.line(1, 0)).await.unwrap();
    replay.finish().await.unwrap();
    let raised = kvm().await.remove(0);
    let scopes = [ExceptionScope::Thing("usb_device/1-2".into()), ExceptionScope::Device(id(1).to_string())];
    for (hour, scope) in [10, 30].into_iter().zip(scopes) {
        let exception = Exception {
            id: 0,
            scope: scope.clone(),
            reason: "his own".into(),
            created_by: "ana".into(),
            created_at: at(hour),
            expires_at: at(hour + 10),
        };
        store.add_exception(exception).await.unwrap();
        let line = |seq, hour| home(1, true)[0].line(seq, hour);
        replay.line(&line(u64::try_from(hour).unwrap(), hour + 1)).await.unwrap();
        queue_all(&store, at(hour + 1)).await.unwrap();
        replay.finish().await.unwrap();
        assert_eq!(kvm().await, [], "{scope:?}");
        let events = store.alert_events(&raised.id).await.unwrap();
        let last = &events.last().unwrap().what;
        assert!(last.starts_with("resolved as authorised: "), "{last}");
        replay.line(&line(u64::try_from(hour).unwrap() + 1, hour + 11)).await.unwrap();
        queue_all(&store, at(hour + 11)).await.unwrap();
        replay.finish().await.unwrap();
        assert_eq!(kvm().await.remove(0).id, raised.id, "{scope:?} has ended");
    }
    // Gone is not allowed.
    replay.line(&Laptop { kvm: false, ..laptop }.line(50, 60)).await.unwrap();
    replay.finish().await.unwrap();
    assert!(kvm().await[0].summary.contains("Not seen since"));
}

#[tokio::test]
async fn an_alert_stays_resolved_until_evidence_is_new_and_an_exception_silences_a_laptop() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    let laptop = &home(1, true)[0];
    replay.line(&laptop.line(1, 0)).await.unwrap();
    replay.finish().await.unwrap();
    let alert = open(&store, AlertKind::Policy).await.remove(0);
    let resolve = Action::Resolve { disposition: Disposition::Authorised, note: "his own".into() };
    let stale = change(&replay.app, &alert.id, alert.version + 1, resolve.clone(), "ana", at(1)).await;
    assert!(stale.unwrap_err().to_string().contains("has changed since you looked"));
    change(&replay.app, &alert.id, alert.version, resolve, "ana", at(1)).await.unwrap();
    let unplugged = Laptop { kvm: false, ..home(1, true).remove(0) };
    for (seq, hour, laptop) in [(2, 2, &unplugged), (3, 3, laptop)] {
        replay.line(&laptop.line(seq, hour)).await.unwrap();
        replay.finish().await.unwrap();
    }
    assert!(open(&store, AlertKind::Policy).await.is_empty());

    let exception = Exception {
        id: 0,
        scope: ExceptionScope::Device(id(2).to_string()),
        reason: "lab".into(),
        created_by: "ana".into(),
        created_at: at(3),
        expires_at: at(50),
    };
    store.add_exception(exception).await.unwrap();
    let other =
        Laptop { number: 2, address: "198.51.100.2".into(), gateway: "lab".into(), kvm: true, docks: 0 };
    replay.line(&other.line(1, 4)).await.unwrap();
    replay.finish().await.unwrap();
    assert!(open(&store, AlertKind::Policy).await.is_empty());
    replay.line(&other.line(2, 60)).await.unwrap();
    replay.line(&Laptop { kvm: false, ..other }.line(3, 61)).await.unwrap();
    replay.finish().await.unwrap();
}

#[tokio::test]
async fn a_bad_line_is_refused_and_changes_nothing() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    for bad in [&b"{"[..], b"\xff\xfe", b"{\"received_at\":\"yesterday\"}", "[".repeat(5000).as_bytes()] {
        assert!(replay.line(bad).await.is_err());
    }
    assert_eq!(replay.finish().await.unwrap(), Vec::new());
}

/// A line of a laptop whose hands come and go: windows of each kind, of before and of the same five minutes again.
fn busy_line(laptop: &Laptop, seq: u64) -> Vec<u8> {
    let hour = i64::try_from(seq).unwrap() * 9;
    let mut line: serde_json::Value = serde_json::from_slice(&laptop.line(seq, hour)).unwrap();
    let kind = ["built_in", "usb", "virtual"][usize::try_from(seq).unwrap() % 3];
    let window = |hours_before: i64| {
        json!({
            "start": at(hour - hours_before), "observed_seconds": 150, "absolute_permille": 900, "pointer_centinats": 40,
            "injected_seconds": seq % 5, "sources": { kind: { "keys": 90, "pointer": 900, "active_seconds": 120 } },
        })
    };
    line["report"]["windows"] = json!([window(1), window(9), window(30), window(100)]);
    line["report"]["transitions"] = json!([
        { "at": at(hour), "kind": "mains_lost" }, { "at": at(hour), "kind": "locked" },
        { "at": at(hour - 9), "kind": "mains_lost" },
    ]);
    line.to_string().into_bytes()
}

#[tokio::test]
async fn what_correlation_remembers_of_windows_changes_no_alert_and_no_judgement() {
    let mut runs = Vec::new();
    for habits in [Habits::default(), Habits::of_bytes(5_000), Habits::of_bytes(0)] {
        let store = sqlite::in_memory().unwrap();
        let app = App { habits, ..App::fixed(Arc::clone(&store), Policy::default()) };
        let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
        let (laptops, mut told) = (home(3, true), Vec::new());
        for seq in 1..60 {
            for laptop in &laptops {
                told.extend(replay.line(&busy_line(laptop, seq)).await.unwrap());
            }
        }
        told.extend(replay.finish().await.unwrap());
        assert_eq!(replay.take_refused(), Vec::<String>::new());
        let mut judged = Vec::new();
        for laptop in &laptops {
            judged.push(store.device(&id(laptop.number)).await.unwrap().unwrap().judged.unwrap());
        }
        runs.push((told, judged));
    }
    assert!(
        runs[0].1.iter().flat_map(|judged| &judged.findings).any(|finding| finding.rule.contains("input"))
    );
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}
