//! Enrolment: whom the token is shown to, and what is kept.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mock;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use farmwatch_agent::enrol::{Token, enrol};
use farmwatch_agent::identity::Identity;
use mock::Authority;
use serde_json::json;

const SECRET: &str = "fwo_abcdefghijklmnopqrstuvwxyz234567";

fn token(authority: &Authority) -> Token {
    Token::parse(&format!("{SECRET}.{}", authority.fingerprint)).unwrap()
}

fn enrolment(ca: &str) -> String {
    let certificate = Authority::new("stands for the device's certificate").pem;
    // Any point of the curve will do for a key.
    let order_key = hex::encode(ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().as_bytes());
    json!({
        "device": "dev_01", "certificate": { "certificate": certificate, "ca": ca },
        "hash_key": "11".repeat(32), "order_key": order_key,
    })
    .to_string()
}

#[tokio::test]
async fn the_token_buys_an_identity_that_only_the_agent_can_read() {
    let collector = Authority::new("Farmwatch");
    let server = collector.serve("200 OK", enrolment(&collector.pem)).await;
    let state = tempfile::tempdir().unwrap();
    enrol(&server.url, &token(&collector), None, state.path(), Path::new("/")).await.unwrap();

    let identity = Identity::read(state.path()).unwrap().unwrap();
    assert_eq!(identity.device.as_str(), "dev_01");
    assert!(server.heard()[0].starts_with("POST /v1/enrol ") && server.heard()[0].contains(SECRET));
    let mode = Identity::path(state.path()).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let sent = server.heard().concat();
    assert!(!sent.contains("PRIVATE KEY"), "the key stays here");
}

#[tokio::test]
async fn an_inspecting_proxy_never_sees_the_token_and_is_named() {
    let (collector, proxy) = (Authority::new("Farmwatch"), Authority::new("Nosy Gateway CA"));
    let server = proxy.serve("200 OK", enrolment(&collector.pem)).await;
    let state = tempfile::tempdir().unwrap();
    let refused = enrol(&server.url, &token(&collector), None, state.path(), Path::new("/")).await;

    let error = format!("{:#}", refused.unwrap_err());
    assert!(error.contains("intercepted by <CN=Nosy Gateway CA"), "{error}");
    assert!(server.heard().is_empty(), "{:?}", server.heard());
    assert!(Identity::read(state.path()).unwrap().is_none());
}

#[tokio::test]
async fn a_collector_that_hands_out_another_authority_gets_nothing_written() {
    let (collector, other) = (Authority::new("Farmwatch"), Authority::new("Other"));
    let server = collector.serve("200 OK", enrolment(&other.pem)).await;
    let state = tempfile::tempdir().unwrap();
    let refused = enrol(&server.url, &token(&collector), None, state.path(), Path::new("/")).await;
    assert!(format!("{:#}", refused.unwrap_err()).contains("another authority"));
    assert!(Identity::read(state.path()).unwrap().is_none());
}

#[tokio::test]
async fn a_used_token_is_refused_in_the_collectors_words() {
    let collector = Authority::new("Farmwatch");
    let answer =
        json!({ "error": "token_used", "message": "this token was used up; make another" }).to_string();
    let server = collector.serve("403 Forbidden", answer).await;
    let state = tempfile::tempdir().unwrap();
    let refused = enrol(&server.url, &token(&collector), None, state.path(), Path::new("/")).await;
    let error = format!("{:#}", refused.unwrap_err());
    assert!(error.contains("403") && error.contains("this token was used up"), "{error}");
}
