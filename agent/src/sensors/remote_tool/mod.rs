//! `remote_tool`: remote-access tools of the catalogue that run, serve or are installed.
//!
//! Only what the catalogue names becomes a fact. Everything else that is read on the way (names of processes,
//! packages, units) is compared and dropped.

#[cfg(unix)]
mod accounts;
#[cfg(not(target_os = "macos"))]
mod budget;
#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
mod os;
#[cfg(unix)]
mod paths;
mod ports;
mod reach;
#[cfg(not(target_os = "macos"))]
mod relays;
mod stock;
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
