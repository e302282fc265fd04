//! Alerts: one writer wins, the queue is in order, a page follows the one before.

use farmwatch_shared::id::AlertId;

use super::super::{
    Alert, AlertEvent, AlertFilter, AlertKind, AlertState, Change, Page, Severity, SharedStore, StoreError,
};
use super::{Case, laptop, minute};

pub const CASES: &[Case] = &[
    ("an alert is written once per version", |s| Box::pin(versions(s))),
    ("a refused alert takes its whole transaction with it", |s| Box::pin(all_or_none(s))),
    ("one alert per key", |s| Box::pin(one_per_key(s))),
    ("the loudest come first, then the newest, page by page", |s| Box::pin(order(s))),
    ("filters find what they say", |s| Box::pin(filters(s))),
    ("resolved alerts are kept for their time, open ones for ever", |s| Box::pin(trimmed(s))),
    ("an alert's life is told in order", |s| Box::pin(life(s))),
];

fn alert(n: u128) -> Alert {
    Alert {
        id: AlertId::new(1_790_000_000_000, n),
        key: format!("device/{}", laptop(n)),
        kind: AlertKind::Device,
        state: AlertState::New,
        disposition: None,
        severity: Severity::High,
        title: format!("Laptop {n} is operated from afar"),
        summary: "Nobody touches it, and 100 % of its input is injected.".into(),
        devices: vec![laptop(n)],
        site: None,
        posterior: Some(0.97),
        waterfall: Vec::new(),
        absorbed_by: None,
        assignee: None,
        resolved_on: None,
        evidence: vec!["tool:x11vnc".into()],
        told: None,
        created_at: minute(1),
        updated_at: minute(1),
        version: 1,
    }
}

async fn put(store: &SharedStore, alert: &Alert) -> Result<(), StoreError> {
    store.apply(vec![Change::PutAlert(Box::new(alert.clone()))]).await
}

async fn versions(store: SharedStore) {
    let mut one = alert(1);
    put(&store, &one).await.unwrap();
    assert_eq!(store.alert(&one.id).await.unwrap(), Some(one.clone()));
    assert!(matches!(put(&store, &one).await, Err(StoreError::Conflict(_))), "version 1 twice");
    one.version = 2;
    one.state = AlertState::InProgress;
    put(&store, &one).await.unwrap();
    assert!(matches!(put(&store, &one).await, Err(StoreError::Conflict(_))), "version 2 twice");
    assert_eq!(store.alert_by_key(&one.key).await.unwrap(), Some(one));
    let new_but_not_first = Alert { version: 2, ..alert(2) };
    assert!(matches!(put(&store, &new_but_not_first).await, Err(StoreError::Conflict(_))));
}

async fn all_or_none(store: SharedStore) {
    let late = Alert { version: 5, ..alert(1) };
    let changes = vec![Change::PutAlert(Box::new(alert(2))), Change::PutAlert(Box::new(late))];
    assert!(matches!(store.apply(changes).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.alert(&alert(2).id).await.unwrap(), None);
    put(&store, &alert(2)).await.unwrap();
}

async fn one_per_key(store: SharedStore) {
    put(&store, &alert(1)).await.unwrap();
    let other = Alert { key: alert(1).key, ..alert(2) };
    assert!(matches!(put(&store, &other).await, Err(StoreError::Conflict(_))));
}

async fn order(store: SharedStore) {
    let loud = [
        (1, Severity::Low, 9),
        (2, Severity::Critical, 2),
        (3, Severity::Critical, 3),
        (4, Severity::High, 1),
    ];
    for (n, severity, at) in loud {
        put(&store, &Alert { severity, updated_at: minute(at), ..alert(n) }).await.unwrap();
    }
    put(&store, &Alert { severity: Severity::High, updated_at: minute(1), ..alert(5) }).await.unwrap();
    let wanted: Vec<_> = [3, 2, 4, 5, 1].map(|n| alert(n).id).to_vec();
    let all = store.alerts(&AlertFilter::default(), &Page::first(10)).await.unwrap();
    assert_eq!(all.into_iter().map(|a| a.id).collect::<Vec<_>>(), wanted);
    let mut page = Page::first(2);
    let mut seen = Vec::new();
    loop {
        let alerts = store.alerts(&AlertFilter::default(), &page).await.unwrap();
        let Some(last) = alerts.last() else { break };
        page.after = Some(last.id.to_string());
        seen.extend(alerts.into_iter().map(|a| a.id));
    }
    assert_eq!(seen, wanted);
}

async fn filters(store: SharedStore) {
    let policy =
        Alert { kind: AlertKind::Policy, title: "100%_remote".into(), summary: String::new(), ..alert(1) };
    put(&store, &policy).await.unwrap();
    put(&store, &Alert { state: AlertState::Resolved, updated_at: minute(5), ..alert(2) }).await.unwrap();
    let taken_in = Alert { absorbed_by: Some(alert(2).id), devices: vec![laptop(3), laptop(4)], ..alert(3) };
    put(&store, &taken_in).await.unwrap();
    let of = |filter: AlertFilter| {
        let store = store.clone();
        async move {
            let mut found = store.alerts(&filter, &Page::first(10)).await.unwrap();
            assert_eq!(found.len() as u64, store.alert_count(&filter).await.unwrap());
            found.sort_by(|a, b| a.id.cmp(&b.id));
            found.into_iter().map(|a| a.id).collect::<Vec<_>>()
        }
    };
    let base = AlertFilter { absorbed: true, ..AlertFilter::default() };
    let [one, two, three] = [1, 2, 3].map(|n| alert(n).id);
    assert_eq!(of(AlertFilter::default()).await, [one.clone(), two.clone()]);
    assert_eq!(of(base.clone()).await, [one.clone(), two.clone(), three.clone()]);
    let open = vec![AlertState::New, AlertState::InProgress];
    assert_eq!(of(AlertFilter { states: open, ..base.clone() }).await, [one.clone(), three.clone()]);
    assert_eq!(
        of(AlertFilter { kind: Some(AlertKind::Policy), ..base.clone() }).await,
        *std::slice::from_ref(&one)
    );
    assert_eq!(
        of(AlertFilter { device: Some(laptop(4)), ..base.clone() }).await,
        *std::slice::from_ref(&three)
    );
    assert_eq!(of(AlertFilter { text: Some("0%_r".into()), ..base.clone() }).await, [one]);
    assert_eq!(
        of(AlertFilter { text: Some("INJECTED".into()), ..base.clone() }).await,
        [two.clone(), three.clone()]
    );
    assert_eq!(
        of(AlertFilter { absorbed_by: Some(two.clone()), ..base.clone() }).await,
        *std::slice::from_ref(&three)
    );
    assert_eq!(of(AlertFilter { absorbed_by: Some(three.clone()), ..base.clone() }).await, []);
    assert_eq!(of(AlertFilter { since: Some(minute(4)), ..base }).await, *std::slice::from_ref(&two));
    put(&store, &Alert { absorbed_by: None, version: 2, ..taken_in }).await.unwrap();
    let by = AlertFilter { absorbed_by: Some(two), ..AlertFilter::default() };
    assert_eq!(of(by).await, []);
}

async fn life(store: SharedStore) {
    put(&store, &alert(1)).await.unwrap();
    let step = |n: i64, what: &str| AlertEvent {
        alert: alert(1).id,
        at: minute(n),
        actor: "farmwatch".into(),
        what: what.into(),
    };
    let steps = [step(1, "raised"), step(2, "taken"), step(2, "resolved")];
    store.apply(steps.clone().map(Change::AlertEvent).to_vec()).await.unwrap();
    assert_eq!(store.alert_events(&alert(1).id).await.unwrap(), steps);
}

async fn trimmed(store: SharedStore) {
    let open = Alert { updated_at: minute(1), ..alert(1) };
    let resolved = |n, at| Alert { state: AlertState::Resolved, updated_at: minute(at), ..alert(n) };
    let (old, young) = (resolved(2, 5), resolved(3, 10));
    for alert in [&open, &old, &young] {
        put(&store, alert).await.unwrap();
        let (alert, actor) = (alert.id.clone(), "ann".to_owned());
        let event = AlertEvent { alert, at: minute(2), actor, what: "resolved".into() };
        store.apply(vec![Change::AlertEvent(event)]).await.unwrap();
    }
    assert_eq!(store.trim_alerts(minute(10)).await.unwrap(), 1);
    assert_eq!(store.trim_alerts(minute(10)).await.unwrap(), 0);
    assert_eq!(store.alert(&old.id).await.unwrap(), None);
    assert!(store.alert_events(&old.id).await.unwrap().is_empty());
    for alert in [&open, &young] {
        assert_eq!(store.alert(&alert.id).await.unwrap().as_ref(), Some(alert));
        assert_eq!(store.alert_events(&alert.id).await.unwrap().len(), 1);
    }
    put(&store, &alert(2)).await.unwrap();
}
