//! The laptop's time zone, against the place it is in.
//!
//! - **Physical cause**: an operator far away sets the clock to their own day. Cause `clock`.
//! - **Cap**: assumption.
//! - **Innocent twins**: frequent travellers; people who keep their home's time. The rule sees only that it is
//!   so now, not for how long.
//! - **Defeated by** leaving the clock alone.
//!
//! Keyboard layouts and languages point at origin, not at conduct: no rule judges them.

use super::{Evidence, finding};
use crate::facts::Locale;
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["locale.time_zone"];

/// Name, country or `-`, standard offset from UTC in minutes: written by `tests/learn/zones.py`.
const ZONES: &str = include_str!("zones.tsv");

/// Farther than an hour: neighbours keep neighbouring time.
const NEAR_MINUTES: i32 = 60;

/// What the time zone says.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let context = evidence.context;
    let zone = evidence.state.get::<Locale>("self").and_then(|locale| locale.time_zone.as_deref());
    let (Some(zone), Some(country)) = (zone, &context.country) else { return Vec::new() };
    if context.sanctioned_place || fits(zone, country) {
        return Vec::new();
    }
    let why = format!("its clock keeps the time of {zone}, and its public address is in {country}");
    let found = finding(weights, "locale.time_zone", Group::Locale, "clock", why);
    vec![Finding { facts: vec![FactKey::of::<Locale>("self")], ..found }]
}

/// Whether a zone's time is kept in a country or next to it. What is not known fits.
fn fits(zone: &str, country: &str) -> bool {
    let zones = || ZONES.lines().filter_map(parse);
    let Some((_, _, offset)) = zones().find(|(name, ..)| *name == zone) else { return true };
    let mut of_country = zones().filter(|(_, code, _)| code.eq_ignore_ascii_case(country)).peekable();
    of_country.peek().is_none() || of_country.any(|(_, _, other)| (other - offset).abs() <= NEAR_MINUTES)
}

fn parse(line: &str) -> Option<(&str, &str, i32)> {
    let mut fields = line.split('\t');
    Some((fields.next()?, fields.next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn a_clock_of_another_continent_does_not_fit_and_a_neighbours_does() {
        assert!(!fits("Asia/Shanghai", "US"));
        assert!(fits("America/New_York", "US"));
        assert!(fits("Europe/Berlin", "GB"), "an hour apart");
        assert!(fits("Asia/Calcutta", "IN"), "an old spelling");
        assert!(fits("UTC", "US") && fits("Mars/Olympus", "US") && fits("Europe/Paris", "ZZ"));
    }

    #[test]
    fn the_table_reads_whole() {
        assert_eq!(ZONES.lines().filter_map(parse).count(), ZONES.lines().count());
    }

    #[test]
    fn without_a_country_nothing_is_said() {
        let mut case = Case::default();
        let locale = Locale { time_zone: Some("Asia/Shanghai".into()), ..Locale::default() };
        case.state.put("self", &locale);
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
        case.context.country = Some("US".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped()).len(), 1);
    }
}
