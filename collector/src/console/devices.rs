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
use crate::store::{Device, DeviceFilter, Page};

const ROWS: u32 = 50;

/// The address is the state of the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Part of id, serial, host name or user.
    pub q: String,
    /// Last id of the page before.
    pub after: String,
    /// Most rows, for programs.
    pub limit: Option<u32>,
}

impl Wanted {
    /// As the store asks for it.
    pub fn filter(&self) -> DeviceFilter {
        let text = (!self.q.trim().is_empty()).then(|| self.q.trim().to_owned());
        DeviceFilter { text, ..DeviceFilter::default() }
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
    let (enrolled, revoked) = store.device_count().await?;
    let mut rows = Vec::with_capacity(devices.len());
    for device in &devices {
        let asset = store.asset_of(device).await?;
        let stage = quarantine::status(&console.app, &device.id, now).await?.stage;
        rows.push((device, alert::assigned(asset.as_ref()), words::stage(stage)));
    }
    let body = html! {
        h1 { "Devices" }
        form.filters method="get" action="/devices" role="search" {
            label { "Contains" input type="search" name="q" value=(wanted.q) data-key="/"; }
            button type="submit" { "Show" }
            span.dim { (enrolled) " enrolled" @if revoked > 0 { ", " (revoked) " revoked" } }
        }
        @if rows.is_empty() {
            div.empty {
                @if wanted.q.is_empty() {
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
                    th scope="col" { "P(farm-operated)" } th scope="col" { "From" } th scope="col" { "Last seen" }
                } }
                tbody {
                    @for (device, assigned, stage) in &rows { (row(device, assigned, stage, now)) }
                }
            } }
            @if devices.len() == ROWS as usize && let Some(last) = devices.last() {
                p.next { a rel="next" href={ "/devices?q=" (words::query(&wanted.q)) "&after=" (last.id) } { "Next page" } }
            }
        }
    };
    Ok(frame::page(&person, "/devices", "Devices", &body))
}

fn row(device: &Device, assigned: &Markup, stage: &Markup, now: Timestamp) -> Markup {
    html! {
        tr {
            td.title { a href={ "/devices/" (device.id) } { (words::name(device)) } " " (words::standing(device.standing)) " " (stage)
                @if let Some(serial) = &device.serial { br; span.dim { (serial) } } }
            td { (assigned) }
            td { (device.os) }
            td.number { @match &device.judged { Some(judged) => (words::probability(judged.posterior)), None => { span.dim { "–" } } } }
            td { (alert::from(device)) }
            td { @match device.last_seen { Some(at) => (words::time(at, now)), None => { span.dim { "never" } } } }
        }
    }
}
