//! Windows: the time zone by the system, keyboards and languages by the registry of whoever is logged in.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use windows_registry::USERS;
use windows_sys::Win32::Globalization::LCIDToLocaleName;

use super::{Config, Locale, SensorError};
use crate::windows::{registry, text};

/// Most layouts or languages that are named.
const MOST: usize = 16;

pub(super) fn locale(config: &Config) -> Result<Locale, SensorError> {
    crate::windows::is_here(config)?;
    let zone = jiff::tz::TimeZone::system();
    let mut locale = Locale { time_zone: zone.iana_name().map(str::to_owned), ..Locale::default() };
    let mut people = registry::people();
    if people.is_empty() {
        people.push(".DEFAULT".into());
    }
    for person in people {
        if let Ok(preload) = USERS.open(format!(r"{person}\Keyboard Layout\Preload")) {
            let numbers = (1..=MOST).filter_map(|n| registry::text(&preload, &n.to_string()));
            locale.keyboard_layouts.extend(numbers.filter_map(|number| layout(&number)));
        }
        if let Ok(international) = USERS.open(format!(r"{person}\Control Panel\International")) {
            let name = registry::text(&international, "LocaleName");
            locale.languages.extend(name.map(|name| name.replace('-', "_")));
        }
    }
    for list in [&mut locale.keyboard_layouts, &mut locale.languages] {
        list.dedup();
        list.truncate(MOST);
    }
    Ok(locale)
}

/// `00000407` is the German keyboard: the last four digits are a language, whose country is what Linux calls it by.
fn layout(number: &str) -> Option<String> {
    let language = u32::from_str_radix(number.get(4..8)?, 16).ok()?;
    let mut buffer = [0u16; 85];
    // SAFETY: the buffer has the length that is told.
    let length = unsafe { LCIDToLocaleName(language, buffer.as_mut_ptr(), 85, 0) };
    let name = text::of_buffer(&buffer);
    let country = name.rsplit('-').next().unwrap_or_default().to_ascii_lowercase();
    (length > 0 && !country.is_empty()).then_some(country)
}
