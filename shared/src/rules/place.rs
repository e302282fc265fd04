//! Where the laptop is, against where its person should be, and what stands around it.
//!
//! - **Physical cause**: a farm stands where the facilitator lives, not where the hired person says to live (cause `place`),
//!   and the laptops of many companies stand in it (cause `others`).
//! - **Cap**: assumption.
//! - **Innocent twins**: people who moved, travel, or work from a partner's place; a foreign mobile line. Flats and shared
//!   workspaces, where people work with their own hands, or carry the laptop away each night.
//! - **Once**: of laptops of ours that stand together, the collector judges the place, so what is around them counts there.
//! - **Defeated by** a facilitator in the right country, which is what farms are for; an uplink for each laptop, and Wi-Fi
//!   with random addresses. Sanctioned places say nothing.

use super::{Evidence, finding};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["place.unexpected_country", "place.among_others"];

/// Fewer pieces of strange hardware are a family's, or a flat's.
const FEWEST: usize = 5;
/// So many count in full.
const MANY: usize = 12;

/// How much of its weight strange hardware has, by how much of it there is: half of it from five pieces on, all of it from
/// twelve. `None` for fewer.
pub fn share_of(hardware: usize) -> Option<f64> {
    let more = hardware.checked_sub(FEWEST)?;
    Some((0.5 + 0.5 * more as f64 / (MANY - FEWEST) as f64).min(1.0))
}

/// What the country of the public address says, and the network that it stands on.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    [unexpected_country, among_others].iter().filter_map(|rule| rule(evidence, weights)).collect()
}

fn unexpected_country(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let (seen, expected) = (evidence.context.country.as_ref()?, evidence.context.expected_country.as_ref()?);
    if evidence.context.sanctioned_place || expected.is_empty() || seen.eq_ignore_ascii_case(expected) {
        return None;
    }
    let why = format!("its public address is in {seen}, and its person should be in {expected}");
    let found = finding(weights, "place.unexpected_country", Group::Place, "place", why);
    Some(Finding { technique: Some("T1078".into()), ..found })
}

fn among_others(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let hardware = evidence.context.strange_hardware;
    let share = share_of(hardware)?;
    let why = format!(
        "network hardware of {hardware} laptops and docks that are not ours stands on the same network"
    );
    let mut found = finding(weights, "place.among_others", Group::Place, "others", why);
    (found.llr, found.honest_llr) = (found.llr * share, found.honest_llr * share);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn a_laptop_meant_for_new_york_at_work_in_london_is_found() {
        let mut case = Case::default();
        case.context.country = Some("GB".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
        case.context.expected_country = Some("US".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped())[0].rule, "place.unexpected_country");
        case.context.country = Some("us".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }

    #[test]
    fn a_partners_laptop_and_dock_say_nothing_and_a_shelf_of_laptops_does() {
        let weighs = |hardware| {
            let mut case = Case::default();
            // Behind the company's exit, too.
            (case.context.strange_hardware, case.context.sanctioned_place) = (hardware, true);
            rule(&case.evidence(), &Weights::shipped()).iter().map(|found| found.llr).sum::<f64>()
        };
        assert!(weighs(4) == 0.0 && weighs(5) > 1.0 && weighs(12) > weighs(5));
        assert!((weighs(12) - weighs(60)).abs() < 1e-9);
    }
}
