//! The waterfall: an alert's sum of log-likelihood ratios, bar by bar, as an analyst reads it.

use serde::{Deserialize, Serialize};

use crate::id::DeviceId;
use crate::judge::Judged;
use crate::state::FactKey;
use crate::weights::Weights;

/// One summand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// A few words: the group's label, the kind of evidence about a place, or `prior`.
    pub label: String,
    /// Rule or evidence that it comes from; empty for the prior.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// What it adds in nats, after caps, to ln P(farm) / P(not farm) of the alert.
    pub llr: f64,
    /// For a device's findings: B, likewise after caps. `None` for what has no pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honest_llr: Option<f64>,
    /// In one sentence.
    pub why: String,
    /// Whose facts, where the alert has several devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The facts behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactKey>,
}

/// A device's waterfall: what is likely before anything is seen, its findings, and what honest remote use explains of
/// them. The bars sum to ln P(farm-operated) / P(not farm-operated).
pub fn of_device(judged: &Judged, weights: &Weights) -> Vec<Bar> {
    let (farm, remote) = (weights.prior.farm_operated, weights.prior.honest_remote);
    let not_farm = 1.0 - farm;
    let plain = |label: &str, llr: f64, why: String| Bar {
        label: label.to_owned(),
        rule: String::new(),
        llr,
        honest_llr: None,
        why,
        device: None,
        facts: Vec::new(),
    };
    let prior =
        plain("Prior", (farm / not_farm).ln(), format!("1 laptop in {:.0} is farm-operated", 1.0 / farm));
    // ln of: the findings if not farm-operated (honestly remote, or its own person's hands), against own hands alone.
    // With B = 0 they explain nothing, whatever the prior says of remote use.
    let share = remote / not_farm;
    let explained = (share * judged.honest_llr.exp() + 1.0 - share).ln();
    let honest = plain(
        "Honest remote use",
        -explained + 0.0,
        format!(
            "its own person from elsewhere, or IT's support, shows such things too: 1 laptop in {:.0}, B = {:+.1}",
            1.0 / remote,
            judged.honest_llr
        ),
    );
    let says_something = explained.abs() >= 0.005;
    let bars = std::iter::once(prior).chain(judged.bars.iter().cloned());
    bars.chain(says_something.then_some(honest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Group;
    use crate::judge;
    use crate::rules::finding;

    #[test]
    fn a_laptops_bars_sum_to_its_log_odds() {
        let weights = Weights::shipped();
        for ids in [&["usb.known_kvm"][..], &["usb.known_kvm", "hands.nobody"], &["hands.own"], &[]] {
            let groups = [Group::UsbHid, Group::Hands];
            let found = ids.iter().zip(groups).map(|(id, group)| finding(&weights, id, group, "kvm", "why"));
            let judged = judge::device(found.collect(), &weights);
            let sum: f64 = of_device(&judged, &weights).iter().map(|bar| bar.llr).sum();
            let odds = (judged.posterior / (1.0 - judged.posterior)).ln();
            assert!((sum - odds).abs() < 0.01, "{ids:?}: {sum} and {odds}");
        }
    }
}
