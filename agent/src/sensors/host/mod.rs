//! `host`: the machine itself, and the ids under which other management knows it.

#[cfg(any(target_os = "macos", test))]
pub(crate) mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg(unix)]
mod managed;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use std::time::Duration;

use farmwatch_shared::facts::Host;
use jiff::{SignedDuration, Timestamp};

use super::{Config, Sensed, Sensor, SensorError};

/// States the fact `host/self`. Looks every ten minutes: a name may change, an EDR agent may come.
struct HostSensor {
    /// Boot time as first read: the kernel's own figure moves by a second when the clock is set.
    booted: Option<Timestamp>,
}

/// Boot times closer than this are one boot.
const SAME_BOOT: SignedDuration = SignedDuration::from_secs(90);

pub(super) fn new(_: &Config) -> Box<dyn Sensor> {
    Box::new(HostSensor { booted: None })
}

impl Sensor for HostSensor {
    fn name(&self) -> &'static str {
        "host"
    }

    fn period(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        let mut host = os::host(&out.config(), out)?;
        host.agent_version = String::from(env!("CARGO_PKG_VERSION"));
        host.boot_time = self.steady(host.boot_time);
        out.fact("self", &host);
        Ok(())
    }
}

impl HostSensor {
    fn steady(&mut self, read: Option<Timestamp>) -> Option<Timestamp> {
        let read = read?;
        let before = self.booted.filter(|before| read.duration_since(*before).abs() < SAME_BOOT);
        self.booted = Some(before.unwrap_or(read));
        self.booted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_does_not_move_the_boot() {
        let mut sensor = HostSensor { booted: None };
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(sensor.steady(at("2026-11-24T08:00:00Z")), at("2026-11-24T08:00:00Z"));
        assert_eq!(sensor.steady(at("2026-11-24T08:01:00Z")), at("2026-11-24T08:00:00Z"));
        assert_eq!(sensor.steady(at("2026-11-24T09:00:00Z")), at("2026-11-24T09:00:00Z"));
    }
}
