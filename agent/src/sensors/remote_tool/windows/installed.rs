//! What of the catalogue is installed: services, installed programs, files.

use std::collections::BTreeMap;
use std::path::Path;

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::facts::SeenBy;
use windows_registry::{Key, LOCAL_MACHINE, USERS};

use super::super::from_windows;
use super::super::tools::Hit;
use crate::windows::registry;

/// Lists of installed programs: of the machine's own width, and of 32 bits.
const PROGRAMS: [&str; 2] = [
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
    r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";
/// `SERVICE_WIN32_OWN_PROCESS | SERVICE_WIN32_SHARE_PROCESS`: no drivers.
const PROGRAM: u32 = 0x30;
/// Programs that start when somebody logs in.
const RUN: [&str; 2] = [
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
    r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Run",
];

pub(super) fn all(catalogue: &Catalogue) -> Vec<(SeenBy, Hit)> {
    let mut hits: Vec<(SeenBy, Hit)> = Vec::new();
    hits.extend(services(catalogue).into_iter().map(|hit| (SeenBy::Service, hit)));
    hits.extend(programs(catalogue).into_iter().map(|hit| (SeenBy::Package, hit)));
    hits.extend(files(catalogue).into_iter().map(|hit| (SeenBy::File, hit)));
    hits
}

/// Services by their names and by their programs, and what starts when somebody logs in.
fn services(catalogue: &Catalogue) -> Vec<Hit> {
    let mut hits = Vec::new();
    if let Some(services) = registry::machine(SERVICES) {
        for name in registry::keys(&services) {
            let Ok(service) = services.open(&name) else { continue };
            if service.get_u32("Type").unwrap_or(0) & PROGRAM == 0 {
                continue;
            }
            let program = registry::text(&service, "ImagePath")
                .map(|command| from_windows::program_of(&command).to_owned());
            let hit = catalogue.by_service(Os::Windows, &name);
            let hit = hit.or_else(|| catalogue.by_process(Os::Windows, program.as_deref()?, None));
            hits.extend(hit.map(Hit::from));
        }
    }
    for key in RUN.iter().filter_map(|path| LOCAL_MACHINE.open(path).ok()) {
        for (_, value) in key.values().into_iter().flatten().take(registry::MANY) {
            let command = String::try_from(value).unwrap_or_default();
            hits.extend(
                catalogue.by_process(Os::Windows, from_windows::program_of(&command), None).map(Hit::from),
            );
        }
    }
    hits
}

/// Installed programs, of the machine and of everybody who is logged in.
fn programs(catalogue: &Catalogue) -> Vec<Hit> {
    let mut hits = Vec::new();
    let machine = PROGRAMS.iter().filter_map(|path| LOCAL_MACHINE.open(path).ok());
    let people =
        registry::people().into_iter().filter_map(|sid| USERS.open(format!(r"{sid}\{}", PROGRAMS[0])).ok());
    for list in machine.chain(people) {
        hits.extend(listed(catalogue, &list));
    }
    hits
}

fn listed(catalogue: &Catalogue, list: &Key) -> Vec<Hit> {
    let name = |key: String| registry::text(&list.open(key).ok()?, "DisplayName");
    let names = registry::keys(list).into_iter().filter_map(name);
    names.filter_map(|name| catalogue.by_package(Os::Windows, &name).map(Hit::from)).collect()
}

fn files(catalogue: &Catalogue) -> Vec<Hit> {
    let variables = variables();
    let mut hits = Vec::new();
    for (tool, pattern) in catalogue.files(Os::Windows) {
        let found =
            from_windows::paths(pattern, &variables).into_iter().find(|path| Path::new(path).exists());
        let hit = found.and_then(|path| catalogue.by_file(Os::Windows, &path).map(Hit::from));
        hits.extend(hit.filter(|hit| hit.tool == tool.id));
    }
    hits
}

/// What Windows' variables stand for, for the machine and for everybody with a profile.
fn variables() -> BTreeMap<&'static str, Vec<String>> {
    let machine = |names: &[&str]| -> Vec<String> {
        let mut found: Vec<String> = names.iter().filter_map(|name| std::env::var(name).ok()).collect();
        found.dedup();
        found
    };
    let homes = registry::homes();
    let below = |folder: &str| homes.iter().map(|home| format!(r"{home}\{folder}")).collect();
    BTreeMap::from([
        ("%programfiles%", machine(&["ProgramFiles", "ProgramFiles(x86)"])),
        ("%programfiles(x86)%", machine(&["ProgramFiles(x86)"])),
        ("%programdata%", machine(&["ProgramData"])),
        ("%systemdrive%", machine(&["SystemDrive"])),
        ("%windir%", machine(&["SystemRoot"])),
        ("%systemroot%", machine(&["SystemRoot"])),
        ("%appdata%", below(r"AppData\Roaming")),
        ("%localappdata%", below(r"AppData\Local")),
        ("%userprofile%", homes.clone()),
    ])
}
