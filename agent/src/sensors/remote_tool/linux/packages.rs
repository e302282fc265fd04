//! Installed packages: dpkg's and pacman's databases, flatpaks, snaps. Read again only when one changed.
//!
//! RPM's database is a database file; it is not read, so there tools are seen by process, unit and file.

use std::path::Path;
use std::time::SystemTime;

use farmwatch_shared::catalogue::Os;

use super::super::tools::Hit;
use crate::sensors::Config;
use crate::sensors::read::{self, ReadError};

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
            match read::names(&config.path(folder), MOST) {
                Ok(names) => names.iter().for_each(|entry| self.package(config, name(entry))),
                Err(error) => self.blind(&error),
            }
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
        if let Err(error) = outcome {
            self.blind(&error);
        }
    }

    /// What is not there has nothing to tell; all else is told, the first of it.
    fn blind(&mut self, error: &ReadError) {
        if !error.is_missing() {
            self.trouble.get_or_insert_with(|| format!("some installed packages cannot be seen: {error}"));
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
    use proptest::prelude::*;

    use super::super::super::super::test::{config, write};
    use super::*;

    #[test]
    fn a_database_that_cannot_be_read_is_told_and_one_that_is_not_there_is_not() {
        let look = |root: &Path| {
            let mut packages = Packages::default();
            packages.look(&config(root));
            packages.trouble
        };
        assert_eq!(look(tempfile::tempdir().unwrap().path()), None);
        for database in [DPKG, PACMAN, FLATPAK, SNAP] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(database);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            // A link to itself is there and cannot be read, whoever asks.
            std::os::unix::fs::symlink(&path, &path).unwrap();
            let told = look(root.path()).expect(database);
            assert!(
                told.starts_with("some installed packages cannot be seen: ") && told.contains(database),
                "{told}"
            );
        }
    }

    #[test]
    fn a_tool_is_found_whatever_stands_around_it_and_in_what_is_cut_nothing_is_made_up() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let hits = |bytes: &[u8], entries: &[String]| {
            std::fs::write(root.path().join(DPKG), bytes).unwrap();
            let mut packages = Packages::default();
            packages.dpkg(&config);
            entries.iter().for_each(|entry| packages.package(&config, without_version(entry)));
            (packages.hits.len(), packages.trouble)
        };
        write(root.path(), &[(DPKG, "")]);
        let junk = "((Package: |Status: |install ok installed|\n|-|[0-9.]{1,9}|\\PC){0,40}\n){0,5}";
        let tool = "Package: x11vnc\nStatus: install ok installed\n";
        proptest!(|(before in junk, after in junk, bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..600,
                    entries in prop::collection::vec("\\PC{0,40}", 0..9))| {
            let text = format!("{before}\n{tool}{after}");
            let (found, trouble) = hits(text.as_bytes(), &[]);
            prop_assert!((1..=text.lines().count()).contains(&found) && trouble.is_none());
            // The line that is cut may say `installed` where it said `installed-`.
            prop_assert!(hits(&text.as_bytes()[..cut.min(text.len())], &[]).0 <= found + 1);
            prop_assert!(hits(&bytes, &entries).0 <= 300 + entries.len());
        });
        let line = format!("Package: {}", "x".repeat(1 << 20));
        assert_eq!(
            hits(format!("{line}\n{tool}").as_bytes(), &[]),
            (1, None),
            "an endless line is passed over"
        );
    }

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
