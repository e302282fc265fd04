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
fn line_at(second: i64, number: u128, seq: u64, gateway: &str, mut state: State) -> Vec<u8> {
    let at = Timestamp::from_second(1_790_553_600 + second);
    let gateway = Some(HashKey::new([3; 32]).hash("gateway", gateway));
    state.put("wlan0", &Network { kind: LinkKind::Wifi, default_route: true, gateway, ..Network::default() });
    let report = json!({
        "v": 1, "device": DeviceId::new(1, number), "boot": "0a0b0c0d", "seq": seq, "at": at.clone().unwrap(),
        "digest": state.digest(), "whole": true, "set": state,
    });
    json!({ "received_at": at.unwrap(), "source_ip": "198.51.100.7", "report": report })
        .to_string()
        .into_bytes()
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
    // Thirty wait for fourteen minutes.
    for (second, number) in [(300, 1), (600, 2), (1000, 3)] {
        replay.line(&line_at(second, number, 2, "office", with_a_tool.clone())).await.unwrap();
        replay.finish().await.unwrap();
        let site = store.sites(&Page::first(9)).await.unwrap().remove(0);
        let own = store.device(&DeviceId::new(1, number)).await.unwrap().unwrap().judged.unwrap();
        let looked = site.updated_at.as_second() - 1_790_553_600;
        judged.push((site.devices.len(), own.llr > 0.0, looked));
    }
    assert_eq!(judged, [(30, true, 30), (30, true, 30), (30, true, 1000)]);
}
