//! What IOKit, `pmset` and the registry's root domain say of power and sleep.

use farmwatch_shared::catalogue::{Catalogue, Os};

use crate::apple::ioreg::entries;
use crate::apple::plist::{Dict, Plist, number, text, yes};

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

/// On mains, and whether there is a battery: the source in use (`IOPSGetProvidingPowerSourceType`) and the
/// descriptions of all sources, whose keys are IOPSKeys.h's.
pub(super) fn supply(providing: Option<&Plist>, sources: &[Plist]) -> (Option<bool>, bool) {
    let mains = match providing {
        Some(Plist::Text(word)) => match word.as_str() {
            "AC Power" | "UPS Power" => Some(true),
            "Battery Power" => Some(false),
            _ => None,
        },
        _ => None,
    };
    let is_battery = |dict: &Dict| {
        text(dict, "Type").is_some_and(|kind| kind == "InternalBattery")
            && yes(dict, "Is Present") != Some(false)
    };
    (mains, sources.iter().filter_map(Plist::dict).any(is_battery))
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

/// Who holds the machine awake: arrays of assertions (`IOPMCopyAssertionsByProcess`), one for each process;
/// `process` names one whose assertions do not. What a program calls its assertion may be a document's name and is not
/// taken.
pub(super) fn keep_awake(
    catalogue: &Catalogue,
    processes: &[Plist],
    process: impl Fn(u32) -> Option<String>,
) -> Vec<String> {
    let holds = |dict: &&Dict| {
        text(dict, "AssertType").is_some_and(|kind| HOLDING.contains(&kind.as_str()))
            && number::<u32>(dict, "AssertLevel") != Some(0)
    };
    let holder = |assertions: &Plist| {
        let dict = assertions.array().iter().filter_map(Plist::dict).find(holds)?;
        let name = text(dict, "Process Name").or_else(|| process(number(dict, "AssertPID")?));
        Some(name_of(catalogue, &name.unwrap_or_default()))
    };
    let mut holders: Vec<String> = processes.iter().filter_map(holder).collect();
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

    /// A value in a list of its own.
    fn value(body: &str) -> Plist {
        parse(format!("<plist version=\"1.0\">{body}</plist>").as_bytes()).unwrap()
    }

    #[test]
    fn mains_battery_and_a_mac_without_one() {
        let battery = |present: &str| {
            value(&format!(
                "<dict><key>Type</key><string>InternalBattery</string><key>Transport Type</key>\
                 <string>Internal</string><key>Is Present</key><{present}/><key>Power Source State</key>\
                 <string>AC Power</string></dict>"
            ))
        };
        let from = |word: &str| value(&format!("<string>{word}</string>"));
        assert_eq!(supply(Some(&from("AC Power")), &[battery("true")]), (Some(true), true));
        assert_eq!(supply(Some(&from("Battery Power")), &[battery("true")]), (Some(false), true));
        let ups = value("<dict><key>Type</key><string>UPS</string></dict>");
        assert_eq!(supply(Some(&from("UPS Power")), &[ups, battery("false")]), (Some(true), false));
        assert_eq!(supply(Some(&from("Fusion")), &[Plist::Bool(true)]), (None, false));
        assert_eq!(supply(None, &[]), (None, false));
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
        let unnamed = |pid| (pid == 80).then(|| "powerd".to_owned());
        let all = plist("assertions.plist");
        assert_eq!(
            keep_awake(&catalogue, all.array(), unnamed).len(),
            2,
            "a hand at the keyboard holds nothing"
        );
        assert!(keep_awake(&catalogue, all.array(), unnamed).contains(&"powerd".to_owned()));
        let text = recording("assertions.plist").replace(">powerd<", ">My Diary<");
        let all = parse(text.as_bytes()).unwrap();
        assert!(keep_awake(&catalogue, all.array(), unnamed).iter().all(|name| !name.contains("Diary")));
        // Older systems leave the process's name out.
        let nameless = recording("assertions.plist").replace("<key>Process Name</key>", "<key>Other</key>");
        let all = parse(nameless.as_bytes()).unwrap();
        assert_eq!(keep_awake(&catalogue, all.array(), unnamed), ["other", "powerd"]);
        let off = recording("assertions.plist").replace("<integer>255</integer>", "<integer>0</integer>");
        assert!(keep_awake(&catalogue, parse(off.as_bytes()).unwrap().array(), unnamed).is_empty());
    }

    #[test]
    fn twenty_thousand_assertions_of_one_program_are_told_once() {
        let one = plist("assertions.plist").array()[0].clone();
        assert_eq!(keep_awake(&Catalogue::shipped(), &vec![one; 20_000], |_| None).len(), 1);
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
        fn junk_and_cut_outputs_never_panic(junk in "\\PC{0,200}", end in 0usize..1400, at: usize, byte: u8) {
            let catalogue = Catalogue::shipped();
            let cut: String = recording("pmset-g.txt").chars().take(end).collect();
            let _ = (never_sleeps(&junk), never_sleeps(&cut));
            let mut bytes = recording("assertions.plist").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(list) = parse(&bytes) {
                prop_assert!(keep_awake(&catalogue, list.array(), |_| None).len() <= MOST);
                let _ = (supply(Some(&list), list.array()), lid_closed(&list));
            }
        }
    }
}
