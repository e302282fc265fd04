//! One alert: why it fired in plain words, how the evidence adds up, what happened, what to do.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use farmwatch_shared::id::{AlertId, DeviceId};
use farmwatch_shared::state::State as Facts;
use farmwatch_shared::waterfall::Bar;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::Failure;
use super::session::Person;
use super::{Console, device, facts, frame, isolate_all, waterfall, words};
use crate::alerts::{self, Action, taken_in};
use crate::quarantine::{self, Belief};
use crate::store::{Alert, AlertEvent, AlertKind, AlertState, Asset, Device};

/// A laptop of the alert, with all that its row says.
struct Laptop {
    device: Device,
    asset: Option<Asset>,
    belief: Belief,
    facts: Facts,
}

/// The page.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Markup, Failure> {
    let now = Timestamp::now();
    let alert = find(&console, &id).await?;
    let mut laptops = Vec::new();
    for device in &alert.devices {
        if let Some(laptop) = laptop(&console, device, now).await? {
            laptops.push(laptop);
        }
    }
    let events = console.app.store.alert_events(&alert.id).await?;
    let absorbed = taken_in(&console.app, &alert, &[]).await?;
    let proposals = quarantine::proposals(&console.app, &alert, now).await.unwrap_or_default();
    let body = html! {
        p.path { a href="/alerts" { "Alerts" } " / " (words::kind(alert.kind)) }
        h1 { (alert.title) }
        p.meta {
            (words::severity(alert.severity)) " "
            (words::state(&alert)) " "
            @if let Some(who) = &alert.assignee { span.dim { "with " (who) } " · " }
            "raised " (words::time(alert.created_at, now)) " · changed " (words::time(alert.updated_at, now))
        }
        @if let Some(by) = &alert.absorbed_by {
            p.notice { "Part of another alert: " a href={ "/alerts/" (by) } { "see the whole" } "." }
        }
        div.split {
            section.summary aria-labelledby="why" {
                h2 id="why" { "Why" }
                (prose(&alert.summary))
                @if let Some(site) = &alert.site { p { a href={ "/sites/" (site) } { "What holds them together" } } }
            }
            (desk(&person, &alert))
        }
        (laptops_table(&person, &alert, &laptops, &proposals, now))
        (evidence(&alert, &laptops))
        (parts(&absorbed, now))
        (timeline(&events, now))
    };
    Ok(frame::page(&person, "/alerts", &alert.title, &body))
}

fn parts(alerts: &[Alert], now: Timestamp) -> Markup {
    html! {
        @if !alerts.is_empty() {
            section aria-labelledby="taken-in" {
                h2 id="taken-in" { "Alerts that are part of this one" }
                ul.plain { @for alert in alerts {
                    li { (words::severity(alert.severity)) " "
                         a href={ "/alerts/" (alert.id) } { (alert.title) } " " (words::state(alert)) " "
                         (words::time(alert.updated_at, now)) }
                } }
            }
        }
    }
}

/// Plain text as paragraphs, and lines that begin with `- ` as lists.
fn prose(text: &str) -> Markup {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    html! {
        @for block in lines.chunk_by(|a, b| a.starts_with("- ") && b.starts_with("- ")) {
            @if block[0].starts_with("- ") {
                ul { @for item in block { li { (item.trim_start_matches("- ")) } } }
            } @else {
                p { (block[0]) }
            }
        }
    }
}

pub async fn find(console: &Console, id: &str) -> Result<Alert, Failure> {
    let id: AlertId = id.parse().map_err(|_| Failure::NotFound)?;
    console.app.store.alert(&id).await?.ok_or(Failure::NotFound)
}

async fn laptop(console: &Console, id: &DeviceId, now: Timestamp) -> Result<Option<Laptop>, Failure> {
    let store = &console.app.store;
    let Some(device) = store.device(id).await? else { return Ok(None) };
    let asset = store.asset_of(&device).await?;
    let belief = quarantine::status(&console.app, id, now).await?;
    let facts = store.state(id).await?;
    Ok(Some(Laptop { device, asset, belief, facts }))
}

/// What a person can do with the alert.
fn desk(person: &Person, alert: &Alert) -> Markup {
    let form = |action: &str, body: Markup| {
        html! {
            form method="post" action={ "/alerts/" (alert.id) "/" (action) } {
                (frame::token(person))
                input type="hidden" name="version" value=(alert.version);
                (body)
            }
        }
    };
    html! {
        section.desk aria-labelledby="act" {
            h2 id="act" { "Work on it" }
            @if alert.state == AlertState::Resolved {
                (form("reopen", html! {
                    label { "Why reopen" input name="text" required maxlength="500"; }
                    button type="submit" { "Reopen" }
                }))
            } @else {
                @if alert.assignee.as_deref() != Some(&person.name) {
                    (form("take", html! { button type="submit" data-key="a" { "Take it" } }))
                }
                (form("resolve", html! {
                    label { "Resolve as" select name="disposition" required {
                        option value="" { "choose …" }
                        @for (word, disposition) in words::DISPOSITIONS {
                            option value=(word) { (words::disposition(disposition)) }
                        }
                    } }
                    label { "Note" input name="text" maxlength="500"; }
                    button type="submit" { "Resolve" }
                }))
            }
            (form("comment", html! {
                label { "Comment" input name="text" required maxlength="2000" data-key="c"; }
                button.quiet type="submit" { "Add" }
            }))
        }
    }
}

fn laptops_table(
    person: &Person,
    alert: &Alert,
    laptops: &[Laptop],
    proposals: &[DeviceId],
    now: Timestamp,
) -> Markup {
    let back = format!("/alerts/{}", alert.id);
    html! {
        section aria-labelledby="laptops" {
            h2 id="laptops" { @if laptops.len() == 1 { "The laptop" } @else { "The laptops" } }
            (listed(alert))
            (isolate_all::offer(alert))
            div.scroll { table.list {
                thead { tr {
                    th scope="col" { "Laptop" }
                    th scope="col" { "Assigned to" }
                    th scope="col" { "Last seen" }
                    th scope="col" { "From" }
                    th scope="col" { "Network" }
                } }
                tbody {
                    @for laptop in laptops {
                        tr {
                            td data-label="Laptop" { a href={ "/devices/" (laptop.device.id) } { (words::name(&laptop.device)) }
                                 " " (words::standing(laptop.device.standing)) }
                            td data-label="Assigned to" { (assigned(laptop.asset.as_ref())) }
                            td data-label="Last seen" { @if let Some(seen) = laptop.device.last_seen { (words::time(seen, now)) } }
                            td data-label="From" { (from(&laptop.device)) }
                            td data-label="Network" {
                                @if proposals.contains(&laptop.device.id) {
                                    p.proposal { "Farmwatch proposes to isolate it." }
                                }
                                (device::isolation(person, &laptop.device, &laptop.belief, &back, now))
                            }
                        }
                    }
                }
            } }
        }
    }
}

/// How many laptops an alert about the whole fleet is about, at least: its evidence counts them, and it lists the first of
/// them only.
pub fn of_fleet(alert: &Alert) -> Option<usize> {
    let count = |piece: &String| -> Option<usize> {
        let (_, count) = piece.rsplit_once('|').filter(|(about, _)| about.ends_with(&alert.key))?;
        count.parse().ok()
    };
    let many = alert.evidence.iter().filter_map(count).max()?;
    Some(many.max(alert.devices.len()))
}

/// That others are concerned, too, where an alert is about the whole fleet.
fn listed(alert: &Alert) -> Markup {
    let shown = alert.devices.len();
    html! {
        @match of_fleet(alert) {
            Some(many) if many > shown => p.dim { "The first " (shown) " of " (many) " or more are listed." },
            Some(_) => p.dim { "The first " (shown) " are listed." },
            None => {}
        }
    }
}

/// Who has it and where it should be.
pub fn assigned(asset: Option<&Asset>) -> Markup {
    html! {
        @match asset {
            Some(asset) => {
                (asset.user)
                @if !asset.department.is_empty() { " " span.dim { (asset.department) } }
                @if !asset.shipped_to.is_empty() { br; span.dim { "shipped to " (asset.shipped_to) } }
            }
            None => { span.dim { "not on the asset list" } }
        }
    }
}

/// Where its traffic came from.
pub fn from(device: &Device) -> Markup {
    html! {
        @if let Some(address) = device.public_address { (address) }
        @if let Some(country) = &device.country { " " (country) }
        @if let Some(network) = &device.network { br; span.dim { (network) } }
    }
}

fn evidence(alert: &Alert, laptops: &[Laptop]) -> Markup {
    if alert.waterfall.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="evidence" {
            @if alert.kind == AlertKind::Policy {
                h2 id="evidence" { "What it rests on" }
            } @else {
                h2 id="evidence" { "How it adds up" }
                (waterfall::picture(&alert.waterfall, alert.posterior, |bar| name_of(bar, laptops)))
            }
            (bars(&alert.waterfall, |bar| facts_of(bar, laptops), |bar| name_of(bar, laptops)))
        }
    }
}

/// The waterfall's numbers as a table, the facts of each folded under it.
pub fn bars<'a>(
    bars: &'a [Bar],
    facts_of: impl Fn(&Bar) -> Option<&'a Facts>,
    name_of: impl Fn(&Bar) -> Option<String>,
) -> Markup {
    let honest = bars.iter().any(|bar| bar.honest_llr.is_some());
    html! {
        div.scroll { table.list.evidence {
            thead { tr {
                th scope="col" { "Evidence" }
                th scope="col" { "What was seen" }
                th.number scope="col" title="Λ = ln P(fact | farm-operated) / P(fact | own hands)" { "Farm Λ" }
                @if honest {
                    th.number scope="col" title="B = ln P(fact | honest remote) / P(fact | own hands)" { "Honest B" }
                }
            } }
            tbody {
                @for bar in bars {
                    tr {
                        th scope="row" { (bar.label) @if let Some(name) = name_of(bar) { br; span.dim { (name) } } }
                        td data-label="What was seen" {
                            (bar.why)
                            @if let Some(state) = facts_of(bar) { (facts::fold(state, &bar.facts)) }
                        }
                        td.number data-label="Farm Λ" { (waterfall::signed(bar.llr)) }
                        @if honest {
                            td.number data-label="Honest B" { @if let Some(honest) = bar.honest_llr { (waterfall::signed(honest)) } }
                        }
                    }
                }
            }
        } }
    }
}

fn facts_of<'a>(bar: &Bar, laptops: &'a [Laptop]) -> Option<&'a Facts> {
    let of = |id: &DeviceId| laptops.iter().find(|laptop| laptop.device.id == *id);
    let laptop = match &bar.device {
        Some(id) => of(id),
        None if laptops.len() == 1 => laptops.first(),
        None => None,
    };
    laptop.map(|laptop| &laptop.facts)
}

fn name_of(bar: &Bar, laptops: &[Laptop]) -> Option<String> {
    let id = bar.device.as_ref()?;
    let laptop = laptops.iter().find(|laptop| laptop.device.id == *id);
    Some(laptop.map_or_else(|| id.to_string(), |laptop| words::name(&laptop.device).to_owned()))
}

fn timeline(events: &[AlertEvent], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "Timeline" }
            ol.timeline {
                @for event in events {
                    li { (words::time(event.at, now)) " " strong { (event.actor) } " " (event.what) }
                }
            }
        }
    }
}

/// What the forms carry.
#[derive(Deserialize)]
pub struct Act {
    csrf: String,
    version: u64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    disposition: String,
}

/// Takes, resolves, reopens or comments.
pub async fn act(
    State(console): State<Arc<Console>>,
    person: Person,
    Path((id, action)): Path<(String, String)>,
    Form(given): Form<Act>,
) -> Result<Response, Failure> {
    person.check(&given.csrf)?;
    let id: AlertId = id.parse().map_err(|_| Failure::NotFound)?;
    let action = match action.as_str() {
        "take" => Action::Take,
        "reopen" => Action::Reopen { reason: given.text },
        "comment" => Action::Comment { text: given.text },
        "resolve" => {
            let chosen = words::DISPOSITIONS.iter().find(|(word, _)| *word == given.disposition);
            let (_, disposition) =
                *chosen.ok_or_else(|| Failure::Refused("Choose how the alert is resolved.".into()))?;
            Action::Resolve { disposition, note: given.text }
        }
        _ => return Err(Failure::NotFound),
    };
    alerts::change(&console.app, &id, given.version, action, &person.name, Timestamp::now()).await?;
    Ok(Redirect::to(&format!("/alerts/{id}")).into_response())
}
