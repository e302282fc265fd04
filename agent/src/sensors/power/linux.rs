//! Linux: the power_supply class, ACPI's lid, logind's and systemd's settings, logind's inhibitors.

use std::path::Path;
use std::time::Duration;

use super::super::{assignments, read};
use super::{Config, SensorError, Settings, SupplyNow};

const SUPPLIES: &str = "sys/class/power_supply";
const LIDS: &str = "proc/acpi/button/lid";
const INHIBITORS: &str = "run/systemd/inhibit";
/// Most supplies, lids, inhibitors or files of settings that are looked at.
const MOST: usize = 64;
/// System services that are named when they hold the laptop awake; other programs are `other`.
const SERVICES: [&str; 9] = [
    "NetworkManager",
    "ModemManager",
    "UPower",
    "PowerDevil",
    "GNOME Shell",
    "gnome-session",
    "gdm",
    "Unattended Upgrades Shutdown",
    "PackageKit",
];

pub(super) fn supply(config: &Config) -> Result<SupplyNow, SensorError> {
    let supplies = match read::names(&config.path(SUPPLIES), MOST) {
        Ok(names) => names,
        Err(error) if error.is_missing() => {
            let reason = "the kernel shows no power supplies (/sys/class/power_supply)";
            return Err(SensorError::NotSupported(reason.into()));
        }
        Err(error) => return Err(error.into()),
    };
    let supplies: Vec<Supply> = supplies.iter().filter_map(|name| one(config, name)).collect();
    Ok(SupplyNow {
        mains: mains(&supplies),
        battery: supplies.iter().any(|supply| matches!(supply, Supply::Battery { .. })),
        lid_closed: lid_closed(config),
    })
}

pub(super) fn settings(config: &Config) -> Settings {
    let mut trouble = None;
    let never_sleeps = never_sleeps(config, &mut trouble);
    Settings { never_sleeps, keep_awake: keep_awake(config, &mut trouble), trouble }
}

/// Settings that are stuffed so that they cannot be read are told. The file's name is the system's, never somebody's.
fn told<T: Default>(read: Result<T, read::ReadError>, what: &str, trouble: &mut Option<String>) -> T {
    if let Err(error) = &read
        && error.is_stuffed()
    {
        trouble
            .get_or_insert(format!("whether the laptop may sleep cannot be told: {what} is {}", error.why));
    }
    read.unwrap_or_default()
}

/// How long the machine has slept since it started: one clock goes on in sleep, the other does not.
pub(super) fn time_asleep(config: &Config) -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    if !config.is_live() {
        return Duration::ZERO;
    }
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic))
}

/// How long the machine has been up.
pub(super) fn uptime(config: &Config) -> Option<Duration> {
    let text = read::attribute(&config.path("proc/uptime"))?;
    Duration::try_from_secs_f64(text.split(' ').next()?.parse().ok()?).ok()
}

/// A source of power of the machine itself.
enum Supply {
    /// A mains adapter or a USB port that charges.
    Mains { online: bool },
    /// A battery, and whether it says that it is being emptied.
    Battery { discharging: bool },
}

fn one(config: &Config, name: &str) -> Option<Supply> {
    let folder = config.path(SUPPLIES).join(name);
    // Mice, headsets and pens report their own batteries here.
    if read::attribute(&folder.join("scope")).as_deref() == Some("Device") {
        return None;
    }
    match read::attribute(&folder.join("type"))?.as_str() {
        "Mains" | "USB" => {
            let online = read::attribute(&folder.join("online"))?;
            Some(Supply::Mains { online: online != "0" })
        }
        "Battery" => {
            let status = read::attribute(&folder.join("status"));
            Some(Supply::Battery { discharging: status.as_deref() == Some("Discharging") })
        }
        _ => None,
    }
}

/// By the adapters; where the firmware shows none, by what the battery says.
fn mains(supplies: &[Supply]) -> Option<bool> {
    let adapters =
        supplies.iter().filter_map(|s| if let Supply::Mains { online } = s { Some(*online) } else { None });
    let by_adapter = adapters.reduce(|a, b| a || b);
    let discharging =
        |s: &Supply| if let Supply::Battery { discharging } = s { Some(*discharging) } else { None };
    by_adapter.or_else(|| supplies.iter().find_map(discharging).map(|discharging| !discharging))
}

fn lid_closed(config: &Config) -> Option<bool> {
    let lids = read::names(&config.path(LIDS), MOST).ok()?;
    let state = lids.iter().find_map(|lid| read::attribute(&config.path(LIDS).join(lid).join("state")))?;
    match state.split_whitespace().last()? {
        "closed" => Some(true),
        "open" => Some(false),
        _ => None,
    }
}

/// Somebody set the machine never to sleep, or logind puts it to sleep; `None` where only a desktop's own
/// settings decide.
fn never_sleeps(config: &Config, trouble: &mut Option<String>) -> Option<bool> {
    let masked = ["sleep.target", "suspend.target"].iter().any(|unit| {
        let link = read::link(&config.path("etc/systemd/system").join(unit));
        link.is_ok_and(|target| target.as_os_str() == "/dev/null")
    });
    let sleep = configured(config, "sleep.conf", trouble);
    let no_suspend = assignments::last(&sleep, "AllowSuspend").is_some_and(is_no);
    let logind = configured(config, "logind.conf", trouble);
    let ignores = |key| assignments::last(&logind, key).is_some_and(|action| action == "ignore");
    let lid = "HandleLidSwitch";
    let on_mains = assignments::last(&logind, "HandleLidSwitchExternalPower");
    let ignores_lid = ignores(lid) && on_mains.is_none_or(|action| action == "ignore");
    if masked || no_suspend || ignores_lid {
        return Some(true);
    }
    let idle = assignments::last(&logind, "IdleAction")?;
    ["suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "sleep"]
        .contains(&idle)
        .then_some(false)
}

fn is_no(value: &str) -> bool {
    ["no", "false", "off", "0"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// A configuration of systemd's with its drop-ins, in the order in which they win.
fn configured(config: &Config, name: &str, trouble: &mut Option<String>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for folder in ["usr/lib/systemd", "etc/systemd", "run/systemd"] {
        let folder = config.path(folder);
        all.extend(told(assignments::of_file(&folder.join(name)), name, trouble));
        let drop_ins = folder.join(format!("{name}.d"));
        let names = told(read::names(&drop_ins, MOST), &format!("{name}.d"), trouble);
        let is_conf =
            |file: &&String| Path::new(file).extension().is_some_and(|extension| extension == "conf");
        for file in names.iter().filter(is_conf) {
            let what = format!("a file of {name}.d");
            all.extend(told(assignments::of_file(&drop_ins.join(file)), &what, trouble));
        }
    }
    all
}

/// Who holds the machine awake by one of logind's inhibitors.
fn keep_awake(config: &Config, trouble: &mut Option<String>) -> Vec<String> {
    let names =
        told(read::names(&config.path(INHIBITORS), MOST * 2), "the list of what holds it awake", trouble);
    let files = names.iter().filter(|name| !name.contains('.')).take(MOST);
    let holder = |name: &String| {
        let settings = assignments::of_file(&config.path(INHIBITORS).join(name)).ok()?;
        let value = |key| assignments::last(&settings, key).unwrap_or_default();
        let holds = value("WHAT").split(':').any(|what| what == "idle" || what == "sleep");
        (holds && value("MODE").starts_with("block")).then(|| name_of(config, value("WHO")))
    };
    let mut holders: Vec<String> = files.filter_map(holder).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// A system service's name or a catalogue tool's; anything else is none of ours.
fn name_of(config: &Config, who: &str) -> String {
    if SERVICES.contains(&who) {
        return who.to_owned();
    }
    let tool = config.catalogue.by_process(farmwatch_shared::catalogue::Os::Linux, who, None);
    tool.map_or_else(|| "other".to_owned(), |hit| hit.tool.id.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use farmwatch_shared::facts::{Power, SensorState, SensorStatus, TransitionKind};
    use proptest::prelude::*;

    use super::super::super::test::{again, config, look, now, write};
    use super::*;

    const LAPTOP: [(&str, &str); 9] = [
        ("sys/class/power_supply/AC/type", "Mains\n"),
        ("sys/class/power_supply/AC/online", "1\n"),
        ("sys/class/power_supply/BAT0/type", "Battery\n"),
        ("sys/class/power_supply/BAT0/status", "Not charging\n"),
        ("sys/class/power_supply/hidpp_battery_0/type", "Battery\n"),
        ("sys/class/power_supply/hidpp_battery_0/scope", "Device\n"),
        ("sys/class/power_supply/hidpp_battery_0/status", "Discharging\n"),
        ("proc/acpi/button/lid/LID0/state", "state:      closed\n"),
        ("etc/systemd/logind.conf.d/lid.conf", "[Login]\nHandleLidSwitch=ignore\n"),
    ];

    #[test]
    fn a_laptop_on_mains_with_its_lid_closed_that_never_sleeps() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &LAPTOP);
        let inhibit = "WHAT=idle:sleep\nWHO=my private program\nWHY=x\nMODE=block\n";
        write(root.path(), &[("run/systemd/inhibit/4", inhibit), ("run/systemd/inhibit/4.ref", "")]);
        let power: Power = look("power", root.path()).state.get("self").cloned().unwrap();
        let expected = Power {
            mains: Some(true),
            battery: true,
            lid_closed: Some(true),
            never_sleeps: Some(true),
            keep_awake: vec!["other".into()],
        };
        assert_eq!(power, expected);
    }

    #[test]
    fn the_plug_that_is_pulled_is_a_transition() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &LAPTOP);
        let config = config(root.path());
        let mut sensor = super::super::new(&config);
        assert!(again(sensor.as_mut(), &config, now()).transitions.is_empty());
        write(root.path(), &[("sys/class/power_supply/AC/online", "0\n")]);
        let seen = again(sensor.as_mut(), &config, now());
        assert_eq!(seen.transitions[0].kind, TransitionKind::MainsLost);
        assert_eq!(seen.state.get::<Power>("self").unwrap().mains, Some(false));
    }

    #[test]
    fn without_an_adapter_in_sight_the_battery_tells() {
        let supplies = [Supply::Battery { discharging: true }];
        assert_eq!(mains(&supplies), Some(false));
        assert_eq!(mains(&[]), None);
    }

    #[test]
    fn masked_sleep_never_sleeps_and_a_desktop_without_supplies_is_said_so() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("etc/systemd/system/x", "")]);
        symlink("/dev/null", root.path().join("etc/systemd/system/suspend.target")).unwrap();
        assert_eq!(never_sleeps(&config(root.path()), &mut None), Some(true));
        let status: SensorStatus = look("power", root.path()).state.get("power").cloned().unwrap();
        assert_eq!(status.state, SensorState::NotSupported);
    }

    #[test]
    fn settings_that_are_stuffed_to_hide_one_are_blind_with_the_reason() {
        let long = format!("#{}\n[Login]\nHandleLidSwitch=ignore\n", "x".repeat(read::SMALL));
        let whole = format!("#{}\n[Login]\nHandleLidSwitch=ignore\n", "x".repeat(read::SMALL / 2));
        let cases = [
            ("etc/systemd/logind.conf", "logind.conf is larger than 65536 bytes"),
            ("etc/systemd/logind.conf.d/z.conf", "a file of logind.conf.d is larger than 65536 bytes"),
            ("run/systemd/sleep.conf.d/z.conf", "a file of sleep.conf.d is larger than 65536 bytes"),
        ];
        for (file, reason) in cases {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), &LAPTOP[..2]);
            let status = || look("power", root.path()).state.get::<SensorStatus>("power").cloned().unwrap();
            write(root.path(), &[(file, &whole)]);
            assert_eq!(status().state, SensorState::Ok, "{file}");
            write(root.path(), &[(file, &long)]);
            let status = status();
            assert_eq!(status.state, SensorState::Blind, "{file}");
            assert!(status.reason.unwrap().ends_with(reason), "{file}");
        }
        let root = tempfile::tempdir().unwrap();
        for n in 0..=MOST {
            write(root.path(), &[(&format!("etc/systemd/logind.conf.d/{n}.conf"), "")]);
        }
        let mut trouble = None;
        never_sleeps(&config(root.path()), &mut trouble);
        assert!(trouble.unwrap().ends_with("logind.conf.d is more than 64 entries"));
    }

    #[test]
    fn settings_and_inhibitors_of_any_kind_never_panic_and_no_text_of_theirs_is_told() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let junk = "(HandleLidSwitch=|IdleAction=|AllowSuspend=|WHAT=idle|MODE=block|WHO=|\\[Login\\]|[:=#;\n]|ignore|no|\\PC){0,60}";
        let tools: Vec<&str> = config.catalogue.tools().map(|tool| &*tool.id).collect();
        proptest!(|(junk in junk, who in "\\PC{0,40}")| {
            let inhibitor = format!("{junk}\nWHAT=sleep\nMODE=block\nWHO={who}\n");
            write(
                root.path(),
                &[("etc/systemd/logind.conf", &junk), ("etc/systemd/sleep.conf", &junk), ("run/systemd/inhibit/4", &inhibitor)],
            );
            let _ = never_sleeps(&config, &mut None);
            let held = keep_awake(&config, &mut None);
            let known = |name: &String| name == "other" || SERVICES.contains(&&**name) || tools.contains(&&**name);
            prop_assert!(held.len() == 1 && held.iter().all(known), "{held:?}");
            // A drop-in wins over whatever stands before it.
            write(root.path(), &[("run/systemd/sleep.conf.d/x.conf", "[Sleep]\nAllowSuspend=no\n")]);
            prop_assert_eq!(never_sleeps(&config, &mut None), Some(true));
            std::fs::remove_file(root.path().join("run/systemd/sleep.conf.d/x.conf")).unwrap();
        });
    }
}
