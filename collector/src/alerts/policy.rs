//! Policy alerts: something that IT forbids was seen. No probability, and never a reason to isolate by itself.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Family as _, Host, RemoteTool, UsbDevice};
use farmwatch_shared::finding::{Finding, Group};
use farmwatch_shared::firmware::says_nothing;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::State;
use farmwatch_shared::waterfall::Bar;
use jiff::{SignedDuration, Timestamp};

use super::life::{AGAIN, Draft, Piece, minute};
use super::words;
use crate::store::{AlertKind, AuditEntry, Device, NewAudit, Severity};

/// Entries of the audit that are older make no alert.
const LATELY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A draft for each thing on a device that IT forbids: findings about one thing make one alert.
pub fn drafts(device: &Device, findings: &[Finding], state: &State) -> Vec<Draft> {
    let mut by_thing: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.policy) {
        by_thing.entry(thing(finding, state)).or_default().push(finding);
    }
    let things = by_thing.into_iter().map(|(thing, found)| draft(device, &thing, &found, state));
    things.chain(other_serial(device, state)).collect()
}

/// The laptop tells another serial number than the one it is known by.
fn other_serial(device: &Device, state: &State) -> Option<Draft> {
    let told = state.get::<Host>("self")?.serial.as_ref().filter(|told| !says_nothing(told))?;
    let known = device.serial.as_deref().unwrap_or("none");
    if told.trim().eq_ignore_ascii_case(known.trim()) {
        return None;
    }
    let name = words::name(device);
    let why = format!("tells serial number {told}, and is known by {known}");
    let summary = format!(
        "{name} {why}. The one it is known by stays: it decides whose laptop this is and what is exempt.\n\n\
         This happens when a mainboard is replaced, and also when somebody passes one laptop off as another.\n\n\
         What would clear it: the laptop tells its own serial number again, or is enrolled anew.\n\n\
         What to do now: find out which hardware IT gave out under either number; enrol the laptop anew where the \
         change is an honest one."
    );
    let piece = Piece { id: format!("serial {told}"), why };
    let key = format!("policy/{}/serial", device.id);
    Some(plain(
        vec![device.id.clone()],
        key,
        Severity::Medium,
        format!("Another serial number on {name}"),
        summary,
        vec![piece],
    ))
}

/// Key of the alert about an agent's silence.
pub fn silence_key(device: &Device) -> String {
    format!("policy/{}/silent", device.id)
}

/// Key of the alert about two agents that use one name.
pub fn conflict_key(device: &Device) -> String {
    format!("policy/{}/conflict", device.id)
}

/// Key of the alert about refused orders.
pub fn refused_order_key(device: &Device) -> String {
    format!("policy/{}/order_refused", device.id)
}

/// Whether an alert's key is of a thing that a rule found, so that it can be gone again.
pub fn is_about_a_thing(key: &str) -> bool {
    let of_all = super::fleet_tool::of_key(key).is_some();
    !of_all && !["/silent", "/conflict", "/order_refused"].iter().any(|end| key.ends_with(end))
}

/// An agent that has been silent for longer than policy allows.
pub fn silence(device: &Device, hours: u32) -> Draft {
    let last = device.last_seen.unwrap_or(device.enrolled_at);
    let name = words::name(device);
    let summary = format!(
        "Nothing was heard from the agent of {name} since {}; policy allows {hours} hours.\n\n\
         An agent falls silent when the laptop is switched off, lies in a drawer, or has no network, and also \
         when somebody stops or blocks it.\n\n\
         What would clear it: the laptop reports again, or its person confirms that it is off.\n\n\
         What to do now: see in MDM, EDR or the sign-in log whether the laptop was in use since then. In use and \
         silent is a reason to call; otherwise resolve this alert.",
        minute(last)
    );
    let piece = Piece { id: format!("silent since {last}"), why: format!("silent since {}", minute(last)) };
    let title = format!("Agent silent on {name}");
    plain(vec![device.id.clone()], silence_key(device), Severity::Medium, title, summary, vec![piece])
}

/// What the audit says of a device that IT should hear of: two machines under one name, orders that it did not
/// carry out. Each kind once a day is new evidence, however often it is tried.
pub fn audited(device: &Device, entries: &[AuditEntry], now: Timestamp) -> Vec<Draft> {
    let recent = entries.iter().map(|e| &e.entry).filter(|entry| entry.at + LATELY > now);
    let (mut conflicts, mut orders) = (Vec::new(), Vec::new());
    for entry in recent {
        match entry.action.as_str() {
            "conflict" | "foreign_report" => conflicts.push(entry),
            "order_refused" | "order_failed" => orders.push(entry),
            _ => {}
        }
    }
    let conflict = conflicts.first().map(|last| conflict(device, &last.why, &pieces(&conflicts)));
    let order = orders.first().map(|last| refused_order(device, &last.why, &pieces(&orders)));
    conflict.into_iter().chain(order).collect()
}

fn pieces(entries: &[&NewAudit]) -> Vec<Piece> {
    let piece = |entry: &&NewAudit| {
        let day = entry.at.strftime("%Y-%m-%d");
        Piece { id: format!("{AGAIN}{}|{day}", entry.action), why: entry.why.clone() }
    };
    let mut pieces: Vec<Piece> = entries.iter().map(piece).collect();
    pieces.extend(entries.first().map(|entry| Piece { id: entry.action.clone(), why: entry.why.clone() }));
    pieces.dedup_by(|a, b| a.id == b.id);
    pieces
}

/// Two agents that use one device's name, or hardware that is not the device's. `what` says which.
pub fn conflict(device: &Device, what: &str, evidence: &[Piece]) -> Draft {
    let name = words::name(device);
    let summary = format!(
        "{}\n\nThis happens when a disk or an agent's state folder is copied to another machine (a restored \
         image, a cloned virtual machine), and also when somebody reports in a laptop's name. What the second \
         one sent was not taken as this device's.\n\n\
         What would clear it: one of the two is re-enrolled or wiped, and IT knows why there were two.\n\n\
         What to do now: find out which hardware IT gave out under this serial number; revoke the other.",
        words::sentence(what)
    );
    let title = format!("Two machines report as {name}");
    plain(vec![device.id.clone()], conflict_key(device), Severity::High, title, summary, evidence.to_vec())
}

/// The device refused an order, or failed at it.
pub fn refused_order(device: &Device, what: &str, evidence: &[Piece]) -> Draft {
    let name = words::name(device);
    let summary = format!(
        "{name} did not carry out an order. {}\n\n\
         What would clear it: a new order that the laptop carries out.\n\n\
         What to do now: a bad signature or a wrong device points at something between the collector and the \
         laptop; look at who can change its traffic. Otherwise give the order again, and meanwhile cut the \
         laptop off by other means (EDR, network, identity).",
        words::sentence(what)
    );
    let title = format!("Order not carried out by {name}");
    plain(
        vec![device.id.clone()],
        refused_order_key(device),
        Severity::High,
        title,
        summary,
        evidence.to_vec(),
    )
}

/// A draft about some devices that rests on no findings.
pub(super) fn plain(
    devices: Vec<DeviceId>,
    key: String,
    severity: Severity,
    title: String,
    summary: String,
    evidence: Vec<Piece>,
) -> Draft {
    Draft {
        key,
        kind: AlertKind::Policy,
        severity,
        title,
        summary,
        devices,
        site: None,
        posterior: None,
        waterfall: Vec::new(),
        evidence,
        absorbed_by: None,
    }
}

/// What a finding is about, so that the same thing in another port is still the same: a tool by its catalogue
/// id, a USB device by its ids, else the fact or the rule itself.
fn thing(finding: &Finding, state: &State) -> String {
    let Some(key) = finding.facts.first() else { return finding.rule.clone() };
    if key.family() == UsbDevice::NAME
        && let Some(device) = state.get::<UsbDevice>(key.name())
    {
        return format!("usb_device/{}:{}", device.vendor_id, device.product_id);
    }
    key.as_str().to_owned()
}

fn draft(device: &Device, thing: &str, found: &[&Finding], state: &State) -> Draft {
    let strongest = found.iter().map(|f| f.llr).fold(0.0, f64::max);
    let group = found.first().map_or(Group::Hygiene, |f| f.group);
    let key = found.iter().find_map(|f| f.facts.first());
    let tool = key.filter(|k| k.family() == RemoteTool::NAME).and_then(|k| state.get::<RemoteTool>(k.name()));
    let mut evidence: Vec<Piece> =
        found.iter().map(|f| Piece { id: format!("{}|{thing}", f.rule), why: f.why.clone() }).collect();
    if let (Some(tool), Some(key)) = (&tool, key)
        && let Some(since) = tool.running_since
    {
        let id = format!("{AGAIN}{}|{since}", key.as_str());
        evidence.push(Piece { id, why: format!("{} runs since {}", tool.name, minute(since)) });
    }
    Draft {
        key: format!("policy/{}/{thing}", device.id),
        kind: AlertKind::Policy,
        severity: severity(strongest),
        title: title(device, group, tool),
        summary: summary(device, group, found, tool),
        devices: vec![device.id.clone()],
        site: None,
        posterior: None,
        waterfall: found.iter().map(|f| bar(f)).collect(),
        evidence,
        absorbed_by: None,
    }
}

fn severity(llr: f64) -> Severity {
    if llr >= 4.0 {
        Severity::High
    } else if llr >= 1.0 {
        Severity::Medium
    } else {
        Severity::Low
    }
}

fn title(device: &Device, group: Group, tool: Option<&RemoteTool>) -> String {
    let name = words::name(device);
    match (tool, group) {
        (Some(tool), _) if tool.session_open == Some(true) => {
            format!("{} is in use on {name}", words::tool(tool))
        }
        (Some(tool), _) if tool.serving => format!("{} waits for connections on {name}", words::tool(tool)),
        (Some(tool), _) if tool.running() => format!("{} runs on {name}", words::tool(tool)),
        (Some(tool), _) => format!("{} is installed on {name}", words::tool(tool)),
        (None, Group::UsbHid) => format!("Remote-access hardware on {name}: a USB device"),
        (None, Group::Display) => format!("Remote-access hardware on {name}: a screen"),
        (None, Group::Hygiene) => format!("Agent hindered on {name}"),
        (None, group) => format!("{} on {name}", group.label()),
    }
}

fn summary(device: &Device, group: Group, found: &[&Finding], tool: Option<&RemoteTool>) -> String {
    let why: Vec<String> = found.iter().map(|f| words::finding(f, tool)).collect();
    let name = words::name(device);
    let (clears, now) = match group {
        Group::RemoteControl => (
            "the tool is removed, or IT sanctions it for this laptop (an exception) or everywhere (the policy \
             file)",
            "ask the laptop's person what it is for. If nobody can say, or it was in use while its person was \
             not, isolate the laptop",
        ),
        Group::UsbHid | Group::Display => (
            "the device is unplugged, or IT names it as its own (an exception for the thing)",
            "ask the laptop's person what is plugged in, with a photo. If nobody can say, isolate the laptop and \
             ask for it back",
        ),
        _ => (
            "the cause is mended, or IT allows it (an exception)",
            "ask the laptop's person; look at the laptop's page for what else there is",
        ),
    };
    let since = tool.and_then(|tool| tool.running_since).map(minute);
    let said = |since: &String| why.iter().any(|why| why.contains(since.as_str()));
    let since = since.filter(|since| !said(since)).map(|since| format!(" It runs since {since}."));
    format!(
        "{}{}\n\nPolicy forbids this on {name}. By itself it does not say who works at the laptop: people use such \
         things for good reasons too.\n\nWhat would clear it: {clears}.\n\nWhat to do now: {now}.",
        why.join(" "),
        since.unwrap_or_default()
    )
}

fn bar(finding: &Finding) -> Bar {
    Bar {
        label: finding.group.label().to_owned(),
        rule: finding.rule.clone(),
        llr: finding.llr,
        honest_llr: Some(finding.honest_llr),
        why: finding.why.clone(),
        device: None,
        facts: finding.facts.clone(),
    }
}
