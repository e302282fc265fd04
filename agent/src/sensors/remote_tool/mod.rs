//! `remote_tool`: remote-access tools of the catalogue that run, serve or are installed.
//!
//! Only what the catalogue names becomes a fact. Everything else that is read on the way (names of processes,
//! packages, units) is compared and dropped.

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod os;
#[cfg(target_os = "linux")]
mod tools;

use std::time::Duration;

use jiff::Timestamp;

use super::{Config, Sensed, Sensor, SensorError, Wake};

/// States a fact `remote_tool/<catalogue id>` for each tool. Looks when something starts, ends or is installed;
/// where the system does not tell, every two seconds at what is new.
struct RemoteToolSensor(os::Eyes);

pub(super) fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(RemoteToolSensor(os::Eyes::new(config)))
}

impl Sensor for RemoteToolSensor {
    fn name(&self) -> &'static str {
        "remote_tool"
    }

    fn period(&self) -> Duration {
        self.0.period()
    }

    fn watch(&mut self, wake: Wake) {
        self.0.watch(wake);
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        self.0.look(out)
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Config, Duration, Sensed, SensorError, Wake};

    pub(super) struct Eyes;

    impl Eyes {
        pub(super) fn new(_: &Config) -> Self {
            Self
        }

        pub(super) fn period(&self) -> Duration {
            Duration::from_hours(1)
        }

        pub(super) fn watch(&mut self, _: Wake) {}

        pub(super) fn look(&mut self, _: &mut Sensed) -> Result<(), SensorError> {
            Err(SensorError::NotSupported("not read on this operating system yet".into()))
        }
    }
}
