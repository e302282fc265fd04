//! Whose hands are at the laptop.
//!
//! - **Physical cause**: a farm's laptop stands on a shelf; nobody types on its own keyboard. Cause `hands`.
//! - **Measure**: the *share of active time* with input from the laptop's own keyboard, touchpad or touch
//!   screen. A facilitator's daily minute changes it by little.
//! - **Cap**: assumption, until there are windows of real fleets.
//! - **Innocent twins**: docked workers use another keyboard for weeks, but carry the laptop, open its lid, run
//!   it on battery now and then: each of these ends "nobody's hands".
//! - **Defeated by** a facilitator who works on the laptop for half of its time.

use super::{Evidence, finding};
use crate::facts::{SourceKind, TransitionKind, Window};
use crate::finding::{Finding, Group};
use crate::pointer;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["hands.own", "hands.nobody"];

/// Least active time before the share says anything: two hours, and for "nobody" twenty over ten days.
const OWN_SECONDS: u32 = 2 * 3600;
const NOBODY_SECONDS: u32 = 20 * 3600;
const NOBODY_DAYS: f64 = 10.0;
const OWN_SHARE: f64 = 0.5;
const NOBODY_SHARE: f64 = 0.005;

/// What the activity windows say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let Some((active, share, most)) = built_in_share(evidence.windows) else { return Vec::new() };
    let hours = active / 3600;
    let found = |id: &str, why: String| vec![Finding { ..finding(weights, id, Group::Hands, "hands", why) }];
    let timing = evidence.windows.iter().filter_map(|window| window.pointer_centinats);
    if active >= OWN_SECONDS && share >= OWN_SHARE && pointer::together(timing) <= 0.0 {
        let why = format!(
            "{:.0} % of {hours} active hours had the laptop's own keyboard or touchpad",
            share * 100.0
        );
        return found("hands.own", why);
    }
    let days = days_covered(evidence.windows);
    if active >= NOBODY_SECONDS && days >= NOBODY_DAYS && most <= NOBODY_SHARE && !was_carried(evidence) {
        let why = format!(
            "in {hours} active hours over {days:.0} days nobody touched the laptop's own keyboard or touchpad, \
             moved its lid or ran it on battery"
        );
        return found("hands.nobody", why);
    }
    Vec::new()
}

/// Active seconds, the share of them that had built-in input, and the share that may have had it: macOS counts input but
/// does not say whose. `None` without any activity.
fn built_in_share(windows: &[Window]) -> Option<(u32, f64, f64)> {
    let active: u32 = windows.iter().map(|window| u32::from(window.active_seconds())).sum();
    let of = |kind| windows.iter().filter_map(move |w| Some(w.sources.get(&kind)?.active_seconds));
    let sum = |kind| of(kind).map(u32::from).sum::<u32>();
    let (own, unknown) = (sum(SourceKind::BuiltIn), sum(SourceKind::Other));
    let share = |seconds: u32| f64::from(seconds) / f64::from(active);
    (active > 0).then(|| (active, share(own), share(own.saturating_add(unknown))))
}

/// Days from the first window to the last.
fn days_covered(windows: &[Window]) -> f64 {
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else { return 0.0 };
    (last.start.as_second() - first.start.as_second()) as f64 / 86_400.0
}

fn was_carried(evidence: &Evidence<'_>) -> bool {
    let from = evidence.windows.first().map(|window| window.start);
    let signs = [TransitionKind::LidOpened, TransitionKind::LidClosed, TransitionKind::MainsLost];
    evidence.transitions.iter().any(|t| signs.contains(&t.kind) && from.is_none_or(|from| t.at >= from))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, window};
    use super::*;
    use crate::facts::Transition;

    /// Twelve days of eight hours with input of one kind.
    fn weeks(kind: SourceKind) -> Case {
        let mut case = Case::default();
        for day in 0..12 {
            case.windows.extend((0..96).map(|n| window(day * 288 + 100 + n, kind, 200)));
        }
        case
    }

    fn found(case: &Case) -> Vec<String> {
        rule(&case.evidence(), &Weights::shipped()).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn somebody_who_types_on_the_laptop_has_own_hands() {
        assert_eq!(found(&weeks(SourceKind::BuiltIn)), ["hands.own"]);
    }

    #[test]
    fn a_laptop_that_nobody_touched_for_weeks_has_nobodys_hands() {
        assert_eq!(found(&weeks(SourceKind::Usb)), ["hands.nobody"]);
    }

    #[test]
    fn a_docked_worker_who_carried_it_home_once_is_innocent() {
        let mut case = weeks(SourceKind::Usb);
        let at = case.windows[500].start;
        case.transitions.push(Transition { at, kind: TransitionKind::MainsLost });
        assert_eq!(found(&case), [""; 0]);
    }

    #[test]
    fn a_facilitators_daily_minute_is_not_own_hands() {
        let mut case = weeks(SourceKind::Usb);
        case.windows.push(window(13 * 288, SourceKind::BuiltIn, 60));
        assert_eq!(found(&case), ["hands.nobody"]);
    }

    #[test]
    fn a_mac_does_not_say_whose_keyboard_it_was_and_only_a_far_hand_leaves_none_over() {
        let mut case = weeks(SourceKind::Other);
        case.windows[7].injected_seconds = 200;
        case.windows.push(window(13 * 288, SourceKind::Usb, 60));
        assert_eq!(found(&case), [""; 0]);
        case.windows.iter_mut().for_each(|window| {
            window.injected_seconds = window.active_seconds();
            window.sources.clear();
        });
        assert_eq!(found(&case), ["hands.nobody"]);
    }

    #[test]
    fn a_morning_says_nothing_yet() {
        let mut case = weeks(SourceKind::Usb);
        case.windows.truncate(30);
        assert_eq!(found(&case), [""; 0]);
    }
}
