//! One place: who is there, what holds it together, how likely it is a farm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use farmwatch_shared::id::{DeviceId, SiteId};
use jiff::Timestamp;
use maud::{Markup, html};

use super::error::Failure;
use super::session::Person;
use super::{Console, alert, frame, sites, waterfall, words};
use crate::quarantine;
use crate::store::{Device, SiteEvent, SiteStep};

/// Most steps of its history that are shown: the first of them.
const MOST_STEPS: u32 = 1000;

/// The page.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Markup, Failure> {
    let now = Timestamp::now();
    let store = &console.app.store;
    let id: SiteId = id.parse().map_err(|_| Failure::NotFound)?;
    let history = store.site_events(&id, MOST_STEPS).await?;
    let Some(site) = store.site(&id).await? else {
        return gone(&console, &person, &history, now).await;
    };
    let alert = store.alert_by_key(&format!("site/{id}")).await?;
    let mut rows = Vec::new();
    for member in &site.devices {
        let Some(device) = store.device(member).await? else { continue };
        let asset = store.asset_of(&device).await?;
        let stage = quarantine::status(&console.app, member, now).await?.stage;
        rows.push((device, alert::assigned(asset.as_ref()), words::stage(stage)));
    }
    let name_of = |id: &farmwatch_shared::id::DeviceId| {
        rows.iter().find(|(device, ..)| device.id == *id).map(|(device, ..)| words::name(device).to_owned())
    };
    let title = sites::name(&site);
    let judged = &site.judged;
    let body = html! {
        p.path { a href="/sites" { "Sites" } }
        h1 { (title) }
        @match &site.sanctioned {
            Some(name) => p.notice { "Sanctioned as “" (name) "”: that laptops stand together here means nothing." },
            None => p.meta {
                "P(farm) " strong { (words::probability(judged.farm)) } " · ordinary " (words::probability(judged.ordinary))
                " · IT's bench " (words::probability(judged.bench)) " · since " (words::time(site.created_at, now))
            }
        }
        @if sites::learnt(&site) {
            p.notice { "Looks like a workplace: its people also return to other networks. If it is one of ours, say so with "
                code { "farmwatch-collector places add" } "." }
        }
        @if let Some(alert) = &alert {
            p { a href={ "/alerts/" (alert.id) } { (alert.title) } " " (words::state(alert)) }
        }
        section aria-labelledby="laptops" {
            h2 id="laptops" { "Laptops" }
            div.scroll { table.list {
                thead { tr {
                    th scope="col" { "Laptop" } th scope="col" { "Assigned to" } th.number scope="col" { "P, given its place" }
                    th scope="col" { "From" } th scope="col" { "Last seen" }
                } }
                tbody { @for (device, assigned, stage) in &rows {
                    (member(device, assigned, stage, judged.devices.get(&device.id).copied(), now))
                } }
            } }
        }
        @if site.sanctioned.is_none() {
            section aria-labelledby="evidence" {
                h2 id="evidence" { "How it adds up" }
                (waterfall::picture(&judged.bars, Some(judged.farm), |bar| bar.device.as_ref().and_then(name_of)))
                (alert::bars(&judged.bars, |_| None, |bar| bar.device.as_ref().and_then(name_of)))
            }
        }
        section aria-labelledby="anchors" {
            h2 id="anchors" { "What holds it together" }
            @if site.is_place() {
                p.dim { "To sanction this place, add one of these to " code { "farmwatch-collector places add" } "." }
            }
            table.list {
                thead { tr { th scope="col" { "Kind" } th scope="col" { "Value" } } }
                tbody { @for anchor in &site.anchors {
                    tr { td data-label="Kind" { (anchor.kind.label()) } td data-label="Value" { code { (anchor.value) } } }
                } }
            }
        }
        (steps(&console, &history, now).await?)
    };
    Ok(frame::page(&person, "/sites", &title, &body))
}

/// A place that is no more, where its history was kept.
async fn gone(
    console: &Console,
    person: &Person,
    history: &[SiteEvent],
    now: Timestamp,
) -> Result<Markup, Failure> {
    if history.is_empty() {
        return Err(Failure::NotFound);
    }
    let title = "A place that is no more";
    let body = html! {
        p.path { a href="/sites" { "Sites" } }
        h1 { (title) }
        p.notice { "The laptops that stood here no longer stand together, or the place turned out to be another's." }
        (steps(console, history, now).await?)
    };
    Ok(frame::page(person, "/sites", title, &body))
}

/// Who came and who left, newest first.
async fn steps(console: &Console, history: &[SiteEvent], now: Timestamp) -> Result<Markup, Failure> {
    let mut names = BTreeMap::new();
    let of = |step: &SiteStep| match step {
        SiteStep::Noticed(devices) => devices.clone(),
        SiteStep::Came(device) | SiteStep::Left(device) => vec![device.clone()],
        SiteStep::Merged(_) | SiteStep::Ended => Vec::new(),
    };
    for id in history.iter().flat_map(|event| of(&event.step)).collect::<BTreeSet<_>>() {
        if let Some(device) = console.app.store.device(&id).await? {
            names.insert(id, words::name(&device).to_owned());
        }
    }
    let laptop = |id: &DeviceId| {
        let name = names.get(id).map_or(id.as_str(), String::as_str);
        html! { a href={ "/devices/" (id) } { (name) } }
    };
    Ok(html! {
        @if !history.is_empty() {
            section aria-labelledby="history" {
                h2 id="history" { "Who came and who left" }
                ol.timeline { @for event in history.iter().rev() {
                    li { (words::time(event.at, now)) " " @match &event.step {
                        SiteStep::Noticed(devices) => { "its history begins: "
                            @for (n, id) in devices.iter().enumerate() { @if n > 0 { ", " } (laptop(id)) } " stood here" },
                        SiteStep::Came(id) => { (laptop(id)) " came" },
                        SiteStep::Left(id) => { (laptop(id)) " left" },
                        SiteStep::Merged(site) => { "it turned out to be one with " a href={ "/sites/" (site) } { "another place" } },
                        SiteStep::Ended => "nobody stands here together any more",
                    } }
                } }
            }
        }
    })
}

fn member(device: &Device, assigned: &Markup, stage: &Markup, p: Option<f64>, now: Timestamp) -> Markup {
    html! {
        tr {
            td.title data-label="Laptop" { a href={ "/devices/" (device.id) } { (words::name(device)) } " " (stage) }
            td data-label="Assigned to" { (assigned) }
            td.number data-label="P, given its place" { @match p { Some(p) => (words::probability(p)), None => { span.dim { "–" } } } }
            td data-label="From" { (alert::from(device)) }
            td data-label="Last seen" { @if let Some(at) = device.last_seen { (words::time(at, now)) } }
        }
    }
}
