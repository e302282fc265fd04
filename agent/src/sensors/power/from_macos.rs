//! What `pmset` and the registry's root domain say of power and sleep.

use farmwatch_shared::catalogue::{Catalogue, Os};

use crate::apple::ioreg::entries;
use crate::apple::plist::{Plist, yes};

/// System services that are named when they hold the laptop awake; other programs are `other`.
const SERVICES: [&str; 11] = [
    "powerd",
    "coreaudiod",
    "bluetoothd",
    "sharingd",
    "WindowServer",
    "backupd",
    "softwareupdated",
    "mds",
    "apsd",
    "nsurlsessiond",
    "screensharingd",
];
/// Assertions that keep the machine or its screen from sleeping.
const HOLDING: [&str; 5] = [
    "PreventUserIdleSystemSleep",
    "PreventUserIdleDisplaySleep",
    "PreventSystemSleep",
    "NoIdleSleepAssertion",
    "NoDisplaySleepAssertion",
];
/// Most holders that are told.
const MOST: usize = 64;

/// On mains, and whether there is a battery: `pmset -g batt`.
pub(super) fn supply(text: &str) -> (Option<bool>, bool) {
    let source = text.lines().find_map(|line| line.trim().strip_prefix("Now drawing from '"));
    let mains = match source.and_then(|rest| rest.split('\'').next()) {
        Some("AC Power" | "UPS Power") => Some(true),
        Some("Battery Power") => Some(false),
        _ => None,
    };
    let battery = text.lines().any(|line| line.trim().starts_with("-InternalBattery"));
    (mains, battery)
}

/// The lid is closed; `None` on a Mac without one.
pub(super) fn lid_closed(root_domain: &Plist) -> Option<bool> {
    entries(root_domain).iter().find_map(|entry| yes(entry, "AppleClamshellState"))
}

/// Somebody set the machine never to sleep: `pmset -g`.
pub(super) fn never_sleeps(text: &str) -> Option<bool> {
    let value = |key: &str| {
        let rest = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix([' ', '\t']))?;
        rest.split_whitespace().next()?.parse::<u32>().ok()
    };
    if value("SleepDisabled") == Some(1) {
        return Some(true);
    }
    value("sleep").map(|minutes| minutes == 0)
}

/// Who holds the machine awake: `pmset -g assertions`. What a program calls its assertion may be a document's name
/// and is not taken.
pub(super) fn keep_awake(catalogue: &Catalogue, text: &str) -> Vec<String> {
    let holder = |line: &str| {
        let (_, rest) = line.trim().strip_prefix("pid ")?.split_once('(')?;
        let (name, rest) = rest.split_once("): ")?;
        let holds = rest.split_whitespace().take(4).any(|word| HOLDING.contains(&word));
        holds.then(|| name_of(catalogue, name))
    };
    let mut holders: Vec<String> = text.lines().filter_map(holder).collect();
    holders.sort_unstable();
    holders.dedup();
    holders.truncate(MOST);
    holders
}

fn name_of(catalogue: &Catalogue, name: &str) -> String {
    if SERVICES.contains(&name) {
        return name.to_owned();
    }
    let app = format!("{name}.app");
    let hit =
        catalogue.by_process(Os::Macos, name, None).or_else(|| catalogue.by_process(Os::Macos, &app, None));
    hit.map_or_else(|| "other".to_owned(), |hit| hit.tool.id.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::{plist, recording};
    use crate::apple::plist::parse;

    #[test]
    fn mains_battery_and_a_mac_without_one() {
        assert_eq!(supply(&recording("pmset-batt-ac.txt")), (Some(true), true));
        assert_eq!(supply(&recording("pmset-batt-battery.txt")), (Some(false), true));
        assert_eq!(supply("Now drawing from 'AC Power'\n"), (Some(true), false));
        assert_eq!(supply("pmset: unknown"), (None, false));
    }

    #[test]
    fn settings_that_let_it_sleep_and_settings_that_do_not() {
        let text = recording("pmset-g.txt");
        assert_eq!(never_sleeps(&text), Some(false), "disksleep and displaysleep are other settings");
        assert_eq!(never_sleeps(&text.replace("SleepDisabled\t\t0", "SleepDisabled\t\t1")), Some(true));
        assert_eq!(
            never_sleeps(&text.replace(" sleep                1", " sleep                0")),
            Some(true)
        );
        assert_eq!(never_sleeps("Currently in use:\n standby 1\n"), None);
    }

    #[test]
    fn holders_are_told_by_program_and_never_by_what_they_say() {
        let catalogue = Catalogue::shipped();
        let text = recording("pmset-assertions.txt");
        assert_eq!(keep_awake(&catalogue, &text).len(), 2, "a hand at the keyboard holds nothing");
        assert!(keep_awake(&catalogue, &text).contains(&"powerd".to_owned()));
        let text = text.replace("(powerd)", "(My Diary (GPU))");
        assert!(keep_awake(&catalogue, &text).iter().all(|name| !name.contains("Diary")));
    }

    #[test]
    fn a_lid_is_open_closed_or_not_there() {
        assert_eq!(lid_closed(&plist("root_domain_open.xml")), None, "the recording ends before it");
        let with = |value: &str| {
            let text = recording("root_domain_open.xml").replace(
                "<key>AppleClamshellCausesSleep</key>",
                &format!("<key>AppleClamshellState</key><{value}/><key>AppleClamshellCausesSleep</key>"),
            );
            lid_closed(&parse(text.as_bytes()).unwrap())
        };
        assert_eq!((with("true"), with("false")), (Some(true), Some(false)));
    }

    proptest! {
        #[test]
        fn junk_and_cut_outputs_never_panic(junk in "\\PC{0,200}", end in 0usize..1400) {
            let catalogue = Catalogue::shipped();
            for text in [junk, recording("pmset-assertions.txt").chars().take(end).collect()] {
                let _ = (supply(&text), never_sleeps(&text), keep_awake(&catalogue, &text));
            }
        }
    }
}
