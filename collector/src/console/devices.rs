//! The laptops.

use std::sync::Arc;

use axum::extract::{Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::Failure;
use super::session::Person;
use super::{Console, alert, frame, words};
use crate::quarantine;
use crate::store::{Device, DeviceFilter, Page, Standing, StoreError};

const ROWS: u32 = 50;

/// What a laptop can be, by the word in the address, as people read it; what IT should look at first.
pub const STANDINGS: [(&str, Standing, &str); 3] = [
    ("pending", Standing::Pending, "To be checked"),
    ("enrolled", Standing::Enrolled, "Enrolled"),
    ("revoked", Standing::Revoked, "Revoked"),
];

/// The address is the state of the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Part of id, serial, host name or user.
    pub q: String,
    /// Word of [`STANDINGS`]; empty for all.
    pub standing: String,
    /// Last id of the page before.
    pub after: String,
    /// Most rows, for programs.
    pub limit: Option<u32>,
}

impl Wanted {
    /// As the store asks for it.
    pub fn filter(&self) -> DeviceFilter {
        let text = (!self.q.trim().is_empty()).then(|| self.q.trim().to_owned());
        let standing = STANDINGS.iter().find(|(word, ..)| *word == self.standing).map(|found| found.1);
        DeviceFilter { text, standing, ..DeviceFilter::default() }
    }

    /// The page that is asked for.
    pub fn page(&self, rows: u32) -> Page {
        Page::after(&self.after, rows)
    }
}

/// The page.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Failure> {
    let now = Timestamp::now();
    let store = &console.app.store;
    let devices = store.devices(&wanted.filter(), &wanted.page(ROWS)).await?;
    let counts = counts(&console).await?;
    let mut rows = Vec::with_capacity(devices.len());
    for device in &devices {
        let asset = store.asset_of(device).await?;
        let stage = quarantine::status(&console.app, &device.id, now).await?.stage;
        rows.push((device, alert::assigned(asset.as_ref()), words::stage(stage)));
    }
    let body = html! {
        h1 { "Devices" }
        form.filters method="get" action="/devices" role="search" {
            label { "Standing" select name="standing" {
                option value="" { "All" }
                @for (word, _, label) in STANDINGS {
                    option value=(word) selected[word == wanted.standing] { (label) }
                }
            } }
            label { "Contains" input type="search" name="q" value=(wanted.q) data-key="/"; }
            button type="submit" { "Show" }
            (counts)
        }
        @if rows.is_empty() {
            div.empty {
                @if !wanted.standing.is_empty() {
                    p.lead { "No laptop is like that." }
                    p { a href="/devices" { "Show all" } "." }
                } @else if wanted.q.is_empty() {
                    p.lead { "No laptop has enrolled yet." }
                    p { "Make a token with " code { "farmwatch-collector tokens add" } " and enrol a laptop with "
                        code { "farmwatch-agent enrol" } "." }
                } @else {
                    p.lead { "No laptop's id, serial, host name or user contains this." }
                }
            }
        } @else {
            div.scroll { table.list {
                thead { tr {
                    th scope="col" { "Laptop" } th scope="col" { "Assigned to" } th scope="col" { "System" }
                    th.number scope="col" { "P(farm-operated)," br; "by itself" } th scope="col" { "From" } th scope="col" { "Last seen" }
                } }
                tbody {
                    @for (device, assigned, stage) in &rows { (row(device, assigned, stage, now)) }
                }
            } }
            @if devices.len() == ROWS as usize && let Some(last) = devices.last() {
                p.next { a rel="next" href={ "/devices?standing=" (words::query(&wanted.standing)) "&q=" (words::query(&wanted.q)) "&after=" (last.id) } { "Next page" } }
            }
        }
    };
    Ok(frame::page(&person, "/devices", "Devices", &body))
}

/// How many there are of each standing, with a link to those that IT should look at.
async fn counts(console: &Console) -> Result<Markup, Failure> {
    let count = console.app.store.device_count().await?;
    Ok(html! {
        span.dim {
            (count.enrolled) " enrolled"
            @if count.pending > 0 { ", " a href="/devices?standing=pending" { (count.pending) " to be checked" } }
            @if count.revoked > 0 { ", " (count.revoked) " revoked" }
        }
    })
}

/// How many laptops a filter matches; none of a search for text.
pub async fn count(console: &Console, filter: &DeviceFilter) -> Result<Option<u64>, StoreError> {
    if filter.text.is_some() {
        return Ok(None);
    }
    let count = console.app.store.device_count().await?;
    Ok(Some(filter.standing.map_or(count.good() + count.revoked, |standing| count.of(standing))))
}

fn row(device: &Device, assigned: &Markup, stage: &Markup, now: Timestamp) -> Markup {
    html! {
        tr {
            td.title data-label="Laptop" { a href={ "/devices/" (device.id) } { (words::name(device)) } " " (words::standing(device.standing)) " " (stage)
                @if let Some(serial) = &device.serial { br; span.dim { (serial) } } }
            td data-label="Assigned to" { (assigned) }
            td data-label="System" { (device.os) }
            td.number data-label="P, by itself" { @match &device.judged { Some(judged) => (words::probability(judged.posterior)), None => { span.dim { "–" } } } }
            td data-label="From" { (alert::from(device)) }
            td data-label="Last seen" { @match device.last_seen { Some(at) => (words::time(at, now)), None => { span.dim { "never" } } } }
        }
    }
}
