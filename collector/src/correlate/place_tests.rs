use farmwatch_shared::facts::{LinkKind, Network, RemoteTool, ToolClass};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::state::State;
use serde_json::json;

use super::*;
use crate::policy::Policy;
use crate::replay::Replay;
use crate::store::{Page, sqlite};

/// A laptop behind one address that all of them share, at a gateway of its own.
fn line(number: u128, seq: u64, gateway: &str) -> Vec<u8> {
    let second = i64::try_from(number).unwrap() + 3600 * i64::try_from(seq).unwrap();
    line_at(second, number, seq, gateway, State::default())
}

/// The same at a second, with more facts.
fn line_at(second: i64, number: u128, seq: u64, gateway: &str, state: State) -> Vec<u8> {
    line_from("198.51.100.7", second, number, seq, gateway, state)
}

/// The same from an address.
fn line_from(address: &str, second: i64, number: u128, seq: u64, gateway: &str, mut state: State) -> Vec<u8> {
    let at = Timestamp::from_second(1_790_553_600 + second);
    let gateway = Some(HashKey::new([3; 32]).hash("gateway", gateway));
    state.put("wlan0", &Network { kind: LinkKind::Wifi, default_route: true, gateway, ..Network::default() });
    let report = json!({
        "v": 1, "device": DeviceId::new(1, number), "boot": "0a0b0c0d", "seq": seq, "at": at.clone().unwrap(),
        "digest": state.digest(), "whole": true, "set": state,
    });
    json!({ "received_at": at.unwrap(), "source_ip": address, "report": report }).to_string().into_bytes()
}

#[tokio::test]
async fn one_of_a_crowd_that_moves_is_judged_at_once_whoever_came_first() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = std::sync::Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    let crowd = u128::from(MOST_AT_ANCHOR) + 50;
    for number in 1..=crowd {
        replay.line(&line(number, 1, &format!("router {number}"))).await.unwrap();
    }
    // The first and the last move in with each other, behind the address that everybody shows.
    for number in [1, crowd] {
        replay.line(&line(number, 2, "router of both")).await.unwrap();
    }
    replay.finish().await.unwrap();
    assert_eq!(replay.take_refused(), Vec::<String>::new());
    assert_eq!(
        store.work_due(Timestamp::MAX).await.unwrap(),
        0,
        "nobody is told again and again that others came"
    );
    let sites = store.sites(&Page::first(9)).await.unwrap();
    let together: Vec<Vec<DeviceId>> = sites.into_iter().map(|site| site.devices).collect();
    assert_eq!(together, [[DeviceId::new(1, 1), DeviceId::new(1, crowd)]]);
}

#[tokio::test]
async fn a_crowd_is_judged_now_and_then_and_not_with_each_of_its_laptops() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = std::sync::Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    for number in 1..=30 {
        replay
            .line(&line_at(i64::try_from(number).unwrap(), number, 1, "office", State::default()))
            .await
            .unwrap();
    }
    let mut with_a_tool = State::default();
    let tool = RemoteTool { class: ToolClass::RemoteDesktop, serving: true, ..RemoteTool::default() };
    with_a_tool.put("rustdesk", &tool);
    let mut judged = Vec::new();
    // From the sixth on they are added as they come; thirty wait for twenty-six minutes.
    for (second, number) in [(300, 1), (600, 2), (1600, 3)] {
        replay.line(&line_at(second, number, 2, "office", with_a_tool.clone())).await.unwrap();
        replay.finish().await.unwrap();
        let site = store.sites(&Page::first(9)).await.unwrap().remove(0);
        let own = store.device(&DeviceId::new(1, number)).await.unwrap().unwrap().judged.unwrap();
        let looked = site.updated_at.as_second() - 1_790_553_600;
        judged.push((site.devices.len(), own.llr > 0.0, looked));
    }
    assert_eq!(judged, [(30, true, 5), (30, true, 5), (30, true, 1600)]);
}

/// How many there were when an office was last looked at whole, and who is there.
async fn office(store: &crate::store::SharedStore) -> (i64, Vec<u128>) {
    let sites = store.sites(&Page::first(9)).await.unwrap();
    let office = sites.iter().find(|site| site.sanctioned.as_deref() == Some("Lisbon")).unwrap();
    let number = |id: &DeviceId| (1..=99).find(|n| DeviceId::new(1, *n) == *id).unwrap();
    (office.updated_at.as_second() - 1_790_553_600, office.devices.iter().map(number).collect())
}

#[tokio::test]
async fn who_comes_to_an_office_and_leaves_it_is_there_or_not_and_the_rest_is_looked_at_now_and_then() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = std::sync::Arc::clone(&app.store);
    let lisbon = crate::store::Place {
        name: "Lisbon".into(),
        networks: vec!["198.51.100.0/24".into()],
        ..Default::default()
    };
    let mut replay = Replay::new(app, true, Vec::new(), vec![lisbon]).await.unwrap();
    let came = |second: i64, number: u128, seq| line_at(second, number, seq, "office", State::default());
    let home = |second: i64, number: u128, seq| {
        line_from("203.0.113.9", second, number, seq, "home of two", State::default())
    };
    // Fifty and sixty live together.
    for number in [50, 60] {
        replay.line(&home(0, number, 1)).await.unwrap();
    }
    for number in 1..=30 {
        replay.line(&came(i64::try_from(number).unwrap(), number, 1)).await.unwrap();
    }
    replay.finish().await.unwrap();
    let whole = office(&store).await;
    assert!(whole.0 < 30, "once there are more than a few, the next are added: {whole:?}");
    assert_eq!(whole.1, (1..=30).collect::<Vec<_>>());
    assert_eq!(store.sites(&Page::first(9)).await.unwrap().len(), 2);

    // One comes from that home, which is none of two any more; one leaves to it and finds the other there.
    for line in [came(100, 50, 2), home(200, 7, 2)] {
        replay.line(&line).await.unwrap();
    }
    replay.finish().await.unwrap();
    let others: Vec<u128> = (1..=30).filter(|n| *n != 7).chain([50]).collect();
    assert_eq!(office(&store).await, (whole.0, others.clone()), "nobody else was looked at");
    let sites = store.sites(&Page::first(9)).await.unwrap();
    let homes: Vec<_> = sites.iter().filter(|site| site.sanctioned.is_none()).collect();
    assert_eq!(homes.len(), 1);
    assert_eq!(homes[0].devices, [DeviceId::new(1, 7), DeviceId::new(1, 60)]);

    // After a minute for each all are looked at, whoever comes; and in the evening nothing is left of it.
    replay.line(&came(whole.0 + 3600, 8, 2)).await.unwrap();
    replay.line(&home(whole.0 + 3610, 8, 3)).await.unwrap();
    replay.line(&came(whole.0 + 7300, 8, 4)).await.unwrap();
    replay.finish().await.unwrap();
    assert_eq!(office(&store).await, (whole.0 + 7300, others.clone()));
    for (number, seq) in others.iter().zip(10u32..) {
        let away = format!("home of {number}");
        let address = format!("192.0.2.{number}");
        let line =
            line_from(&address, 9000 + i64::from(seq), *number, u64::from(seq), &away, State::default());
        replay.line(&line).await.unwrap();
    }
    replay.finish().await.unwrap();
    assert_eq!(replay.take_refused(), Vec::<String>::new());
    let sites = store.sites(&Page::first(9)).await.unwrap();
    assert_eq!(sites.len(), 1, "{sites:?}");
}

#[tokio::test]
async fn whoever_stands_between_two_crowds_goes_with_one_of_them_and_between_two_smaller_ones_makes_them_one()
{
    assert_eq!(bridged(60).await, (vec![60, 61], true));
    assert_eq!(bridged(12).await, (vec![25], false));
}

/// Who stands where after one came that shows the gateways of two wings of so many; and whether nobody was looked at for it.
async fn bridged(each: u128) -> (Vec<usize>, bool) {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = std::sync::Arc::clone(&app.store);
    let mut replay = Replay::new(app, true, Vec::new(), Vec::new()).await.unwrap();
    for number in 1..=2 * each {
        let gateway = if number <= each { "east wing" } else { "west wing" };
        let line = line_at(i64::try_from(number).unwrap(), number, 1, gateway, State::default());
        replay.line(&line).await.unwrap();
    }
    replay.finish().await.unwrap();
    let looked = |sites: Vec<Site>| sites.into_iter().map(|site| site.updated_at).collect::<BTreeSet<_>>();
    let before = looked(store.sites(&Page::first(9)).await.unwrap());
    assert_eq!(before.len(), 2);

    let mut by_cable = State::default();
    let gateway = Some(HashKey::new([3; 32]).hash("gateway", "west wing"));
    by_cable.put("eth0", &Network { kind: LinkKind::Ethernet, gateway, ..Network::default() });
    let last = 2 * each + 1;
    replay.line(&line_at(i64::try_from(last).unwrap(), last, 1, "east wing", by_cable)).await.unwrap();
    replay.finish().await.unwrap();
    let sites = store.sites(&Page::first(9)).await.unwrap();
    let mut crowds: Vec<usize> = sites.iter().map(|site| site.devices.len()).collect();
    crowds.sort_unstable();
    (crowds, looked(sites) == before)
}

/// Laptops of one office, each at a desk with a gateway of its own or all behind one, that tell some neighbours in common
/// and show a little.
fn office_of(laptops: u128, gateway: impl Fn(u128) -> String) -> Vec<Occupant> {
    let at = Timestamp::from_second(1_790_553_600).unwrap();
    let seen = |kind, value: String| AnchorSeen {
        anchor: Anchor { kind, value },
        first_seen: at,
        last_seen: at,
        current: true,
    };
    let anchors = |n: u128| {
        let mut anchors: Vec<_> =
            (0..9).map(|n| seen(AnchorKind::Neighbour, format!("printer {n}"))).collect();
        anchors.push(seen(AnchorKind::Gateway, gateway(n)));
        anchors
    };
    let laptop = |n: u128| Occupant {
        id: DeviceId::new(1, n),
        standing: crate::store::Standing::Enrolled,
        enrolled_at: at,
        last_seen: at,
        public_address: None,
        site: None,
        asset: None,
        llr: 1.5,
        honest_llr: 1.3,
        anchors: anchors(n),
    };
    (1..=laptops).map(laptop).collect()
}

#[test]
fn those_who_tell_their_neighbours_because_they_show_something_are_no_farm_of_those_who_do() {
    let judged = |office: Vec<Occupant>| {
        let known = Known::new(Vec::new(), Vec::new(), Policy::default(), false);
        let (weights, now) = (Weights::shipped(), office[0].last_seen);
        let counts =
            office.iter().flat_map(|one| &one.anchors).fold(Counts::default(), |mut counts, seen| {
                *counts.entry(seen.anchor.clone()).or_default() += 1;
                counts
            });
        let place = Place { known: &known, weights: &weights, occupants: &office, counts: &counts, now };
        let site = place.judged(SiteId::new(1, 1), now, &Rhythms::new());
        (site.judged.farm, site.judged.bars.iter().any(|bar| bar.rule == "place.noticed"))
    };
    let (desks, said) = judged(office_of(12, |n| format!("desk {n}")));
    assert!(said && desks < 1e-3, "{desks}");
    let (shelf, said) = judged(office_of(12, |_| "one router".to_owned()));
    assert!(!said && shelf > 0.5, "{shelf}");
}
