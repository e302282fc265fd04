//! The console as a browser meets it, without a browser.

mod isolate_all;
mod lists;
mod place;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use farmwatch_shared::facts::{Host, RemoteTool, Seen, SeenBy};
use farmwatch_shared::id::{AlertId, DeviceId, SiteId};
use farmwatch_shared::state::FactKey;
use farmwatch_shared::waterfall::Bar;
use jiff::Timestamp;
use secrecy::SecretString;
use tower::ServiceExt as _;

use super::*;
use crate::access::password;
use crate::policy::Policy;
use crate::store::{
    Alert, AlertKind, AlertState, Arrival, Change, OrderState, Page, Severity, SiteEvent, SiteStep, Standing,
    User, sqlite, suite,
};

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x>";

struct Desk {
    app: Arc<App>,
    router: Router,
    cookie: String,
    device: DeviceId,
    alert: AlertId,
}

/// A console with one laptop that says hostile things, and one alert about it; somebody is logged in.
async fn desk() -> Desk {
    let store = sqlite::in_memory().unwrap();
    let device = suite::enrol(&store, 1).await;
    let mut state = farmwatch_shared::state::State::default();
    state.put("self", &Host { hostname: HOSTILE.into(), ..Host::default() });
    let seen = vec![Seen { by: SeenBy::Process, what: HOSTILE.into() }];
    state.put("x11vnc", &RemoteTool { name: "x11vnc".into(), seen, serving: true, ..RemoteTool::default() });
    let mut report = suite::heartbeat(&device, 1, &state);
    report.whole = true;
    report.set = state.to_map();
    let received_at = Timestamp::now();
    let arrival = Arrival { received_at, network: Some(HOSTILE.into()), ..suite::arrival(report) };
    store.ingest(vec![arrival]).await.unwrap();
    let alert = alert(&device, received_at);
    let id = alert.id.clone();
    store.apply(vec![Change::PutAlert(Box::new(alert))]).await.unwrap();
    let user = User {
        name: "ana".into(),
        password: password::hash(&SecretString::from("correct horse battery")).unwrap(),
    };
    store.put_user(user).await.unwrap();
    let mut app = App::fixed(store, Policy::default());
    // A console whose secrets can be guessed proves nothing.
    app.draw = Box::new(crate::app::draw_from_system);
    let app = Arc::new(app);
    let router = router(Arc::clone(&app), false);
    let answer = log_in(&router, "correct horse battery").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    Desk { app, router, cookie, device, alert: id }
}

fn alert(device: &DeviceId, now: Timestamp) -> Alert {
    let bar = Bar {
        label: "Remote control".into(),
        rule: "remote_control.serves".into(),
        llr: 4.5,
        honest_llr: Some(4.3),
        why: format!("x11vnc runs {HOSTILE}"),
        device: None,
        facts: vec![FactKey::of::<RemoteTool>("x11vnc")],
    };
    Alert {
        id: AlertId::new(1, 1),
        key: format!("device/{device}"),
        kind: AlertKind::Device,
        state: AlertState::New,
        disposition: None,
        severity: Severity::High,
        title: format!("Remotely operated? {HOSTILE}"),
        summary: format!("It says {HOSTILE}\nSecond paragraph"),
        devices: vec![device.clone()],
        site: None,
        posterior: Some(0.93),
        waterfall: vec![bar],
        absorbed_by: None,
        assignee: None,
        resolved_on: None,
        evidence: Vec::new(),
        told: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

async fn send(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.unwrap()
}

async fn log_in(router: &Router, password: &str) -> Response<Body> {
    let form = format!("name=ana&password={}&next=/devices", words::query(password));
    post(router, "/login", "", &form).await
}

async fn post(router: &Router, path: &str, cookie: &str, form: &str) -> Response<Body> {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie)
        .header("sec-fetch-site", "same-origin");
    send(router, request.body(Body::from(form.to_owned())).unwrap()).await
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(to_bytes(answer.into_body(), 1 << 22).await.unwrap().to_vec()).unwrap()
}

impl Desk {
    async fn get(&self, path: &str) -> Response<Body> {
        let request = Request::get(path).header(header::COOKIE, &self.cookie);
        send(&self.router, request.body(Body::empty()).unwrap()).await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        text(answer).await
    }

    async fn csrf(&self) -> String {
        let page = self.page("/alerts").await;
        let from = page.find("name=\"csrf\" value=\"").unwrap() + "name=\"csrf\" value=\"".len();
        page[from..].split('"').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn what_a_hostile_laptop_says_is_text_on_every_page() {
    let desk = desk().await;
    for path in [
        "/alerts".to_owned(),
        format!("/alerts/{}", desk.alert),
        "/devices".to_owned(),
        format!("/devices/{}", desk.device),
        "/sites".to_owned(),
        "/devices?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E".to_owned(),
    ] {
        let page = desk.page(&path).await;
        assert!(!page.contains("<script>alert"), "{path}");
        assert!(!page.contains("<img src=x"), "{path}");
    }
}

#[tokio::test]
async fn a_place_that_is_no_more_shows_its_history_and_one_that_never_was_is_not_found() {
    let desk = desk().await;
    let (gone, other) = (SiteId::new(1, 77), SiteId::new(1, 78));
    let event = |step| Change::SiteEvent(SiteEvent { site: gone.clone(), at: Timestamp::now(), step });
    let steps = [SiteStep::Noticed(vec![desk.device.clone()]), SiteStep::Merged(other.clone())];
    desk.app.store.apply(steps.map(event).to_vec()).await.unwrap();
    let page = desk.page(&format!("/sites/{gone}")).await;
    assert!(page.contains("A place that is no more") && page.contains(&format!("/devices/{}", desk.device)));
    assert!(page.contains(&format!("/sites/{other}")));
    assert_eq!(desk.get(&format!("/sites/{other}")).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_cannot_be_framed() {
    let desk = desk().await;
    let answer = desk.get("/alerts").await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"));
    let page = text(answer).await;
    assert!(!page.contains("style=\"") && !page.contains("onclick"), "the policy would block it");
}

#[tokio::test]
async fn nobody_sees_anything_without_a_session() {
    let desk = desk().await;
    for path in ["/alerts", "/devices", "/sites", &format!("/alerts/{}", desk.alert)] {
        let answer = send(&desk.router, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(answer.headers()[header::LOCATION].to_str().unwrap().starts_with("/login?next="));
    }
    let answer = send(&desk.router, Request::get("/api/v1/alerts").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_password_gives_no_session_and_many_make_the_name_wait() {
    let desk = desk().await;
    for _ in 0..5 {
        let answer = log_in(&desk.router, "guess").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
    }
    assert_eq!(log_in(&desk.router, "correct horse battery").await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn isolating_takes_a_session_its_token_and_a_reason() {
    let desk = desk().await;
    let path = format!("/devices/{}/isolate", desk.device);
    let csrf = desk.csrf().await;
    let good = format!("csrf={csrf}&reason=farm&back=/alerts/{}", desk.alert);
    let orders = || async { desk.app.store.orders(&desk.device, 10).await.unwrap() };

    let forged = post(&desk.router, &path, &desk.cookie, "csrf=00&reason=farm&back=").await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let stranger = post(&desk.router, &path, "farmwatch=00", &good).await;
    assert_eq!(stranger.status(), StatusCode::SEE_OTHER);
    assert_eq!(stranger.headers()[header::LOCATION], "/login");
    let unreasoned = post(&desk.router, &path, &desk.cookie, &format!("csrf={csrf}&reason=&back=")).await;
    assert_eq!(unreasoned.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let elsewhere = Request::post(&path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, &desk.cookie)
        .header("sec-fetch-site", "cross-site")
        .body(Body::from(good.clone()))
        .unwrap();
    assert_eq!(send(&desk.router, elsewhere).await.status(), StatusCode::FORBIDDEN);
    assert!(orders().await.is_empty());

    let answer = post(&desk.router, &path, &desk.cookie, &good).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[header::LOCATION].to_str().unwrap(), format!("/alerts/{}", desk.alert));
    let orders = orders().await;
    assert_eq!(orders.len(), 1);
    assert_eq!((orders[0].actor.as_str(), orders[0].state), ("ana", OrderState::Waiting));
    let page = desk.page(&format!("/devices/{}", desk.device)).await;
    assert!(page.contains("isolating") && page.contains("Release"), "belief is not optimistic");
}

#[tokio::test]
async fn two_analysts_on_one_alert_never_overwrite_each_other() {
    let desk = desk().await;
    let csrf = desk.csrf().await;
    let resolve = format!("/alerts/{}/resolve", desk.alert);
    let take = format!("/alerts/{}/take", desk.alert);
    let first = post(&desk.router, &take, &desk.cookie, &format!("csrf={csrf}&version=1")).await;
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    let form = format!("csrf={csrf}&version=1&disposition=false_positive&text=");
    let second = post(&desk.router, &resolve, &desk.cookie, &form).await;
    assert_eq!(second.status(), StatusCode::CONFLICT);
    let form = format!("csrf={csrf}&version=2&disposition=nonsense&text=");
    let third = post(&desk.router, &resolve, &desk.cookie, &form).await;
    assert_eq!(third.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let form = format!("csrf={csrf}&version=2&disposition=confirmed&text=seen");
    post(&desk.router, &resolve, &desk.cookie, &form).await;
    let alert = desk.app.store.alert(&desk.alert).await.unwrap().unwrap();
    assert_eq!((alert.state, alert.version), (AlertState::Resolved, 3));
}

#[tokio::test]
async fn logging_out_ends_the_session_for_good() {
    let desk = desk().await;
    let csrf = desk.csrf().await;
    post(&desk.router, "/logout", &desk.cookie, &format!("csrf={csrf}")).await;
    assert_eq!(desk.get("/alerts").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_same_truth_stands_in_the_json() {
    let desk = desk().await;
    let list: serde_json::Value = serde_json::from_str(&desk.page("/api/v1/alerts").await).unwrap();
    assert_eq!(list["count"], 1);
    assert_eq!(list["items"][0]["id"], desk.alert.as_str());
    let none: serde_json::Value =
        serde_json::from_str(&desk.page("/api/v1/alerts?state=resolved").await).unwrap();
    assert_eq!(none["count"], 0);
    assert_eq!(desk.get("/api/v1/alerts/alr_none").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(desk.get("/alerts/%00").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_revoked_laptop_cannot_be_isolated_by_order() {
    let desk = desk().await;
    desk.app.store.set_standing(&desk.device, Standing::Revoked).await.unwrap();
    let page = desk.page(&format!("/devices/{}", desk.device)).await;
    assert!(page.contains("revoked") && !page.contains("/isolate\""));
}
