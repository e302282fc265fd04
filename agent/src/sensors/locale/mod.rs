//! `locale`: time zone, keyboard layouts, languages.

#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

#[cfg(any(windows, target_os = "macos", test))]
use std::collections::BTreeSet;
use std::time::Duration;

use farmwatch_shared::facts::Locale;
use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError};

/// Most layouts or languages that are named.
const MOST: usize = 16;

/// States the fact `locale/self`. Looks every ten minutes: these are settings.
struct LocaleSensor;

pub(super) fn new(_: &Config) -> Box<dyn Sensor> {
    Box::new(LocaleSensor)
}

impl Sensor for LocaleSensor {
    fn name(&self) -> &'static str {
        "locale"
    }

    fn period(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        let locale = os::locale(&out.config())?;
        out.fact("self", &locale);
        Ok(())
    }
}

/// Words that name a layout or a language, in their order and each once. Anything else somebody's settings hold is none.
#[cfg(any(windows, target_os = "macos", test))]
fn each_once(words: impl Iterator<Item = String>) -> Vec<String> {
    let fits = |word: &String| {
        (1..=48).contains(&word.len())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@ ()".contains(c))
    };
    let mut seen = BTreeSet::new();
    words.filter(fits).filter(|word| seen.insert(word.clone())).take(MOST).collect()
}
