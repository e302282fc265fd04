//! Anchors and sites.

use std::slice::from_ref;

use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::{Judged, JudgedSite};

use super::super::{
    Anchor, AnchorKind, AnchorSeen, Asset, Change, DeviceFilter, Page, SharedStore, Site, SiteEvent,
    SiteStep, Stood, StoreError,
};
use super::{Case, enrol, laptop, minute};

pub const CASES: &[Case] = &[
    ("an anchor is found with all who show it now", |s| Box::pin(anchors(s))),
    ("an anchor that is left keeps its sightings", |s| Box::pin(left(s))),
    ("an anchor is counted among those of a site", |s| Box::pin(counted_in_a_site(s))),
    ("devices follow their site", |s| Box::pin(members(s))),
    ("a device comes to a site and leaves one, and nothing else of them changes", |s| Box::pin(pass(s))),
    ("a site is written only while its devices stand where they were seen", |s| Box::pin(stand(s))),
    ("of two devices that come to one place at the same time, one sees the other", |s| Box::pin(come(s))),
    ("a site that parts and comes together again is told by who stood there", |s| Box::pin(former(s))),
    ("a place's history outlives it, for its time", |s| Box::pin(history(s))),
    ("the most probable farm comes first, page by page", |s| Box::pin(order(s))),
];

fn seen(value: &str, first: i64, last: i64) -> AnchorSeen {
    AnchorSeen {
        anchor: Anchor { kind: AnchorKind::Gateway, value: value.into() },
        first_seen: minute(first),
        last_seen: minute(last),
        current: true,
    }
}

async fn show(store: &SharedStore, device: &DeviceId, anchors: Vec<AnchorSeen>) {
    store.apply(vec![Change::Anchors(device.clone(), anchors)]).await.unwrap();
}

async fn anchors(store: SharedStore) {
    let devices = [enrol(&store, 1).await, enrol(&store, 2).await, enrol(&store, 3).await];
    for device in &devices {
        show(&store, device, vec![seen("router", 1, 1), seen(device.as_str(), 1, 1)]).await;
    }
    let router = Anchor { kind: AnchorKind::Gateway, value: "router".into() };
    assert_eq!(store.counts_at(from_ref(&router)).await.unwrap(), [3]);
    let at = store.devices_at(from_ref(&router), 2).await.unwrap().concat();
    assert_eq!(at, devices[..2]);
    let two = [devices[2].clone(), laptop(99), devices[0].clone()];
    let each = [store.anchors_of(&two[0]).await.unwrap(), store.anchors_of(&two[2]).await.unwrap()].concat();
    let judged = Judged { llr: 2.5, honest_llr: 0.1 + 0.2, ..Judged::default() };
    store.apply(vec![Change::Judged(two[2].clone(), Box::new(judged))]).await.unwrap();
    let asset = Asset { serial: "SN3".into(), user: "Anna Berg".into(), ..Asset::default() };
    store.put_assets(vec![asset.clone()]).await.unwrap();
    let found = store.occupants(&two).await.unwrap();
    assert_eq!(found.iter().flat_map(|one| one.anchors.clone()).collect::<Vec<_>>(), each);
    assert_eq!(each.len(), 4);
    for (one, id) in found.iter().zip([&two[0], &two[2]]) {
        let device = store.device(id).await.unwrap().unwrap();
        let asset = store.asset_of(&device).await.unwrap();
        let judged = device.judged.unwrap_or_default();
        let heard = device.last_seen.unwrap_or(device.enrolled_at);
        assert_eq!((&one.id, one.standing, one.enrolled_at), (id, device.standing, device.enrolled_at));
        assert_eq!(
            (one.last_seen, one.public_address, &one.site),
            (heard, device.public_address, &device.site)
        );
        assert_eq!(
            (one.llr.to_bits(), one.honest_llr.to_bits()),
            (judged.llr.to_bits(), judged.honest_llr.to_bits())
        );
        assert_eq!(one.asset, asset);
    }
    assert_eq!(store.occupants(&[]).await.unwrap(), []);
    // Of what is past only that on which evidence rests.
    let past = |kind, value: &str| AnchorSeen {
        anchor: Anchor { kind, value: value.into() },
        current: false,
        ..seen(value, 1, 1)
    };
    let kinds =
        [AnchorKind::DisplaySerial, AnchorKind::Gateway, AnchorKind::Neighbour, AnchorKind::UsbSerial];
    let fourth = enrol(&store, 4).await;
    show(&store, &fourth, kinds.map(|kind| past(kind, "past")).to_vec()).await;
    let found = store.occupants(from_ref(&fourth)).await.unwrap();
    let found: Vec<AnchorKind> =
        found.iter().flat_map(|one| &one.anchors).map(|seen| seen.anchor.kind).collect();
    assert_eq!(found, [AnchorKind::DisplaySerial, AnchorKind::Gateway, AnchorKind::UsbSerial]);
    let other_kind = Anchor { kind: AnchorKind::UsbSerial, value: "router".into() };
    let three = [other_kind, router, Anchor { kind: AnchorKind::Gateway, value: devices[1].to_string() }];
    assert_eq!(store.counts_at(&three).await.unwrap(), [0, 3, 1]);
    let at = store.devices_at(&three, 2).await.unwrap();
    assert_eq!(at, [&[], &devices[..2], &devices[1..2]]);
    assert_eq!(store.counts_at(&[]).await.unwrap(), [0; 0]);
    assert_eq!(store.devices_at(&[], 2).await.unwrap().len(), 0);
    assert_eq!(store.anchors_of(&devices[2]).await.unwrap().len(), 2);
    assert_eq!(store.anchors_of(&laptop(9)).await.unwrap(), []);
}

async fn left(store: SharedStore) {
    let device = enrol(&store, 1).await;
    let home = Anchor { kind: AnchorKind::Gateway, value: "home".into() };
    show(&store, &device, vec![seen("home", 1, 1)]).await;
    show(&store, &device, vec![seen("home", 5, 5)]).await;
    assert_eq!(store.anchors_of(&device).await.unwrap(), [seen("home", 1, 5)]);
    show(&store, &device, vec![seen("hotel", 6, 6)]).await;
    assert_eq!(store.counts_at(from_ref(&home)).await.unwrap(), [0]);
    assert_eq!(store.devices_at(from_ref(&home), 9).await.unwrap().concat(), []);
    let gone = AnchorSeen { current: false, ..seen("home", 1, 5) };
    assert_eq!(store.anchors_of(&device).await.unwrap(), [gone, seen("hotel", 6, 6)]);
    show(&store, &device, vec![seen("home", 9, 9)]).await;
    assert_eq!(store.counts_at(from_ref(&home)).await.unwrap(), [1]);
    assert_eq!(store.anchors_of(&device).await.unwrap()[0], seen("home", 1, 9));
    store.apply(vec![Change::SeenAgain(device.clone(), minute(10))]).await.unwrap();
    let hotel = AnchorSeen { current: false, ..seen("hotel", 6, 6) };
    assert_eq!(store.anchors_of(&device).await.unwrap(), [seen("home", 1, 10), hotel]);
    // What is common is not kept once it is gone.
    let common = Anchor { kind: AnchorKind::Trait, value: "tool".into() };
    let tool = AnchorSeen { anchor: common.clone(), ..seen("", 10, 10) };
    show(&store, &device, vec![seen("home", 9, 10), tool.clone()]).await;
    assert_eq!(store.counts_at(from_ref(&common)).await.unwrap(), [1]);
    assert!(store.anchors_of(&device).await.unwrap().contains(&tool));
    show(&store, &device, vec![seen("home", 9, 11)]).await;
    assert_eq!(store.counts_at(from_ref(&common)).await.unwrap(), [0]);
    let kinds = |all: Vec<AnchorSeen>| all.into_iter().map(|seen| seen.anchor.kind).collect::<Vec<_>>();
    assert_eq!(kinds(store.anchors_of(&device).await.unwrap()), [AnchorKind::Gateway, AnchorKind::Gateway]);
}

async fn counted_in_a_site(store: SharedStore) {
    for n in 1..=3 {
        let id = enrol(&store, n).await;
        show(&store, &id, vec![seen("router", 1, 1), seen(id.as_str(), 1, 1)]).await;
    }
    store.apply(vec![Change::NewSite(Box::new(site(1, &[1, 2], 0.1)), 0)]).await.unwrap();
    let gateway = |value: &str| Anchor { kind: AnchorKind::Gateway, value: value.into() };
    let all = ["nobody", "router", laptop(2).as_str(), laptop(3).as_str()].map(gateway);
    assert_eq!(store.counts_in(&site(1, &[], 0.0).id, &all).await.unwrap(), [0, 2, 1, 0]);
    assert_eq!(store.counts_in(&site(9, &[], 0.0).id, &all).await.unwrap(), [0; 4]);
    assert_eq!(store.counts_in(&site(1, &[], 0.0).id, &[]).await.unwrap(), [0; 0]);
}

fn site(n: u128, devices: &[u128], farm: f64) -> Site {
    Site {
        id: SiteId::new(1, n),
        devices: devices.iter().map(|n| laptop(*n)).collect(),
        anchors: vec![Anchor { kind: AnchorKind::Gateway, value: "router".into() }],
        sanctioned: None,
        judged: JudgedSite { farm, ..JudgedSite::default() },
        created_at: minute(1),
        updated_at: minute(2),
    }
}

async fn members(store: SharedStore) {
    for n in 1..=4 {
        enrol(&store, n).await;
    }
    let put = |site: Site| store.apply(vec![Change::PutSite(Box::new(site), 7)]);
    let site_of = async |n: u128| store.device(&laptop(n)).await.unwrap().unwrap().site;
    put(site(1, &[1, 2, 3], 0.1)).await.unwrap();
    assert_eq!(store.site(&SiteId::new(1, 1)).await.unwrap(), Some(site(1, &[1, 2, 3], 0.1)));
    put(site(1, &[2, 3], 0.2)).await.unwrap();
    assert_eq!((site_of(1).await, site_of(2).await), (None, Some(SiteId::new(1, 1))));
    put(site(2, &[3, 4], 0.2)).await.unwrap();
    let filter = DeviceFilter { site: Some(SiteId::new(1, 2)), ..DeviceFilter::default() };
    let there = store.devices(&filter, &Page::first(9)).await.unwrap();
    assert_eq!(there.into_iter().map(|d| d.id).collect::<Vec<_>>(), [laptop(3), laptop(4)]);
    store.apply(vec![Change::RemoveSite(SiteId::new(1, 1))]).await.unwrap();
    assert_eq!((site_of(2).await, site_of(3).await), (None, Some(SiteId::new(1, 2))));
    assert_eq!(store.site(&SiteId::new(1, 1)).await.unwrap(), None);
}

async fn pass(store: SharedStore) {
    for n in 1..=4 {
        enrol(&store, n).await;
    }
    let (one, other) = (SiteId::new(1, 1), SiteId::new(1, 2));
    let office = Site { sanctioned: Some("Lisbon".into()), ..site(1, &[1, 2, 3], 0.0) };
    let both =
        vec![Change::PutSite(Box::new(office.clone()), 7), Change::PutSite(Box::new(site(2, &[4], 0.1)), 7)];
    store.apply(both).await.unwrap();
    let glance = async |id: &SiteId| store.site_glance(id).await.unwrap().unwrap();
    let before = glance(&one).await;
    assert_eq!((before.size, before.sanctioned.as_deref(), before.said), (3, Some("Lisbon"), 7));
    store.apply(vec![Change::Leave(laptop(2)), Change::Come(laptop(4), one.clone())]).await.unwrap();
    let there = Site { devices: vec![laptop(1), laptop(3), laptop(4)], ..office };
    assert_eq!(store.site(&one).await.unwrap(), Some(there.clone()));
    assert_eq!(store.site(&other).await.unwrap().unwrap().devices, []);
    assert_eq!(store.sites(&Page::first(9)).await.unwrap()[1], there);
    assert_eq!(glance(&one).await, before, "as many, and looked at when it was");
    assert_eq!(glance(&other).await.sanctioned, None);
    assert_eq!(store.device(&laptop(2)).await.unwrap().unwrap().site, None);
    store.apply(vec![Change::RemoveSite(other.clone())]).await.unwrap();
    let late = store.apply(vec![Change::Come(laptop(2), other)]).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
}

async fn former(store: SharedStore) {
    for n in 1..=5 {
        enrol(&store, n).await;
    }
    let former = async |n: &[u128]| {
        let devices: Vec<DeviceId> = n.iter().map(|n| laptop(*n)).collect();
        store.former_site(&devices).await.unwrap()
    };
    let id = SiteId::new(1, 1);
    store.apply(vec![Change::NewSite(Box::new(site(1, &[1, 2, 3], 0.1)), 7)]).await.unwrap();
    let again = store.apply(vec![Change::NewSite(Box::new(site(1, &[4, 5], 0.1)), 7)]).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(store.site(&id).await.unwrap(), Some(site(1, &[1, 2, 3], 0.1)));
    store.apply(vec![Change::PutSite(Box::new(site(1, &[2, 3], 0.2)), 7)]).await.unwrap();
    assert_eq!(former(&[1, 2]).await, None, "it is still there");
    store.apply(vec![Change::RemoveSite(id.clone())]).await.unwrap();
    assert_eq!(former(&[1, 2]).await, Some(id.clone()));
    assert_eq!(former(&[1, 2, 4, 5]).await, Some(id));
    assert_eq!(former(&[1, 4]).await, None, "one of them alone is another place");
    assert_eq!(former(&[2, 3, 4, 5, 9]).await, None, "fewer than half");
}

/// Two collectors that judged two laptops of one place at the same time.
async fn stand(store: SharedStore) {
    for n in 1..=2 {
        enrol(&store, n).await;
    }
    let stood = |n, llr| Stood { device: laptop(n), site: None, llr, honest_llr: 0.5 * llr };
    let judged = |n, llr| {
        let judged = Judged { llr, honest_llr: 0.5 * llr, ..Judged::default() };
        Change::Judged(laptop(n), Box::new(judged))
    };
    // One judged the second laptop, while another judged their place by what the second showed before.
    store.apply(vec![judged(2, 0.7)]).await.unwrap();
    let stale = Change::Stand(vec![stood(1, 0.0), stood(2, 0.0)]);
    let stale = vec![stale, Change::PutSite(Box::new(site(9, &[1, 2], 0.1)), 7)];
    assert!(matches!(store.apply(stale).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.sites(&Page::first(9)).await.unwrap(), []);
    let seen = Change::Stand(vec![stood(1, 0.0), stood(2, 0.7)]);
    let one = vec![seen.clone(), Change::PutSite(Box::new(site(1, &[1, 2], 0.1)), 7)];
    let other = vec![seen, Change::PutSite(Box::new(site(2, &[1, 2], 0.1)), 7)];
    let (one, other) = futures_util::future::join(store.apply(one), store.apply(other)).await;
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert!(matches!(one.and(other), Err(StoreError::Conflict(_))));
    assert_eq!(store.sites(&Page::first(9)).await.unwrap().len(), 1);
    let stranger = vec![Change::Stand(vec![stood(9, 0.0)])];
    assert!(matches!(store.apply(stranger).await, Err(StoreError::Conflict(_))));
}

/// Two collectors that judged two laptops of one place at the same time, before either was known to be there.
async fn come(store: SharedStore) {
    let router = Anchor { kind: AnchorKind::Gateway, value: "router".into() };
    let mut comes = Vec::new();
    for n in 1..=2 {
        let device = enrol(&store, n).await;
        let shows = vec![seen("router", 1, 1), seen("printer", 1, 1)];
        comes.push(vec![Change::Anchors(device, shows), Change::NoMoreThan(vec![(router.clone(), 1)])]);
    }
    let (second, first) = (comes.pop().unwrap(), comes.pop().unwrap());
    let (first, second) = futures_util::future::join(store.apply(first), store.apply(second)).await;
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(matches!(first.and(second), Err(StoreError::Conflict(_))));
    assert_eq!(store.counts_at(from_ref(&router)).await.unwrap(), [1]);
    let other = Anchor { kind: AnchorKind::Gateway, value: "unknown".into() };
    store.apply(vec![Change::NoMoreThan(vec![(router.clone(), 1), (other, 0)])]).await.unwrap();
    let fewer = store.apply(vec![Change::NoMoreThan(vec![(router, 0)])]).await;
    assert!(matches!(fewer, Err(StoreError::Conflict(_))), "{fewer:?}");
}

async fn order(store: SharedStore) {
    for (n, farm) in [(1, 0.2), (2, 0.9), (3, 0.9), (4, 0.5)] {
        store.apply(vec![Change::PutSite(Box::new(site(n, &[], farm)), 7)]).await.unwrap();
    }
    let mut page = Page::first(3);
    let mut ids = Vec::new();
    loop {
        let sites = store.sites(&page).await.unwrap();
        let Some(last) = sites.last() else { break };
        page.after = Some(last.id.to_string());
        ids.extend(sites.into_iter().map(|s| s.id));
    }
    assert_eq!(ids, [2, 3, 4, 1].map(|n| SiteId::new(1, n)));
}

async fn history(store: SharedStore) {
    let (one, other) = (SiteId::new(1, 1), SiteId::new(1, 2));
    let event = |site: &SiteId, at, step| SiteEvent { site: site.clone(), at: minute(at), step };
    let events = [
        event(&one, 1, SiteStep::Noticed(vec![laptop(1), laptop(2)])),
        event(&other, 2, SiteStep::Ended),
        event(&one, 3, SiteStep::Came(laptop(3))),
        event(&one, 4, SiteStep::Left(laptop(1))),
        event(&one, 5, SiteStep::Merged(other.clone())),
    ];
    store.apply(vec![Change::PutSite(Box::new(site(1, &[], 0.1)), 7)]).await.unwrap();
    store.apply(events.iter().cloned().map(Change::SiteEvent).collect()).await.unwrap();
    store.apply(vec![Change::RemoveSite(one.clone())]).await.unwrap();
    let [first, _, rest @ ..] = &events;
    assert_eq!(store.site_events(&one, 9).await.unwrap(), [std::slice::from_ref(first), rest].concat());
    assert_eq!(store.site_events(&one, 1).await.unwrap(), std::slice::from_ref(first));
    assert_eq!(store.trim(minute(0), minute(3)).await.unwrap(), 2);
    assert_eq!(store.site_events(&one, 9).await.unwrap(), rest);
    assert_eq!(store.site_events(&other, 9).await.unwrap(), []);
}
