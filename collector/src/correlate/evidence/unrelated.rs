use std::collections::BTreeSet;

use farmwatch_shared::judge::PlaceEvidence;
use jiff::SignedDuration;

use super::super::view::SiteView;

/// At first sight it counts for nothing: an office that IT never named, a hotel, a fair and a flat look alike on the first day.
const AT_FIRST: f64 = 0.0;
/// It counts in full when they have been together for so long.
const IN_FULL: SignedDuration = SignedDuration::from_hours(7 * 24);
/// All of one department: an agency's own small office is likelier.
const ONE_DEPARTMENT: f64 = 0.8;

/// How many unrelated employees of ours are together.
///
/// Null model: 4 % of employees live with one other employee, 0.2 % with two or more (assumption; see the weights
/// file). Two say nothing. Laptops of one person, or of people with one surname, count as one household.
/// Defeated by farms that keep one or two laptops of ours, or an uplink and a gateway for each.
pub fn unrelated(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let households: BTreeSet<&str> = view.placed().map(|member| member.household.as_str()).collect();
    let counted = |rule: &str, count: usize| {
        let days = view.together_for(count).as_secs_f64() / IN_FULL.as_secs_f64();
        let long = AT_FIRST + (1.0 - AT_FIRST) * days.clamp(0.0, 1.0);
        let why =
            format!("{} people who have nothing to do with each other, as far as IT knows", households.len());
        let share = if one_department(view) { ONE_DEPARTMENT * long } else { long };
        view.evidence(rule, share, why)
    };
    match households.len() {
        0..=2 => None,
        3 => counted("place.unrelated_3", 3),
        _ => {
            let both = [counted("place.unrelated_3", 3), counted("place.unrelated_4", 4)];
            both.into_iter().flatten().max_by(|a, b| a.farm.total_cmp(&b.farm))
        }
    }
}

fn one_department(view: &SiteView<'_>) -> bool {
    let departments: Option<BTreeSet<&str>> = view
        .placed()
        .map(|m| m.asset.as_ref().map(|a| a.department.trim()).filter(|d| !d.is_empty()))
        .collect();
    departments.is_some_and(|all| all.len() == 1)
}
