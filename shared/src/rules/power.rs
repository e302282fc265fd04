//! Always awake, and in use for more hours than one person works.
//!
//! - **Physical cause**: two operators in shifts, or one with several laptops; the laptop never sleeps because
//!   nobody is there to wake it. Cause `hours`.
//! - **Cap**: assumption.
//! - **Innocent twins**: build machines and other jobs keep a laptop awake but send no input: only hours with
//!   input count. Night owls do not work fourteen hours a day for a week.
//! - **Defeated by** keeping office hours.

use super::{Evidence, finding};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["power.always_in_use"];

const DAYS: usize = 7;
const HOURS_A_DAY: f64 = 14.0;
const WINDOWS_AN_HOUR: f64 = 12.0;

/// What the hours in use say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let days = evidence.usage.days().iter().map(|day| day.work.len()).filter(|windows| *windows > 0);
    let hours: Vec<f64> = days.map(|windows| windows as f64 / WINDOWS_AN_HOUR).collect();
    // The first and last day are parts of days.
    let whole = hours.get(1..hours.len().max(2) - 1).unwrap_or_default();
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
