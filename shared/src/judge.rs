//! From findings to probabilities: the device's three explanations, the site's three worlds.

mod site;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
pub use site::{JudgedSite, OwnFacts, PlaceEvidence, site};

use crate::finding::{Finding, Group};
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
/// Per group one finding for and one against count. Findings for a farm with one cause share the cap of its
/// kind: where their sum exceeds it, all of them are scaled down alike, B with Λ. Against counts the strongest
/// of each group; for counts, of each group, the one with which the sum after caps is the largest: mostly the
/// strongest, but where a cause has reached its cap, one of another cause. So more evidence for never lowers Λ.
/// B counts innocent twins as well, who show several of them at once ([`twins`]).
pub fn device(findings: Vec<Finding>, weights: &Weights) -> Judged {
    let mut counted = strongest_for(&findings, weights);
    counted.extend(strongest_against(&findings));
    counted.sort_by_key(|finding| (finding.group, finding.llr < 0.0));
    let sums = sums_by_cause(&counted);
    let ways = Ways::of(&counted, &sums, weights);
    let mut bars: Vec<Bar> = counted
        .iter()
        .map(|finding| {
            let scale = if finding.llr > 0.0 { scale(finding, &sums, weights) } else { 1.0 };
            Bar {
                label: finding.group.label().to_owned(),
                rule: finding.rule.clone(),
                llr: finding.llr * scale,
                honest_llr: Some(finding.honest_llr * scale * ways.share(finding)),
                why: finding.why.clone(),
                device: None,
                facts: finding.facts.clone(),
            }
        })
        .collect();
    // An empty sum of floats is −0.0, which reads as a finding.
    let llr: f64 = bars.iter().map(|bar| bar.llr).sum::<f64>() + 0.0;
    let mut honest_llr: f64 = bars.iter().filter_map(|bar| bar.honest_llr).sum::<f64>() + 0.0;
    if let Some(twin) = twins::bar(&counted, &sums, honest_llr, weights) {
        honest_llr += twin.honest_llr.unwrap_or(0.0);
        bars.push(twin);
    }
    let posterior = device_posterior(llr, honest_llr, weights);
    Judged { findings, bars, llr, honest_llr, posterior }
}

/// Ways in of different kinds: a program, a box. Somebody honest who has one seldom needs another, so B counts the
/// strongest in full and the others to a bound; Λ counts all.
struct Ways {
    /// Sum of B by kind of cause, with what of it counts.
    by_kind: BTreeMap<String, (f64, f64)>,
}

/// Kinds of causes that are ways in.
const WAYS: [&str; 2] = ["tool", "kvm"];

impl Ways {
    fn of(counted: &[&Finding], sums: &BTreeMap<&str, f64>, weights: &Weights) -> Self {
        let mut by_kind: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for finding in counted.iter().filter(|f| f.llr > 0.0 && WAYS.contains(&kind(f))) {
            by_kind.entry(kind(finding).to_owned()).or_default().0 +=
                finding.honest_llr * scale(finding, sums, weights);
        }
        let strongest = by_kind.iter().max_by(|a, b| a.1.0.total_cmp(&b.1.0)).map(|(kind, _)| kind.clone());
        for (kind, (sum, counts)) in &mut by_kind {
            let full = strongest.as_ref() == Some(kind);
            *counts = if full { *sum } else { sum.min(weights.second_way.honest) };
        }
        Self { by_kind }
    }

    /// What of a finding's B counts.
    fn share(&self, finding: &Finding) -> f64 {
        match self.by_kind.get(kind(finding)) {
            Some((sum, counts)) if finding.llr > 0.0 && *sum > 0.0 => counts / sum,
            _ => 1.0,
        }
    }
}

/// The kind of a finding's cause: the word before its colon.
fn kind(finding: &Finding) -> &str {
    finding.cause.split(':').next().unwrap_or_default()
}

/// Of each group the finding against that weighs most.
fn strongest_against(findings: &[Finding]) -> Vec<&Finding> {
    let mut of_group: BTreeMap<Group, &Finding> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.llr < 0.0) {
        let slot = of_group.entry(finding.group).or_insert(finding);
        if finding.llr < slot.llr {
            *slot = finding;
        }
    }
    of_group.into_values().collect()
}

/// Most causes of one group that are tried; rules name fewer that several groups share.
const MOST_CHOICES: usize = 4;

/// Of each group one finding for, such that the sum after caps is the largest.
fn strongest_for<'a>(findings: &'a [Finding], weights: &Weights) -> Vec<&'a Finding> {
    let mut of_group: BTreeMap<Group, BTreeMap<&str, &Finding>> = BTreeMap::new();
    let mut groups_of: BTreeMap<&str, BTreeSet<Group>> = BTreeMap::new();
    let is_for = |f: &&Finding| f.llr > 0.0 || (f.llr == 0.0 && f.honest_llr != 0.0);
    for finding in findings.iter().filter(is_for) {
        groups_of.entry(&finding.cause).or_default().insert(finding.group);
        let slot = of_group.entry(finding.group).or_default().entry(&finding.cause).or_insert(finding);
        if finding.llr > slot.llr {
            *slot = finding;
        }
    }
    let alone = |finding: &Finding| finding.llr.min(cap(finding, weights));
    let choices: Vec<Vec<&Finding>> = of_group
        .into_values()
        .map(|by_cause| {
            let mut all: Vec<&Finding> = by_cause.into_values().collect();
            all.sort_by(|a, b| alone(b).total_cmp(&alone(a)));
            // Of causes that are this group's only, the first is the best whatever the others choose.
            let mut own_cause_taken = false;
            all.retain(|f| {
                groups_of[f.cause.as_str()].len() > 1 || !std::mem::replace(&mut own_cause_taken, true)
            });
            all.truncate(MOST_CHOICES);
            all
        })
        .collect();
    best_of(&choices, &mut Vec::new(), weights).1
}

/// Tries every choice of one finding a group; the sum after caps and the choice.
fn best_of<'a>(
    choices: &[Vec<&'a Finding>],
    chosen: &mut Vec<&'a Finding>,
    weights: &Weights,
) -> (f64, Vec<&'a Finding>) {
    let Some((group, rest)) = choices.split_first() else {
        let sums = sums_by_cause(chosen);
        let total = chosen.iter().map(|f| f.llr * scale(f, &sums, weights)).sum();
        return (total, chosen.clone());
    };
    let mut best: Option<(f64, Vec<&Finding>)> = None;
    for finding in group {
        chosen.push(finding);
        let tried = best_of(rest, chosen, weights);
        chosen.pop();
        if best.as_ref().is_none_or(|(most, _)| tried.0 > *most) {
            best = Some(tried);
        }
    }
    best.unwrap_or_default()
}

fn sums_by_cause<'a>(findings: &[&'a Finding]) -> BTreeMap<&'a str, f64> {
    let mut sums = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.llr > 0.0) {
        *sums.entry(finding.cause.as_str()).or_default() += finding.llr;
    }
    sums
}

/// What a finding for keeps of itself under its cause's cap.
fn scale(finding: &Finding, sums: &BTreeMap<&str, f64>, weights: &Weights) -> f64 {
    let sum = sums.get(finding.cause.as_str()).copied().unwrap_or(0.0);
    let cap = cap(finding, weights);
    if sum > cap { cap / sum } else { 1.0 }
}

/// The cap of the kind of a finding's cause.
fn cap(finding: &Finding, weights: &Weights) -> f64 {
    weights.cap.get(kind(finding)).copied().unwrap_or(f64::INFINITY)
}

/// `p_R e^Λ / (p_R e^Λ + p_B e^B + p_H)`.
pub fn device_posterior(llr: f64, honest_llr: f64, weights: &Weights) -> f64 {
    let (farm, honest) = (weights.prior.farm_operated, weights.prior.honest_remote);
    let terms = [farm.ln() + llr, honest.ln() + honest_llr, (1.0 - farm - honest).ln()];
    (terms[0] - ln_sum(&terms)).exp()
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

#[cfg(test)]
mod tests;
