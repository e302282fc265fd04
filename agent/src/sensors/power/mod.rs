//! `power`: mains, battery, lid, sleep; and the moments at which they change.

mod changes;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod os;

use std::time::Duration;

use farmwatch_shared::facts::Power;
use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError};

/// States the fact `power/self`. Looks every two seconds, so that laptops which lose mains together are seen to:
/// a few small files.
struct PowerSensor {
    before: Option<changes::Moment>,
}

pub(super) fn new(_: &Config) -> Box<dyn Sensor> {
    Box::new(PowerSensor { before: None })
}

impl Sensor for PowerSensor {
    fn name(&self) -> &'static str {
        "power"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        let config = out.config();
        let power = os::power(&config)?;
        let moment = changes::Moment {
            at: now,
            mains: power.mains,
            lid_closed: power.lid_closed,
            asleep: os::time_asleep(&config),
        };
        let happened: Vec<_> = match &self.before {
            Some(before) => changes::between(before, &moment).collect(),
            None => changes::at_start(now, os::uptime(&config)).collect(),
        };
        happened.into_iter().for_each(|(at, kind)| out.transition(at, kind));
        self.before = Some(moment);
        out.fact("self", &power);
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Config, Duration, Power, SensorError};

    pub(super) fn power(_: &Config) -> Result<Power, SensorError> {
        Err(SensorError::NotSupported("not read on this operating system yet".into()))
    }

    pub(super) fn time_asleep(_: &Config) -> Duration {
        Duration::ZERO
    }

    pub(super) fn uptime(_: &Config) -> Option<Duration> {
        None
    }
}
