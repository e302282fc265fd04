//! What of the catalogue is installed: launchd's items, apps, receipts, files, browser extensions.
//!
//! Nothing is looked for where macOS would ask the person (`Desktop`, `Documents`, `Downloads`, other apps' data).

use std::path::{Path, PathBuf};

use farmwatch_shared::catalogue::Os;
use farmwatch_shared::facts::SeenBy;

use super::super::tools::Hit;
use super::super::{from_macos, paths};
use crate::apple::plist::{self, Plist};
use crate::sensors::{Config, read};

const LAUNCHD: [&str; 2] = ["Library/LaunchDaemons", "Library/LaunchAgents"];
const LAUNCHD_AT_HOME: &str = "Library/LaunchAgents";
const APPS: [&str; 2] = ["Applications", "Applications/Utilities"];
const RECEIPTS: &str = "private/var/db/receipts";
/// Folders of browser profiles below a home, for browsers of Chromium's kind.
const CHROMIUM: [&str; 5] = [
    "Library/Application Support/Google/Chrome",
    "Library/Application Support/Chromium",
    "Library/Application Support/Microsoft Edge",
    "Library/Application Support/BraveSoftware/Brave-Browser",
    "Library/Application Support/Vivaldi",
];
/// Where macOS asks the person before it lets a program look.
const ASKS: [&str; 5] = ["Desktop", "Documents", "Downloads", "Containers", "Group Containers"];
/// Most property lists of one folder that are read.
const MOST_READ: usize = 512;

pub(super) fn all(config: &Config) -> Vec<(SeenBy, Hit)> {
    let homes = paths::homes(&config.root);
    let mut hits = Vec::new();
    hits.extend(launchd(config, &homes).into_iter().map(|hit| (SeenBy::Service, hit)));
    hits.extend(apps(config, &homes).into_iter().map(|hit| (SeenBy::Package, hit)));
    hits.extend(receipts(config).into_iter().map(|hit| (SeenBy::Package, hit)));
    hits.extend(files(config, &homes).into_iter().map(|hit| (SeenBy::File, hit)));
    hits.extend(extensions(config, &homes).into_iter().map(|hit| (SeenBy::BrowserExtension, hit)));
    hits
}

/// A property list on disk.
pub(super) fn plist(path: &Path) -> Option<Plist> {
    plist::parse(&read::bytes(path, read::SMALL).ok()?).ok()
}

fn launchd(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let at_home = homes.iter().map(|home| home.join(LAUNCHD_AT_HOME));
    let mut hits = Vec::new();
    for folder in LAUNCHD.iter().map(|folder| config.path(folder)).chain(at_home) {
        for name in names(&folder).iter().filter(|name| name.contains(".plist")).take(MOST_READ) {
            hits.extend(from_macos::launchd(&config.catalogue, name, plist(&folder.join(name)).as_ref()));
        }
    }
    hits
}

fn apps(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let at_home = homes.iter().map(|home| home.join("Applications"));
    let mut hits = Vec::new();
    for folder in APPS.iter().map(|folder| config.path(folder)).chain(at_home) {
        for name in names(&folder).iter().filter(|name| name.contains(".app")).take(MOST_READ) {
            let info = plist(&folder.join(name).join("Contents/Info.plist"));
            hits.extend(from_macos::app(&config.catalogue, name, info.as_ref()));
        }
    }
    hits
}

/// Each installed package leaves `<its id>.plist` and `.bom`.
fn receipts(config: &Config) -> Vec<Hit> {
    let names = names(&config.path(RECEIPTS));
    let hit = |name: &String| {
        let id = name.strip_suffix(".plist")?;
        let catalogue = &config.catalogue;
        let hit = catalogue.by_package(Os::Macos, id).or_else(|| catalogue.by_service(Os::Macos, id));
        hit.map(Hit::from)
    };
    names.iter().filter_map(hit).collect()
}

fn files(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (tool, pattern) in config.catalogue.files(Os::Macos) {
        if pattern.split('/').any(|part| ASKS.contains(&part)) {
            continue;
        }
        for path in paths::matching(&config.root, homes, pattern) {
            let Ok(path) = path.strip_prefix(&config.root) else { continue };
            let hit = config.catalogue.by_file(Os::Macos, &format!("/{}", path.display()));
            if let Some(hit) = hit.filter(|hit| hit.tool.id == tool.id) {
                hits.push(hit.into());
                break;
            }
        }
    }
    hits
}

fn extensions(config: &Config, homes: &[PathBuf]) -> Vec<Hit> {
    let browsers = homes.iter().flat_map(|home| CHROMIUM.iter().map(|browser| home.join(browser)));
    let mut hits = Vec::new();
    for browser in browsers {
        for profile in names(&browser) {
            for id in names(&browser.join(profile).join("Extensions")) {
                hits.extend(config.catalogue.by_extension(&id).map(Hit::from));
            }
        }
    }
    hits
}

fn names(folder: &Path) -> Vec<String> {
    read::names(folder, read::MANY).unwrap_or_default()
}
