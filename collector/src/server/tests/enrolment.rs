//! Enrolment with tokens.

use farmwatch_shared::policy::AgentPolicy;
use farmwatch_shared::sealed::{Envelope, open};
use farmwatch_shared::wire::Enrolment;
use jiff::Timestamp;

use super::field::{Field, application, refusal};
use crate::store::{Asset, Standing};

#[tokio::test]
async fn a_token_buys_a_certificate_with_which_a_laptop_fetches_its_signed_policy() {
    let field = Field::new().await;
    let (enrolment, laptop) = field.enrolled("PF3ABCDE").await;
    let device = field.app.store.device(&enrolment.device).await.unwrap().unwrap();
    assert_eq!(device.standing, Standing::Enrolled);
    assert_eq!(device.serial.as_deref(), Some("PF3ABCDE"));
    assert_eq!(enrolment.hash_key.len(), 64);

    let envelope: Envelope = laptop.get("/v1/policy").await.json().await.unwrap();
    let key = field.app.order_key.verifying_key();
    assert_eq!(enrolment.order_key, hex::encode(key.as_bytes()));
    let policy = open::<AgentPolicy>(&key, &envelope, &enrolment.device, 6, Timestamp::now()).unwrap();
    assert_eq!(policy.counter, 7);
    assert_eq!(refusal(laptop.get("/v1/catalogue").await).await, (404, "no_catalogue".into()));
    let audited = field.audited().await;
    assert!(
        audited.iter().any(|(action, object, _)| action == "enrol" && object == enrolment.device.as_str())
    );
}

#[tokio::test]
async fn each_token_that_does_not_fit_has_its_own_answer_and_is_audited() {
    let field = Field::new().await;
    let stranger = field.stranger();
    let asks = async |token: &str, serial: &str| {
        let (request, _) = application(token, serial);
        refusal(stranger.post("/v1/enrol", &request).await).await
    };
    let unknown = format!("fwt_{}.{}", "a".repeat(32), "0".repeat(32));
    assert_eq!(asks(&unknown, "S1").await, (403, "token_unknown".into()));
    assert_eq!(asks("nonsense", "S1").await, (403, "token_unknown".into()));
    let expired = field.token(1, -1, None).await;
    assert_eq!(asks(&expired, "S1").await, (403, "token_expired".into()));
    let bound = field.token(1, 1, Some("S2")).await;
    assert_eq!(asks(&bound, "S1").await, (403, "token_other_serial".into()));
    assert_eq!(asks(&bound, "").await, (403, "token_other_serial".into()));
    let once = field.token(1, 1, None).await;
    let (request, _) = application(&once, "S3");
    assert_eq!(stranger.post("/v1/enrol", &request).await.status(), 200);
    assert_eq!(asks(&once, "S4").await, (403, "token_spent".into()));

    let refused: Vec<_> =
        field.audited().await.into_iter().filter(|(action, ..)| action == "enrol_refused").collect();
    assert_eq!(refused.len(), 6);
    assert!(refused.iter().all(|(.., why)| !why.contains(&once) && why.starts_with("from 127.0.0.1")));
    let enrolled = field.app.store.device_count().await.unwrap().good();
    assert_eq!(enrolled, 1);
}

#[tokio::test]
async fn a_bound_token_enrols_its_laptop() {
    let field = Field::new().await;
    let bound = field.token(1, 1, Some("pf3abcde")).await;
    let (request, _) = application(&bound, "PF3ABCDE");
    assert_eq!(field.stranger().post("/v1/enrol", &request).await.status(), 200);
}

#[tokio::test]
async fn the_last_use_of_a_token_is_given_once_however_many_ask() {
    let field = Field::new().await;
    let token = field.token(3, 1, None).await;
    let stranger = field.stranger();
    let asked = (0..8).map(|n| {
        let (request, _) = application(&token, &format!("SER{n}"));
        let stranger = &stranger;
        async move { stranger.post("/v1/enrol", &request).await.status().as_u16() }
    });
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 3, "{answers:?}");
}

#[tokio::test]
async fn who_keeps_failing_is_told_to_wait() {
    let field = Field::new().await;
    let stranger = field.stranger();
    let (request, _) = application("nonsense", "S1");
    for _ in 0..10 {
        assert_eq!(stranger.post("/v1/enrol", &request).await.status(), 403);
    }
    let response = stranger.post("/v1/enrol", &request).await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(refusal(response).await, (429, "too_often".into()));
}

#[tokio::test]
async fn a_laptop_whose_answer_was_lost_asks_again_and_is_the_same_device() {
    let field = Field::new().await;
    let token = field.token(1, 1, None).await;
    let stranger = field.stranger();
    let (first, _) = application(&token, "S1");
    let first: Enrolment = stranger.post("/v1/enrol", &first).await.json().await.unwrap();
    let (again, key) = application(&token, "S1");
    let again: Enrolment = stranger.post("/v1/enrol", &again).await.json().await.unwrap();
    assert_eq!(first.device, again.device);
    let laptop = field.laptop(&again.certificate.certificate, &key);
    assert_eq!(laptop.get("/v1/policy").await.status(), 200);
    let device = field.app.store.device(&again.device).await.unwrap().unwrap();
    assert_eq!((device.standing, device.certificates.len()), (Standing::Enrolled, 1));
}

#[tokio::test]
async fn a_second_laptop_with_a_known_serial_waits_for_it_and_takes_nothing_over() {
    let field = Field::new().await;
    let (original, laptop) = field.enrolled("PF3ABCDE").await;
    let (second, _) = field.enrolled("PF3ABCDE").await;
    assert_ne!(original.device, second.device);
    let standing = async |id| field.app.store.device(id).await.unwrap().unwrap().standing;
    assert_eq!(standing(&original.device).await, Standing::Enrolled);
    assert_eq!(standing(&second.device).await, Standing::Pending);
    assert_eq!(laptop.get("/v1/policy").await.status(), 200);
    assert_eq!(field.alerts().await, [format!("policy/{}/conflict", second.device)]);
    let audited = field.audited().await;
    assert!(
        audited.iter().any(|(action, _, why)| action == "conflict" && why.contains("PF3ABCDE")),
        "{audited:?}"
    );
}

#[tokio::test]
async fn a_revoked_device_does_not_keep_its_serial() {
    let field = Field::new().await;
    let (old, _) = field.enrolled("PF3ABCDE").await;
    field.app.store.set_standing(&old.device, Standing::Revoked).await.unwrap();
    let (new, _) = field.enrolled("PF3ABCDE").await;
    let device = field.app.store.device(&new.device).await.unwrap().unwrap();
    assert_eq!(device.standing, Standing::Enrolled);
}

#[tokio::test]
async fn with_an_asset_list_a_laptop_that_is_not_on_it_is_pending() {
    let field = Field::new().await;
    let listed = Asset { serial: "LISTED1".into(), ..Asset::default() };
    field.app.store.put_assets(vec![listed]).await.unwrap();
    let standing = async |serial| {
        let (enrolment, _) = field.enrolled(serial).await;
        field.app.store.device(&enrolment.device).await.unwrap().unwrap().standing
    };
    assert_eq!(standing("LISTED1").await, Standing::Enrolled);
    assert_eq!(standing("OTHER1").await, Standing::Pending);
    assert_eq!(standing("Default string").await, Standing::Pending);
}

#[tokio::test]
async fn bodies_that_are_not_an_application_are_refused_with_the_reason() {
    let field = Field::new().await;
    let stranger = field.stranger();
    assert_eq!(refusal(stranger.post("/v1/enrol", &"text").await).await, (400, "bad_request".into()));
    let token = field.token(1, 1, None).await;
    let (mut request, _) = application(&token, "S1");
    request.csr = "not a request".into();
    assert_eq!(refusal(stranger.post("/v1/enrol", &request).await).await, (400, "bad_request".into()));
    let (mut request, _) = application(&token, "S1");
    request.machine = "../../etc".into();
    assert_eq!(refusal(stranger.post("/v1/enrol", &request).await).await, (400, "bad_request".into()));
    let (mut request, _) = application(&token, "S1");
    request.hostname = "x".repeat(100_000);
    assert_eq!(stranger.post("/v1/enrol", &request).await.status(), 413);
    let (request, _) = application(&token, "S1");
    assert_eq!(stranger.post("/v1/enrol", &request).await.status(), 200, "the token was not used up");
}
