//! Isolation of all laptops of a site's alert: what it would do, and then what it did.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::Failure;
use super::session::Person;
use super::{Console, alert, frame, words};
use crate::quarantine::{self, Isolated, Planned};
use crate::store::{Alert, AlertKind, AlertState};

/// Where an alert's page offers it, if it does.
pub fn offer(alert: &Alert) -> Markup {
    html! {
        @if is_offered(alert) {
            form method="get" action={ "/alerts/" (alert.id) "/isolate-all" } {
                button.danger type="submit" { "Isolate all its laptops …" }
            }
        }
    }
}

/// The question: which laptops, and which not, and why not.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Markup, Failure> {
    let alert = find(&console, &id).await?;
    let planned = quarantine::plan(&console.app, &alert, &person.name, Timestamp::now()).await?;
    let count = planned.iter().filter(|planned| planned.spared.is_none()).count();
    let rows: Vec<Row<'_>> = planned.iter().map(Row::from).collect();
    let body = html! {
        (path(&alert))
        h1 { "Isolate all its laptops" }
        (table(&rows, "will be isolated", "stays connected"))
        @if count == 0 {
            p.notice { "There is nothing to isolate." }
        } @else {
            form method="post" action={ "/alerts/" (alert.id) "/isolate-all" } {
                (frame::token(&person))
                input type="hidden" name="version" value=(alert.version);
                p { "Each of them drops all of its traffic but this collector's and what the policy allows, across restarts, "
                    "until it is released or " (console.app.policy.quarantine.expiry_hours) " hours are over. "
                    "Its user is told whom to call." }
                label { "Reason" input name="reason" required maxlength="500"; }
                button.danger type="submit" {
                    "Isolate " (count) @if count == 1 { " laptop" } @else { " laptops" }
                }
            }
        }
        (back(&alert))
    };
    Ok(frame::page(&person, "/alerts", "Isolate all", &body))
}

/// What the form carries.
#[derive(Deserialize)]
pub struct Act {
    csrf: String,
    version: u64,
    reason: String,
}

/// Isolates, and shows what came of it. Sent again, it isolates nobody twice.
pub async fn act(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
    Form(given): Form<Act>,
) -> Result<Markup, Failure> {
    person.check(&given.csrf)?;
    let alert = find(&console, &id).await?;
    if alert.version != given.version {
        let why = "The alert has changed since you looked, perhaps its laptops too. Nobody was isolated; look again.";
        return Err(Failure::Outdated(why.into()));
    }
    let now = Timestamp::now();
    let done = quarantine::isolate_all(&console.app, &alert, &given.reason, &person.name, now).await?;
    let count = done.iter().filter(|isolated| isolated.spared.is_none()).count();
    let rows: Vec<Row<'_>> = done.iter().map(Row::from).collect();
    let body = html! {
        (path(&alert))
        h1 { @if count == 1 { "One isolation is ordered" } @else { (count) " isolations are ordered" } }
        (table(&rows, "isolation ordered", "stays connected"))
        p { "A laptop is isolated when it says so itself; the alert's page shows it." }
        (back(&alert))
    };
    Ok(frame::page(&person, "/alerts", "Isolated", &body))
}

struct Row<'a> {
    device: &'a crate::store::Device,
    spared: Option<&'a str>,
}

impl<'a> From<&'a Planned> for Row<'a> {
    fn from(planned: &'a Planned) -> Self {
        Self { device: &planned.device, spared: planned.spared.as_deref() }
    }
}

impl<'a> From<&'a Isolated> for Row<'a> {
    fn from(isolated: &'a Isolated) -> Self {
        Self { device: &isolated.device, spared: isolated.spared.as_deref() }
    }
}

fn table(rows: &[Row<'_>], hit: &str, spared: &str) -> Markup {
    html! {
        div.scroll { table.list {
            thead { tr { th scope="col" { "Laptop" } th scope="col" { "What happens" } } }
            tbody { @for row in rows {
                tr {
                    td data-label="Laptop" { a href={ "/devices/" (row.device.id) } { (words::name(row.device)) } }
                    td data-label="What happens" { @match row.spared {
                        None => { strong { (hit) } }
                        Some(why) => { (spared) ": " (why) }
                    } }
                }
            } }
        } }
    }
}

fn path(alert: &Alert) -> Markup {
    html! { p.path { a href="/alerts" { "Alerts" } " / " a href={ "/alerts/" (alert.id) } { (alert.title) } } }
}

fn back(alert: &Alert) -> Markup {
    html! { p { a href={ "/alerts/" (alert.id) } { "Back to the alert" } } }
}

async fn find(console: &Console, id: &str) -> Result<Alert, Failure> {
    let alert = alert::find(console, id).await?;
    if is_offered(&alert) {
        return Ok(alert);
    }
    Err(Failure::Refused(
        "This is for open alerts about a site; isolate a single laptop on its own page.".into(),
    ))
}

fn is_offered(alert: &Alert) -> bool {
    alert.kind == AlertKind::Site && alert.state != AlertState::Resolved
}
