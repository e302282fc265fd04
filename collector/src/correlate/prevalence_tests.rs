use farmwatch_shared::facts::{RemoteTool, Seen, SeenBy, SensorStatus, ToolClass, UsbDevice};
use farmwatch_shared::id::{DeviceId, HashKey};
use serde_json::json;

use super::*;
use crate::alerts::{Action, change};
use crate::policy::Policy;
use crate::replay::Replay;
use crate::store::{Alert, AlertFilter, AlertState, Disposition, Page, SharedStore, sqlite};

/// A laptop at home, of one model.
#[derive(Clone)]
struct Laptop {
    number: u128,
    address: String,
    tool: bool,
    kvm: bool,
    blind: bool,
}

impl Laptop {
    fn at_home(number: u128) -> Self {
        Self { number, address: format!("203.0.113.{number}"), tool: false, kvm: false, blind: false }
    }

    fn line(&self, seq: u64) -> Vec<u8> {
        let mut state = State::default();
        let model = Some("Latitude 5450".to_owned());
        // Something changes each time, as something always does.
        let os_version = format!("Debian GNU/Linux 12.{seq}");
        state.put(
            "self",
            &Host {
                os: "linux".into(),
                os_version,
                model,
                serial: Some(format!("S{}", self.number)),
                ..Host::default()
            },
        );
        if self.tool {
            let seen = vec![Seen { by: SeenBy::Process, what: "anydesk".into() }];
            let (name, class) = ("AnyDesk".into(), ToolClass::RemoteDesktop);
            let account = Some(HashKey::new([3; 32]).hash("account", &self.address));
            let tool = RemoteTool { name, class, seen, serving: true, account, ..RemoteTool::default() };
            state.put("anydesk", &tool);
        }
        if self.kvm {
            let traits = vec!["known_kvm:PiKVM".to_owned()];
            state.put("1-1", &UsbDevice { traits, ..UsbDevice::default() });
        }
        let how = if self.blind { SensorState::Blind } else { SensorState::Ok };
        state.put("activity", &SensorStatus::new(how, ""));
        let at = Timestamp::from_second(1_790_553_600 + 3600 * i64::try_from(seq).unwrap()).unwrap();
        let id = DeviceId::new(1, self.number);
        let report = json!({
            "v": 1, "device": id, "boot": "0a0b0c0d", "seq": seq, "at": at,
            "digest": state.digest(), "whole": true, "set": state,
        });
        json!({ "received_at": at, "source_ip": self.address, "report": report }).to_string().into_bytes()
    }
}

/// The fleet, twice heard.
async fn lived(laptops: &[Laptop]) -> (Replay, SharedStore) {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = std::sync::Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    for seq in [1, 2] {
        hear(&mut replay, laptops, seq).await;
    }
    (replay, store)
}

async fn hear(replay: &mut Replay, laptops: &[Laptop], seq: u64) {
    for laptop in laptops {
        replay.line(&laptop.line(seq)).await.unwrap();
    }
    replay.finish().await.unwrap();
}

/// Of so many laptops the first have the tool.
fn with_tool(all: u128, tool: impl Fn(u128) -> bool) -> Vec<Laptop> {
    (1..=all).map(|n| Laptop { tool: tool(n), ..Laptop::at_home(n) }).collect()
}

async fn finding_of(store: &SharedStore, number: u128, rule: &str) -> Option<Finding> {
    let device = store.device(&DeviceId::new(1, number)).await.unwrap().unwrap();
    device.judged.unwrap().findings.into_iter().find(|found| found.rule == rule)
}

async fn alerts(store: &SharedStore) -> Vec<Alert> {
    store.alerts(&AlertFilter::default(), &Page::first(200)).await.unwrap()
}

#[tokio::test]
async fn a_tool_that_the_fleet_has_says_little_and_is_one_alert_for_all() {
    let (mut replay, store) = lived(&with_tool(100, |_| false)).await;
    // It comes to those last that the alert will not name.
    let fleet = with_tool(100, |n| n > 15);
    hear(&mut replay, &fleet[80..], 3).await;
    hear(&mut replay, &fleet, 4).await;
    let found = finding_of(&store, 60, "remote_control.unattended").await.unwrap();
    assert!((found.llr - (99.0 / 84.0f64).ln()).abs() < 0.23 && found.honest_llr <= found.llr, "{found:?}");

    let open = alerts(&store).await;
    let shown: Vec<&Alert> = open.iter().filter(|alert| alert.absorbed_by.is_none()).collect();
    assert_eq!(shown.len(), 1, "{:?}", open.iter().map(|a| &a.title).collect::<Vec<_>>());
    let all = shown[0];
    assert_eq!(all.key, "policy/tool/anydesk");
    insta::assert_snapshot!(all.title, @"AnyDesk is on 80 laptops or more, and nobody has sanctioned it");
    assert!(all.summary.contains("sanction the account"), "{}", all.summary);
    assert!(all.summary.contains(r#"sanctioned_accounts = [""#), "{}", all.summary);
    assert!(all.summary.ends_with("on 1 of those listed"), "{}", all.summary);
    let taken_in = AlertFilter { absorbed_by: Some(all.id.clone()), ..AlertFilter::default() };
    let own = store.alerts(&taken_in, &Page::first(200)).await.unwrap();
    let unnamed = |own: &Alert| own.devices.iter().all(|device| !all.devices.contains(device));
    assert_eq!((own.len(), own.iter().any(unnamed)), (20, true), "raised while few had it");

    let resolve = Action::Resolve { disposition: Disposition::Authorised, note: String::new() };
    let app = App::fixed(std::sync::Arc::clone(&store), Policy::default());
    change(&app, &all.id, all.version, resolve, "maria", all.updated_at).await.unwrap();
    let hidden = AlertFilter { absorbed: true, states: vec![AlertState::New], ..AlertFilter::default() };
    let left = store.alerts(&hidden, &Page::first(200)).await.unwrap();
    assert_eq!(left, [], "what it had taken in is resolved with it");
    hear(&mut replay, &with_tool(100, |n| n > 5), 5).await;
    assert_eq!(store.alerts(&hidden, &Page::first(200)).await.unwrap(), [], "nor is one more news");
}

#[tokio::test]
async fn a_laptop_that_is_suspected_has_an_alert_of_its_own_about_the_fleets_tool() {
    let mut fleet = with_tool(100, |n| n <= 40);
    fleet[80] = Laptop { tool: true, kvm: true, ..fleet[80].clone() };
    let (_, store) = lived(&fleet).await;
    let suspect = store.device(&DeviceId::new(1, 81)).await.unwrap().unwrap();
    assert!(is_suspect(&suspect.judged.unwrap(), None));
    let own = format!("policy/{}/remote_tool/anydesk", DeviceId::new(1, 81));
    let own = store.alert_by_key(&own).await.unwrap().unwrap();
    assert_eq!(own.absorbed_by, None, "{}", own.title);
    let other = format!("policy/{}/remote_tool/anydesk", DeviceId::new(1, 40));
    assert_eq!(store.alert_by_key(&other).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_the_fleets_tool_is_so_until_half_of_them_have_it_no_more() {
    let (mut replay, store) = lived(&with_tool(100, |n| n <= 25)).await;
    let raised = alerts(&store).await.len();
    hear(&mut replay, &with_tool(100, |n| (9..=25).contains(&n)), 3).await;
    hear(&mut replay, &with_tool(100, |n| (9..=25).contains(&n) || n == 90), 4).await;
    assert_eq!(alerts(&store).await.len(), raised, "eighteen have it, and the newest raises nothing");
    let fleets = || async { store.alert_by_key("policy/tool/anydesk").await.unwrap().unwrap() };
    assert!(!fleets().await.summary.contains("On few laptops since"));
    hear(&mut replay, &with_tool(100, |n| (20..=25).contains(&n)), 5).await;
    hear(&mut replay, &with_tool(100, |n| (20..=25).contains(&n)), 6).await;
    assert!(fleets().await.summary.contains("On few laptops since"), "{}", fleets().await.summary);
}

#[tokio::test]
async fn that_few_have_it_is_told_by_one_that_has_it_too_and_not_by_one_whose_office_has_all_of_it() {
    let (mut replay, store) = lived(&with_tool(100, |n| n <= 25)).await;
    hear(&mut replay, &with_tool(25, |n| n <= 9)[9..], 3).await;
    let fleets = || async { store.alert_by_key("policy/tool/anydesk").await.unwrap().unwrap() };
    assert!(!fleets().await.summary.contains("On few laptops since"));
    hear(&mut replay, &with_tool(1, |_| true), 4).await;
    assert!(fleets().await.summary.contains("On few laptops since"), "it is named there, and has the tool");

    // An office of thirty, and nobody elsewhere: for each of them it is rare elsewhere, and all of it is the fleet's.
    let mut fleet = with_tool(100, |n| n <= 30);
    let (mut replay, store) = lived(&fleet).await;
    let fleets = || async { store.alert_by_key("policy/tool/anydesk").await.unwrap().unwrap() };
    let raised = fleets().await;
    fleet[..30].iter_mut().for_each(|laptop| laptop.address = "198.51.100.7".into());
    for seq in 3..6 {
        hear(&mut replay, &fleet[..30], seq).await;
    }
    let now = fleets().await;
    assert_eq!((now.version, now.evidence), (raised.version, raised.evidence));
}

#[tokio::test]
async fn one_laptop_more_with_the_fleets_tool_changes_nothing_that_is_written_of_the_others() {
    let (mut replay, store) = lived(&with_tool(100, |n| n <= 60)).await;
    let said = || async {
        let versions = alerts(&store).await.into_iter().map(|alert| (alert.key, alert.version));
        (store.device(&DeviceId::new(1, 1)).await.unwrap().unwrap().judged, versions.collect::<Vec<_>>())
    };
    hear(&mut replay, &with_tool(100, |n| n <= 60), 3).await;
    let before = said().await;
    for (seq, more) in [(4, 61), (5, 62)] {
        hear(&mut replay, &with_tool(100, |n| n <= more), seq).await;
    }
    assert_eq!(said().await, before);
}

#[tokio::test]
async fn a_farm_in_a_small_fleet_makes_no_tool_common() {
    // One address, thirty laptops: they are each other's neighbours, not the fleet.
    let farm = |n| Laptop { address: "198.51.100.7".into(), tool: true, ..Laptop::at_home(n) };
    let mut fleet: Vec<Laptop> = (1..=12).map(farm).collect();
    fleet.extend((13..=22).map(|n| Laptop { tool: true, ..Laptop::at_home(n) }));
    fleet.extend((23..=60).map(Laptop::at_home));
    let (_, store) = lived(&fleet).await;
    let device = store.device(&DeviceId::new(1, 1)).await.unwrap().unwrap();
    assert!(device.site.is_some(), "they stand together");
    let found = finding_of(&store, 1, "remote_control.unattended").await.unwrap();
    assert!((found.llr - 4.5).abs() < 1e-9, "ten elsewhere have it: {found:?}");
}

#[tokio::test]
async fn a_sensor_that_is_blind_on_one_laptop_of_its_model_is_a_finding_and_a_broken_driver_is_none() {
    for (blind, found) in [(1, true), (5, false)] {
        let fleet = (1..=150).map(|n| Laptop { blind: n <= blind, ..Laptop::at_home(n) }).collect::<Vec<_>>();
        let (_, store) = lived(&fleet).await;
        let told = finding_of(&store, 1, "hygiene.blind").await;
        assert_eq!(told.is_some(), found, "{blind} of 150: {told:?}");
    }
}

#[tokio::test]
async fn two_blind_laptops_in_one_place_do_not_make_blindness_usual() {
    let mut fleet: Vec<Laptop> = (1..=150).map(Laptop::at_home).collect();
    for laptop in &mut fleet[..2] {
        *laptop = Laptop { address: "198.51.100.7".into(), blind: true, ..laptop.clone() };
    }
    let (_, store) = lived(&fleet).await;
    assert!(finding_of(&store, 1, "hygiene.blind").await.is_some());
    assert!(finding_of(&store, 2, "hygiene.blind").await.is_some());
}

#[test]
fn who_is_suspected_alone_or_with_its_place_counts_for_nothing_that_is_common() {
    let judged = |posterior| Judged { posterior, ..Judged::default() };
    let at = Timestamp::UNIX_EPOCH;
    let place = |farm| SiteGlance { judged_at: at, due_at: at, size: 3, said: 0, farm, sanctioned: None };
    assert!(is_suspect(&judged(0.3), None) && is_suspect(&judged(0.0), Some(&place(0.2))));
    assert!(!is_suspect(&judged(0.006), Some(&place(1e-5))), "one tool that waits");
}
