//! Innocent twins: honest people of whom everything that a farm's laptop shows is true as well.
//!
//! Somebody whose laptop lies in a drawer shows a waiting tool, input of software on every single day, and nobody's
//! hands, all at once. Taken finding by finding that is rare among the honest, and their product far rarer than such
//! people are. So each twin is an explanation of its own, with its rate as its prior: however much of what it shows is
//! found, a farm is no likelier against it than one is against the other before anything is seen. What it does *not*
//! show tells them apart, and counts in full.
//!
//! ```text
//! B' = ln( e^B + Σ_t  r_t / (p_B · a_t) · e^(T_t) )      T_t = Σ Λ of what it shows + Σ B of what speaks against
//! ```
//!
//! r is the twin's rate, p_B the prior of honest remote work, a the share of farm laptops that are operated in this way.

use std::collections::BTreeMap;

use super::{kind, scale};
use crate::finding::Finding;
use crate::waterfall::Bar;
use crate::weights::{Twin, Weights};

/// What the likeliest twin adds to B, as a bar; `None` where there is none to speak of.
pub fn bar(
    counted: &[&Finding],
    sums: &BTreeMap<&str, f64>,
    honest_llr: f64,
    weights: &Weights,
) -> Option<Bar> {
    let could_be =
        weights.twin.iter().filter(|(_, twin)| counted.iter().any(|f| twin.needs.contains(&f.rule)));
    let explained = could_be.map(|(name, twin)| {
        let weight = twin.rate / (twin.alike * weights.prior.honest_remote);
        (name, twin, weight.ln() + facts(twin, counted, sums, weights) - honest_llr)
    });
    let explained: Vec<(&String, &Twin, f64)> = explained.collect();
    let (name, twin, _) = explained.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
    let more = explained.iter().map(|(.., nats)| nats.exp()).sum::<f64>().ln_1p();
    (more >= WORTH_A_WORD).then(|| Bar {
        label: "Innocent twin".into(),
        rule: format!("twin.{name}"),
        llr: 0.0,
        honest_llr: Some(more),
        why: format!("{} shows this too, 1 laptop in {:.0}", twin.what, 1.0 / twin.rate),
        device: None,
        facts: Vec::new(),
    })
}

/// Less than this changes nothing that anybody reads.
const WORTH_A_WORD: f64 = 0.01;

/// ln P(findings | twin) / P(findings | own hands).
fn facts(twin: &Twin, counted: &[&Finding], sums: &BTreeMap<&str, f64>, weights: &Weights) -> f64 {
    let shows =
        |finding: &Finding| twin.shows.iter().any(|name| *name == finding.rule || name == kind(finding));
    let each = counted.iter().map(|finding| match finding.llr {
        against if against < 0.0 => finding.honest_llr,
        llr if shows(finding) => llr * scale(finding, sums, weights),
        _ => 0.0,
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::super::device;
    use super::super::tests::found;
    use super::*;
    use crate::finding::Group;

    fn drawer() -> Vec<Finding> {
        let weights = Weights::shipped();
        let with = |rule: &str, group, cause: &str| {
            let pair = &weights.rule[rule];
            Finding { rule: rule.into(), ..found(group, cause, pair.farm, pair.honest) }
        };
        vec![
            with("remote_control.unattended", Group::RemoteControl, "tool:anydesk"),
            with("input.only_software", Group::Input, "injected"),
        ]
    }

    /// One in 1,000 against half of one in 10,000.
    #[test]
    fn a_laptop_in_a_drawer_is_as_likely_a_farms_as_farms_are_to_drawers() {
        let weights = Weights::shipped();
        let judged = device(drawer(), &weights);
        let at_most = weights.prior.farm_operated * 0.5 / 1e-3;
        assert!(judged.posterior < at_most && judged.posterior > at_most / 3.0, "{judged:?}");
        assert!(judged.bars.iter().any(|bar| bar.rule == "twin.drawer"), "{judged:?}");
        assert!(judged.posterior < weights.threshold.device);
    }

    #[test]
    fn what_a_drawer_shows_in_sum_weighs_no_more_however_strong_it_is() {
        let weights = Weights::shipped();
        let mut strong = drawer();
        strong[0].llr += 10.0;
        let at_most = weights.prior.farm_operated * 0.5 / 1e-3;
        assert!(device(strong, &weights).posterior < at_most);
    }

    #[test]
    fn what_no_drawer_shows_counts_in_full() {
        let weights = Weights::shipped();
        let odds = |p: f64| (p / (1.0 - p)).ln();
        let before = odds(device(drawer(), &weights).posterior);
        let mut among_others = drawer();
        among_others.push(found(Group::Place, "others", 3.0, 0.0));
        let after = odds(device(among_others, &weights).posterior);
        assert!((after - before - 3.0).abs() < 1e-6, "{before} {after}");
    }

    #[test]
    fn a_tool_alone_is_nobodys_twin() {
        let mut tool = drawer();
        tool.truncate(1);
        let judged = device(tool, &Weights::shipped());
        assert!(judged.bars.iter().all(|bar| !bar.rule.starts_with("twin.")), "{judged:?}");
    }
}
