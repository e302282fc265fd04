//! Lists: their filters, and their pages as JSON.

use serde_json::Value;

use super::*;

async fn json(desk: &Desk, path: &str) -> Value {
    serde_json::from_str(&desk.page(path).await).unwrap()
}

async fn refusal(desk: &Desk, path: &str) -> (StatusCode, Value) {
    let answer = desk.get(path).await;
    let status = answer.status();
    (status, serde_json::from_str(&text(answer).await).unwrap())
}

#[tokio::test]
async fn a_program_reads_a_whole_list_page_by_page() {
    let desk = desk().await;
    for n in 2..=5 {
        suite::enrol(&desk.app.store, n).await;
    }
    let (mut path, mut seen) = ("/api/v1/devices?limit=2".to_owned(), Vec::new());
    loop {
        let list = json(&desk, &path).await;
        assert_eq!(list["count"], 5);
        seen.extend(list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        let Some(next) = list["next"].as_str() else { break };
        path = format!("/api/v1/devices?limit=2&after={next}");
    }
    let all: Vec<Value> = (1..=5).map(|n| suite::laptop(n).as_str().into()).collect();
    assert_eq!(seen, all);
    let full = json(&desk, "/api/v1/devices?limit=5").await;
    assert_eq!(full["next"], Value::Null, "a full last page is the last");
    let searched = json(&desk, "/api/v1/devices?q=laptop-3").await;
    assert_eq!((searched["items"].as_array().unwrap().len(), &searched["count"]), (1, &Value::Null));
    assert_eq!(json(&desk, "/api/v1/devices?standing=enrolled").await["count"], 5);
    for path in ["/api/v1/alerts?limit=1", "/api/v1/sites"] {
        let list = json(&desk, path).await;
        assert!(list["count"].is_u64() && list["next"].is_null(), "{path}: {list}");
    }
}

#[tokio::test]
async fn a_program_is_told_what_it_may_ask_for() {
    let desk = desk().await;
    for (path, says) in [
        ("/api/v1/alerts?state=closed", "`state` should be one of open, new, in_progress, resolved, all"),
        ("/api/v1/alerts?kind=farm", "`kind` should be one of policy, device, site"),
        ("/api/v1/alerts?device=lt-0025", "`device`"),
        ("/api/v1/devices?standing=gone", "`standing` should be one of pending, enrolled, revoked"),
        ("/api/v1/devices?limit=501", "`limit` should be 1 to 500"),
        ("/api/v1/sites?limit=0", "`limit` should be 1 to 500"),
        ("/api/v1/alerts?limit=many", "limit"),
    ] {
        let (status, body) = refusal(&desk, path).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &"bad_request".into()), "{path}");
        assert!(body["message"].as_str().unwrap().contains(says), "{path}: {body}");
    }
    for path in ["/api/v1/device", "/api/v2/alerts", "/api", "/api/v1/devices/dev_none"] {
        let (status, body) = refusal(&desk, path).await;
        assert_eq!((status, &body["error"]), (StatusCode::NOT_FOUND, &"not_found".into()), "{path}");
    }
    let page = desk.get("/nowhere").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert!(text(page).await.contains("<html"), "people get a page");
}

#[tokio::test]
async fn laptops_that_it_should_check_are_counted_and_found() {
    let desk = desk().await;
    for n in 2..=4 {
        suite::enrol(&desk.app.store, n).await;
    }
    let page = desk.page("/devices").await;
    assert!(page.contains("4 enrolled") && !page.contains("standing=pending"), "{page}");
    desk.app.store.set_standing(&suite::laptop(2), Standing::Pending).await.unwrap();
    desk.app.store.set_standing(&suite::laptop(3), Standing::Revoked).await.unwrap();
    let page = desk.page("/devices").await;
    assert!(page.contains("2 enrolled") && page.contains("1 revoked"), "{page}");
    assert!(page.contains("<a href=\"/devices?standing=pending\">1 to be checked</a>"), "{page}");

    for (standing, laptop) in [("pending", 2), ("revoked", 3), ("enrolled", 4)] {
        let page = desk.page(&format!("/devices?standing={standing}")).await;
        assert!(page.contains(&format!("<option value=\"{standing}\" selected>")), "{page}");
        for n in 2..=4 {
            assert_eq!(page.contains(&format!("laptop-{n}")), n == laptop, "{standing}: {n}");
        }
    }
    let list = json(&desk, "/api/v1/devices?standing=enrolled").await;
    assert_eq!((&list["count"], &list["items"][1]["standing"]), (&2.into(), &"enrolled".into()));
    assert!(desk.page("/devices?standing=pending&q=laptop-4").await.contains("No laptop is like that"));
}

#[tokio::test]
async fn an_alert_about_the_whole_fleet_says_that_it_lists_the_first_only() {
    let desk = desk().await;
    suite::enrol(&desk.app.store, 2).await;
    let of = |evidence: Vec<String>| Alert {
        id: AlertId::new(1, 3),
        key: "policy/tool/anydesk".into(),
        kind: AlertKind::Policy,
        devices: vec![suite::laptop(1), suite::laptop(2)],
        evidence,
        ..alert(&desk.device, Timestamp::now())
    };
    let steps = ["policy/tool/anydesk|20".to_owned(), "again:policy/tool/anydesk|40".to_owned()];
    let told = of(steps.to_vec());
    let path = format!("/alerts/{}", told.id);
    desk.app.store.apply(vec![Change::PutAlert(Box::new(told))]).await.unwrap();
    assert!(desk.page(&path).await.contains("The first 2 of 40 or more are listed."));
    assert!(desk.page("/alerts?kind=policy").await.contains("and at least 39 more"));
    // More came than the number at which it was last told anew.
    let devices = (1..=25).map(suite::laptop).collect();
    let grown = Alert { version: 2, devices, ..of(vec![steps[0].clone()]) };
    desk.app.store.apply(vec![Change::PutAlert(Box::new(grown))]).await.unwrap();
    assert!(desk.page(&path).await.contains("The first 25 are listed."));
    assert!(desk.page("/alerts?kind=policy").await.contains("and at least 24 more"));
    assert!(!desk.page(&format!("/alerts/{}", desk.alert)).await.contains("are listed."), "one laptop");
}
