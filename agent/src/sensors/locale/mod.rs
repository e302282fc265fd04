//! `locale`: time zone, keyboard layouts, languages.

#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use std::time::Duration;

use farmwatch_shared::facts::Locale;
use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError};

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
