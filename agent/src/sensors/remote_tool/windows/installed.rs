//! What of the catalogue is installed: services, installed programs, files, keys of the registry.

use std::collections::BTreeMap;
use std::path::Path;

use farmwatch_shared::catalogue::{Catalogue, Match, Os};
use farmwatch_shared::facts::SeenBy;
use windows_registry::{Key, LOCAL_MACHINE, USERS};

use super::super::from_windows::places;
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
/// Most files whose names say nothing and which are read.
const MOST_UNKNOWN: usize = 512;

/// What is installed.
#[derive(Default)]
pub(super) struct Installed {
    /// By name, path or key.
    pub(super) hits: Vec<(SeenBy, Hit)>,
    /// Programs of services and of lists of programs whose names say nothing: their files may.
    pub(super) unknown: BTreeMap<String, SeenBy>,
}

pub(super) fn all(catalogue: &Catalogue) -> Installed {
    let variables = variables();
    let mut all = Installed::default();
    services(catalogue, &variables, &mut all);
    autostarts(catalogue, &variables, &mut all);
    programs(catalogue, &variables, &mut all);
    all.hits.extend(files(catalogue, &variables).into_iter().map(|hit| (SeenBy::File, hit)));
    all.hits.extend(keys(catalogue).into_iter().map(|hit| (SeenBy::File, hit)));
    all
}

impl Installed {
    /// Keeps a hit, or the program's file for a look at its bytes.
    fn add(
        &mut self,
        by: SeenBy,
        hit: Option<Match<'_>>,
        program: Option<&str>,
        variables: &BTreeMap<&str, Vec<String>>,
    ) {
        if let Some(hit) = hit {
            return self.hits.push((by, hit.into()));
        }
        let file = program.and_then(|program| places::file_of(program, variables));
        if let Some(file) = file.filter(|_| self.unknown.len() < MOST_UNKNOWN) {
            self.unknown.entry(file).or_insert(by);
        }
    }
}

/// Services by their names and by their programs.
fn services(catalogue: &Catalogue, variables: &BTreeMap<&str, Vec<String>>, all: &mut Installed) {
    let Some(services) = registry::machine(SERVICES) else { return };
    for name in registry::keys(&services) {
        let Ok(service) = services.open(&name) else { continue };
        if service.get_u32("Type").unwrap_or(0) & PROGRAM == 0 {
            continue;
        }
        let command = registry::text(&service, "ImagePath");
        let program = command.as_deref().map(places::program_of);
        let hit = catalogue.by_service(Os::Windows, &name);
        let hit = hit.or_else(|| catalogue.by_process(Os::Windows, program?, None));
        all.add(SeenBy::Service, hit, program, variables);
    }
}

/// What starts when somebody logs in.
fn autostarts(catalogue: &Catalogue, variables: &BTreeMap<&str, Vec<String>>, all: &mut Installed) {
    let machine = RUN.iter().filter_map(|path| LOCAL_MACHINE.open(path).ok());
    let people = registry::people();
    let people = people.iter().filter_map(|sid| USERS.open(format!(r"{sid}\{}", RUN[0])).ok());
    for key in machine.chain(people) {
        for (_, value) in key.values().into_iter().flatten().take(registry::MANY) {
            let command = String::try_from(value).unwrap_or_default();
            let program = places::program_of(&command);
            let hit = catalogue.by_process(Os::Windows, program, None);
            all.add(SeenBy::Service, hit, Some(program), variables);
        }
    }
}

/// Installed programs, of the machine and of everybody who is logged in.
fn programs(catalogue: &Catalogue, variables: &BTreeMap<&str, Vec<String>>, all: &mut Installed) {
    let machine = PROGRAMS.iter().filter_map(|path| LOCAL_MACHINE.open(path).ok());
    let people = registry::people();
    let people = people.iter().filter_map(|sid| USERS.open(format!(r"{sid}\{}", PROGRAMS[0])).ok());
    for list in machine.chain(people) {
        for program in registry::keys(&list).into_iter().filter_map(|name| list.open(name).ok()) {
            let name = registry::text(&program, "DisplayName");
            let hit = name.and_then(|name| catalogue.by_package(Os::Windows, &name));
            let icon = registry::text(&program, "DisplayIcon");
            all.add(SeenBy::Package, hit, icon.as_deref(), variables);
        }
    }
}

fn files(catalogue: &Catalogue, variables: &BTreeMap<&str, Vec<String>>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (tool, pattern) in catalogue.files(Os::Windows) {
        let found = places::paths(pattern, variables).into_iter().find(|path| Path::new(path).exists());
        let hit = found.and_then(|path| catalogue.by_file(Os::Windows, &path).map(Hit::from));
        hits.extend(hit.filter(|hit| hit.tool == tool.id));
    }
    hits
}

/// Keys of the registry that tools write.
fn keys(catalogue: &Catalogue) -> Vec<Hit> {
    let people = registry::people();
    let open = |key: &places::Key<'_>| -> Vec<Key> {
        if !key.of_people {
            return registry::machine(key.path).into_iter().collect();
        }
        people.iter().filter_map(|sid| USERS.open(format!(r"{sid}\{}", key.path)).ok()).collect()
    };
    let mut hits = Vec::new();
    for (tool, pattern) in catalogue.registry_keys() {
        let Some(place) = places::key(pattern) else { continue };
        let hive = if place.of_people { "HKCU" } else { "HKLM" };
        let found = open(&place);
        let names: Vec<String> = if place.below {
            let names = found.iter().flat_map(registry::keys);
            names.map(|name| format!(r"{hive}\{}\{name}", place.path)).collect()
        } else {
            found.iter().take(1).map(|_| format!(r"{hive}\{}", place.path)).collect()
        };
        let hit =
            names.iter().find_map(|name| catalogue.by_registry(name).filter(|hit| hit.tool.id == tool.id));
        hits.extend(hit.map(Hit::from));
    }
    hits
}

/// What Windows' variables stand for, for the machine and for everybody with a profile.
pub(super) fn variables() -> BTreeMap<&'static str, Vec<String>> {
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
