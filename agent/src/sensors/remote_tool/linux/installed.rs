//! What of the catalogue is installed: packages, units, files, browser extensions.

use std::path::{Path, PathBuf};

use farmwatch_shared::catalogue::Os;
use farmwatch_shared::facts::SeenBy;

use super::super::paths;
use super::super::tools::Hit;
use super::packages::Packages;
use super::units;
use crate::sensors::{Config, read};

/// Folders of browser profiles below a home, for browsers of Chromium's kind.
const CHROMIUM: [&str; 9] = [
    ".config/google-chrome",
    ".config/google-chrome-beta",
    ".config/chromium",
    ".config/microsoft-edge",
    ".config/BraveSoftware/Brave-Browser",
    ".config/vivaldi",
    ".config/opera",
    "snap/chromium/common/chromium",
    ".var/app/com.google.Chrome/config/google-chrome",
];
/// Firefox's.
const FIREFOX: [&str; 3] = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
];
/// Most profiles of one browser.
const MOST_PROFILES: usize = 64;

/// What is installed, as last looked at.
#[derive(Default)]
pub(super) struct Installed {
    pub(super) packages: Packages,
    others: Vec<(SeenBy, Hit)>,
    /// Why some of it cannot be seen.
    trouble: Option<String>,
}

impl Installed {
    pub(super) fn look(&mut self, config: &Config) {
        let homes = paths::homes(&config.root);
        self.packages.look(config);
        self.others.clear();
        self.trouble = self.packages.trouble.clone();
        let units = units::all(config, &homes, &mut self.trouble);
        self.others.extend(units.into_iter().map(|hit| (SeenBy::Service, hit)));
        self.others.extend(files(config, &homes).into_iter().map(|hit| (SeenBy::File, hit)));
        self.others.extend(extensions(config, &homes).into_iter().map(|hit| (SeenBy::BrowserExtension, hit)));
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (SeenBy, &Hit)> {
        let packages = self.packages.hits.iter().map(|hit| (SeenBy::Package, hit));
        packages.chain(self.others.iter().map(|(by, hit)| (*by, hit)))
    }
}

fn files(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (tool, pattern) in config.catalogue.files(Os::Linux) {
        for path in paths::matching(&config.root, homes, pattern) {
            let Ok(path) = path.strip_prefix(&config.root) else { continue };
            let path = format!("/{}", path.display());
            let hit = config.catalogue.by_file(Os::Linux, &path);
            if let Some(hit) = hit.filter(|hit| hit.tool.id == tool.id) {
                hits.push(hit.into());
                break;
            }
        }
    }
    hits
}

fn extensions(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for home in homes {
        let chromium = CHROMIUM.iter().flat_map(|browser| profiles(&home.join(browser), "Extensions"));
        let firefox = FIREFOX.iter().flat_map(|browser| profiles(&home.join(browser), "extensions"));
        for name in chromium.chain(firefox) {
            let id = name.strip_suffix(".xpi").unwrap_or(&name);
            hits.extend(config.catalogue.by_extension(id).map(Hit::from));
        }
    }
    hits
}

/// Names in a folder of each profile.
fn profiles(browser: &Path, folder: &str) -> Vec<String> {
    let profiles = read::names(browser, read::MANY).unwrap_or_default();
    let names =
        |profile: String| read::names(&browser.join(profile).join(folder), read::MANY).unwrap_or_default();
    // Most entries beside the profiles are files: looking for a folder in them fails at once.
    profiles.into_iter().map(names).filter(|names| !names.is_empty()).take(MOST_PROFILES).flatten().collect()
}
