//! Windows: the time zone by the system, keyboards and languages by the registry of whoever is logged in.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use windows_registry::USERS;
use windows_sys::Win32::Globalization::LCIDToLocaleName;

use super::from_windows::{self, Settings};
use super::{Config, Locale, MOST, SensorError};
use crate::windows::{registry, text};

pub(super) fn locale(config: &Config) -> Result<Locale, SensorError> {
    crate::windows::is_here(config)?;
    let zone = jiff::tz::TimeZone::system();
    let mut people = registry::people();
    if people.is_empty() {
        people.push(".DEFAULT".into());
    }
    let people: Vec<Settings> = people.iter().map(|person| settings(person)).collect();
    let [keyboard_layouts, languages] = from_windows::words(&people, name_of);
    Ok(Locale { time_zone: zone.iana_name().map(str::to_owned), keyboard_layouts, languages })
}

fn settings(person: &str) -> Settings {
    let mut settings = Settings::default();
    if let Ok(preload) = USERS.open(format!(r"{person}\Keyboard Layout\Preload")) {
        settings.keyboards = (1..=MOST).filter_map(|n| registry::text(&preload, &n.to_string())).collect();
    }
    if let Ok(international) = USERS.open(format!(r"{person}\Control Panel\International")) {
        settings.language = registry::text(&international, "LocaleName");
    }
    settings
}

/// `de-DE` for 0x407.
fn name_of(language: u32) -> Option<String> {
    let mut buffer = [0u16; 85];
    // SAFETY: the buffer has the length that is told.
    let length = unsafe { LCIDToLocaleName(language, buffer.as_mut_ptr(), 85, 0) };
    (length > 0).then(|| text::of_buffer(&buffer))
}
