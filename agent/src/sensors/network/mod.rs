//! Networks: what the laptop is attached to and through which gateway, all by hashes.
//!
//! Looks when the system says that an interface or a route came or went. The public address is the collector's to
//! see.

#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "addresses are text on Linux alone"))]
mod mac;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;
#[cfg(any(target_os = "macos", test))]
mod route_messages;
mod segment;

use std::time::Duration;

use farmwatch_shared::facts::{Family as _, Network};
use jiff::Timestamp;

use super::kernel_events::Listener;
use super::{Config, Sensed, Sensor, SensorError, Wake};

/// The family's sensor.
#[derive(Debug, Default)]
pub struct NetworkSensor {
    /// Looks at a machine whose events can be listened to.
    live: bool,
    events: Option<Listener>,
    memory: os::Memory,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(NetworkSensor { live: config.is_live(), ..Default::default() })
}

impl Sensor for NetworkSensor {
    fn name(&self) -> &'static str {
        Network::NAME
    }

    /// Without events, often enough to time a lost route to some seconds.
    fn period(&self) -> Duration {
        Duration::from_secs(if self.events.is_some() { 60 } else { 2 })
    }

    fn watch(&mut self, wake: Wake) {
        self.events = self.live.then(|| Listener::routes(wake)).flatten();
    }

    fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        os::sense(&mut self.memory, now, out)
    }
}
