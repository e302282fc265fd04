//! A whole place cut off by one decision.

use super::*;
use crate::policy::QuarantinePolicy;

/// A site's alert about laptops 1 to 5; the second is exempt, and four may be isolated in an hour.
async fn place(desk: &Desk) -> AlertId {
    for n in 2..=5 {
        suite::enrol(&desk.app.store, n).await;
    }
    let exempt = vec!["sn0002".to_owned()];
    let quarantine = QuarantinePolicy { exempt, cap_per_hour: 4, ..QuarantinePolicy::default() };
    desk.app.policy.replace(Policy { quarantine, ..Policy::default() });
    let alert = Alert {
        id: AlertId::new(1, 2),
        key: "site/site_1".into(),
        kind: AlertKind::Site,
        devices: (1..=5).map(suite::laptop).collect(),
        ..alert(&desk.device, Timestamp::now())
    };
    desk.app.store.apply(vec![Change::PutAlert(Box::new(alert.clone()))]).await.unwrap();
    alert.id
}

async fn ordered(desk: &Desk) -> Vec<u128> {
    let mut ordered = Vec::new();
    for n in 1..=5 {
        let orders = desk.app.store.orders(&suite::laptop(n), 9).await.unwrap();
        assert!(orders.len() < 2, "{n} was isolated twice");
        ordered.extend(orders.iter().map(|_| n));
    }
    ordered
}

#[tokio::test]
async fn all_laptops_of_a_place_are_isolated_by_one_confirmed_action_within_the_guardrails() {
    let desk = desk().await;
    let alert = place(&desk).await;
    let path = format!("/alerts/{alert}/isolate-all");
    assert!(desk.page(&format!("/alerts/{alert}")).await.contains(&path));
    assert!(!desk.page(&format!("/alerts/{}", desk.alert)).await.contains("isolate-all"), "one laptop");

    // The third is isolated already: it counts for the cap, too.
    let now = Timestamp::now();
    crate::quarantine::isolate(&desk.app, &suite::laptop(3), "before", "ana", None, now).await.unwrap();
    let page = desk.page(&path).await;
    assert!(page.contains("Isolate 3 laptops") && page.contains("the policy exempts it"), "{page}");
    assert!(page.contains("it is isolating already") && !page.contains("<script>alert"), "{page}");
    assert_eq!(ordered(&desk).await, [3], "a question isolates nobody");

    let csrf = desk.csrf().await;
    for (form, status) in [
        ("csrf=00&version=1&reason=farm".to_owned(), StatusCode::FORBIDDEN),
        (format!("csrf={csrf}&version=1&reason=+"), StatusCode::UNPROCESSABLE_ENTITY),
        (format!("csrf={csrf}&version=2&reason=farm"), StatusCode::CONFLICT),
    ] {
        assert_eq!(post(&desk.router, &path, &desk.cookie, &form).await.status(), status, "{form}");
    }
    assert_eq!(ordered(&desk).await, [3]);

    let good = format!("csrf={csrf}&version=1&reason=farm");
    let other = format!("/alerts/{}/isolate-all", desk.alert);
    assert_eq!(
        post(&desk.router, &other, &desk.cookie, &good).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let done = text(post(&desk.router, &path, &desk.cookie, &good).await).await;
    assert!(done.contains("3 isolations are ordered"), "{done}");
    assert_eq!(ordered(&desk).await, [1, 3, 4, 5]);
    let again = text(post(&desk.router, &path, &desk.cookie, &good).await).await;
    assert!(again.contains("0 isolations are ordered"), "{again}");
    assert_eq!(ordered(&desk).await, [1, 3, 4, 5]);

    for n in [1, 4, 5] {
        let entries =
            desk.app.store.audit_entries(Some(suite::laptop(n).as_str()), &Page::first(9)).await.unwrap();
        let (actor, why) = (&entries[0].entry.actor, &entries[0].entry.why);
        assert!(actor == "ana" && why.contains("farm") && why.contains(alert.as_str()), "{why}");
    }
    let events = desk.app.store.alert_events(&alert).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.what.contains("isolation until")).count(), 4);
}

#[tokio::test]
async fn those_above_the_cap_are_spared_and_named() {
    let desk = desk().await;
    let alert = place(&desk).await;
    let quarantine = QuarantinePolicy { cap_per_hour: 2, ..QuarantinePolicy::default() };
    desk.app.policy.replace(Policy { quarantine, ..Policy::default() });
    let form = format!("csrf={}&version=1&reason=farm", desk.csrf().await);
    let path = format!("/alerts/{alert}/isolate-all");
    let done = text(post(&desk.router, &path, &desk.cookie, &form).await).await;
    assert!(done.contains("2 isolations are ordered") && done.contains("the cap of 2 in an hour"), "{done}");
    assert_eq!(ordered(&desk).await, [1, 2]);
}
