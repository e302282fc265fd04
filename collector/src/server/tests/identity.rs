//! Certificates: who passes, renewal, revocation, copies.

use std::time::Duration;

use farmwatch_shared::wire::{Certificate, EnrolRequest, Enrolment, RenewRequest};
use jiff::Timestamp;
use rcgen::KeyPair;

use super::field::{Field, Laptop, application, refusal, signing_request};
use crate::access::Folder;
use crate::access::authority::{Authority, Request};
use crate::store::Standing;

/// What the gate believes of a connection it believes for two seconds.
const BELIEVED: Duration = Duration::from_millis(2100);

#[tokio::test]
async fn without_a_certificate_there_is_only_enrolment() {
    let field = Field::new().await;
    let stranger = field.stranger();
    for path in ["/v1/policy", "/v1/catalogue", "/v1/orders"] {
        assert_eq!(refusal(stranger.get(path).await).await, (401, "certificate_missing".into()));
    }
    for path in ["/v1/renew", "/v1/rekey", "/v1/orders/result"] {
        assert_eq!(refusal(stranger.post(path, &()).await).await, (401, "certificate_missing".into()));
    }
    assert_eq!(refusal(stranger.get("/v1/nothing").await).await, (404, "no_such_call".into()));
}

#[tokio::test]
async fn a_certificate_of_another_authority_makes_no_connection() {
    let field = Field::new().await;
    let (enrolment, _) = field.enrolled("S1").await;
    let root = tempfile::tempdir().unwrap();
    let other = Folder::at(root.path());
    Authority::create(&other, Timestamp::now()).unwrap();
    let (csr, key) = signing_request();
    let request = Request::from_pem(&csr).unwrap();
    let forged = Authority::load(&other)
        .unwrap()
        .sign_device(&enrolment.device, &request, 30, Timestamp::now())
        .unwrap();
    let laptop = field.laptop(&forged.pem, &key);
    let answer = laptop.client.get(format!("{}/v1/policy", laptop.url)).send().await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn a_revoked_device_is_refused_within_seconds_and_audited_once() {
    let field = Field::new().await;
    let (enrolment, laptop) = field.enrolled("S1").await;
    assert_eq!(laptop.get("/v1/policy").await.status(), 200);
    field.other_store().set_standing(&enrolment.device, Standing::Revoked).await.unwrap();
    tokio::time::sleep(BELIEVED).await;
    assert_eq!(refusal(laptop.get("/v1/policy").await).await, (403, "revoked".into()));
    assert_eq!(refusal(laptop.get("/v1/orders").await).await, (403, "revoked".into()));
    let audited = field.audited().await;
    assert_eq!(audited.iter().filter(|(action, ..)| action == "refuse").count(), 1);
}

#[tokio::test]
async fn a_device_that_the_store_does_not_know_is_told_to_enrol() {
    let field = Field::new().await;
    let (csr, key) = signing_request();
    let request = Request::from_pem(&csr).unwrap();
    let gone = farmwatch_shared::id::DeviceId::new(1, 1);
    let issued = field.authority.sign_device(&gone, &request, 30, Timestamp::now()).unwrap();
    let laptop = field.laptop(&issued.pem, &key);
    assert_eq!(refusal(laptop.get("/v1/policy").await).await, (403, "unknown_device".into()));
}

async fn renew(laptop: &Laptop) -> (Certificate, KeyPair) {
    let (csr, key) = signing_request();
    let response = laptop.post("/v1/renew", &RenewRequest { csr }).await;
    assert_eq!(response.status(), 200);
    (response.json().await.unwrap(), key)
}

#[tokio::test]
async fn the_old_certificate_is_good_until_the_new_one_is_used_and_a_conflict_after() {
    let field = Field::new().await;
    let (enrolment, old) = field.enrolled("S1").await;
    let (lost, _) = renew(&old).await;
    let (certificate, key) = renew(&old).await;
    assert_ne!(lost.certificate, certificate.certificate);
    assert_eq!(old.get("/v1/policy").await.status(), 200, "the old one still works");

    let new = field.laptop(&certificate.certificate, &key);
    assert_eq!(new.get("/v1/policy").await.status(), 200);
    let device = field.app.store.device(&enrolment.device).await.unwrap().unwrap();
    assert_eq!(device.certificates.len(), 1);
    tokio::time::sleep(BELIEVED).await;
    assert_eq!(refusal(old.get("/v1/policy").await).await, (409, "conflict".into()));
    assert_eq!(field.alerts().await, [format!("policy/{}/conflict", enrolment.device)]);
    assert_eq!(new.get("/v1/policy").await.status(), 200);
}

/// A copy may ask for a name of its own, and that opens nothing else to it, on the same connection neither.
#[tokio::test]
async fn asking_for_a_name_lets_a_replaced_certificate_write_nothing() {
    let field = Field::new().await;
    let (_, old) = field.enrolled("S1").await;
    let (certificate, key) = renew(&old).await;
    assert_eq!(field.laptop(&certificate.certificate, &key).get("/v1/policy").await.status(), 200);
    tokio::time::sleep(BELIEVED).await;
    let (request, _) = application("", "S2");
    assert_eq!(old.post("/v1/rekey", &request).await.status(), 200);
    for path in ["/v1/policy", "/v1/orders"] {
        assert_eq!(refusal(old.get(path).await).await, (409, "conflict".into()));
    }
}

#[tokio::test]
async fn a_copied_state_folder_becomes_a_pending_device_and_the_original_keeps_its_name() {
    let field = Field::new().await;
    let (original, laptop) = field.enrolled("S1").await;
    let (request, key) = application("", "S2");
    let response = laptop.post("/v1/rekey", &request).await;
    assert_eq!(response.status(), 200);
    let copy: Enrolment = response.json().await.unwrap();
    assert_ne!(copy.device, original.device);
    let standing = async |id| field.app.store.device(id).await.unwrap().unwrap().standing;
    assert_eq!(standing(&copy.device).await, Standing::Pending);
    assert_eq!(standing(&original.device).await, Standing::Enrolled);
    assert_eq!(laptop.get("/v1/policy").await.status(), 200, "the original goes on");
    let copied = field.laptop(&copy.certificate.certificate, &key);
    assert_eq!(copied.get("/v1/policy").await.status(), 200, "the copy is heard, as itself");
    assert_eq!(field.alerts().await, [format!("policy/{}/conflict", original.device)]);
    let audited = field.audited().await;
    let names_it = |(action, object, why): &(String, String, String)| {
        action == "rekey" && object == copy.device.as_str() && why.contains(original.device.as_str())
    };
    assert!(audited.iter().any(names_it), "{audited:?}");
}

#[tokio::test]
async fn a_device_cannot_make_copies_without_end() {
    let field = Field::new().await;
    let (_, laptop) = field.enrolled("S1").await;
    for n in 0..5 {
        let (request, _) = application("", &format!("COPY{n}"));
        assert_eq!(laptop.post("/v1/rekey", &request).await.status(), 200);
    }
    let (request, _): (EnrolRequest, _) = application("", "COPY9");
    assert_eq!(refusal(laptop.post("/v1/rekey", &request).await).await, (429, "too_often".into()));
}

#[tokio::test]
async fn a_laptop_from_the_drawer_renews_its_ended_certificate_and_goes_on() {
    let field = Field::with(|config| config.agents.certificate_days = 0).await;
    let (_, laptop) = field.enrolled("S1").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(refusal(laptop.get("/v1/policy").await).await, (401, "certificate_expired".into()));
    renew(&laptop).await;
}

#[tokio::test]
async fn a_certificate_that_was_signed_while_our_clock_was_ahead_is_good_when_it_is_right_again() {
    let field = Field::new().await;
    let (enrolment, _) = field.enrolled("S1").await;
    let (csr, key) = signing_request();
    let request = Request::from_pem(&csr).unwrap();
    let ahead = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 100);
    let issued = field.authority.sign_device(&enrolment.device, &request, 30, ahead).unwrap();
    let laptop = field.laptop(&issued.pem, &key);
    assert_eq!(
        refusal(laptop.get("/v1/policy").await).await,
        (409, "conflict".into()),
        "not one of the device's"
    );
    let serial = std::slice::from_ref(&issued.serial);
    field.app.store.set_certificates(&enrolment.device, serial).await.unwrap();
    assert_eq!(laptop.get("/v1/policy").await.status(), 200);
}

#[tokio::test]
async fn a_certificate_that_ended_long_ago_makes_no_connection() {
    let field = Field::with(|config| {
        config.agents.certificate_days = 0;
        config.agents.renewal_grace_days = 0;
    })
    .await;
    let (_, laptop) = field.enrolled("S1").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let answer = laptop.client.get(format!("{}/v1/policy", laptop.url)).send().await;
    assert!(answer.is_err(), "{answer:?}");
}
