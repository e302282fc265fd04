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

/// Tools that start by themselves.
pub(super) fn all(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for folder in PACKAGED {
        // On most systems `/lib` is `/usr/lib`.
        if folder.starts_with("lib/") && config.path("lib").is_symlink() {
            continue;
        }
        names(&config.path(folder)).iter().for_each(|name| hits.extend(by_name(config, name)));
    }
    let at_home = homes.iter().map(|home| home.join(WRITTEN_AT_HOME));
    for folder in WRITTEN.iter().map(|folder| config.path(folder)).chain(at_home) {
        for name in names(&folder).iter().filter(|name| name.contains(".service")).take(MOST_READ) {
            hits.extend(
                by_name(config, name).or_else(|| by_command(config, &folder.join(name), "ExecStart")),
            );
        }
    }
    let at_home = homes.iter().map(|home| home.join(AUTOSTART_AT_HOME));
    for folder in [config.path(AUTOSTART)].into_iter().chain(at_home) {
        for name in names(&folder).iter().take(MOST_READ) {
            let Some(stem) = name.strip_suffix(".desktop") else { continue };
            hits.extend(by_name(config, stem).or_else(|| by_command(config, &folder.join(name), "Exec")));
        }
    }
    hits
}

fn names(folder: &Path) -> Vec<String> {
    read::names(folder, read::MANY).unwrap_or_default()
}

/// `name.service`, `name@.service` and `name@instance.service` are all `name`'s.
fn by_name(config: &Config, name: &str) -> Option<Hit> {
    let name = name.strip_suffix(".service").unwrap_or(name);
    let template = name.split_once('@').map(|(template, _)| template);
    let by = |name| config.catalogue.by_service(Os::Linux, name);
    by(name).or_else(|| by(template?)).map(Hit::from)
}

/// By what a unit or a desktop entry starts. Of its command line nothing is told but what the catalogue says.
fn by_command(config: &Config, file: &Path, key: &str) -> Option<Hit> {
    let settings = assignments::of_file(file).ok()?;
    if assignments::last(&settings, "Hidden") == Some("true") {
        return None;
    }
    let commands = settings.iter().filter(|(k, _)| k == key);
    let hit = |(_, command): &(String, String)| {
        // systemd's marks before a command say how it is started.
        let command = command.trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let program = command.split_whitespace().next()?;
        config.catalogue.by_process(Os::Linux, program, Some(command)).map(Hit::from)
    };
    commands.take(8).find_map(hit)
}

#[cfg(test)]
mod tests {
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
        let hits = all(&config(root.path()), &super::super::super::paths::homes(root.path()));
        let mut tools: Vec<&str> = hits.iter().map(|hit| &*hit.tool).collect();
        tools.sort_unstable();
        assert_eq!(tools, ["anydesk", "anydesk", "x11vnc"]);
        assert!(hits.iter().all(|hit| !hit.what.contains("anna") && !hit.what.contains("-forever")));
    }
}
