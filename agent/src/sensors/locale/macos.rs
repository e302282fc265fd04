//! macOS: the time zone's link and preferences.

use super::super::read;
use super::from_macos;
use super::{Config, Locale, SensorError};
use crate::apple::plist::{self, Plist};

/// Most people whose preferences are read.
const MOST_HOMES: usize = 16;

pub(super) fn locale(config: &Config) -> Result<Locale, SensorError> {
    let link = read::link(&config.path("etc/localtime")).ok();
    let time_zone = link.and_then(|link| from_macos::time_zone(&link.to_string_lossy()));
    let locale = from_macos::locale(
        time_zone,
        &preferences(config, ".GlobalPreferences.plist"),
        &preferences(config, "com.apple.HIToolbox.plist"),
    );
    if locale == Locale::default() {
        let reason = "neither /etc/localtime nor preferences can be read";
        return Err(SensorError::Blind(reason.into()));
    }
    Ok(locale)
}

/// The people's own and the machine's.
fn preferences(config: &Config, name: &str) -> Vec<Plist> {
    let homes = read::names(&config.path("Users"), read::MANY).unwrap_or_default();
    let homes = homes.iter().take(MOST_HOMES).map(|home| config.path("Users").join(home));
    homes
        .chain([config.root.clone()])
        .filter_map(|folder| {
            let bytes = read::bytes(&folder.join("Library/Preferences").join(name), read::SMALL).ok()?;
            plist::parse(&bytes).ok()
        })
        .collect()
}
