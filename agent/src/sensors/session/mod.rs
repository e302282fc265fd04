//! `session`: who is logged in from where, without saying who.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod os;
#[cfg(target_os = "linux")]
mod utmp;

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

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Config, SensorError, Session};

    pub(super) fn sessions(_: &Config) -> Result<Vec<(String, Session)>, SensorError> {
        Err(SensorError::NotSupported("not read on this operating system yet".into()))
    }
}
