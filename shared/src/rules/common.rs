//! What many of the fleet's laptops have says little of one of them.
//!
//! Whatever weight a tool has by itself: where n of the N other laptops have it in the same way (it can be used unattended, it
//! runs, it is part of the system), P(it | own hands) is about n / N, for hardly any of them is a farm's, and neither Λ nor B can
//! be above ln N / n. A company whose IT forgot to sanction its own tool has no farm of all its laptops. The collector counts,
//! and laptops of the same place are not others; see its `correlate::prevalence`.
//!
//! - **Innocent twins**: this is one.
//! - **Defeated by** the tool that the fleet has anyway: then the rest of what a laptop shows has to tell.

use std::collections::BTreeMap;
use std::fmt;

use crate::facts::{Family as _, RemoteTool};
use crate::finding::{Finding, Group};
use crate::state::FactKey;

/// The finding of several tools side by side.
const SEVERAL: &str = "remote_control.several";

/// Between two shares that are told apart.
const STEP: f64 = 1.25;

/// Of the fleet's other laptops, how many have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Those that have it.
    pub with: u64,
    /// All of them.
    pub of: u64,
}

impl Share {
    /// One laptop in so many has it, in steps of a quarter: one laptop more changes nothing that is written of all others.
    pub fn one_in(self) -> f64 {
        let ratio = (self.of as f64 / self.with.max(1) as f64).max(1.0);
        STEP.powf((ratio.ln() / STEP.ln()).floor())
    }

    /// The most, in nats, that having it says of a laptop.
    pub fn bound(self) -> f64 {
        self.one_in().ln()
    }
}

/// A share in words: `51 %`, `0.8 %`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 / self.one_in();
        if percent < 10.0 { write!(f, "{percent:.1} %") } else { write!(f, "{percent:.0} %") }
    }
}

/// What a finding rests on, the same text for each laptop that has it: the rule and the tools. `None` of what is no tool's.
pub fn what(finding: &Finding) -> Option<String> {
    let of_tools = finding.group == Group::RemoteControl && finding.llr > 0.0 && !finding.facts.is_empty();
    let tools = || finding.facts.iter().filter(|key| key.family() == RemoteTool::NAME).map(FactKey::name);
    let all = of_tools && tools().count() == finding.facts.len();
    all.then(|| format!("{}/{}", finding.rule, tools().collect::<Vec<_>>().join("+")))
}

/// Bounds the findings of which much of the fleet has the same, by [`what`]. Several tools side by side then say no more than
/// each of them by itself does.
pub fn bound(findings: &mut [Finding], shares: &BTreeMap<String, Share>) {
    if shares.is_empty() {
        return;
    }
    for finding in findings.iter_mut() {
        let share = what(finding).and_then(|what| shares.get(&what).copied());
        let Some(share) = share.filter(|share| share.bound() < finding.llr.max(finding.honest_llr)) else {
            continue;
        };
        finding.llr = finding.llr.min(share.bound());
        finding.honest_llr = finding.honest_llr.min(share.bound());
        let why = &finding.why;
        finding.why =
            format!("{why}; about {share} of the other laptops have the same, and IT has not said why");
    }
    let mut says: BTreeMap<FactKey, (f64, f64)> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.group == Group::RemoteControl) {
        if let [tool] = finding.facts.as_slice() {
            let (llr, honest) = says.entry(tool.clone()).or_default();
            (*llr, *honest) = (llr.max(finding.llr), honest.max(finding.honest_llr));
        }
    }
    for several in findings.iter_mut().filter(|finding| finding.rule == SEVERAL) {
        let each: Option<Vec<(f64, f64)>> =
            several.facts.iter().map(|tool| says.get(tool).copied()).collect();
        let Some(each) = each else { continue };
        let (llr, honest) = each.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if llr < several.llr || honest < several.honest_llr {
            several.llr = several.llr.min(llr);
            several.honest_llr = several.honest_llr.min(honest);
            several.why.push_str("; much of the fleet has one of them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::super::{Context, findings};
    use super::*;
    use crate::facts::{Seen, SeenBy, ToolClass};
    use crate::weights::Weights;

    fn all(ids: &[&str]) -> Vec<Finding> {
        let mut case = Case { context: Context::default(), ..Case::default() };
        for id in ids {
            let seen = vec![Seen { by: SeenBy::Process, what: (*id).into() }];
            let (name, class) = ((*id).into(), ToolClass::RemoteDesktop);
            case.state.put(id, &RemoteTool { name, class, seen, serving: true, ..RemoteTool::default() });
        }
        let all = findings(&case.evidence(), &Weights::shipped());
        all.into_iter().filter(|found| found.group == Group::RemoteControl).collect()
    }

    fn found(id: &str) -> Vec<Finding> {
        all(&[id]).into_iter().filter(|found| found.rule == "remote_control.unattended").collect()
    }

    #[test]
    fn a_tool_on_half_of_the_fleet_says_hardly_anything_and_a_rare_one_says_what_it_says() {
        let whole = found("anydesk");
        let shares = |with| {
            BTreeMap::from([("remote_control.unattended/anydesk".to_owned(), Share { with, of: 1000 })])
        };
        let mut common = whole.clone();
        bound(&mut common, &shares(500));
        assert!((common[0].llr - 2f64.ln()).abs() < 0.23, "{common:?}");
        assert!(common[0].honest_llr <= common[0].llr, "{common:?}");
        insta::assert_snapshot!(common[0].why.rsplit("; ").next().unwrap(), @"about 51 % of the other laptops have the same, and IT has not said why");
        let mut one_more = whole.clone();
        bound(&mut one_more, &shares(501));
        assert_eq!(one_more, common, "one laptop more is nothing to write");
        let (mut rare, mut other) = (whole.clone(), found("rustdesk"));
        let unbounded = other.clone();
        bound(&mut rare, &shares(5));
        bound(&mut other, &shares(500));
        assert_eq!((rare, other), (whole, unbounded));
    }

    #[test]
    fn more_than_all_is_nothing_and_no_wonder() {
        let mut all = found("anydesk");
        bound(
            &mut all,
            &BTreeMap::from([("remote_control.unattended/anydesk".to_owned(), Share { with: 9, of: 3 })]),
        );
        assert_eq!((all[0].llr, all[0].honest_llr), (0.0, 0.0));
    }

    #[test]
    fn several_tools_say_no_more_than_each_of_them_together() {
        let several = |ids: &[&str], with: u64| {
            let what = "remote_control.unattended/anydesk".to_owned();
            let mut all = all(ids);
            bound(&mut all, &BTreeMap::from([(what, Share { with, of: 1000 })]));
            all.into_iter().find(|found| found.rule == SEVERAL).unwrap()
        };
        let (alone, whole) = (found("rustdesk")[0].llr, several(&["rustdesk", "x11vnc"], 900).llr);
        assert!(whole > alone, "two that the fleet does not have are several");
        assert!((several(&["anydesk", "rustdesk"], 1000).llr - alone).abs() < 1e-9, "all have the one");
        assert!(several(&["anydesk", "rustdesk"], 900).why.ends_with("much of the fleet has one of them"));
        let (some, few) =
            (several(&["anydesk", "rustdesk"], 500).llr, several(&["anydesk", "rustdesk"], 12).llr);
        assert!(alone < some && some < few && few <= whole, "{alone} {some} {few} {whole}");
        assert!((several(&["anydesk", "rustdesk", "x11vnc"], 900).llr - whole).abs() < 1e-9);
    }
}
