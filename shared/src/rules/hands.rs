//! Whose hands are at the laptop.
//!
//! - **Physical cause**: a farm's laptop stands on a shelf; nobody types on its own keyboard. Cause `hands`.
//! - **Measure**: the *share of active time* with input from the laptop's own keyboard, touchpad or touch
//!   screen. A facilitator's daily minute changes it by little.
//! - **Not seen** on Linux: unlocking by finger or face. logind's files do not say how, fprintd's only whose fingers it
//!   knows, and its signals go over the system bus, for which the agent carries no client.
//! - **Cap**: assumption, until there are windows of real fleets.
//! - **Innocent twins**: docked workers use another keyboard for weeks, but carry the laptop, open its lid, run
//!   it on battery now and then: each of these ends "nobody's hands", and days on which it was carried to another network
//!   speak against a farm.
//! - **Defeated by** a facilitator who works on the laptop for half of its time, or carries it to another network and back
//!   day after day.

use std::collections::BTreeSet;

use super::{Evidence, finding};
use crate::facts::{SourceKind, Transition, TransitionKind, Window};
use crate::finding::{Finding, Group};
use crate::pointer;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["hands.own", "hands.nobody", "hands.carried"];

/// Least active time before the share says anything: two hours, and for "nobody" twenty over ten days.
const OWN_SECONDS: u32 = 2 * 3600;
const NOBODY_SECONDS: u32 = 20 * 3600;
const NOBODY_DAYS: f64 = 10.0;
const OWN_SHARE: f64 = 0.5;
const NOBODY_SHARE: f64 = 0.005;
/// Days on which it was carried to another network before that speaks against a farm.
const CARRIED_DAYS: usize = 4;

/// What the activity windows and the moves of lid, mains and network say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let mut found = share(evidence, weights);
    let days = carried_days(evidence.transitions);
    if days.len() >= CARRIED_DAYS {
        let why = format!(
            "on {} days it was carried to another network: its lid moved, it slept or ran on battery, and then stood behind \
             another gateway",
            days.len()
        );
        found.push(finding(weights, "hands.carried", Group::Hands, "hands", why));
    }
    found
}

fn share(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
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

/// Its lid moved or it ran on battery, since the first window, or it came to another network.
fn was_carried(evidence: &Evidence<'_>) -> bool {
    let from = evidence.windows.first().map(|window| window.start);
    let handled = evidence.transitions.iter().any(|t| is_handled(t) && from.is_none_or(|from| t.at >= from));
    handled || !carried_days(evidence.transitions).is_empty()
}

/// Somebody moved the lid or pulled the plug. A power cut looks like the latter: a dock's cable takes mains and network along
/// in the same second too, so the network does not tell one from the other.
fn is_handled(transition: &Transition) -> bool {
    let signs = [TransitionKind::LidOpened, TransitionKind::LidClosed, TransitionKind::MainsLost];
    signs.contains(&transition.kind)
}

/// Days, counted from 1970, on which it came to another network and somebody had handled it, or it had slept.
fn carried_days(all: &[Transition]) -> BTreeSet<i64> {
    let day = |t: &Transition| t.at.as_second().div_euclid(86_400);
    let slept = |t: &&Transition| matches!(t.kind, TransitionKind::Suspended | TransitionKind::Resumed);
    let moved: BTreeSet<i64> = all.iter().filter(|t| slept(t) || is_handled(t)).map(day).collect();
    let changed = all.iter().filter(|t| t.kind == TransitionKind::NetworkChanged).map(day);
    changed.filter(|day| moved.contains(day)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::testing::{Case, window};
    use super::*;

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

    fn moves(case: &mut Case, day: i64, kinds: &[TransitionKind]) {
        for (minute, kind) in (0i64..).zip(kinds) {
            let at = Timestamp::from_second(1_790_035_200 + day * 86_400 + 32_400 + minute * 30).unwrap();
            case.transitions.push(Transition { at, kind: *kind });
        }
    }

    #[test]
    fn a_laptop_that_goes_to_the_office_and_back_is_carried() {
        let mut case = weeks(SourceKind::Usb);
        for day in 0..4 {
            moves(&mut case, day, &[TransitionKind::Suspended, TransitionKind::NetworkChanged]);
            assert_eq!(found(&case).contains(&"hands.carried".to_owned()), day == 3, "day {day}");
        }
        let weighed = rule(&case.evidence(), &Weights::shipped());
        assert!(weighed.iter().all(|finding| finding.llr < 0.0), "{weighed:?}");
    }

    #[test]
    fn a_second_uplink_that_takes_over_is_no_carrying() {
        let mut case = weeks(SourceKind::Usb);
        (0..10).for_each(|day| moves(&mut case, day, &[TransitionKind::NetworkChanged]));
        assert_eq!(found(&case), ["hands.nobody"]);
    }
}
