use super::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap()
}

fn id() -> AlertId {
    AlertId::new(1, 1)
}

fn draft(pieces: &[&str], posterior: f64) -> Draft {
    Draft {
        key: "device/dev_1".into(),
        kind: AlertKind::Device,
        severity: Severity::High,
        title: "PF1 may be remotely operated".into(),
        summary: "why".into(),
        devices: vec![DeviceId::new(1, 1)],
        site: None,
        posterior: Some(posterior),
        waterfall: Vec::new(),
        evidence: pieces.iter().map(|p| Piece { id: (*p).into(), why: format!("{p} was seen") }).collect(),
        absorbed_by: None,
    }
}

fn raised(pieces: &[&str]) -> Alert {
    bring(None, draft(pieces, 0.8), id(), at(0)).unwrap().alert
}

fn resolved(mut alert: Alert, disposition: Disposition) -> Alert {
    alert.state = AlertState::Resolved;
    alert.disposition = Some(disposition);
    alert.version += 1;
    alert
}

#[test]
fn the_same_evidence_writes_nothing() {
    let alert = raised(&["kvm"]);
    assert_eq!(bring(Some(&alert), draft(&["kvm"], 0.81), id(), at(1)), None);
}

#[test]
fn more_evidence_updates_the_alert_in_place_and_says_what_is_new() {
    let alert = raised(&["kvm"]);
    let written = bring(Some(&alert), draft(&["kvm", "vnc"], 0.95), AlertId::new(2, 2), at(1)).unwrap();
    assert_eq!((&written.alert.id, written.alert.version), (&alert.id, 2));
    assert_eq!(written.events[0].what, "new evidence: vnc was seen");
    assert!(written.material);
}

#[test]
fn a_resolved_alert_stays_resolved_on_the_evidence_it_was_resolved_on() {
    let alert = resolved(raised(&["kvm", "vnc"]), Disposition::FalsePositive);
    assert_eq!(bring(Some(&alert), draft(&["kvm"], 0.99), id(), at(1)), None);
    assert_eq!(bring(Some(&alert), draft(&["kvm", "vnc"], 0.99), id(), at(1)), None);
}

#[test]
fn new_evidence_reopens_a_resolved_alert_under_its_own_id() {
    let alert = resolved(raised(&["kvm"]), Disposition::FalsePositive);
    let written = bring(Some(&alert), draft(&["kvm", "hands"], 0.9), AlertId::new(9, 9), at(1)).unwrap();
    assert_eq!((&written.alert.id, written.alert.state), (&alert.id, AlertState::New));
    assert_eq!(written.alert.disposition, None);
    assert!(written.events[0].what.contains("was resolved as false positive"));
    assert!(written.events[0].what.contains("hands was seen"));
}

#[test]
fn a_tool_that_comes_back_reopens_a_breach_and_not_what_was_allowed() {
    let again = draft(&["vnc", "again:vnc|2"], 0.9);
    let breach = resolved(raised(&["vnc", "again:vnc|1"]), Disposition::PolicyBreach);
    assert!(bring(Some(&breach), again.clone(), id(), at(1)).is_some());
    let allowed = resolved(raised(&["vnc", "again:vnc|1"]), Disposition::Authorised);
    assert_eq!(bring(Some(&allowed), again, id(), at(1)), None);
}

#[test]
fn what_is_gone_stays_open_and_says_so_once_and_says_when_it_is_back() {
    let mut said = draft(&["vnc"], 0.0);
    said.posterior = None;
    let alert = bring(None, said.clone(), id(), at(0)).unwrap().alert;
    let quiet = no_longer_seen(&alert, at(5)).unwrap().alert;
    assert_eq!(quiet.state, AlertState::New);
    assert!(quiet.summary.contains("Not seen since 2026-"), "{}", quiet.summary);
    assert_eq!(no_longer_seen(&quiet, at(6)), None);
    let back = bring(Some(&quiet), said, id(), at(7)).unwrap();
    assert!(!back.alert.summary.contains("Not seen"));
    assert_eq!(back.events[0].what, "seen again");
}

#[test]
fn the_memory_for_evidence_is_bounded() {
    let many: Vec<String> = (0..1000).map(|n| format!("again:vnc|{n}")).collect();
    let alert = raised(&["vnc"]);
    let pieces: Vec<&str> = many.iter().map(String::as_str).collect();
    let written = bring(Some(&alert), draft(&pieces, 0.9), id(), at(1)).unwrap();
    assert_eq!(written.alert.evidence.len(), MOST_PIECES);
    assert!(written.events[0].what.ends_with("and 997 more"), "{}", written.events[0].what);
}

#[test]
fn small_steps_are_told_once_they_add_up() {
    let mut alert = raised(&["kvm"]);
    let mut told = Vec::new();
    for step in 1..=19 {
        let next = draft(&["kvm"], 0.8 - 0.03 * f64::from(step));
        let written = bring(Some(&alert), next, id(), at(i64::from(step))).unwrap();
        told.extend(written.material.then_some(step));
        alert = written.alert;
    }
    assert_eq!(told, [4, 8, 12, 16]);
}

#[test]
fn what_swings_about_a_limit_is_told_once() {
    let (mut alert, mut told) = (raised(&["kvm"]), 0);
    for step in 0..20 {
        let (posterior, severity) =
            if step % 2 == 0 { (0.84, Severity::Critical) } else { (0.78, Severity::High) };
        let next = Draft { severity, ..draft(&["kvm"], posterior) };
        let written = bring(Some(&alert), next, id(), at(step)).unwrap();
        told += u32::from(written.material);
        assert_eq!(written.alert.severity, severity, "it says what is");
        alert = written.alert;
    }
    assert_eq!(told, 1, "louder, once");
}
