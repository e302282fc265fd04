//! How input arrives.
//!
//! - **Physical causes**: what comes through a network is gathered and spread in time (cause `path`); what
//!   software injects passes no device, or one that software made, and what comes by RDP passes the system's own for remote
//!   sessions (cause `injected`); an IP-KVM points absolutely, which no mouse does (cause `kvm`); a jiggler moves without
//!   ever typing (cause `jiggler`).
//! - **Day after day**: a person who works from elsewhere is back at the laptop on another day; a farm's person never is.
//!   `input.only_software` and `input.only_absolute` count days on which nearly all input came that way ([`Days`]).
//! - **Cap**: timing rests on three remote people and seven local ones (see [`crate::pointer`]): ±1.06 and 0.46
//!   nats however many windows. The rest: assumption; a USB jiggler and the moves that it makes share the cap `jiggler`.
//!   Days by software add to the tool that makes them: that somebody *could* work from elsewhere is the tool's to say, that
//!   nobody ever works at the laptop is another observation, and rare among people who have such a tool.
//! - **Innocent twins**: VDI clients, assistive technology, text expanders, screen sharing; touch screens and
//!   tablets point absolutely but are built in or digitizers; guests of a hypervisor, whose console may be a remote session
//!   (Hyper-V, cloud desktops); someone at lunch. Programs that remap a keyboard (keyd, kanata) own a virtual one, which does
//!   not point; one that remaps a mouse does.
//! - **Defeated by** a relative mouse, a randomised jiggler with keys, a gadget with a local device's rhythm.

use super::{Evidence, finding, is_guest};
use crate::facts::{RemoteTool, ToolClass};
use crate::finding::{Finding, Group};
use crate::pointer;
use crate::state::{FactKey, State};
use crate::usage::{Calm, Usage};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "input.remote_timing",
    "input.local_timing",
    "input.injected",
    "input.only_software",
    "input.absolute",
    "input.only_absolute",
    "input.jiggler",
];

/// Fewest windows on which timing speaks.
const TIMED_WINDOWS: u32 = 3;
const INJECTED_SECONDS: u32 = 3600;
const INJECTED_SHARE: f64 = 0.3;
const ABSOLUTE_WINDOWS: u32 = 24;
const JIGGLED_WINDOWS: u32 = 12;

/// What the activity windows say of the way input took.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let rules = [timing, injected, only_software, absolute, only_absolute, jiggler];
    rules.iter().filter_map(|rule| rule(evidence, weights)).collect()
}

fn timing(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let (windows, centinats) = evidence.usage.timed();
    if windows < TIMED_WINDOWS {
        return None;
    }
    of_timing(pointer::together(centinats), windows, weights)
}

/// What the pointer model says in nats of some windows together, as a finding; `None` where it says nothing.
pub fn of_timing(nats: f64, windows: u32, weights: &Weights) -> Option<Finding> {
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

/// Seconds in which somebody elsewhere pointed or typed by software: `session`, by a remote session of the system's own,
/// counts only where the laptop is a machine and no hypervisor's guest.
fn by_software(state: &State) -> fn(active: u32, software: u32, session: u32) -> u32 {
    if is_guest(state) {
        |active, software, _| software.min(active)
    } else {
        |active, software, session| software.saturating_add(session).min(active)
    }
}

fn injected(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let seconds = by_software(evidence.state);
    let active = evidence.usage.sum(|day| day.active);
    let injected = evidence.usage.sum(|day| seconds(day.active, day.software, day.session));
    let share = f64::from(injected) / f64::from(active.max(1));
    (injected >= INJECTED_SECONDS && share >= INJECTED_SHARE).then(|| {
        let hours = f64::from(injected) / 3600.0;
        let (meetings, during) = meetings(evidence.state);
        let why = format!(
            "{:.0} % of active time, {hours:.1} hours, had input of software or a remote session and of no device{during}",
            share * 100.0
        );
        Finding {
            technique: Some("T1219.002".into()),
            facts: meetings,
            ..finding(weights, "input.injected", Group::Input, "injected", why)
        }
    })
}

/// Meeting software that runs: it lets others work on the laptop with nothing else installed, and is no finding by itself.
fn meetings(state: &State) -> (Vec<FactKey>, String) {
    let tools = state.all::<RemoteTool>();
    let running = tools.filter(|(_, tool)| tool.class == ToolClass::Meeting && tool.running());
    let (keys, names): (Vec<FactKey>, Vec<String>) =
        running.map(|(key, tool)| (key.clone(), tool.name.clone())).unzip();
    let during = match names.as_slice() {
        [] => String::new(),
        names => format!("; {} runs, in which others can be given control", names.join(", ")),
    };
    (keys, during)
}

fn only_software(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let seconds = by_software(evidence.state);
    let days = Days::of(evidence.usage, |calm| seconds(calm.active, calm.software, calm.session));
    let why = format!(
        "on {} of {} days nearly all input was of software or a remote session and of no device",
        days.remote, days.all
    );
    let found = finding(weights, "input.only_software", Group::Input, "injected", why);
    days.weigh(Finding { technique: Some("T1219.002".into()), ..found })
}

fn only_absolute(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let days = Days::of(evidence.usage, |calm| calm.absolute);
    let why = format!(
        "on {} of {} days the pointer was nearly always put to places, over USB",
        days.remote, days.all
    );
    let found = finding(weights, "input.only_absolute", Group::Input, "kvm", why);
    let found = days.weigh(Finding { technique: Some("T1219.003".into()), ..found })?;
    (!is_guest(evidence.state)).then_some(found)
}

/// Days on which a laptop was used for half an hour or more, and those of them on which three quarters of the input
/// came in a way that no hand at the laptop makes.
///
/// Model: each day is drawn alone. In a farm, and for the few who always work that way at home or from elsewhere
/// (a laptop in a drawer, a software switch between two computers), a day is remote with 97 %; for somebody who
/// works from elsewhere now and then, with 40 %. The file's pair is what is left after many remote days, when only those
/// few explain them; after few, the others do too, so B begins higher: by `ln(1 + (1 − s)/s · (0.40/0.97)^k ·
/// (0.60/0.03)^(n−k))` for k of n days, where s = 3 % of the honestly remote always are. All numbers: assumptions.
struct Days {
    remote: usize,
    all: usize,
}

const USED_SECONDS: u32 = 1800;
const REMOTE_SHARE: f64 = 0.75;
const FEWEST_DAYS: usize = 2;
const REMOTE_DAYS: f64 = 0.8;
const ALWAYS: f64 = 0.03;
const DAY_OF_ALWAYS: f64 = 0.97;
const DAY_OF_SOMETIMES: f64 = 0.40;

impl Days {
    fn of(usage: &Usage, remote_seconds: impl Fn(&Calm) -> u32) -> Self {
        let used = usage.days().iter().map(|day| &day.calm).filter(|calm| calm.active >= USED_SECONDS);
        let shares = used.map(|calm| f64::from(remote_seconds(calm)) / f64::from(calm.active));
        let (mut remote, mut all) = (0, 0);
        for share in shares {
            all += 1;
            remote += usize::from(share >= REMOTE_SHARE);
        }
        Self { remote, all }
    }

    /// The finding with what so many days say; `None` where they say nothing.
    fn weigh(&self, mut found: Finding) -> Option<Finding> {
        let (remote, all) = (self.remote as f64, self.all as f64);
        if self.remote < FEWEST_DAYS || remote / all < REMOTE_DAYS {
            return None;
        }
        let sometimes = (1.0 - ALWAYS) / ALWAYS
            * (DAY_OF_SOMETIMES / DAY_OF_ALWAYS).powf(remote)
            * ((1.0 - DAY_OF_SOMETIMES) / (1.0 - DAY_OF_ALWAYS)).powf(all - remote);
        found.honest_llr = (found.honest_llr + sometimes.ln_1p()).min(found.llr);
        Some(found)
    }
}

fn absolute(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let windows = evidence.usage.sum(|day| day.absolute);
    (windows >= ABSOLUTE_WINDOWS && !is_guest(evidence.state)).then(|| {
        let why = format!("in {windows} windows the pointer was put to places instead of moved, over USB");
        Finding {
            technique: Some("T1219.003".into()),
            ..finding(weights, "input.absolute", Group::Input, "kvm", why)
        }
    })
}

fn jiggler(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let windows = evidence.usage.sum(|day| day.jiggled);
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
    use crate::facts::{SourceKind, Window};

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

    /// Days of two hours, remote where `remote` says so.
    fn days(remote: &[bool]) -> Case {
        let mut case = Case::default();
        for (day, remote) in (0i64..).zip(remote) {
            for n in 0..24 {
                let mut window = window(day * 288 + n, SourceKind::BuiltIn, 200);
                if *remote {
                    window.injected_seconds = 200;
                    window.sources.clear();
                }
                case.windows.push(window);
            }
        }
        case
    }

    fn only_software(remote: &[bool]) -> Option<(f64, f64)> {
        let found = rule(&days(remote).evidence(), &Weights::shipped());
        found.iter().find(|f| f.rule == "input.only_software").map(|f| (f.llr, f.honest_llr))
    }

    #[test]
    fn the_more_days_without_own_hands_the_less_is_it_honest_remote_work() {
        let (farm, at_first) = only_software(&[true; 2]).unwrap();
        let (_, a_week) = only_software(&[true; 7]).unwrap();
        let (same, two_weeks) = only_software(&[true; 13]).unwrap();
        assert!((farm - same).abs() < 1e-9);
        assert!(at_first > a_week && a_week > two_weeks, "{at_first} {a_week} {two_weeks}");
        let file = Weights::shipped().rule["input.only_software"].honest;
        assert!(two_weeks - file < 0.01, "{two_weeks}");
    }

    #[test]
    fn somebody_who_is_back_at_the_laptop_on_other_days_is_no_farm() {
        assert_eq!(only_software(&[true, true, false, true, false, true]), None);
        let (_, once_back) = only_software(&[true, true, true, true, false, true, true, true, true]).unwrap();
        let (_, never) = only_software(&[true; 9]).unwrap();
        assert!(once_back > never);
        assert_eq!(only_software(&[true]), None, "a day of support");
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
    fn a_laptop_that_is_worked_on_by_rdp_every_day_is_as_one_by_other_software() {
        let mut case = Case::default();
        for day in 0..5 {
            case.windows.extend((0..24).map(|n| window(day * 288 + n, SourceKind::RemoteSession, 200)));
        }
        assert_eq!(found(&case), ["input.injected", "input.only_software"]);
        // A virtual machine's console is such a session, whoever sits before it.
        case.state
            .put("self", &crate::facts::Host { hypervisor: Some("hyperv".into()), ..Default::default() });
        assert_eq!(found(&case), [""; 0]);
    }

    #[test]
    fn software_that_works_while_a_meeting_runs_says_so() {
        let mut case = windows(30, |w| w.injected_seconds = 150);
        let seen = |by, what: &str| crate::facts::Seen { by, what: what.into() };
        let zoom = RemoteTool {
            name: "Zoom".into(),
            class: ToolClass::Meeting,
            seen: vec![seen(crate::facts::SeenBy::Process, "zoom")],
            ..RemoteTool::default()
        };
        case.state.put("zoom", &zoom);
        let found = rule(&case.evidence(), &Weights::shipped());
        assert!(
            found[0].why.ends_with("Zoom runs, in which others can be given control"),
            "{}",
            found[0].why
        );
        assert_eq!(found[0].facts, [FactKey::of::<RemoteTool>("zoom")]);
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
