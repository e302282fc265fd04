//! Log in and out.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::html;
use secrecy::SecretString;
use serde::Deserialize;

use super::Console;
use super::error::Failure;
use super::frame;
use super::session::{self, Person};
use crate::access::password;
use crate::store::NewAudit;

/// Longest name that anybody has; longer ones are nobody's.
const LONGEST_NAME: usize = 64;

/// Where to go after logging in.
#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// What the form carries.
#[derive(Deserialize)]
pub struct Credentials {
    name: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// What the log-out form carries.
#[derive(Deserialize)]
pub struct LogOut {
    csrf: String,
}

/// The log-in page.
pub async fn page(Query(next): Query<Next>) -> Response {
    form(&next.next, None).into_response()
}

fn form(next: &str, error: Option<&str>) -> maud::Markup {
    frame::bare(
        "Log in",
        &html! {
            @if let Some(error) = error { p.error role="alert" { (error) } }
            form.login method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                label { "Name" input name="name" autocomplete="username" required autofocus; }
                label { "Password" input name="password" type="password" autocomplete="current-password" required; }
                button type="submit" { "Log in" }
            }
        },
    )
}

/// Checks name and password.
pub async fn log_in(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    Form(mut given): Form<Credentials>,
) -> Result<Response, Failure> {
    if !session::same_origin(&headers) {
        return Err(Failure::Forged);
    }
    given.name = given.name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME + 1).collect();
    let now = Timestamp::now();
    if console.failures.is_spent(&given.name, now) {
        let error = "Too many failed attempts for this name; wait a minute.";
        return Ok((StatusCode::TOO_MANY_REQUESTS, form(&given.next, Some(error))).into_response());
    }
    let user = console.app.store.user(&given.name).await?;
    let kept = user.map(|user| user.password);
    let permit = console.checks.acquire().await;
    let Credentials { name, password, next } = given;
    let checked = tokio::task::spawn_blocking(move || password::verify(&password, kept.as_deref())).await;
    drop(permit);
    let fits = checked.unwrap_or(false);
    let audit = |action: &str, why: &str| NewAudit {
        at: now,
        actor: name.clone(),
        action: action.into(),
        object: "console".into(),
        why: why.into(),
    };
    if !fits {
        console.failures.take(name.clone(), now);
        if console.audited_failures.take((), now) {
            console.app.store.audit(audit("login_failed", "wrong name or password")).await?;
        }
        let page = form(&next, Some("Name or password is wrong."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    console.app.store.audit(audit("login", "with password")).await?;
    let (value, session) = session::new(&console, &name, now);
    console.app.store.add_session(session).await?;
    let cookie = session::cookie(console.secure, &value, session::LENGTH.as_secs());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(local(&next))).into_response())
}

/// Ends the session.
pub async fn log_out(
    State(console): State<Arc<Console>>,
    person: Person,
    Form(given): Form<LogOut>,
) -> Result<Response, Failure> {
    person.check(&given.csrf)?;
    console.app.store.end_session(&person.session).await?;
    let cookie = session::cookie(console.secure, "", 0);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// Only paths of this console: never another site's address.
pub fn local(next: &str) -> &str {
    let fits = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/\\")
        && next.chars().all(|c| c.is_ascii_graphic());
    if fits { next } else { "/alerts" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_in_never_leads_to_another_site() {
        assert_eq!(local("/alerts/alr_1?x=2"), "/alerts/alr_1?x=2");
        for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "", "/a\nb"]
        {
            assert_eq!(local(bad), "/alerts", "{bad:?}");
        }
    }
}
