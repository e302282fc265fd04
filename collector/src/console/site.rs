//! One place: who is there, what holds it together, how likely it is a farm.

use std::sync::Arc;

use axum::extract::{Path, State};
use farmwatch_shared::id::SiteId;
use jiff::Timestamp;
use maud::{Markup, html};

use super::error::Failure;
use super::session::Person;
use super::{Console, alert, frame, sites, waterfall, words};
use crate::quarantine;
use crate::store::Device;

/// The page.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Markup, Failure> {
    let now = Timestamp::now();
    let store = &console.app.store;
    let id: SiteId = id.parse().map_err(|_| Failure::NotFound)?;
    let site = store.site(&id).await?.ok_or(Failure::NotFound)?;
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
                    tr { td { (anchor.kind.label()) } td { code { (anchor.value) } } }
                } }
            }
        }
    };
    Ok(frame::page(&person, "/sites", &title, &body))
}

fn member(device: &Device, assigned: &Markup, stage: &Markup, p: Option<f64>, now: Timestamp) -> Markup {
    html! {
        tr {
            td.title { a href={ "/devices/" (device.id) } { (words::name(device)) } " " (stage) }
            td { (assigned) }
            td.number { @match p { Some(p) => (words::probability(p)), None => { span.dim { "–" } } } }
            td { (alert::from(device)) }
            td { @if let Some(at) = device.last_seen { (words::time(at, now)) } }
        }
    }
}
