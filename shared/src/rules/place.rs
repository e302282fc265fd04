//! Where the laptop is, against where its person should be.
//!
//! - **Physical cause**: a farm stands where the facilitator lives, not where the hired person says to live.
//!   Cause `place`.
//! - **Cap**: assumption.
//! - **Innocent twins**: people who moved, travel, or work from a partner's place; a foreign mobile line.
//! - **Defeated by** a facilitator in the right country, which is what farms are for. Sanctioned places say
//!   nothing.

use super::{Evidence, finding};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["place.unexpected_country"];

/// What the country of the public address says.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let context = evidence.context;
    let (Some(seen), Some(expected)) = (&context.country, &context.expected_country) else {
        return Vec::new();
    };
    if context.sanctioned_place || expected.is_empty() || seen.eq_ignore_ascii_case(expected) {
        return Vec::new();
    }
    let why = format!("its public address is in {seen}, and its person should be in {expected}");
    let found = finding(weights, "place.unexpected_country", Group::Place, "place", why);
    vec![Finding { technique: Some("T1078".into()), ..found }]
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
}
