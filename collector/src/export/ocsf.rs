//! OCSF 1.8.0, class Detection Finding (2004): an alert as one JSON object.
//!
//! The same alert in another state is another event about the same `finding_info.uid`: Create when it was raised,
//! Update while it lives, Close once it is resolved.

use std::collections::BTreeMap;

use farmwatch_shared::waterfall::Bar;
use serde_json::{Map, Value, json};

use crate::store::{Alert, AlertKind, AlertState, Device, Disposition, Severity};

/// Version of the schema.
const SCHEMA: &str = "1.8.0";
/// Version of MITRE ATT&CK that rules name techniques of.
const ATTACK: &str = "17.0";
/// `device.type_id`: Laptop.
const LAPTOP: u8 = 3;

/// An alert as an event. `devices` are those of the alert's that are still known; what a rule found on them names
/// its technique.
pub fn event(alert: &Alert, devices: &[Device]) -> Value {
    let (activity, activity_name) = activity(alert);
    let (status, status_name) = status(alert);
    let (severity, severity_name) = severity(alert.severity);
    let mut event = json!({
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": 200_400 + u32::from(activity),
        "type_name": format!("Detection Finding: {activity_name}"),
        "severity_id": severity,
        "severity": severity_name,
        "time": alert.updated_at.as_millisecond(),
        "message": alert.title,
        "is_alert": true,
        "status_id": status,
        "status": status_name,
        "metadata": metadata(alert, devices),
        "finding_info": finding(alert, devices),
        "evidences": alert.waterfall.iter().map(|bar| evidence(bar, alert)).collect::<Vec<_>>(),
        "resources": resources(alert, devices),
        "observables": devices.iter().map(observable).collect::<Vec<_>>(),
        "unmapped": { "key": alert.key, "kind": alert.kind.words(), "probability": alert.posterior },
    });
    if let [device] = devices {
        event["device"] = laptop(device);
    }
    if let Some(probability) = alert.posterior {
        let (id, name, score) = confidence(probability);
        event["confidence_id"] = id.into();
        event["confidence"] = name.into();
        event["confidence_score"] = score.into();
    }
    if let Some((id, name)) = alert.disposition.map(verdict) {
        event["verdict_id"] = id.into();
        event["verdict"] = name.into();
    }
    if let Some(assignee) = &alert.assignee {
        event["assignee"] = json!({ "name": assignee });
    }
    event
}

fn activity(alert: &Alert) -> (u8, &'static str) {
    match alert.state {
        AlertState::Resolved => (3, "Close"),
        _ if alert.created_at == alert.updated_at => (1, "Create"),
        _ => (2, "Update"),
    }
}

/// What was no finding after all is Suppressed, all else that is closed is Resolved.
fn status(alert: &Alert) -> (u8, &'static str) {
    match (alert.state, alert.disposition) {
        (AlertState::New, _) => (1, "New"),
        (AlertState::InProgress, _) => (2, "In Progress"),
        (AlertState::Resolved, Some(Disposition::Authorised | Disposition::FalsePositive)) => {
            (3, "Suppressed")
        }
        (AlertState::Resolved, _) => (4, "Resolved"),
    }
}

fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn verdict(disposition: Disposition) -> (u8, &'static str) {
    match disposition {
        Disposition::Confirmed => (2, "True Positive"),
        Disposition::PolicyBreach => (8, "Security Risk"),
        Disposition::Authorised => (5, "Benign"),
        Disposition::FalsePositive => (1, "False Positive"),
        Disposition::NotEnoughData => (7, "Insufficient Data"),
        Disposition::Test => (6, "Test"),
        Disposition::Duplicate => (10, "Duplicate"),
    }
}

/// Id, word and score in per cent of a probability.
fn confidence(probability: f64) -> (u8, &'static str, u8) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let score = (100.0 * probability.clamp(0.0, 1.0)).round() as u8;
    match score {
        80.. => (3, "High", score),
        40.. => (2, "Medium", score),
        _ => (1, "Low", score),
    }
}

fn metadata(alert: &Alert, devices: &[Device]) -> Value {
    let mut profiles = Vec::new();
    if devices.len() == 1 {
        profiles.push("host");
    }
    if alert.disposition.is_some() || alert.assignee.is_some() {
        profiles.push("incident");
    }
    let mut metadata = json!({
        "version": SCHEMA,
        "product": {
            "vendor_name": "Farmwatch",
            "name": "Farmwatch",
            "uid": "farmwatch",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": profiles,
        "uid": format!("{}/{}", alert.id, alert.version),
        "log_name": "alerts",
    });
    if let Some(by) = &alert.absorbed_by {
        metadata["correlation_uid"] = by.as_str().into();
    }
    metadata
}

fn finding(alert: &Alert, devices: &[Device]) -> Value {
    let (type_id, kind, name) = match alert.kind {
        AlertKind::Policy => (1, "Rule", "Something that IT forbids"),
        AlertKind::Device => (3, "Statistical", "P(farm-operated) of a laptop"),
        AlertKind::Site => (3, "Statistical", "P(farm) of a place"),
    };
    let mut finding = json!({
        "uid": alert.id,
        "title": alert.title,
        "desc": alert.summary,
        "types": ["Laptop farm"],
        "created_time": alert.created_at.as_millisecond(),
        "modified_time": alert.updated_at.as_millisecond(),
        "analytic": {
            "type_id": type_id,
            "type": kind,
            "uid": format!("farmwatch.{}", alert.kind.words()),
            "name": name,
        },
    });
    let attacks: Vec<Value> = techniques(alert, devices).into_iter().map(attack).collect();
    if !attacks.is_empty() {
        finding["attacks"] = attacks.into();
    }
    finding
}

/// Techniques of the rules whose findings stand in the alert's sum, each once, in order.
fn techniques<'a>(alert: &Alert, devices: &'a [Device]) -> Vec<&'a str> {
    let rules: Vec<&str> = alert.waterfall.iter().map(|bar| bar.rule.as_str()).collect();
    let found =
        devices.iter().filter_map(|device| device.judged.as_ref()).flat_map(|judged| &judged.findings);
    let mut named: Vec<&str> = found
        .filter(|finding| rules.contains(&finding.rule.as_str()))
        .filter_map(|finding| finding.technique.as_deref())
        .collect();
    named.sort_unstable();
    named.dedup();
    named
}

/// `T1219.003` is a sub-technique of `T1219`.
fn attack(technique: &str) -> Value {
    match technique.split_once('.') {
        Some((above, _)) => json!({
            "version": ATTACK,
            "technique": { "uid": above },
            "sub_technique": { "uid": technique },
        }),
        None => json!({ "version": ATTACK, "technique": { "uid": technique } }),
    }
}

/// A bar of the waterfall; of the device that it names, else of the alert's only one.
fn evidence(bar: &Bar, alert: &Alert) -> Value {
    let mut data = Map::new();
    data.insert("llr".into(), json!(bar.llr));
    data.insert("why".into(), json!(bar.why));
    if let Some(honest) = bar.honest_llr {
        data.insert("honest_llr".into(), json!(honest));
    }
    if !bar.rule.is_empty() {
        data.insert("rule".into(), json!(bar.rule));
    }
    if !bar.facts.is_empty() {
        data.insert("facts".into(), json!(bar.facts));
    }
    let only = if let [only] = alert.devices.as_slice() { Some(only) } else { None };
    let mut evidence = json!({ "name": bar.label, "data": data });
    if let Some(device) = bar.device.as_ref().or(only) {
        evidence["device"] = json!({ "type_id": LAPTOP, "type": "Laptop", "uid": device });
    }
    evidence
}

fn resources(alert: &Alert, devices: &[Device]) -> Vec<Value> {
    let names: BTreeMap<&str, String> =
        devices.iter().map(|device| (device.id.as_str(), crate::alerts::name(device))).collect();
    let resource = |id: &str| {
        let name = names.get(id).map_or(id, String::as_str);
        json!({ "uid": id, "name": name, "type": "Device", "role_id": 3, "role": "Affected" })
    };
    alert.devices.iter().map(|id| resource(id.as_str())).collect()
}

fn observable(device: &Device) -> Value {
    json!({ "name": "resources.uid", "type_id": 10, "type": "Resource UID", "value": device.id })
}

fn laptop(device: &Device) -> Value {
    let mut laptop = json!({
        "type_id": LAPTOP,
        "type": "Laptop",
        "uid": device.id,
        "name": crate::alerts::name(device),
        "is_managed": true,
    });
    if !device.hostname.is_empty() {
        laptop["hostname"] = device.hostname.as_str().into();
    }
    if !device.os.is_empty() {
        let (id, kind) = system(&device.os);
        laptop["os"] = json!({ "name": device.os, "type_id": id, "type": kind });
    }
    if let Some(serial) = &device.serial {
        laptop["hw_info"] = json!({ "serial_number": serial });
    }
    laptop
}

/// Agents run on three systems; a distribution's name is Linux's.
fn system(os: &str) -> (u16, &'static str) {
    let os = os.to_ascii_lowercase();
    if os.contains("windows") {
        (100, "Windows")
    } else if os.contains("macos") || os.contains("mac os") {
        (300, "macOS")
    } else {
        (200, "Linux")
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::finding::{Finding, Group};
    use farmwatch_shared::id::{AlertId, SiteId};
    use farmwatch_shared::judge;
    use farmwatch_shared::weights::Weights;

    use super::*;
    use crate::store::suite::{enrolled, minute};

    fn device(n: u128) -> Device {
        let kvm = Finding {
            rule: "usb.known_kvm".into(),
            technique: Some("T1219.003".into()),
            group: Group::UsbHid,
            cause: "kvm".into(),
            llr: 9.0,
            honest_llr: 4.0,
            why: "PiKVM V4 hangs on it".into(),
            facts: vec!["usb_device/1-4".to_owned().try_into().unwrap()],
            policy: true,
        };
        let judged = judge::device(vec![kvm], &Weights::shipped());
        Device { judged: Some(judged), ..enrolled(n) }
    }

    fn bar(device: Option<&Device>) -> Bar {
        Bar {
            label: "USB and input devices".into(),
            rule: "usb.known_kvm".into(),
            llr: 9.0,
            honest_llr: Some(4.0),
            why: "PiKVM V4 hangs on it".into(),
            device: device.map(|device| device.id.clone()),
            facts: vec!["usb_device/1-4".to_owned().try_into().unwrap()],
        }
    }

    fn alert(kind: AlertKind, devices: &[Device]) -> Alert {
        Alert {
            id: AlertId::new(1, 1),
            key: "policy/dev/usb_device/1d6b:0104".into(),
            kind,
            state: AlertState::New,
            disposition: None,
            severity: Severity::High,
            title: "Remote-access hardware on laptop-1".into(),
            summary: "PiKVM V4 hangs on it.".into(),
            devices: devices.iter().map(|device| device.id.clone()).collect(),
            site: None,
            posterior: None,
            waterfall: vec![bar(None)],
            absorbed_by: None,
            assignee: None,
            resolved_on: None,
            evidence: Vec::new(),
            told: None,
            created_at: minute(0),
            updated_at: minute(0),
            version: 1,
        }
    }

    fn exported(alert: &Alert, devices: &[Device]) -> Value {
        let mut event = event(alert, devices);
        event["metadata"]["product"]["version"] = "0.0.0".into();
        event
    }

    #[test]
    fn a_policy_alert_is_a_finding_of_a_rule_on_one_laptop() {
        let devices = [device(1)];
        insta::assert_json_snapshot!(exported(&alert(AlertKind::Policy, &devices), &devices));
    }

    #[test]
    fn a_resolved_site_alert_closes_with_its_verdict() {
        let devices = [device(1), device(2)];
        let closed = Alert {
            state: AlertState::Resolved,
            disposition: Some(Disposition::Confirmed),
            assignee: Some("ana".into()),
            site: Some(SiteId::new(1, 1)),
            posterior: Some(0.994),
            waterfall: vec![bar(Some(&devices[1]))],
            updated_at: minute(90),
            version: 4,
            ..alert(AlertKind::Site, &devices)
        };
        insta::assert_json_snapshot!(exported(&closed, &devices));
    }

    #[test]
    fn what_was_no_finding_is_suppressed() {
        for (disposition, status) in
            [(Disposition::FalsePositive, 3), (Disposition::Authorised, 3), (Disposition::Duplicate, 4)]
        {
            let closed = Alert {
                state: AlertState::Resolved,
                disposition: Some(disposition),
                ..alert(AlertKind::Device, &[])
            };
            assert_eq!(event(&closed, &[])["status_id"], status);
        }
    }
}
