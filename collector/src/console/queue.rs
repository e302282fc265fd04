//! The queue: alerts that wait for somebody.

use std::sync::Arc;

use axum::extract::{Query, State};
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::Failure;
use super::session::Person;
use super::{Console, alert, frame, words};
use crate::store::{Alert, AlertFilter, AlertKind, AlertState, Page};

/// What `state` and `kind` may be; empty, they are `open` and all kinds.
pub const STATES: [&str; 5] = ["open", "new", "in_progress", "resolved", "all"];
/// See [`STATES`].
pub const KINDS: [&str; 3] = ["policy", "device", "site"];

/// Rows on a page.
const ROWS: u32 = 50;

/// The address is the state of the page: it can be kept as a bookmark.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// One of [`STATES`].
    pub state: String,
    /// One of [`KINDS`].
    pub kind: String,
    /// Part of title or summary.
    pub q: String,
    /// Only about this device.
    pub device: String,
    /// Last id of the page before.
    pub after: String,
    /// Most rows, for programs.
    pub limit: Option<u32>,
}

impl Wanted {
    /// As the store asks for it.
    pub fn filter(&self) -> AlertFilter {
        let states = match self.state.as_str() {
            "new" => vec![AlertState::New],
            "in_progress" => vec![AlertState::InProgress],
            "resolved" => vec![AlertState::Resolved],
            "all" => Vec::new(),
            _ => vec![AlertState::New, AlertState::InProgress],
        };
        let kind = match self.kind.as_str() {
            "policy" => Some(AlertKind::Policy),
            "device" => Some(AlertKind::Device),
            "site" => Some(AlertKind::Site),
            _ => None,
        };
        let device = self.device.parse::<DeviceId>().ok();
        let text = (!self.q.trim().is_empty()).then(|| self.q.trim().to_owned());
        // One device's list shows what a site alert took in, too.
        AlertFilter { states, kind, absorbed: device.is_some(), device, text, ..AlertFilter::default() }
    }

    /// Less than all that is open is asked for, or something else.
    fn narrows(&self) -> bool {
        let others = [&self.kind, &self.q, &self.device, &self.after];
        !matches!(self.state.as_str(), "" | "open") || others.iter().any(|text| !text.trim().is_empty())
    }

    /// The page that is asked for.
    pub fn page(&self, rows: u32) -> Page {
        Page::after(&self.after, rows)
    }
}

struct Row {
    alert: Alert,
    who: String,
    isolation: Markup,
}

/// The page.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Failure> {
    let now = Timestamp::now();
    let filter = wanted.filter();
    let alerts = console.app.store.alerts(&filter, &wanted.page(ROWS)).await?;
    let count = console.app.store.alert_count(&filter).await?;
    let mut rows = Vec::with_capacity(alerts.len());
    for alert in alerts {
        rows.push(row(&console, alert, now).await?);
    }
    let body = html! {
        h1 { "Alerts" }
        (filters(&wanted))
        @if console.app.policy.learning {
            p.notice { "Learning mode: what would alert is counted and not raised. Set "
                code { "learning = false" } " in the policy file to raise alerts." }
        }
        @if rows.is_empty() && wanted.narrows() {
            div.empty {
                p.lead { "No alert is like that." }
                p { a href="/alerts" { "Show all that wait" } "." }
            }
        } @else if rows.is_empty() {
            div.empty {
                p.lead { "Nothing waits for you." }
                p { "Alerts appear here within seconds of what they are about. "
                    a href="/devices" { "See which laptops report" } "." }
            }
        } @else {
            (table(&rows, now))
            p.count { (count) @if count == 1 { " alert" } @else { " alerts" } }
            (next(&wanted, &rows))
        }
    };
    Ok(frame::page(&person, "/alerts", "Alerts", &body))
}

fn filters(wanted: &Wanted) -> Markup {
    let option = |value: &str, now: &str, label: &str| {
        html! { option value=(value) selected[value == now] { (label) } }
    };
    let state = if wanted.state.is_empty() { "open" } else { &wanted.state };
    html! {
        form.filters method="get" action="/alerts" role="search" {
            label { "State" select name="state" {
                (option("open", state, "Open"))
                (option("new", state, "New"))
                (option("in_progress", state, "In progress"))
                (option("resolved", state, "Resolved"))
                (option("all", state, "All"))
            } }
            label { "Kind" select name="kind" {
                (option("", &wanted.kind, "All"))
                (option("site", &wanted.kind, "Site"))
                (option("device", &wanted.kind, "Device"))
                (option("policy", &wanted.kind, "Policy"))
            } }
            label { "Contains" input type="search" name="q" value=(wanted.q) data-key="/"; }
            @if !wanted.device.is_empty() { input type="hidden" name="device" value=(wanted.device); }
            button type="submit" { "Show" }
        }
    }
}

async fn row(console: &Console, alert: Alert, now: Timestamp) -> Result<Row, Failure> {
    let mut who = String::new();
    let mut isolation = html! {};
    if let Some(first) = alert.devices.first() {
        let device = console.app.store.device(first).await?;
        who = device.as_ref().map_or_else(|| first.to_string(), |device| words::name(device).to_owned());
        isolation = words::stage(crate::quarantine::status(&console.app, first, now).await?.stage);
        if let Some(serial) = device.and_then(|device| device.serial)
            && let Some(asset) = console.app.store.asset(&serial).await?
            && !asset.user.is_empty()
        {
            who = format!("{who} · {}", asset.user);
        }
        if alert.devices.len() > 1 {
            who = match alert::of_fleet(&alert) {
                Some(many) => format!("{who} and at least {} more", many - 1),
                None => format!("{who} and {} more", alert.devices.len() - 1),
            };
        }
    }
    Ok(Row { alert, who, isolation })
}

fn table(rows: &[Row], now: Timestamp) -> Markup {
    html! {
        div.scroll { table.list {
            caption.unseen { "Alerts, the loudest first" }
            thead { tr {
                th scope="col" { "Severity" }
                th scope="col" { "Alert" }
                th scope="col" { "Laptop" }
                th.number scope="col" { "Probability" }
                th scope="col" { "State" }
                th scope="col" { "Changed" }
            } }
            tbody {
                @for row in rows {
                    tr {
                        td data-label="Severity" { (words::severity(row.alert.severity)) }
                        td.title data-label="Alert" {
                            a href={ "/alerts/" (row.alert.id) } { (row.alert.title) }
                            " " span.dim { (words::kind(row.alert.kind)) }
                        }
                        td data-label="Laptop" { (row.who) " " (row.isolation) }
                        td.number data-label="Probability" {
                            @match row.alert.posterior {
                                Some(p) => (words::probability(p)),
                                None => { span.dim title="A policy alert is about a rule of yours, not a probability" { "–" } }
                            }
                        }
                        td data-label="State" {
                            (words::state(&row.alert))
                            @if let Some(who) = &row.alert.assignee { " " span.dim { (who) } }
                        }
                        td data-label="Changed" { (words::time(row.alert.updated_at, now)) }
                    }
                }
            }
        } }
    }
}

fn next(wanted: &Wanted, rows: &[Row]) -> Markup {
    let full = rows.len() == ROWS as usize;
    let last = rows.last().filter(|_| full).map(|row| row.alert.id.to_string());
    html! {
        @if let Some(after) = last {
            p.next { a rel="next" href={
                "/alerts?state=" (words::query(&wanted.state)) "&kind=" (words::query(&wanted.kind))
                "&q=" (words::query(&wanted.q)) "&device=" (words::query(&wanted.device)) "&after=" (after)
            } { "Next page" } }
        }
    }
}
