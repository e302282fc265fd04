//! Installed packages: dpkg's and pacman's databases, flatpaks, snaps. Read again only when one changed.
//!
//! RPM's database is a database file; it is not read, so there tools are seen by process, unit and file.

use std::path::Path;
use std::time::SystemTime;

use farmwatch_shared::catalogue::Os;

use super::super::tools::Hit;
use crate::sensors::{Config, read};

const DPKG: &str = "var/lib/dpkg/status";
/// Debian's largest desktops have some 6 MiB.
const MOST_DPKG: usize = 64 << 20;
const PACMAN: &str = "var/lib/pacman/local";
const FLATPAK: &str = "var/lib/flatpak/app";
const SNAP: &str = "snap";
/// Most packages of one kind.
const MOST: usize = 1 << 16;

/// Tools among the installed packages.
#[derive(Default)]
pub(super) struct Packages {
    stamp: Option<[Option<(u64, SystemTime)>; 4]>,
    /// What was found.
    pub(super) hits: Vec<Hit>,
    /// A database that is there and cannot be read.
    pub(super) trouble: Option<String>,
}

impl Packages {
    /// Looks, if anything was installed or removed since the last time.
    pub(super) fn look(&mut self, config: &Config) {
        let stamp = [DPKG, PACMAN, FLATPAK, SNAP].map(|path| changed(&config.path(path)));
        if self.stamp == Some(stamp) {
            return;
        }
        self.hits.clear();
        self.trouble = None;
        self.stamp = Some(stamp);
        self.dpkg(config);
        for (folder, name) in [(PACMAN, without_version as fn(&str) -> &str), (FLATPAK, whole), (SNAP, whole)]
        {
            let names = read::names(&config.path(folder), MOST).unwrap_or_default();
            names.iter().for_each(|entry| self.package(config, name(entry)));
        }
    }

    fn dpkg(&mut self, config: &Config) {
        let mut package = String::new();
        let outcome = read::each_line(&config.path(DPKG), MOST_DPKG, |line| {
            if let Some(name) = line.strip_prefix("Package: ") {
                package.clear();
                package.push_str(name);
            } else if line.starts_with("Status: ") && line.ends_with(" installed") {
                self.package(config, &package);
            }
        });
        match outcome {
            Err(error) if !error.is_missing() => self.trouble = Some(error.to_string()),
            _ => {}
        }
    }

    fn package(&mut self, config: &Config, name: &str) {
        self.hits.extend(config.catalogue.by_package(Os::Linux, name).map(Hit::from));
    }
}

fn changed(path: &Path) -> Option<(u64, SystemTime)> {
    let data = path.metadata().ok()?;
    Some((data.len(), data.modified().ok()?))
}

fn whole(name: &str) -> &str {
    name
}

/// pacman's folders are `name-version-release`.
fn without_version(entry: &str) -> &str {
    entry.rsplitn(3, '-').nth(2).unwrap_or(entry)
}

#[cfg(test)]
mod tests {
    use super::super::super::super::test::{config, write};
    use super::*;

    #[test]
    fn installed_packages_count_and_removed_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        let package =
            |name: &str, status| format!("Package: {name}\nStatus: {status}\nDescription: x\n y\n\n");
        let status = package("x11vnc", "deinstall ok config-files") + &package("vim", "install ok installed");
        write(root.path(), &[(DPKG, &status)]);
        let config = config(root.path());
        let mut packages = Packages::default();
        packages.look(&config);
        assert!(packages.hits.is_empty());
        write(root.path(), &[(DPKG, &(status + &package("x11vnc", "install ok installed")))]);
        packages.look(&config);
        assert_eq!(packages.hits.len(), 1);
        assert_eq!(packages.hits[0].what, "x11vnc");
        assert_eq!(without_version("tigervnc-server-1.15.0-1"), "tigervnc-server");
    }
}
