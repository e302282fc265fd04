//! Builds of the tools that are installed, so that a copy under another name is known: of the catalogue's own files,
//! and of the programs that its packages own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use farmwatch_shared::catalogue::{Os, Proves};

use super::super::paths;
use super::super::tools::Hit;
use super::renamed::build_of;
use crate::sensors::{Config, read};

/// Lists of files that packages own.
const OWNED: &str = "var/lib/dpkg/info";
/// A list of one package's files is never longer.
const MOST_LIST: usize = 4 << 20;
/// Most programs of one package.
const MOST_PROGRAMS: usize = 64;
/// Folders in which packages' programs lie.
const FOLDERS: [&str; 5] = ["/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/", "/opt/"];

/// Tools by the build of their programs. `packages` are the catalogue's that are installed.
pub(super) fn of_tools(config: &Config, packages: &[Hit]) -> BTreeMap<String, Hit> {
    let mut builds = BTreeMap::new();
    let homes: Vec<PathBuf> = Vec::new();
    for (_, pattern) in config.catalogue.files(Os::Linux).filter(|(_, pattern)| !pattern.ends_with('/')) {
        for path in paths::matching(&config.root, &homes, pattern) {
            add(config, &path, None, &mut builds);
        }
    }
    for package in packages.iter().filter(|hit| !hit.presence && !hit.hint) {
        for path in owned(config, &package.what) {
            add(config, &path, Some(package), &mut builds);
        }
    }
    builds
}

fn add(config: &Config, path: &Path, package: Option<&Hit>, builds: &mut BTreeMap<String, Hit>) {
    let Some(build) = build_of(path) else { return };
    let below = path.strip_prefix(&config.root).unwrap_or(path);
    let below = format!("/{}", below.display());
    let named = config
        .catalogue
        .by_process(Os::Linux, &below, None)
        .or_else(|| config.catalogue.by_file(Os::Linux, &below));
    let named = named.filter(|hit| hit.proves == Proves::Use).map(Hit::from);
    let Some(hit) = named.as_ref().or(package) else { return };
    let hit = Hit { what: format!("{} under another name", hit.what), ..hit.clone() };
    builds.entry(build).or_insert(hit);
}

/// Programs that a package of dpkg's owns. A pattern of the catalogue's with stars stands for no one package.
fn owned(config: &Config, package: &str) -> Vec<PathBuf> {
    let folder = config.path(OWNED);
    let names = [format!("{package}.list"), format!("{package}:amd64.list"), format!("{package}:arm64.list")];
    let mut programs = Vec::new();
    for name in names {
        let outcome = read::each_line(&folder.join(name), MOST_LIST, |line| {
            let program = FOLDERS.iter().any(|folder| line.starts_with(folder));
            if program && programs.len() < MOST_PROGRAMS {
                programs.push(config.path(line.trim_start_matches('/')));
            }
        });
        if outcome.is_ok() {
            break;
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::super::super::super::test::{config, write};
    use super::*;

    #[test]
    fn programs_of_installed_tools_are_known_by_their_builds() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("usr/bin/x", ""), ("usr/lib/tigervnc/x", "")]);
        write(
            root.path(),
            &[(&format!("{OWNED}/tigervnc-scraping-server.list"), "/usr\n/usr/lib/tigervnc/helper\n")],
        );
        fs::copy("/usr/bin/env", root.path().join("usr/lib/tigervnc/helper")).unwrap();
        let config = config(root.path());
        let package: Hit = config.catalogue.by_package(Os::Linux, "tigervnc-scraping-server").unwrap().into();
        let builds = of_tools(&config, std::slice::from_ref(&package));
        let hit = builds.values().next().expect("Debian gives its programs a build id");
        assert_eq!((&*hit.tool, &*hit.what), ("tigervnc", "tigervnc-scraping-server under another name"));
        assert!(of_tools(&config, &[]).is_empty());
        fs::copy("/usr/bin/env", root.path().join("usr/bin/x11vnc")).unwrap();
        let builds = of_tools(&config, &[]);
        let hit = builds.values().next().unwrap();
        assert_eq!(
            (&*hit.tool, hit.serving, &*hit.what),
            ("x11vnc", Some(true), "x11vnc under another name")
        );
    }

    #[test]
    fn lists_and_programs_of_any_kind_never_panic_and_lead_to_few_builds() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("usr/bin/x11vnc", "")]);
        let (config, program) = (config(root.path()), root.path().join("usr/bin/x11vnc"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let whole = fs::read("/usr/bin/env").unwrap();
        let list = "(/usr/(bin|lib)/|/opt/|/etc/|\\.\\./|\n|[a-z]|\\PC){0,200}";
        proptest!(|(list in list, at in 0..whole.len(), bytes: [u8; 4], cut in 0..whole.len())| {
            write(root.path(), &[(&format!("{OWNED}/tool.list"), &list)]);
            let owned = owned(&config, "tool");
            prop_assert!(owned.len() <= MOST_PROGRAMS && owned.iter().all(|path| path.starts_with(root.path())));
            let mut bad = whole.clone();
            let end = (at + bytes.len()).min(bad.len());
            bad[at..end].copy_from_slice(&bytes[..end - at]);
            for bad in [&bad[..], &whole[..cut]] {
                fs::write(&program, bad).unwrap();
                let builds = of_tools(&config, &[]);
                let fits = |build: &String| build.len() <= 128 && build.bytes().all(|digit| digit.is_ascii_hexdigit());
                prop_assert!(builds.len() <= 1 && builds.keys().all(fits));
            }
        });
        let many = "/usr/bin/x\n".repeat(1_000_000);
        write(root.path(), &[(&format!("{OWNED}/tool.list"), &many)]);
        assert!(owned(&config, "tool").is_empty(), "longer than any package's");
    }
}
