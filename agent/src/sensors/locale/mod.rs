//! `locale`: time zone, keyboard layouts, languages.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
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

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Config, Locale, SensorError};

    pub(super) fn locale(_: &Config) -> Result<Locale, SensorError> {
        Err(SensorError::NotSupported("not read on this operating system yet".into()))
    }
}
