//! Whose hands are at the laptop.
//!
//! - **Physical cause**: a farm's laptop stands on a shelf; nobody types on its own keyboard. Cause `hands`.
//! - **Measure**: the *share of active time* with input from the laptop's own keyboard, touchpad or touch
//!   screen. A facilitator's daily minute changes it by little. "Nobody" is said of the last days without a gap, so that the
//!   day on which a laptop was unpacked ends nothing. Where software makes most of the input, [`super::input`] counts its days.
//! - **Not seen** on Linux: unlocking by finger or face. logind's files say neither that a session is locked nor how it
//!   was unlocked, fprintd's only whose fingers it knows, and both tell the rest over the system bus, for which the agent
//!   carries no client. An unlock beside which no key was pressed counts nowhere: a shell far away unlocks like that, too.
//! - **Cap**: assumption, until there are windows of real fleets.
//! - **Innocent twins**: docked workers use another keyboard for weeks, but carry the laptop, open its lid, run
//!   it on battery now and then: each of these ends "nobody's hands", and days on which it was carried to another network
//!   speak against a farm.
//! - **Defeated by** a facilitator who works on the laptop for half of its time, or carries it to another network and back
//!   day after day.

use std::collections::BTreeSet;

use super::{Evidence, finding};
use jiff::Timestamp;

use crate::facts::{Transition, TransitionKind};
use crate::finding::{Finding, Group};
use crate::usage::Usage;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["hands.own", "hands.nobody", "hands.carried"];

/// Least active time before the share says anything: two hours, and for "nobody" ten, on as many days.
const OWN_SECONDS: u32 = 2 * 3600;
const NOBODY_SECONDS: u32 = 10 * 3600;
const NOBODY_DAYS: usize = 5;
const OWN_SHARE: f64 = 0.5;
/// A facilitator's daily minute or two is less.
const NOBODY_SHARE: f64 = 0.03;
/// It may be all of a day's input.
const TOUCH_SECONDS: f64 = 120.0;
/// A day on which it was used.
const USED_SECONDS: u32 = 1800;
/// Days on which it was carried to another network before that speaks against a farm.
const CARRIED_DAYS: usize = 4;

/// What the activity windows and the moves of lid, mains and network say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let days = carried_days(evidence.transitions);
    let mut found = share(evidence, weights);
    if days.len() >= CARRIED_DAYS {
        found.retain(|finding| finding.rule != "hands.nobody");
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
    let Some((active, share)) = built_in_share(evidence.usage) else { return Vec::new() };
    let hours = active / 3600;
    let found = |id: &str, why: String| vec![Finding { ..finding(weights, id, Group::Hands, "hands", why) }];
    if active >= OWN_SECONDS && share >= OWN_SHARE && evidence.usage.timed().1 <= 0 {
        let why = format!(
            "{:.0} % of {hours} active hours had the laptop's own keyboard or touchpad",
            share * 100.0
        );
        return found("hands.own", why);
    }
    let run = untouched(evidence);
    let hours = run.active / 3600;
    if run.days >= NOBODY_DAYS && run.active >= NOBODY_SECONDS && 2 * run.injected < run.active {
        let why = format!(
            "in {hours} active hours on the last {} days nobody used the laptop's own keyboard or touchpad for more than a \
             minute or two, moved its lid or ran it on battery",
            run.days
        );
        return found("hands.nobody", why);
    }
    Vec::new()
}

/// The last days, without a gap, on which it was used and nobody's hands were on it.
#[derive(Default)]
struct Run {
    days: usize,
    active: u32,
    injected: u32,
}

/// Active seconds and the share of them that had built-in input. `None` without any activity.
fn built_in_share(usage: &Usage) -> Option<(u32, f64)> {
    let (active, own) = (usage.sum(|day| day.active), usage.sum(|day| day.built_in));
    (active > 0).then(|| (active, f64::from(own) / f64::from(active)))
}

/// Goes back from the last day of use to the first one with hands: its own keyboard, its lid or its plug moved, another
/// network. macOS counts input but does not say whose: all of it may have been the laptop's own.
fn untouched(evidence: &Evidence<'_>) -> Run {
    let day = |at: Timestamp| at.as_second().div_euclid(86_400);
    let handled = evidence.transitions.iter().filter(|t| is_handled(t)).map(|t| day(t.at));
    let handled = handled.chain(carried_days(evidence.transitions)).max();
    let mut run = Run::default();
    for today in evidence.usage.days().iter().rev() {
        let own = today.built_in.saturating_add(today.untold);
        if handled.is_some_and(|last| today.number <= last)
            || f64::from(own) > (NOBODY_SHARE * f64::from(today.active)).max(TOUCH_SECONDS)
        {
            break;
        }
        run.active += today.active;
        run.injected += today.injected.saturating_add(today.session);
        run.days += usize::from(today.active >= USED_SECONDS);
    }
    run
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
    use crate::facts::SourceKind;

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
    fn a_docked_worker_who_carried_it_home_this_week_is_innocent() {
        let mut case = weeks(SourceKind::Usb);
        let at = case.windows[800].start;
        case.transitions.push(Transition { at, kind: TransitionKind::MainsLost });
        assert_eq!(found(&case), [""; 0]);
    }

    #[test]
    fn the_day_of_unpacking_ends_nothing() {
        let mut case = weeks(SourceKind::Usb);
        let first = case.windows[0].start;
        case.windows[0] = window(100, SourceKind::BuiltIn, 280);
        case.transitions.push(Transition { at: first, kind: TransitionKind::MainsLost });
        assert_eq!(found(&case), ["hands.nobody"]);
    }

    #[test]
    fn what_software_moves_all_day_is_counted_with_the_input() {
        let mut case = weeks(SourceKind::Usb);
        for window in &mut case.windows {
            window.injected_seconds = window.active_seconds();
            window.sources.clear();
        }
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
        for window in &mut case.windows {
            let input = window.sources.remove(&SourceKind::Other).into_iter();
            window.sources.extend(input.map(|source| (SourceKind::Usb, source)));
        }
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
