//! Always awake, and in use for more hours than one person works.
//!
//! - **Physical cause**: two operators in shifts, or one with several laptops; the laptop never sleeps because
//!   nobody is there to wake it. Cause `hours`.
//! - **Cap**: assumption.
//! - **Innocent twins**: build machines and other jobs keep a laptop awake but send no input: only hours with
//!   input count. Night owls do not work fourteen hours a day for a week.
//! - **Defeated by** keeping office hours.

use std::collections::BTreeMap;

use super::{Evidence, finding};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["power.always_in_use"];

const DAYS: usize = 7;
const HOURS_A_DAY: f64 = 14.0;
/// A window counts as in use from this many active seconds on.
const IN_USE_SECONDS: u16 = 30;

/// What the hours in use say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let mut hours: BTreeMap<i64, f64> = BTreeMap::new();
    for window in evidence.windows.iter().filter(|w| w.active_seconds() >= IN_USE_SECONDS) {
        *hours.entry(window.start.as_second().div_euclid(86_400)).or_default() += 1.0 / 12.0;
    }
    // The first and last day are parts of days.
    let whole: Vec<f64> = hours.values().copied().skip(1).take(hours.len().saturating_sub(2)).collect();
    let mean = whole.iter().sum::<f64>() / whole.len().max(1) as f64;
    if whole.len() < DAYS || mean < HOURS_A_DAY {
        return Vec::new();
    }
    let why = format!("in use {mean:.0} hours a day on {} days: more than one person works", whole.len());
    vec![finding(weights, "power.always_in_use", Group::Power, "hours", why)]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, window};
    use super::*;
    use crate::facts::SourceKind;

    fn days(hours: i64) -> Case {
        let mut case = Case::default();
        for day in 0..10 {
            case.windows.extend((0..12 * hours).map(|n| window(day * 288 + n, SourceKind::Usb, 100)));
        }
        case
    }

    #[test]
    fn two_shifts_are_found_and_a_long_day_is_not() {
        assert_eq!(rule(&days(17).evidence(), &Weights::shipped()).len(), 1);
        assert_eq!(rule(&days(11).evidence(), &Weights::shipped()), vec![]);
    }
}
