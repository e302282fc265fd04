//! Places at which laptops stand together.

use std::sync::Arc;

use axum::extract::{Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::Failure;
use super::session::Person;
use super::{Console, frame, words};
use crate::store::{Page, Site};

const ROWS: u32 = 50;

/// The address is the state of the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Last id of the page before.
    pub after: String,
    /// Most rows, for programs.
    pub limit: Option<u32>,
}

impl Wanted {
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
    let sites = console.app.store.sites(&wanted.page(ROWS)).await?;
    let body = html! {
        h1 { "Sites" }
        p.dim { "Places at which two or more of our laptops stand together, the most probable farm first. That they are "
            "together means nothing by itself: couples, offices and shared homes are here, too." }
        @if sites.is_empty() {
            div.empty { p.lead { "No two laptops share a place so far." } }
        } @else {
            div.scroll { table.list {
                thead { tr {
                    th scope="col" { "Place" } th.number scope="col" { "Laptops" } th.number scope="col" { "P(farm)" }
                    th scope="col" { "Held together by" } th scope="col" { "Since" } th scope="col" { "Changed" }
                } }
                tbody { @for site in &sites { (row(site, now)) } }
            } }
            @if sites.len() == ROWS as usize && let Some(last) = sites.last() {
                p.next { a rel="next" href={ "/sites?after=" (last.id) } { "Next page" } }
            }
        }
    };
    Ok(frame::page(&person, "/sites", "Sites", &body))
}

fn row(site: &Site, now: Timestamp) -> Markup {
    html! {
        tr {
            td.title data-label="Place" { a href={ "/sites/" (site.id) } { (name(site)) } }
            td.number data-label="Laptops" { (site.devices.len()) }
            td.number data-label="P(farm)" {
                @if site.sanctioned.is_some() { span.dim { "sanctioned" } } @else { (words::probability(site.judged.farm)) }
                @if learnt(site) { " " span.dim { "workplace (learnt)" } }
            }
            td data-label="Held by" { (held(site)) }
            td data-label="Since" { (words::time(site.created_at, now)) }
            td data-label="Changed" { (words::time(site.updated_at, now)) }
        }
    }
}

/// What a place is called.
pub fn name(site: &Site) -> String {
    match &site.sanctioned {
        Some(name) => name.clone(),
        None => format!(
            "Place {}",
            site.id.as_str().chars().rev().take(6).collect::<Vec<_>>().iter().rev().collect::<String>()
        ),
    }
}

/// People come and go as in a workplace, and IT has not named it.
pub fn learnt(site: &Site) -> bool {
    site.sanctioned.is_none() && site.judged.bars.iter().any(|bar| bar.rule == "place.workplace")
}

/// Kinds of its anchors, each once.
fn held(site: &Site) -> String {
    let mut kinds: Vec<&str> = site.anchors.iter().map(|anchor| anchor.kind.label()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join(", ")
}
