//! `session`: who is logged in from where, without saying who.

#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use std::time::Duration;

use farmwatch_shared::facts::Session;
use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError};

/// States a fact `session/<id>` for each session. Looks every ten seconds: a handful of small files.
struct SessionSensor;

pub(super) fn new(_: &Config) -> Box<dyn Sensor> {
    Box::new(SessionSensor)
}

impl Sensor for SessionSensor {
    fn name(&self) -> &'static str {
        "session"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        let sessions = os::sessions(&out.config())?;
        sessions.iter().for_each(|(id, session)| out.fact(id, session));
        Ok(())
    }
}
