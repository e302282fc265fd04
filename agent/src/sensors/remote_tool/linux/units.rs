//! What starts by itself: systemd's units, init scripts, desktops' autostart entries.

use std::path::{Path, PathBuf};

use farmwatch_shared::catalogue::Os;

use super::super::tools::Hit;
use crate::sensors::{Config, assignments, read};

/// Folders of units that packages bring: their names tell.
const PACKAGED: [&str; 4] =
    ["usr/lib/systemd/system", "lib/systemd/system", "usr/lib/systemd/user", "etc/init.d"];
/// Folders of units that somebody wrote: what they start tells, too.
const WRITTEN: [&str; 4] =
    ["etc/systemd/system", "usr/local/lib/systemd/system", "etc/systemd/user", "run/systemd/system"];
/// Below each home.
const WRITTEN_AT_HOME: &str = ".config/systemd/user";
const AUTOSTART: &str = "etc/xdg/autostart";
const AUTOSTART_AT_HOME: &str = ".config/autostart";
/// Most files of one folder that are read.
const MOST_READ: usize = 512;
/// Most commands of one file that are looked at.
const MOST_COMMANDS: usize = 64;

/// Tools that start by themselves; `trouble` takes the reason why some cannot be seen.
pub(super) fn all(config: &Config, homes: &[PathBuf], trouble: &mut Option<String>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for folder in PACKAGED {
        // On most systems `/lib` is `/usr/lib`.
        if folder.starts_with("lib/") && config.path("lib").is_symlink() {
            continue;
        }
        names(&config.path(folder), trouble).iter().for_each(|name| hits.extend(by_name(config, name)));
    }
    let at_home = homes.iter().map(|home| home.join(WRITTEN_AT_HOME));
    for folder in WRITTEN.iter().map(|folder| config.path(folder)).chain(at_home) {
        let names = names(&folder, trouble);
        let services: Vec<&String> = names.iter().filter(|name| name.contains(".service")).collect();
        for name in first(&services, MOST_READ, "units in a folder", trouble) {
            hits.extend(
                by_name(config, name)
                    .or_else(|| by_command(config, &folder.join(name), "ExecStart", trouble)),
            );
        }
    }
    let at_home = homes.iter().map(|home| home.join(AUTOSTART_AT_HOME));
    for folder in [config.path(AUTOSTART)].into_iter().chain(at_home) {
        for name in first(&names(&folder, trouble), MOST_READ, "entries in a folder", trouble) {
            let Some(stem) = name.strip_suffix(".desktop") else { continue };
            hits.extend(
                by_name(config, stem).or_else(|| by_command(config, &folder.join(name), "Exec", trouble)),
            );
        }
    }
    hits
}

fn names(folder: &Path, trouble: &mut Option<String>) -> Vec<String> {
    read::names(folder, read::MANY).inspect_err(|error| blind(trouble, error)).unwrap_or_default()
}

/// What is stuffed so that it cannot be read is told, without the name of somebody's home.
fn blind(trouble: &mut Option<String>, error: &read::ReadError) {
    if error.is_stuffed() {
        trouble.get_or_insert(format!("some of what starts by itself cannot be read: {}", error.why));
    }
}

/// As many as are looked at; that there are more is told.
fn first<'a, T>(all: &'a [T], most: usize, what: &str, trouble: &mut Option<String>) -> &'a [T] {
    if all.len() > most {
        trouble.get_or_insert(format!(
            "some of what starts by itself is not looked at: more than {most} {what}"
        ));
    }
    all.get(..most).unwrap_or(all)
}

/// `name.service`, `name@.service` and `name@instance.service` are all `name`'s.
fn by_name(config: &Config, name: &str) -> Option<Hit> {
    let name = name.strip_suffix(".service").unwrap_or(name);
    let template = name.split_once('@').map(|(template, _)| template);
    let by = |name| config.catalogue.by_service(Os::Linux, name);
    by(name).or_else(|| by(template?)).map(Hit::from)
}

/// By what a unit or a desktop entry starts. Of its command line nothing is told but what the catalogue says.
fn by_command(config: &Config, file: &Path, key: &str, trouble: &mut Option<String>) -> Option<Hit> {
    let settings = assignments::of_file(file).inspect_err(|error| blind(trouble, error)).ok()?;
    if assignments::last(&settings, "Hidden") == Some("true") {
        return None;
    }
    let commands: Vec<&(String, String)> = settings.iter().filter(|(k, _)| k == key).collect();
    let hit = |(_, command): &&(String, String)| {
        // systemd's marks before a command say how it is started.
        let command = command.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let program = command.split_whitespace().next()?;
        config.catalogue.by_process(Os::Linux, program, Some(command)).map(Hit::from)
    };
    first(&commands, MOST_COMMANDS, "commands in a unit", trouble).iter().find_map(hit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::super::test::{config, write};
    use super::*;

    #[test]
    fn a_unit_with_an_innocent_name_is_known_by_what_it_starts() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                (
                    "etc/systemd/system/printer-helper.service",
                    "[Service]\nExecStart=-/usr/bin/x11vnc -forever\n",
                ),
                ("etc/systemd/system/cups.service", "[Service]\nExecStart=/usr/sbin/cupsd -l\n"),
                ("usr/lib/systemd/system/anydesk.service", ""),
                ("home/anna/.config/autostart/off.desktop", "[Desktop Entry]\nExec=x11vnc\nHidden=true\n"),
                ("home/anna/.config/autostart/sync.desktop", "[Desktop Entry]\nExec=anydesk --tray\n"),
            ],
        );
        let mut trouble = None;
        let homes = super::super::super::paths::homes(root.path());
        let hits = all(&config(root.path()), &homes, &mut trouble);
        assert_eq!(trouble, None);
        let mut tools: Vec<&str> = hits.iter().map(|hit| &*hit.tool).collect();
        tools.sort_unstable();
        assert_eq!(tools, ["anydesk", "anydesk", "x11vnc"]);
        assert!(hits.iter().all(|hit| !hit.what.contains("anna") && !hit.what.contains("-forever")));
    }

    #[test]
    fn a_folder_that_is_stuffed_to_hide_a_unit_is_told() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("home/anna").join(WRITTEN_AT_HOME);
        std::fs::create_dir_all(&folder).unwrap();
        for n in 0..=read::MANY {
            std::fs::File::create(folder.join(format!("{n}.service"))).unwrap();
        }
        let mut trouble = None;
        all(&config(root.path()), &[root.path().join("home/anna")], &mut trouble);
        assert_eq!(trouble.unwrap(), "some of what starts by itself cannot be read: more than 4096 entries");
    }

    #[test]
    fn a_unit_that_is_not_looked_at_because_of_its_number_is_told_and_as_many_as_are_looked_at_are_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("etc/systemd/system");
        std::fs::create_dir_all(&folder).unwrap();
        let unit = |n: usize| std::fs::write(folder.join(format!("{n:04}.service")), "[Service]\n").unwrap();
        (0..MOST_READ).for_each(unit);
        // What is no service takes no room.
        std::fs::write(folder.join("0000.timer"), "").unwrap();
        let look = || {
            let mut trouble = None;
            all(&config(root.path()), &[], &mut trouble);
            trouble
        };
        assert_eq!(look(), None);
        unit(MOST_READ);
        let told = "some of what starts by itself is not looked at: more than 512 units in a folder";
        assert_eq!(look().unwrap(), told);
    }

    #[test]
    fn a_command_behind_too_many_is_told() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("x.service");
        let tool = "ExecStart=x11vnc\n";
        for (before, trouble) in
            [(MOST_COMMANDS - 1, None), (MOST_COMMANDS, Some("more than 64 commands in a unit"))]
        {
            std::fs::write(&file, format!("{}{tool}", "ExecStart=/bin/true\n".repeat(before))).unwrap();
            let mut told = None;
            let hit = by_command(&config(root.path()), &file, "ExecStart", &mut told);
            assert_eq!((hit.is_some(), told.is_some()), (trouble.is_none(), trouble.is_some()), "{before}");
            assert!(told.unwrap_or_default().ends_with(trouble.unwrap_or_default()));
        }
    }

    #[test]
    fn units_of_any_kind_never_panic_and_a_tool_behind_their_junk_is_found() {
        let root = tempfile::tempdir().unwrap();
        let (config, file) = (config(root.path()), root.path().join("x.service"));
        let junk = "(ExecStart=|Exec=|\\[Service\\]|[-@:+!|#;=\"']|/usr/bin/|\\\\|\n|\\PC){0,60}";
        proptest!(|(junk in junk, mark in "[-@:+!|]{0,3}", name in "\\PC{0,40}", cut in 0usize..400)| {
            let mut trouble = None;
            let _ = by_name(&config, &name);
            let unit = format!("{junk}\nExecStart={mark}/usr/bin/x11vnc -forever\n");
            std::fs::write(&file, &unit).unwrap();
            prop_assert!(by_command(&config, &file, "ExecStart", &mut trouble).is_some());
            std::fs::write(&file, &unit.as_bytes()[..cut.min(unit.len())]).unwrap();
            let _ = by_command(&config, &file, "ExecStart", &mut trouble);
            prop_assert_eq!(trouble, None);
        });
        let mut trouble = None;
        std::fs::write(&file, format!("#{}\nExecStart=x11vnc\n", "x".repeat(1 << 20))).unwrap();
        assert_eq!(by_command(&config, &file, "ExecStart", &mut trouble), None);
        assert_eq!(trouble.unwrap(), "some of what starts by itself cannot be read: larger than 65536 bytes");
    }
}
