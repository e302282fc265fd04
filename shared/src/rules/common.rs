//! What many of the fleet's laptops have says little of one of them.
//!
//! Whatever weight a tool has by itself: where n of the N other laptops have it in the same way (it waits, it runs, somebody is
//! in), P(it | own hands) is about n / N, for hardly any of them is a farm's, and neither Λ nor B can be above ln N / n. A
//! company whose IT forgot to sanction its own tool has no farm of all its laptops. The collector counts, and laptops of the
//! same place are not others; see its `correlate::prevalence`.
//!
//! - **Innocent twins**: this is one.
//! - **Defeated by** the tool that the fleet has anyway: then the rest of what a laptop shows has to tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Family as _, RemoteTool};
use crate::finding::{Finding, Group};
use crate::state::FactKey;

/// The finding of several tools side by side.
const SEVERAL: &str = "remote_control.several";

/// Of the fleet's other laptops, how many have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Those that have it.
    pub with: u64,
    /// All of them.
    pub of: u64,
}

impl Share {
    /// The most, in nats, that having it says of a laptop.
    pub fn bound(self) -> f64 {
        (self.of as f64 / self.with.max(1) as f64).ln().max(0.0)
    }
}

/// What a finding rests on, the same text for each laptop that has it: the rule and the tools. `None` of what is no tool's.
pub fn what(finding: &Finding) -> Option<String> {
    let of_tools = finding.group == Group::RemoteControl && finding.llr > 0.0 && !finding.facts.is_empty();
    let tools = || finding.facts.iter().filter(|key| key.family() == RemoteTool::NAME).map(FactKey::name);
    let all = of_tools && tools().count() == finding.facts.len();
    all.then(|| format!("{}/{}", finding.rule, tools().collect::<Vec<_>>().join("+")))
}

/// Bounds the findings of which much of the fleet has the same, by [`what`]. Several tools of which all but one are the
/// fleet's are that one.
pub fn bound(findings: &mut Vec<Finding>, shares: &BTreeMap<String, Share>) {
    if shares.is_empty() {
        return;
    }
    let common: BTreeSet<&str> = shares.keys().filter_map(|what| Some(what.split_once('/')?.1)).collect();
    findings.retain(|finding| {
        let of_several = finding.rule == SEVERAL;
        let rare = finding.facts.iter().filter(|key| !common.contains(key.name())).count();
        !of_several || rare > 1 || rare == finding.facts.len()
    });
    for finding in findings {
        let share = what(finding).and_then(|what| shares.get(&what).copied());
        let Some(share) = share.filter(|share| share.bound() < finding.llr.max(finding.honest_llr)) else {
            continue;
        };
        finding.llr = finding.llr.min(share.bound());
        finding.honest_llr = finding.honest_llr.min(share.bound());
        let Share { with, of } = share;
        let why = &finding.why;
        finding.why = format!("{why}; it is so on {with} of {of} other laptops, and IT has not said why");
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
        assert!(
            (common[0].llr - 2f64.ln()).abs() < 1e-9 && common[0].honest_llr <= common[0].llr,
            "{common:?}"
        );
        insta::assert_snapshot!(common[0].why.rsplit("; ").next().unwrap(), @"it is so on 500 of 1000 other laptops, and IT has not said why");
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
    fn one_tool_beside_the_fleets_own_is_one_and_two_beside_it_are_several() {
        let shares =
            BTreeMap::from([("remote_control.unattended/anydesk".to_owned(), Share { with: 90, of: 100 })]);
        let several = |ids: &[&str]| {
            let mut all = all(ids);
            bound(&mut all, &shares);
            all.iter().any(|found| found.rule == SEVERAL)
        };
        assert!(!several(&["anydesk", "rustdesk"]));
        assert!(several(&["anydesk", "rustdesk", "x11vnc"]));
        assert!(several(&["rustdesk", "x11vnc"]));
    }
}
