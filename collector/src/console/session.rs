//! Who is looking: the session's cookie, and the token that every form carries.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Console;
use super::error::Failure;
use crate::store::WebSession;

/// A session ends after this long, whatever happens in it.
pub const LENGTH: SignedDuration = SignedDuration::from_hours(12);

/// A person with a session.
#[derive(Clone, Debug)]
pub struct Person {
    /// Name.
    pub name: String,
    /// The token that forms carry.
    pub csrf: String,
    /// Hash of the session's cookie.
    pub session: String,
}

impl Person {
    /// Checks the token of a form.
    pub fn check(&self, token: &str) -> Result<(), Failure> {
        if bool::from(token.as_bytes().ct_eq(self.csrf.as_bytes())) { Ok(()) } else { Err(Failure::Forged) }
    }
}

/// A person for the JSON interface: without a session it answers 401 instead of the log-in page.
pub struct ApiPerson(#[allow(dead_code, reason = "its presence is what counts")] pub Person);

/// The cookie's name. With the prefix, browsers take it over HTTPS only and for this host only.
pub fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-farmwatch" } else { "farmwatch" }
}

/// The cookie's line.
pub fn cookie(secure: bool, value: &str, seconds: i64) -> String {
    let only = if secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{only}", cookie_name(secure))
}

/// Hash under which a session is kept.
pub fn hash(cookie: &str) -> String {
    hex::encode(Sha256::digest(cookie))
}

/// Draws a secret of 128 bits.
pub fn draw(console: &Console) -> String {
    format!("{:032x}", (console.app.draw)())
}

/// A new session.
pub fn new(console: &Console, user: &str, now: Timestamp) -> (String, WebSession) {
    let value = draw(console) + &draw(console);
    let session = WebSession {
        hash: hash(&value),
        user: user.to_owned(),
        csrf: draw(console),
        expires_at: now + LENGTH,
    };
    (value, session)
}

/// A form that another site made a browser send is refused, before anything is read of it: modern browsers say
/// where a request comes from.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, rest)| rest == host),
        _ => true,
    }
}

async fn person(parts: &Parts, console: &Console) -> Result<Option<Person>, Failure> {
    let name = cookie_name(console.secure);
    let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let values = cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name);
    for (_, value) in values {
        let session = hash(value);
        if let Some(found) = console.app.store.session(&session, Timestamp::now()).await? {
            return Ok(Some(Person { name: found.user, csrf: found.csrf, session }));
        }
    }
    Ok(None)
}

impl FromRequestParts<Arc<Console>> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        if parts.method == axum::http::Method::POST && !same_origin(&parts.headers) {
            return Err(Failure::Forged.into_response());
        }
        if let Some(person) = person(parts, console).await.map_err(IntoResponse::into_response)? {
            return Ok(person);
        }
        let wanted = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let back = if parts.method == axum::http::Method::GET && wanted.len() > 1 {
            format!("?next={}", super::words::query(&wanted))
        } else {
            String::new()
        };
        Err(Redirect::to(&format!("/login{back}")).into_response())
    }
}

impl FromRequestParts<Arc<Console>> for ApiPerson {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        match person(parts, console).await {
            Ok(Some(person)) => Ok(Self(person)),
            Ok(None) => Err(Failure::NoSession.into_json()),
            Err(failure) => Err(failure.into_json()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_form_from_another_site_is_refused() {
        assert!(!same_origin(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(!same_origin(&headers(&[("origin", "https://evil.example"), ("host", "c.example")])));
        assert!(same_origin(&headers(&[("origin", "https://c.example"), ("host", "c.example")])));
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts_and_of_plain_http_where_there_is_https() {
        assert_eq!(
            cookie(true, "v", 60),
            "__Host-farmwatch=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
        assert!(!cookie(false, "v", 60).contains("Secure"));
    }
}
