//! From findings to probabilities: the device's three explanations, the site's three worlds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Group};
use crate::id::DeviceId;
use crate::waterfall::Bar;
use crate::weights::Weights;

/// A device, judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Everything that was found, counted or not.
    pub findings: Vec<Finding>,
    /// What counts, after groups and caps.
    pub bars: Vec<Bar>,
    /// Λ, the sum of the bars.
    pub llr: f64,
    /// B, likewise.
    pub honest_llr: f64,
    /// P(farm-operated).
    pub posterior: f64,
}

/// Judges one device by its findings.
///
/// Per group the strongest finding for and the strongest against count. What is left is grouped by cause,
/// and where the positive part of one cause exceeds the cap of its kind, all of it is scaled down alike.
pub fn device(findings: Vec<Finding>, weights: &Weights) -> Judged {
    let mut counted: BTreeMap<(Group, bool), &Finding> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.llr != 0.0 || f.honest_llr != 0.0) {
        let slot = counted.entry((finding.group, finding.llr < 0.0)).or_insert(finding);
        if finding.llr.abs() > slot.llr.abs() {
            *slot = finding;
        }
    }
    let mut by_cause: BTreeMap<&str, f64> = BTreeMap::new();
    for finding in counted.values().filter(|f| f.llr > 0.0) {
        *by_cause.entry(&finding.cause).or_default() += finding.llr;
    }
    let scale = |finding: &Finding| {
        let sum = by_cause.get(finding.cause.as_str()).copied().unwrap_or(0.0);
        let kind = finding.cause.split(':').next().unwrap_or_default();
        match weights.cap.get(kind) {
            Some(cap) if finding.llr > 0.0 && sum > *cap => cap / sum,
            _ => 1.0,
        }
    };
    let bars: Vec<Bar> = counted
        .values()
        .map(|finding| Bar {
            label: finding.group.label().to_owned(),
            rule: finding.rule.clone(),
            llr: finding.llr * scale(finding),
            honest_llr: Some(finding.honest_llr * scale(finding)),
            why: finding.why.clone(),
            device: None,
            facts: finding.facts.clone(),
        })
        .collect();
    let llr: f64 = bars.iter().map(|bar| bar.llr).sum();
    let honest_llr: f64 = bars.iter().filter_map(|bar| bar.honest_llr).sum();
    let posterior = device_posterior(llr, honest_llr, weights);
    Judged { findings, bars, llr, honest_llr, posterior }
}

/// `p_R e^Λ / (p_R e^Λ + p_B e^B + p_H)`.
pub fn device_posterior(llr: f64, honest_llr: f64, weights: &Weights) -> f64 {
    let (farm, honest) = (weights.prior.farm_operated, weights.prior.honest_remote);
    let terms = [farm.ln() + llr, honest.ln() + honest_llr, (1.0 - farm - honest).ln()];
    (terms[0] - ln_sum(&terms)).exp()
}

/// Evidence about a place, given that the laptops are together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceEvidence {
    /// Which evidence: the key of its weights.
    pub rule: String,
    /// ln P(evidence | farm) / P(evidence | ordinary).
    pub farm: f64,
    /// ln P(evidence | bench) / P(evidence | ordinary).
    pub bench: f64,
    /// In one sentence, with the numbers behind it.
    pub why: String,
}

/// A site, judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgedSite {
    /// P(farm).
    pub farm: f64,
    /// P(ordinary).
    pub ordinary: f64,
    /// P(bench).
    pub bench: f64,
    /// Its bars: the prior, the place's evidence, each device's term.
    pub bars: Vec<Bar>,
    /// P(farm-operated) of each device, given the rest of its site.
    pub devices: BTreeMap<DeviceId, f64>,
}

/// Judges a site exactly: a star from the world to each device's explanation to its facts.
///
/// `devices` are (id, Λ, B).
pub fn site(place: &[PlaceEvidence], devices: &[(DeviceId, f64, f64)], weights: &Weights) -> JudgedSite {
    let prior = &weights.prior;
    let model = &weights.site;
    let ordinary_prior = 1.0 - prior.farm_place - prior.bench_place;
    // ln of: facts of one device, in each world, against own hands
    let in_farm = |llr: f64| ln_mix(model.farm_operated_in_farm, llr);
    let in_ordinary = |honest: f64| ln_mix(model.honest_remote_in_ordinary, honest);
    let in_bench = |honest: f64| ln_mix(model.honest_remote_in_bench, honest);

    let mut bars = vec![Bar {
        label: "Prior".into(),
        rule: String::new(),
        llr: (prior.farm_place / ordinary_prior).ln(),
        honest_llr: None,
        why: format!("1 place in {:.0} is a farm", 1.0 / prior.farm_place),
        device: None,
        facts: Vec::new(),
    }];
    let mut farm = prior.farm_place.ln();
    let mut bench = prior.bench_place.ln();
    let mut ordinary = ordinary_prior.ln();
    for evidence in place {
        farm += evidence.farm;
        bench += evidence.bench;
        bars.push(Bar {
            label: "Place".into(),
            rule: evidence.rule.clone(),
            llr: evidence.farm,
            honest_llr: None,
            why: evidence.why.clone(),
            device: None,
            facts: Vec::new(),
        });
    }
    for (id, llr, honest) in devices {
        farm += in_farm(*llr);
        ordinary += in_ordinary(*honest);
        bench += in_bench(*honest);
        bars.push(Bar {
            label: "Laptop".into(),
            rule: "site.device".into(),
            llr: in_farm(*llr) - in_ordinary(*honest),
            honest_llr: None,
            why: format!("its own facts: Λ = {llr:.1}, B = {honest:.1}"),
            device: Some(id.clone()),
            facts: Vec::new(),
        });
    }
    let total = ln_sum(&[farm, ordinary, bench]);
    let farm = (farm - total).exp();
    let of_device = |llr: f64| farm * (model.farm_operated_in_farm.ln() + llr - in_farm(llr)).exp();
    JudgedSite {
        farm,
        ordinary: (ordinary - total).exp(),
        bench: (bench - total).exp(),
        bars,
        devices: devices.iter().map(|(id, llr, _)| (id.clone(), of_device(*llr))).collect(),
    }
}

/// ln(share · e^x + 1 − share), without overflow.
fn ln_mix(share: f64, x: f64) -> f64 {
    ln_sum(&[share.ln() + x, (1.0 - share).ln()])
}

/// ln Σ e^x, without overflow.
fn ln_sum(terms: &[f64]) -> f64 {
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + terms.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}
