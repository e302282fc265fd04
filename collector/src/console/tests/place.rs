//! A laptop that looks harmless by itself and stands in a farm: two probabilities, and each has its name.

use farmwatch_shared::judge::{Judged, JudgedSite};
use serde_json::Value;

use super::*;
use crate::store::Site;

/// The first laptop stands at a place, sanctioned or not.
async fn stand(desk: &Desk, sanctioned: Option<&str>) -> SiteId {
    let judged =
        JudgedSite { farm: 0.97, devices: [(desk.device.clone(), 0.96)].into(), ..JudgedSite::default() };
    let site = Site {
        id: SiteId::new(1, 25),
        devices: vec![desk.device.clone()],
        anchors: Vec::new(),
        sanctioned: sanctioned.map(str::to_owned),
        judged,
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    };
    let (id, own) = (site.id.clone(), Judged { posterior: 0.108, ..Judged::default() });
    let changes =
        vec![Change::Judged(desk.device.clone(), Box::new(own)), Change::PutSite(Box::new(site), 0)];
    desk.app.store.apply(changes).await.unwrap();
    id
}

#[tokio::test]
async fn what_a_laptop_shows_by_itself_and_given_its_place_have_two_names() {
    let desk = desk().await;
    let site = stand(&desk, None).await;
    let page = desk.page(&format!("/devices/{}", desk.device)).await;
    assert!(page.contains("P(farm-operated), by itself: <strong>10.8 %</strong>"), "{page}");
    assert!(page.contains("P(farm-operated), given its place: <strong>96.0 %</strong>"), "{page}");
    assert!(page.contains(&format!("in <a href=\"/sites/{site}\">Place ")), "{page}");
    assert!(desk.page("/devices").await.contains("P(farm-operated),<br>by itself"));
    for path in ["/alerts".into(), "/devices".into(), "/sites".into(), format!("/sites/{site}")] {
        let page: String = desk.page(&path).await;
        let (cells, labels) = (page.matches("<td").count(), page.matches("data-label=").count());
        assert!(cells > 0 && cells == labels, "{path}: a telephone shows each cell with its label");
    }

    let path = format!("/api/v1/devices/{}", desk.device);
    let device: Value = serde_json::from_str(&desk.page(&path).await).unwrap();
    assert_eq!(device["judged"]["posterior"], 0.108);
    assert_eq!(device["farm_operated"], serde_json::json!({ "by_itself": 0.108, "given_its_place": 0.96 }));

    stand(&desk, Some("Lisbon")).await;
    let page = desk.page(&format!("/devices/{}", desk.device)).await;
    assert!(page.contains("10.8 %") && !page.contains("given its place"), "IT knows this place: {page}");
    let device: Value = serde_json::from_str(&desk.page(&path).await).unwrap();
    assert_eq!(device["farm_operated"]["given_its_place"], Value::Null);
}
