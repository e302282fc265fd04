//! How input arrives.
//!
//! - **Physical causes**: what comes through a network is gathered and spread in time (cause `path`); what
//!   software injects passes no device, or one that software made (cause `injected`); an IP-KVM points absolutely,
//!   which no mouse does (cause `kvm`); a jiggler moves without ever typing (cause `jiggler`).
//! - **Cap**: timing rests on three remote people and seven local ones (see [`crate::pointer`]): ±1.06 and 0.46
//!   nats however many windows. The rest: assumption.
//! - **Innocent twins**: VDI clients, assistive technology, text expanders, screen sharing; touch screens and
//!   tablets point absolutely but are built in or digitizers; guests of a hypervisor; someone at lunch. Programs
//!   that remap a keyboard (keyd, kanata) own a virtual one, which does not point; one that remaps a mouse does.
//! - **Defeated by** a relative mouse, a randomised jiggler with keys, a gadget with a local device's rhythm.

use super::{Evidence, finding, is_guest};
use crate::facts::{SourceKind, Window};
use crate::finding::{Finding, Group};
use crate::pointer;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] =
    &["input.remote_timing", "input.local_timing", "input.injected", "input.absolute", "input.jiggler"];

/// Fewest windows on which timing speaks.
const TIMED_WINDOWS: usize = 3;
const INJECTED_SECONDS: u32 = 3600;
const INJECTED_SHARE: f64 = 0.3;
const ABSOLUTE_WINDOWS: usize = 24;
const ABSOLUTE_PERMILLE: u16 = 800;
const JIGGLED_WINDOWS: usize = 12;
const PERIODIC_PERMILLE: u16 = 900;

/// What the activity windows say of the way input took.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let rules = [timing, injected, absolute, jiggler];
    rules.iter().filter_map(|rule| rule(evidence, weights)).collect()
}

fn timing(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let timed: Vec<i32> = evidence.windows.iter().filter_map(|w| w.pointer_centinats).collect();
    if timed.len() < TIMED_WINDOWS {
        return None;
    }
    of_timing(pointer::together(timed.iter().copied()), timed.len(), weights)
}

/// What the pointer model says in nats of some windows together, as a finding; `None` where it says nothing.
pub fn of_timing(nats: f64, windows: usize, weights: &Weights) -> Option<Finding> {
    let (id, cap, word) = if nats > 0.0 {
        ("input.remote_timing", pointer::CAP_REMOTE, "came through a network")
    } else {
        ("input.local_timing", pointer::CAP_LOCAL, "came from a device of its own")
    };
    let s = if windows == 1 { "" } else { "s" };
    let why = format!("the pointer's timing in {windows} window{s} looks as if it {word}");
    let mut found = finding(weights, id, Group::Input, "path", why);
    // The file has the most that the model may say; here is what it says.
    let part = (nats.abs() / cap).min(1.0);
    found.llr *= part;
    found.honest_llr *= part;
    (nats != 0.0).then_some(found)
}

fn injected(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let active: u32 = evidence.windows.iter().map(|w| u32::from(w.active_seconds())).sum();
    let injected: u32 = evidence.windows.iter().map(|w| u32::from(by_software(w))).sum();
    let share = f64::from(injected) / f64::from(active.max(1));
    (injected >= INJECTED_SECONDS && share >= INJECTED_SHARE).then(|| {
        let hours = f64::from(injected) / 3600.0;
        let why = format!(
            "{:.0} % of active time, {hours:.1} hours, had input that software made and no device",
            share * 100.0
        );
        Finding {
            technique: Some("T1219.002".into()),
            ..finding(weights, "input.injected", Group::Input, "injected", why)
        }
    })
}

/// Seconds of a window in which software pointed: input that no device sent, or that a device sent which software
/// had made (`uinput`). Programs that remap a keyboard make such a device too, but theirs does not point.
fn by_software(window: &Window) -> u16 {
    let pointed = |kind: &SourceKind| window.sources.get(kind).map_or(0, |source| source.pointer);
    let most = window.sources.keys().map(pointed).max().unwrap_or(0);
    let by_virtual = window.sources.get(&SourceKind::Virtual);
    let seconds = by_virtual.filter(|s| s.pointer > 0 && s.pointer == most).map_or(0, |s| s.active_seconds);
    window.injected_seconds.max(seconds)
}

fn absolute(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let jumps = |w: &&Window| {
        w.absolute_permille >= ABSOLUTE_PERMILLE
            && w.sources.get(&SourceKind::Usb).is_some_and(|usb| usb.pointer >= 100)
            && !w.sources.contains_key(&SourceKind::BuiltIn)
    };
    let windows = evidence.windows.iter().filter(jumps).count();
    (windows >= ABSOLUTE_WINDOWS && !is_guest(evidence.state)).then(|| {
        let why = format!("in {windows} windows the pointer was put to places instead of moved, over USB");
        Finding {
            technique: Some("T1219.003".into()),
            ..finding(weights, "input.absolute", Group::Input, "kvm", why)
        }
    })
}

fn jiggler(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let jiggled = |w: &&Window| {
        let keys: u32 = w.sources.values().map(|source| source.keys).sum();
        w.periodic_permille >= PERIODIC_PERMILLE && keys == 0 && w.active_seconds() > 0
    };
    let windows = evidence.windows.iter().filter(jiggled).count();
    (windows >= JIGGLED_WINDOWS).then(|| {
        let minutes = windows * 5;
        let why = format!("for {minutes} minutes the pointer moved like a metronome and no key was pressed");
        finding(weights, "input.jiggler", Group::Input, "jiggler", why)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, window};
    use super::*;

    fn found(case: &Case) -> Vec<String> {
        rule(&case.evidence(), &Weights::shipped()).into_iter().map(|f| f.rule).collect()
    }

    fn windows(count: i64, change: impl Fn(&mut Window)) -> Case {
        let mut case = Case::default();
        for n in 0..count {
            let mut window = window(n, SourceKind::Usb, 200);
            change(&mut window);
            case.windows.push(window);
        }
        case
    }

    #[test]
    fn a_thousand_windows_of_remote_timing_stay_below_the_cap() {
        let case = windows(1000, |w| w.pointer_centinats = Some(100));
        let found = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(found[0].rule, "input.remote_timing");
        assert!((found[0].llr - pointer::CAP_REMOTE).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn local_timing_speaks_against() {
        let case = windows(10, |w| w.pointer_centinats = Some(-30));
        assert!(rule(&case.evidence(), &Weights::shipped())[0].llr < 0.0);
    }

    #[test]
    fn two_windows_of_timing_say_nothing() {
        assert_eq!(found(&windows(2, |w| w.pointer_centinats = Some(100))), [""; 0]);
    }

    #[test]
    fn hours_of_injected_input_are_found_and_a_password_manager_is_not() {
        assert_eq!(found(&windows(30, |w| w.injected_seconds = 150)), ["input.injected"]);
        assert_eq!(found(&windows(300, |w| w.injected_seconds = 2)), [""; 0]);
    }

    #[test]
    fn a_mouse_that_software_made_is_injection_and_a_keyboard_that_it_remaps_is_not() {
        let of = |keys, pointer, beside| {
            windows(13, move |w| {
                let software = crate::facts::Source { keys, pointer, active_seconds: 280 };
                let hand = crate::facts::Source { pointer: beside, ..software };
                w.sources = [(SourceKind::Virtual, software), (SourceKind::Usb, hand)].into();
            })
        };
        assert_eq!(found(&of(60, 600, 0)), ["input.injected"]);
        assert_eq!(found(&of(900, 0, 600)), [""; 0], "keyd, kanata and their kin");
        assert_eq!(found(&of(900, 10, 600)), [""; 0], "with a key for the mouse");
    }

    #[test]
    fn absolute_pointing_over_usb_is_found_and_a_touch_screen_is_not() {
        assert_eq!(found(&windows(30, |w| w.absolute_permille = 990)), ["input.absolute"]);
        let touch = windows(30, |w| {
            w.absolute_permille = 990;
            w.sources =
                [(SourceKind::BuiltIn, crate::facts::Source { pointer: 900, ..Default::default() })].into();
        });
        assert_eq!(found(&touch), [""; 0]);
    }

    #[test]
    fn somebody_who_types_has_no_jiggler() {
        let still = |keys| {
            windows(30, move |w| {
                w.periodic_permille = 1000;
                w.sources.values_mut().for_each(|source| source.keys = keys);
            })
        };
        assert_eq!(found(&still(0)), ["input.jiggler"]);
        assert_eq!(found(&still(40)), [""; 0]);
    }
}
