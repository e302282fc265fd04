//! One laptop: what it says, what each sensor sees, what was concluded, what it sent, what was ordered.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use farmwatch_shared::facts::{FAMILIES, Family as _, SensorStatus};
use farmwatch_shared::finding::Finding;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::Judged;
use farmwatch_shared::order::OrderKind;
use farmwatch_shared::state::State as Facts;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::Failure;
use super::session::Person;
use super::{Console, alert, facts, frame, sites, words};
use crate::correlate::same_place::MOST_AT_ANCHOR;
use crate::quarantine::{self, Belief, Stage};
use crate::store::{
    Alert, AlertFilter, Anchor, AnchorSeen, AuditEntry, Device, OrderState, Page, SentReport, Site, Standing,
    StoreError, StoredOrder,
};

/// The page.
pub async fn page(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Markup, Failure> {
    let now = Timestamp::now();
    let store = &console.app.store;
    let id: DeviceId = id.parse().map_err(|_| Failure::NotFound)?;
    let device = store.device(&id).await?.ok_or(Failure::NotFound)?;
    let asset = store.asset_of(&device).await?;
    let facts = store.state(&id).await?;
    let place = given_its_place(&console, &device).await?;
    let belief = quarantine::status(&console.app, &id, now).await?;
    let filter = AlertFilter { device: Some(id.clone()), absorbed: true, ..AlertFilter::default() };
    let alerts = store.alerts(&filter, &Page::first(20)).await?;
    let anchors = shown_by(&console, store.anchors_of(&id).await?).await?;
    let orders = store.orders(&id, 20).await?;
    let sent = store.sent(&id, 20).await?;
    let audit = store.audit_entries(Some(id.as_str()), &Page::first(20)).await?;
    let back = format!("/devices/{id}");
    let name = words::name(&device).to_owned();
    let body = html! {
        p.path { a href="/devices" { "Devices" } }
        h1 { (name) " " (words::standing(device.standing)) " " (words::stage(belief.stage)) }
        div.split {
            (identity(&device, &alert::assigned(asset.as_ref()), now))
            section.desk aria-labelledby="isolation" {
                h2 id="isolation" { "Isolation" }
                (isolation(&person, &device, &belief, &back, now))
            }
        }
        (alert_list(&alerts, now))
        @if let Some(judged) = &device.judged { (judgement(judged, &facts, place.as_ref())) }
        (coverage(&facts))
        (all_facts(&facts))
        (anchor_list(&anchors, now))
        (order_list(&orders, now))
        (audit_list(&audit, now))
        (sent_list(&sent, now))
    };
    Ok(frame::page(&person, "/devices", &name, &body))
}

fn identity(device: &Device, assigned: &Markup, now: Timestamp) -> Markup {
    html! {
        section aria-label="Identity" {
            table.fields { tbody {
                tr { th scope="row" { "Id" } td { code { (device.id) } } }
                tr { th scope="row" { "Serial" } td { (device.serial.as_deref().unwrap_or("–")) } }
                tr { th scope="row" { "System" } td { (device.os) } }
                tr { th scope="row" { "Assigned to" } td { (assigned) } }
                tr { th scope="row" { "Enrolled" } td { (words::time(device.enrolled_at, now)) } }
                tr { th scope="row" { "Last seen" } td {
                    @match device.last_seen { Some(at) => (words::time(at, now)), None => "never" }
                } }
                tr { th scope="row" { "From" } td { (alert::from(device)) } }
                @if device.clock_skew.abs() > 60 {
                    tr { th scope="row" { "Its clock" } td { "off by " (device.clock_skew) " s" } }
                }
                @if device.dropped_windows > 0 {
                    tr { th scope="row" { "Lost" } td { (device.dropped_windows) " activity windows, to a full spool" } }
                }
                @if let Some(site) = &device.site {
                    tr { th scope="row" { "Place" } td { a href={ "/sites/" (site) } { "stands together with others" } } }
                }
            } }
        }
    }
}

/// What is believed of a laptop's isolation, and the form that changes it.
pub fn isolation(person: &Person, device: &Device, belief: &Belief, back: &str, now: Timestamp) -> Markup {
    let form = |action: &str, label: &str, class: &str, help: &str| {
        html! {
            details.act {
                summary { (label) }
                form method="post" action={ "/devices/" (device.id) "/" (action) } {
                    (frame::token(person))
                    input type="hidden" name="back" value=(back);
                    p.dim { (help) }
                    label { "Reason" input name="reason" required maxlength="500"; }
                    button class=(class) type="submit" { (label) }
                }
            }
        }
    };
    html! {
        p { (words::stage(belief.stage)) " " (belief.words)
            @if let Some(until) = belief.until { " Until " (words::time(until, now)) "." } }
        @if let Some(drift) = &belief.drift { p.error { "Differs: " (drift) } }
        @if device.standing != Standing::Revoked {
            @if matches!(belief.stage, Stage::Connected | Stage::Failed | Stage::Releasing) {
                (form("isolate", "Isolate", "danger",
                    "Drops all of its traffic but this collector's and what the policy allows, across restarts, until \
                     it is released or its time is over. Its user is told whom to call."))
            }
            @if belief.stage != Stage::Connected {
                (form("release", "Release", "", "Lets all traffic through again."))
            }
        }
    }
}

fn alert_list(alerts: &[Alert], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="alerts" {
            h2 id="alerts" { "Alerts" }
            @if alerts.is_empty() { p.dim { "None so far." } } @else {
                ul.plain { @for alert in alerts {
                    li { (words::severity(alert.severity)) " "
                         a href={ "/alerts/" (alert.id) } { (alert.title) } " " (words::state(alert)) " "
                         (words::time(alert.updated_at, now)) }
                } }
            }
        }
    }
}

/// The place of a laptop and its P(farm-operated) there; none where it stands alone or IT has sanctioned the place.
pub async fn given_its_place(console: &Console, device: &Device) -> Result<Option<(Site, f64)>, StoreError> {
    let Some(id) = &device.site else { return Ok(None) };
    let site = console.app.store.site(id).await?.filter(|site| site.sanctioned.is_none());
    Ok(site.and_then(|site| {
        let p = site.judged.devices.get(&device.id).copied()?;
        Some((site, p))
    }))
}

fn judgement(judged: &Judged, facts: &Facts, place: Option<&(Site, f64)>) -> Markup {
    html! {
        section aria-labelledby="judgement" {
            h2 id="judgement" { "Judgement" }
            p { "P(farm-operated), by itself: " strong { (words::probability(judged.posterior)) }
                ", from Λ = " (super::waterfall::signed(judged.llr)) " and B = "
                (super::waterfall::signed(judged.honest_llr)) "." }
            @if let Some((site, p)) = place {
                p { "P(farm-operated), given its place: " strong { (words::probability(*p)) }
                    ", as it stands together with others in " a href={ "/sites/" (site.id) } { (sites::name(site)) } "." }
            }
            @if judged.bars.is_empty() { p.dim { "Nothing speaks for or against remote hands." } } @else {
                (alert::bars(&judged.bars, |_| Some(facts), |_| None))
            }
            (not_counted(judged))
        }
    }
}

/// What was found and adds nothing, because something stronger of its group counts.
fn not_counted(judged: &Judged) -> Markup {
    let counts = |found: &&Finding| judged.bars.iter().any(|b| b.rule == found.rule && b.why == found.why);
    let rest: Vec<&Finding> = judged.findings.iter().filter(|found| !counts(found)).collect();
    html! {
        @if !rest.is_empty() {
            p.dim { "Found too, and not counted beside stronger evidence of the same kind:" }
            ul { @for found in rest { li { strong { (found.group.label()) } " " (found.why) } } }
        }
    }
}

fn coverage(facts: &Facts) -> Markup {
    html! {
        section aria-labelledby="sensors" {
            h2 id="sensors" { "Sensors" }
            div.scroll { table.list {
                thead { tr { th scope="col" { "Sensor" } th scope="col" { "State" } th scope="col" { "Why" } } }
                tbody {
                    @for (key, status) in facts.all::<SensorStatus>() {
                        tr {
                            th scope="row" { (key.name().replace('_', " ")) }
                            td data-label="State" { (words::sensor(status.state)) }
                            td data-label="Why" { (status.reason.as_deref().unwrap_or_default()) }
                        }
                    }
                }
            } }
        }
    }
}

fn all_facts(facts: &Facts) -> Markup {
    let known = FAMILIES.iter().filter(|family| **family != SensorStatus::NAME).copied();
    let mut families: Vec<&str> = known.collect();
    for (key, _) in facts.values() {
        if !FAMILIES.contains(&key.family()) && !families.contains(&key.family()) {
            families.push(key.family());
        }
    }
    html! {
        section aria-labelledby="facts" {
            h2 id="facts" { "Facts" }
            @for family in families {
                @let of: Vec<_> = facts.values().filter(|(key, _)| key.family() == family).collect();
                @if !of.is_empty() {
                    details.facts {
                        summary { (family.replace('_', " ")) " " span.dim { "(" (of.len()) ")" } }
                        @for (key, value) in of {
                            h4 { code { (key.name()) } }
                            (facts::table(value))
                        }
                    }
                }
            }
        }
    }
}

/// What it shows with how many show the same now.
async fn shown_by(console: &Console, seen: Vec<AnchorSeen>) -> Result<Vec<(AnchorSeen, u64)>, Failure> {
    let anchors: Vec<Anchor> = seen.iter().map(|seen| seen.anchor.clone()).collect();
    let counts = console.app.store.counts_at(&anchors).await?;
    Ok(seen.into_iter().zip(counts).collect())
}

fn anchor_list(anchors: &[(AnchorSeen, u64)], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="anchors" {
            h2 id="anchors" { "Anchors" }
            p.dim { "By these it can be found to stand together with others; a trait only counts who has the same. Hashes tell equal from different, nothing else." }
            div.scroll { table.list {
                thead { tr {
                    th scope="col" { "Kind" } th scope="col" { "Value" } th.number scope="col" { "Laptops" } th scope="col" { "First seen" } th scope="col" { "Last seen" }
                } }
                tbody { @for (seen, count) in anchors {
                    tr {
                        td data-label="Kind" { (seen.anchor.kind.label()) @if !seen.current { " " span.dim { "(past)" } } }
                        td data-label="Value" { code { (seen.anchor.value) } @if *count > MOST_AT_ANCHOR && seen.anchor.kind.joins() {
                            " " span.dim { "of a crowd: carrier NAT, a VPN's exit, an office; joins nobody" }
                        } }
                        td.number data-label="Laptops" { (count) }
                        td data-label="First seen" { (words::time(seen.first_seen, now)) }
                        td data-label="Last seen" { (words::time(seen.last_seen, now)) }
                    }
                } }
            } }
        }
    }
}

fn order_list(orders: &[StoredOrder], now: Timestamp) -> Markup {
    let state = |state: OrderState| match state {
        OrderState::Waiting => "waits for the laptop",
        OrderState::Fetched => "the laptop has it",
        OrderState::Done => "done, says the laptop",
        OrderState::Failed => "failed",
        OrderState::Refused => "refused",
        OrderState::Void => "void",
    };
    let kind = |kind: &OrderKind| match kind {
        OrderKind::Isolate { .. } => "isolate",
        OrderKind::Release { .. } => "release",
        OrderKind::Challenge => "challenge",
    };
    html! {
        @if !orders.is_empty() {
            section aria-labelledby="orders" {
                h2 id="orders" { "Orders" }
                ol.timeline { @for order in orders {
                    li { (words::time(order.updated_at, now)) " " strong { (order.actor) } " "
                         (kind(&order.sealed.content.kind)) ": " (state(order.state))
                         @if let Some(why) = &order.why { " (" (why) ")" } }
                } }
            }
        }
    }
}

/// What was decided about the laptop and what of it was refused, newest first.
fn audit_list(entries: &[AuditEntry], now: Timestamp) -> Markup {
    html! {
        @if !entries.is_empty() {
            section aria-labelledby="audit" {
                h2 id="audit" { "Audit" }
                ol.timeline { @for AuditEntry { entry, .. } in entries {
                    li { (words::time(entry.at, now)) " " strong { (entry.actor) } " "
                         (entry.action.replace('_', " ")) ": " (entry.why) }
                } }
            }
        }
    }
}

fn sent_list(sent: &[SentReport], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="sent" {
            h2 id="sent" { "What it sent" }
            p.dim { "Word for word, heartbeats left out; hashes are hashed again with this collector's key. Its user reads the same with "
                code { "farmwatch-agent sent" } "." }
            @for report in sent {
                details.facts {
                    summary { "Report " (report.seq) " " (words::time(report.received_at, now)) " "
                        span.dim { (contents(report)) } }
                    pre { (serde_json::to_string_pretty(&report.report).unwrap_or_default()) }
                }
            }
        }
    }
}

fn contents(sent: &SentReport) -> String {
    let report = &sent.report;
    let parts = [
        (report.set.len(), "fact", "facts"),
        (report.gone.len(), "gone", "gone"),
        (report.windows.len(), "window", "windows"),
        (report.transitions.len(), "transition", "transitions"),
    ];
    let said = parts.iter().filter(|(n, ..)| *n > 0);
    let said: Vec<String> =
        said.map(|(n, one, more)| format!("{n} {}", if *n == 1 { one } else { more })).collect();
    said.join(", ")
}

/// What the forms carry.
#[derive(Deserialize)]
pub struct Act {
    csrf: String,
    reason: String,
    #[serde(default)]
    back: String,
}

/// Isolates or releases.
pub async fn act(
    State(console): State<Arc<Console>>,
    person: Person,
    Path((id, action)): Path<(String, String)>,
    Form(given): Form<Act>,
) -> Result<Response, Failure> {
    person.check(&given.csrf)?;
    let id: DeviceId = id.parse().map_err(|_| Failure::NotFound)?;
    let now = Timestamp::now();
    match action.as_str() {
        "isolate" => {
            quarantine::isolate(&console.app, &id, &given.reason, &person.name, None, now).await?;
        }
        "release" => {
            quarantine::release(&console.app, &id, &given.reason, &person.name, now).await?;
        }
        _ => return Err(Failure::NotFound),
    }
    let back = super::login::local(&given.back);
    Ok(Redirect::to(if given.back.is_empty() { "/devices" } else { back }).into_response())
}
