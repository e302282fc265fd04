//! Device alerts: one laptop's probability of being farm-operated crosses the threshold.

use farmwatch_shared::judge::Judged;
use farmwatch_shared::waterfall;
use farmwatch_shared::weights::Weights;

use super::life::{Draft, Piece};
use super::words;
use crate::store::{AlertKind, Device, Severity};

/// Key of a device's alert.
pub fn key(device: &Device) -> String {
    format!("device/{}", device.id)
}

/// The draft for a device, whatever its probability: whether there is an alert is for the threshold, or for the
/// alert that is there already.
pub fn draft(device: &Device, judged: &Judged, weights: &Weights) -> Draft {
    Draft {
        key: key(device),
        kind: AlertKind::Device,
        severity: severity(judged.posterior, weights.threshold.device),
        title: format!("{} may be remotely operated", words::name(device)),
        summary: summary(device, judged, weights),
        devices: vec![device.id.clone()],
        site: None,
        posterior: Some(judged.posterior),
        waterfall: waterfall::of_device(judged, weights),
        evidence: evidence(judged),
        absorbed_by: None,
    }
}

/// What speaks for it, piece by piece: everything that was found, so that what was once weighed is not new when
/// another rule of its group falls silent.
pub fn evidence(judged: &Judged) -> Vec<Piece> {
    judged
        .findings
        .iter()
        .filter(|finding| finding.llr > 0.0)
        .map(|finding| Piece { id: format!("{}|{}", finding.rule, finding.cause), why: finding.why.clone() })
        .collect()
}

fn severity(posterior: f64, threshold: f64) -> Severity {
    if posterior >= 0.9 {
        Severity::Critical
    } else if posterior >= threshold {
        Severity::High
    } else {
        Severity::Medium
    }
}

fn summary(device: &Device, judged: &Judged, weights: &Weights) -> String {
    let name = words::name(device);
    let opening = if judged.posterior >= weights.threshold.device {
        format!("What {name} shows is consistent with a remotely operated laptop")
    } else {
        format!("What {name} shows has fallen below the threshold for an alert")
    };
    let supports = words::list(judged.bars.iter().filter(|bar| bar.llr > 0.0));
    // With what honest remote use explains, as the waterfall has it.
    let bars = waterfall::of_device(judged, weights);
    let against = words::list(bars.iter().skip(1).filter(|bar| bar.llr < 0.0));
    let against = if against.is_empty() {
        "Nothing speaks against it.".to_owned()
    } else {
        format!("Against it:\n{against}")
    };
    let now = if judged.posterior >= weights.threshold.device { NOW } else { words::BELOW };
    format!(
        "{opening}: probability {}, where 1 laptop in {:.0} is one before anything is seen. This says how the laptop is \
         worked on, not by whom.\n\nFor it:\n{supports}\n\n{against}\n\n\
         What would clear it: weeks of work with the laptop's own keyboard and touchpad, the devices or tools \
         above explained by IT, or its person seen at the laptop (a call with the camera on, a visit).\n\n\
         What to do now: {now}.",
        words::probability(judged.posterior),
        1.0 / weights.prior.farm_operated,
    )
}

const NOW: &str = "do not contact the person through this laptop. Check with their manager and HR, compare sign-ins, then \
                   isolate if the doubt stands";
